# SPDX-License-Identifier: LGPL-2.1-or-later
"""New settings for jobs that are queued, and the reply of an upload-reply job, over D-Bus."""
import os
import threading

import dbus
import pytest

from server.scripted import Answer, BitsSession, ScriptedServer
from support.auth import BasicSession, keep
from support.bus import JOB, ROOT, BusError, options
from support.wait import poll

NOWHERE = "http://127.0.0.1:9/target"


def change(bus, job, **values):
    return bus.call(f"{ROOT}/jobs/{job}", JOB, "Set", "a{sv}", options(values))


def refused(bus, job, **values):
    with pytest.raises(BusError) as caught:
        change(bus, job, **values)
    return caught.value


def test_what_is_set_is_there_and_the_rest_stays(bus, home):
    job = bus.add(home.file(size=10), NOWHERE, hold=True, user_agent="first", retry_delay=5_000_000)
    change(bus, job, priority="high", name="a name", credential="work", lenient_ack=True)
    seen = bus.job(job)
    assert (seen["Priority"], seen["Name"], seen["State"]) == ("high", "a name", "paused")
    assert seen["Options"] == {"user_agent": "first", "retry_delay": 5_000_000, "credential": "work",
                               "lenient_ack": True}
    change(bus, job, credential="", reset=["lenient_ack", "retry_delay"])
    assert bus.job(job)["Options"] == {"user_agent": "first"}


def test_an_empty_proxy_is_a_choice(bus, home):
    job = bus.add(home.file(size=10), NOWHERE, hold=True)
    change(bus, job, proxy="")
    assert bus.job(job)["Options"] == {"proxy": ""}


@pytest.mark.parametrize("values, words", [
    ({"auth": "magic"}, "basic, digest, ntlm, negotiate or bearer"),
    ({"cacert": "ca.pem"}, "absolute path"),
    ({"colour": "red"}, "no such option"),
    ({"retry_delay": "5s"}, "wrong type"),
    ({"rate": True}, "wrong type"),
    ({"network": "cheap"}, "any or unmetered"),
    ({"reset": ["url"]}, "can be taken back"),
    ({"name": "a\nb"}, "the name must be"),
    ({"url": "ftp://x/y"}, "http"),
    ({}, "nothing to set"),
])
def test_a_wrong_setting_is_named_and_changes_nothing(bus, home, values, words):
    job = bus.add(home.file(size=10), NOWHERE, hold=True)
    before = bus.job(job)
    error = refused(bus, job, **values)
    assert error.name == "InvalidArgument" and words in error.message
    assert bus.job(job) == before


def test_a_job_that_is_over_cannot_be_set(bus, home):
    job = bus.add(home.file(size=10), NOWHERE, hold=True)
    bus.verb(job, "Cancel")
    bus.wait(job, "cancelled")
    error = refused(bus, job, priority="low")
    assert error.name == "InvalidState" and "neither done nor cancelled" in error.message


def test_a_new_url_takes_the_upload_elsewhere(home, serve):
    server = serve()
    bus = home.daemon().bus
    source = home.file(size=10_000)
    job = bus.add(source, NOWHERE)
    bus.wait(job, "retrying")
    change(bus, job, url=server.url + "/target?sig=secret")
    done = bus.wait(job, "done", "failed")
    assert done["State"] == "done" and done["Url"].endswith("/target?sig=…")
    assert (server.root / "target").read_bytes() == source.read_bytes()


def test_the_session_at_the_old_server_is_cancelled(home, serve):
    with ScriptedServer() as old:
        new = serve()
        old.handler.script["Fragment"] = Answer(503, [("BITS-Packet-Type", "Ack"), ("Retry-After", "3600")])
        bus = home.daemon().bus
        source = home.file(size=10_000)
        job = bus.add(source, old.url + "target")
        bus.wait(job, "retrying")
        change(bus, job, url=new.url + "/target")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        old.wait_for(lambda s: s.packets("Cancel-Session"))
        assert [r.session for r in old.requests if r.packet == "Cancel-Session"] == [old.handler.history[0].id]
    assert (new.root / "target").read_bytes() == source.read_bytes()


def test_the_old_server_hears_it_with_the_credentials_that_it_wants(home, serve):
    keep(home, "old", user="alice", password="secret")
    with ScriptedServer(BasicSession("alice", "secret")) as old:
        new = serve()
        old.handler.script["Fragment"] = Answer(503, [("BITS-Packet-Type", "Ack"), ("Retry-After", "3600")])
        bus = home.daemon().bus
        job = bus.add(home.file(size=10_000), old.url + "target", credential="old", credentials_over_http=True)
        bus.wait(job, "retrying")
        change(bus, job, url=new.url + "/target", credential="")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        old.wait_for(lambda s: [r.status for r in s.packets("Cancel-Session")][-1:] == [200])


