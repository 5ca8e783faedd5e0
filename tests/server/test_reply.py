# SPDX-License-Identifier: LGPL-2.1-or-later
"""Upload-reply: the application that bits-server calls, and the reply that a client fetches."""
import email.utils
import subprocess
import threading
import time

import pytest

from server.application import Application
from server.client import BINARY, DEADLINE

DATA = bytes(range(256)) * 40
TYPES = ["1", "2"]


def last_fragment(client, target="/file", session=None, **headers):
    """Sends DATA as two Fragments; the session and the Ack to the last."""
    session = session or client.session(target)
    client.fragment(session, 0, DATA[:5000], len(DATA), target, **headers)
    return session, client.fragment(session, 5000, DATA[5000:], len(DATA), target, **headers)


def get(client, target, method="GET", **headers):
    return client.send(None, target, method=method, **headers)


def reply_target(answer, folder="/"):
    return folder + answer.headers["BITS-Reply-URL"].replace("\\", "/").replace("{", "%7B").replace("}", "%7D")


@pytest.mark.parametrize("mode", ["msdn", "spec"])
@pytest.mark.parametrize("kind", TYPES)
def test_the_application_gets_the_file_and_the_client_its_reply(serve, kind, mode):
    with Application(reply=lambda call: b"got %d" % len(call.data)) as app:
        server = serve("--notify-type", kind, "--notify-url", app.url, "--mode", mode)
        (server.root / "dir").mkdir()
        client = server.client()
        session, answer = last_fragment(client, "/dir/file")
        assert (answer.status, answer.next) == (200, len(DATA))
        url = answer.headers["BITS-Reply-URL"]
        assert url.startswith("BITS-Sessions\\Replies\\{") and url.endswith("}\\responsefile.bin")
        reply = get(client, reply_target(answer, "/dir/"))
        assert (reply.status, reply.body) == (200, b"got %d" % len(DATA))
        [call] = app.calls
        assert call.data == DATA and call.target == "/application"
        assert client.close_session(session, "/dir/file").status == 200
        assert get(client, reply_target(answer, "/dir/")).status == 404
        assert not (server.root / "dir/file").exists()  # the application has it
        assert list((server.root / ".bits-sessions").iterdir()) == []


@pytest.mark.parametrize("kind", TYPES)
def test_the_headers_of_a_notification_are_those_of_iis(serve, kind):
    with Application() as app:
        server = serve("--notify-type", kind, "--notify-url", app.url)
        last_fragment(server.client(), "/file?a=b")
        headers = app.calls[0].headers
        assert headers["User-Agent"] == "BITSExts 1.5"
        assert headers["BITS-Original-Request-URL"] == f"http://127.0.0.1:{server.port}/file?a=b"
        assert app.calls[0].target == "/application?a=b"
        assert headers["Content-Length"] == ("0" if kind == "1" else str(len(DATA)))
        assert headers["Expect"] is None and headers["Content-Type"] is None
        assert app.calls[0].by_reference == (kind == "1")


def test_a_relative_notification_url_replaces_the_last_part_of_the_path(serve):
    with Application(reply=b"ok") as app:
        server = serve("--notify-type", "2", "--notify-url", "app.dll?x=1", "--make-parents")
        client = server.client()
        session = client.session("/dir/file?q")
        client.fragment(session, 0, DATA, len(DATA), "/dir/file?q", Host=f"127.0.0.1:{app.port}")
        assert [call.target for call in app.calls] == ["/dir/app.dll?x=1&q"]


def test_without_notification_the_file_lands_at_its_name_and_there_is_no_reply(serve):
    server = serve("--notify-type", "0")
    _, answer = last_fragment(server.client())
    assert answer.headers["BITS-Reply-URL"] is None
    assert (server.root / "file").read_bytes() == DATA


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_the_file_goes_to_its_destination_if_the_application_wants_it(serve, mode):
    with Application(reply=b"r", headers={"BITS-Copy-File-To-Destination": "1"}) as app:
        server = serve("--notify-type", "2", "--notify-url", app.url, "--mode", mode)
        client = server.client()
        session, answer = last_fragment(client)
        assert answer.status == 200
        assert (server.root / "file").exists() == (mode == "msdn")
        client.close_session(session)
        assert (server.root / "file").read_bytes() == DATA


def test_a_static_reply_url_is_passed_on_as_it_is(serve):
    url = "http://elsewhere.example/reply?x=1"
    with Application(reply=b"unused", headers={"BITS-Static-Response-URL": url}) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url).client()
        assert last_fragment(client)[1].headers["BITS-Reply-URL"] == url


def test_a_static_reply_url_of_over_2200_characters_draws_400(serve):
    with Application(headers={"BITS-Static-Response-URL": "http://x/" + "y" * 2192}) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url).client()
        answer = last_fragment(client)[1]
        assert (answer.status, answer.error, answer.headers["BITS-Error-Context"]) == (400, "0x80070057", "0x5")


@pytest.mark.parametrize("kind, reply, expected", [("1", None, None), ("1", b"", b""), ("2", b"", None)])
def test_no_reply_is_no_reply_url(serve, kind, reply, expected):
    with Application(reply=reply) as app:
        client = serve("--notify-type", kind, "--notify-url", app.url).client()
        answer = last_fragment(client)[1]
        if expected is None:
            assert answer.headers["BITS-Reply-URL"] is None
        else:
            assert get(client, reply_target(answer)).body == expected


def test_a_reply_without_a_length_is_taken(serve):
    with Application(reply=DATA, length=False) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url).client()
        assert get(client, reply_target(last_fragment(client)[1])).body == DATA


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_a_failure_is_passed_on_and_the_next_fragment_calls_again(serve, mode):
    with Application(reply=b"r", failures=[503, 404]) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url, "--mode", mode, "--error-header", "code").client()
        session, answer = last_fragment(client)
        assert (answer.status, answer.error, answer.headers["BITS-Error-Context"]) == (503, "0x801901F7", "0x7")
        assert answer.headers["BITS-Reply-URL"] is None
        answer = client.fragment(session, 5000, DATA[5000:], len(DATA))
        assert (answer.status, answer.error) == (404, "0x80190194")
        answer = client.fragment(session, 5000, DATA[5000:], len(DATA))
        assert (answer.status, answer.next) == (200, len(DATA))
        assert get(client, reply_target(answer)).body == b"r"
        assert [call.data == DATA for call in app.calls] == [True] * 3


def test_after_403_the_application_is_not_called_again(serve):
    with Application(failures=[403]) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url).client()
        session, first = last_fragment(client)
        second = client.fragment(session, 5000, DATA[5000:], len(DATA))
        assert [answer.status for answer in (first, second)] == [403, 403]
        assert second.headers["BITS-Error-Context"] == "0x7"
        assert len(app.calls) == 1


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_a_result_is_repeated_without_another_call(serve, mode):
    with Application(reply=b"r") as app:
        client = serve("--notify-type", "2", "--notify-url", app.url, "--mode", mode).client()
        session, first = last_fragment(client)
        second = client.fragment(session, 5000, DATA[5000:], len(DATA))
        assert second.status == 200 and second.next == len(DATA)
        assert second.headers["BITS-Reply-URL"] == first.headers["BITS-Reply-URL"]
        assert len(app.calls) == 1


def test_an_application_that_takes_too_long_draws_408(serve):
    with Application(reply=b"r", delay=DEADLINE) as app:
        client = serve("--notify-type", "2", "--notify-url", app.url, "--notify-timeout", "200ms").client()
        _, answer = last_fragment(client)
        assert (answer.status, answer.error, answer.headers["BITS-Error-Context"]) == (408, "0x80070112", "0x7")


def test_an_application_that_is_not_there_draws_500(serve):
    with Application() as app:
        url = app.url
    client = serve("--notify-type", "2", "--notify-url", url).client()
    _, answer = last_fragment(client)
    assert (answer.status, answer.error, answer.headers["BITS-Error-Context"]) == (500, "0x80072EFD", "0x7")


def test_other_sessions_go_on_while_the_application_thinks(serve):
    with Application(reply=b"r", delay=DEADLINE) as app:
        server = serve("--notify-type", "2", "--notify-url", app.url)
        answers = []
        slow = threading.Thread(target=lambda: answers.append(last_fragment(server.client(), "/slow")[1]))
        slow.start()
        app.wait_for_calls(1)
        other = server.client()
        session = other.session("/other")
        assert other.fragment(session, 0, b"x", 2, "/other").next == 1
        assert answers == []
        app.stopping.set()
        slow.join(DEADLINE)
        assert answers[0].status == 200