def test_the_old_server_hears_it_in_its_own_dialect(home, serve):
    with ScriptedServer() as old:
        new = serve()
        old.handler.script["Fragment"] = Answer(503, [("BITS-Packet-Type", "Ack"), ("Retry-After", "3600")])
        bus = home.daemon().bus
        job = bus.add(home.file(size=10_000), old.url + "target", method_override="post")
        bus.wait(job, "retrying")
        change(bus, job, url=new.url + "/target", method_override="")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        old.wait_for(lambda s: s.packets("Cancel-Session"))
        assert {(r.method, r.header("X-HTTP-Method-Override")) for r in old.requests} == {("POST", "BITS_POST")}


def test_a_failed_job_with_a_new_url_begins_there_when_it_is_retried(home, serve):
    with ScriptedServer() as old:
        new = serve()
        old.handler.script["Fragment", 1] = Answer(403)
        bus = home.daemon().bus
        source = home.file(size=10_000)
        job = bus.add(source, old.url + "target")
        bus.wait(job, "failed")
        change(bus, job, url=new.url + "/target")
        seen = bus.job(job)
        assert (seen["State"], seen["Session"], seen["Acknowledged"]) == ("failed", "", 0)
        bus.verb(job, "Retry")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert (new.root / "target").read_bytes() == source.read_bytes()


def test_what_is_set_while_a_job_runs_counts_from_its_next_attempt_on(home):
    with ScriptedServer() as server:
        go_on = threading.Event()
        server.handler.script["Create-Session"] = lambda request, normal: normal() if go_on.wait(30) else None
        server.handler.script["Fragment", 1] = Answer(503)
        bus = home.daemon().bus
        job = bus.add(home.file(size=10_000), server.url + "target", user_agent="first")
        server.wait_for(lambda s: s.packets("Create-Session"))
        change(bus, job, user_agent="second")
        go_on.set()
        bus.wait(job, "retrying")
        first = len(server.requests)
        bus.verb(job, "Retry")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        agents = [r.header("User-Agent") for r in server.requests]
        assert set(agents[:first]) == {"first"} and set(agents[first:]) == {"second"}
        assert len(server.packets("Create-Session")) == 1


def test_a_new_url_that_is_refused_leaves_the_session_alone(home):
    with ScriptedServer() as server:
        server.handler.script["Fragment", 1] = Answer(503, [("BITS-Packet-Type", "Ack"), ("Retry-After", "3600")])
        bus = home.daemon().bus
        source = home.file(size=10_000)
        job = bus.add(source, server.url + "target")
        bus.wait(job, "retrying")
        assert "the name must be" in refused(bus, job, url=NOWHERE, name="a\nb").message
        bus.verb(job, "Retry")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert server.handler.files["/target"].read_bytes() == source.read_bytes()
        packets = [r.packet for r in server.requests]
        assert packets.count("Create-Session") == 1 and "Cancel-Session" not in packets


def test_the_url_of_a_running_job_stays(home):
    with ScriptedServer() as server:
        go_on = threading.Event()
        server.handler.script["Create-Session"] = lambda request, normal: normal() if go_on.wait(30) else None
        bus = home.daemon().bus
        job = bus.add(home.file(size=10), server.url + "target")
        server.wait_for(lambda s: s.packets("Create-Session"))
        error = refused(bus, job, url=NOWHERE)
        go_on.set()
        assert error.name == "InvalidState" and "pause it first" in error.message


def test_many_jobs_are_set_at_once(bus, home):
    jobs = [bus.add(home.file(size=10), NOWHERE, hold=True) for _ in range(3)]
    query = dbus.Dictionary({"ids": dbus.Array([*jobs, 999], signature="t")}, signature="sv")
    matched, failed, failures = bus.manager("ControlJobs", "sa{sv}a{sv}", "set", query, options({"group": "g"}))
    assert (matched, failed) == (4, 1) and failures[0][0] == 999
    assert [bus.job(job)["Group"] for job in jobs] == ["g"] * 3


class WithReply(BitsSession):
    """Its last Ack names a reply, which it serves by ranges."""

    URL = "Replies\\{1}\\r.bin"

    def __init__(self, reply):
        super().__init__()
        self.reply, self.asked = reply, []
        self.go_on = threading.Event()  # until then the second range waits, where a test clears it
        self.go_on.set()

    def __call__(self, request, connection):
        if request.method == "GET":
            return self.part(request)
        answer = super().__call__(request, connection)
        if request.packet == "Fragment" and request.range[1] + 1 == request.range[2]:
            answer = answer.but(BITS_Reply_URL=self.URL)
        return answer

    def part(self, request):
        first, last = map(int, request.header("Range").removeprefix("bytes=").split("-"))
        self.asked.append((request.target, first, last))
        assert first == 0 or self.go_on.wait(30)
        body = self.reply[first:last + 1]
        return Answer(206, [("Content-Range", f"bytes {first}-{first + len(body) - 1}/{len(self.reply)}"),
                            ("ETag", '"1"')], body)