def test_cancel_removes_the_reply(serve):
    with Application(reply=b"r") as app:
        server = serve("--notify-type", "1", "--notify-url", app.url)
        client = server.client()
        session, answer = last_fragment(client)
        assert client.cancel_session(session).status == 200
        assert get(client, reply_target(answer)).status == 404
        assert list((server.root / ".bits-sessions").iterdir()) == []


@pytest.mark.parametrize("form", ["slash", "absolute"])
def test_the_reply_url_may_be_written_otherwise(serve, form):
    with Application(reply=b"r") as app:
        server = serve("--notify-type", "2", "--notify-url", app.url, "--reply-url", form)
        client = server.client()
        url = last_fragment(client)[1].headers["BITS-Reply-URL"]
        prefix = server.url if form == "absolute" else ""
        assert url.startswith(prefix + "BITS-Sessions/Replies/{")
        assert get(client, "/" + url[len(prefix):]).body == b"r"


@pytest.fixture
def replied(serve):
    """replied(*options): a client of a server with DATA as the reply, and the reply's target."""
    with Application(reply=DATA) as app:
        def start(*options):
            client = serve("--notify-type", "2", "--notify-url", app.url, *options).client()
            return client, reply_target(last_fragment(client)[1])

        yield start


def test_a_range_of_the_reply_is_served(replied):
    client, target = replied()
    answer = get(client, target, Range="bytes=100-199")
    assert (answer.status, answer.body) == (206, DATA[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"
    assert answer.headers["Content-Length"] == "100"
    assert get(client, target, Range=f"bytes=10000-{len(DATA) + 99}").body == DATA[10000:]
    assert get(client, target, Range="bytes=10000-").body == DATA[10000:]
    assert get(client, target, Range="bytes=-7").body == DATA[-7:]


def test_head_says_what_get_would(replied):
    client, target = replied()
    head, whole = get(client, target, method="HEAD"), get(client, target)
    assert head.body == b"" and whole.body == DATA
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name] and head.headers[name]
    assert abs(email.utils.parsedate_to_datetime(head.headers["Last-Modified"]).timestamp() - time.time()) < 3600


def test_a_range_behind_the_end_draws_416(replied):
    client, target = replied()
    answer = get(client, target, Range=f"bytes={len(DATA)}-{len(DATA) + 5}")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize("value", ["bytes=5-2", "bytes=a-b", "bytes=0-1,4-5", "lines=1-2", "bytes=7", ""])
def test_a_range_that_makes_no_sense_is_ignored(replied, value):
    client, target = replied()
    answer = get(client, target, Range=value)
    assert (answer.status, answer.body) == (200, DATA)


def test_open_ranges_may_be_refused(replied):
    client, target = replied("--closed-ranges")
    assert get(client, target, Range="bytes=5-").status == 400
    assert get(client, target, Range="bytes=5-6").body == DATA[5:7]


def test_if_range_of_another_entity_draws_the_whole(replied):
    client, target = replied()
    etag = get(client, target, method="HEAD").headers["ETag"]
    assert get(client, target, Range="bytes=5-6", If_Range=etag).status == 206
    assert get(client, target, Range="bytes=5-6", If_Range='"x"').body == DATA


def test_the_reply_may_change_between_ranges(replied):
    client, target = replied("--fault", "get#2: redate", "--fault", "get#3: replace another reply")
    answers = [get(client, target, Range="bytes=0-4") for _ in range(4)]
    dates, tags = ([answer.headers[name] for answer in answers] for name in ("Last-Modified", "ETag"))
    assert [answer.body for answer in answers] == [DATA[:5], DATA[:5], b"anoth", b"anoth"]
    assert len(set(dates)) == 3 and len(set(tags)) == 3 and dates[2] == dates[3]


def test_ranges_may_be_ignored_by_rule(replied):
    client, target = replied("--fault", "get#1: no-range")
    answer = get(client, target, Range="bytes=0-4")
    assert (answer.status, answer.body) == (200, DATA)


@pytest.mark.parametrize("options", [["--notify-type", "1"], ["--notify-type", "3", "--notify-url", "http://x/"],
                                     ["--notify-type", "1", "--notify-url", "https://x/"], ["--reply-url", "x"]])
def test_wrong_options_for_replies_are_refused(tmp_path, options):
    done = subprocess.run([BINARY, "--root", tmp_path, *options], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and done.stderr.startswith("bits-server: ")