def open_reply(bus, job):
    descriptor = bus.connection.call_blocking(bus.name, f"{ROOT}/jobs/{job}", JOB, "OpenReply", "", ()).take()
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_a_plain_upload_has_no_reply(bus, home):
    job = bus.add(home.file(size=10), NOWHERE, hold=True)
    with pytest.raises(BusError) as caught:
        bus.verb(job, "OpenReply")
    assert caught.value.name == "InvalidState" and "plain upload" in caught.value.message


@pytest.fixture
def replies(home):
    """replies(reply, path) -> (bus, job, server) of an upload-reply job that has ended."""
    servers = []

    def run(reply, path=b"", **options):
        server = ScriptedServer(WithReply(reply)).__enter__()
        servers.append(server)
        bus = home.daemon().bus
        job = bus.add(home.file(size=10_000), server.url + "in/target", reply=path, **options)
        return bus, job, server
    yield run
    for server in servers:
        server.__exit__(None, None, None)


def test_a_reply_is_fetched_by_ranges_before_the_close_and_kept(replies, home):
    reply = os.urandom((1 << 20) + 5)
    bus, job, server = replies(reply)
    done = bus.wait(job, "done", "failed")
    assert done["State"] == "done", done
    assert server.handler.asked == [("/in/Replies/%7B1%7D/r.bin", 0, (1 << 20) - 1),
                                    ("/in/Replies/%7B1%7D/r.bin", 1 << 20, (1 << 20) + 4)]
    assert [r.packet or r.method for r in server.requests] == ["Create-Session", "Fragment", "GET", "GET",
                                                               "Close-Session"]
    assert open_reply(bus, job) == reply
    assert r"has a reply for it: Replies\\{1}\\r.bin" in home.logs()
    assert done["Type"] == "upload-reply"
    assert (done["Reply"]["received"], done["Reply"]["size"], done["Reply"]["stored"]) == (len(reply), len(reply), True)
    bus.verb(job, "Remove")
    poll(lambda: not list(home.path.glob("**/replies/*")), "the reply goes with its job")


def test_a_reply_that_is_being_fetched_is_seen_with_its_progress(replies):
    bus, job, server = replies(os.urandom((1 << 20) + 5), hold=True)
    server.handler.go_on.clear()
    bus.verb(job, "Resume")
    server.wait_for(lambda s: len([r for r in s.requests if r.method == "GET"]) == 2)
    seen = bus.wait(job, "replying")
    poll(lambda: bus.job(job)["Reply"]["received"] == 1 << 20, "the first range is counted")
    assert (seen["Acknowledged"], bus.job(job)["Reply"]["size"]) == (10_000, (1 << 20) + 5)
    assert bus.query(state=["replying"])[0][0]["Id"] == job
    server.handler.go_on.set()
    assert bus.wait(job, "done", "failed")["State"] == "done"


def test_a_reply_goes_where_it_was_asked_for(replies, home):
    folder = home.path / "answers"
    folder.mkdir()
    bus, job, _ = replies(b"the answer", bytes(folder / "reply.txt"))
    assert bus.wait(job, "done", "failed")["State"] == "done"
    assert [path.name for path in folder.iterdir()] == ["reply.txt"]
    assert (folder / "reply.txt").read_bytes() == open_reply(bus, job) == b"the answer"
    (folder / "reply.txt").unlink()
    with pytest.raises(BusError) as caught:
        bus.verb(job, "OpenReply")
    assert caught.value.name == "SourceUnreadable" and "moved or removed" in caught.value.message


def test_a_place_that_cannot_take_a_reply_is_refused_at_once(bus, home):
    with pytest.raises(BusError) as caught:
        bus.add(home.file(size=10), NOWHERE, reply=bytes(home.path / "nowhere" / "r"))
    assert caught.value.name == "InvalidArgument" and "cannot store the reply" in caught.value.message


def test_a_reply_that_nobody_named_is_empty_and_said_so(home, serve):
    server = serve()
    bus = home.daemon().bus
    job = bus.add(home.file(size=10_000), server.url + "/target", reply=b"")
    done = bus.wait(job, "done", "failed")
    assert done["State"] == "done" and open_reply(bus, job) == b""
    assert "reply" in done["Error"][2]


def test_an_empty_file_can_be_refused(bus, home):
    with pytest.raises(BusError) as caught:
        bus.add(home.file(size=0), NOWHERE, empty="refuse")
    assert caught.value.name == "SourceUnreadable" and "is empty" in caught.value.message
    bus.add(home.file(size=0), NOWHERE, empty="send", hold=True)
