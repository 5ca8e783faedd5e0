# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: the reply of an upload-reply job is fetched whole and stored before the session is closed."""
import pytest

from server.scripted import Answer
from support.replies import ReplySession
from support.uploads import SMALL, Case

GUID = "{7DF0354D-249B-430F-820D-3D2A9BEF4931}"
BACKSLASHES = rf"BITS-Sessions\Replies\{GUID}\responsefile.bin"
RESOLVED = f"/up/BITS-Sessions/Replies/%7B{GUID[1:-1]}%7D/responsefile.bin"
REPLY = b"".join(i.to_bytes(4, "big") for i in range(700_000))  # 2.8 MB: more than one range


class Reply:
    """An upload-reply job and its server."""

    def __init__(self, case, handler, server):
        self.case, self.handler, self.server = case, handler, server
        self.path = case.home.path / "reply.bin"
        case.start_daemon(**SMALL)
        case.source = case.home.file(size=10_000)
        case.id = case.add(case.source, server.url + "up/target", reply=bytes(self.path))

    def done(self):
        job = self.case.wait("done", "failed")
        assert job["State"] == "done", (job["Error"], self.server.requests)
        assert self.handler.files["/up/target"].read_bytes() == self.case.source.read_bytes()
        return job

    def gets(self):
        return [request for request in self.server.requests if request.method == "GET"]

    def names(self):
        return [request.packet or request.method for request in self.server.requests]


@pytest.fixture
def reply(case: Case):
    """reply(DATA, URL, script...) starts it; the URL may be a function of the server's."""
    opened = []

    def start(data, url=None, script=(), prepare=None):
        handler = ReplySession(data, url)
        handler.script.update(script)
        server = case.scripted(handler)
        opened.append(server)
        server.__enter__()
        if callable(url):
            handler.reply_url = url(server)
        if prepare:
            prepare(handler)
        return Reply(case, handler, server)

    yield start
    for server in opened:
        server.stop()


def closed_ranges(gets):
    return [tuple(map(int, get.header("Range").removeprefix("bytes=").split("-"))) for get in gets]


def test_assertion_38_a_relative_reply_url_with_backslashes_is_resolved_and_fetched_before_close(reply):
    """The URL is relative to the folder of the target, backslashes are slashes and braces are escaped; the ranges are
    closed, and Close-Session follows the last of them."""
    upload = reply(REPLY, BACKSLASHES)
    job = upload.done()
    assert upload.path.read_bytes() == REPLY
    assert {get.target for get in upload.gets()} == {RESOLVED}
    ranges = closed_ranges(upload.gets())
    assert len(ranges) >= 2 and ranges[0][0] == 0 and all(b[0] == a[1] + 1 for a, b in zip(ranges, ranges[1:]))
    assert upload.names() == ["Create-Session", *3 * ["Fragment"], *len(ranges) * ["GET"], "Close-Session"]
    assert job["Reply"]["size"] == job["Reply"]["received"] == len(REPLY) and job["Reply"]["stored"]


def test_assertion_38_an_absolute_reply_url_is_fetched_from_there(reply):
    upload = reply(REPLY, lambda server: server.url + "elsewhere/reply?token=1")
    upload.done()
    assert upload.path.read_bytes() == REPLY and {get.target for get in upload.gets()} == {"/elsewhere/reply?token=1"}
    assert upload.names()[-1] == "Close-Session" and upload.names().count("Close-Session") == 1


def test_assertion_38_the_session_stays_open_until_the_reply_is_there(reply):
    """The reply cannot be had for a while: no Close-Session, which would make the server throw it away."""
    upload = reply(REPLY, "reply", {("GET", number): Answer(503) for number in (1, 2, 3)})
    upload.done()
    names = [name for name in upload.names() if name != "Ping"]
    assert names[4:7] == ["GET", "GET", "GET"] and names.index("Close-Session") == len(names) - 1
    assert upload.path.read_bytes() == REPLY


def test_assertion_38_a_reply_that_nobody_named_is_empty(reply):
    """The last byte is sent once more in case that the Ack with the URL was lost; then the reply is an empty one."""
    upload = reply(b"", None)
    upload.done()
    assert upload.path.read_bytes() == b"" and upload.gets() == []
    assert [r.range[:2] for r in upload.server.packets("Fragment")][3:] == [(9999, 9999)]


def test_assertion_39_a_reply_goes_on_after_a_503(reply):
    """The second range is refused once: what came before is kept, and the reply goes on there."""
    upload = reply(REPLY, BACKSLASHES, {("GET", 2): Answer(503)})
    upload.done()
    assert upload.path.read_bytes() == REPLY
    firsts = [first for first, _ in closed_ranges(upload.gets())]
    assert firsts[0] == 0 and firsts[1] == firsts[2] > 0 and firsts.count(0) == 1
    assert upload.names()[-1] == "Close-Session"


def test_assertion_39_a_reply_that_changes_begins_anew(reply):
    """Last-Modified is another at the second range: all of the reply is fetched again, from 0."""
    other = REPLY[::-1]

    def change(handler):
        def second(_request, normal):
            handler.data, handler.modified = other, "Mon, 23 Nov 2026 11:00:00 GMT"
            return normal()
        handler.script["GET", 2] = second

    upload = reply(REPLY, BACKSLASHES, prepare=change)
    upload.done()
    assert upload.path.read_bytes() == other
    firsts = [first for first, _ in closed_ranges(upload.gets())]
    assert firsts[1] > 0 and firsts[2] == 0 and upload.names()[-1] == "Close-Session"


def test_assertion_39_a_plain_upload_ignores_a_reply_url(case: Case):
    """One server sends a Reply-URL to everybody."""
    case("fragment: header BITS-Reply-URL /foo").done()
    assert {entry["method"] for entry in case.server.requests()} == {"BITS_POST"}


def test_a_reply_survives_a_killed_daemon(reply):
    """Killed between two ranges: after the restart the reply is fetched to its end, and the file is whole."""
    upload = reply(REPLY, BACKSLASHES, {("GET", 2): Answer(503, [("Retry-After", "3600")])})
    upload.case.wait("retrying")
    upload.case.daemon.kill()
    assert not upload.path.exists()
    upload.case.daemon.restart()
    upload.case.daemon.bus.verb(upload.case.id, "Retry")
    upload.done()
    assert upload.path.read_bytes() == REPLY and upload.names().count("Create-Session") == 1


def test_a_reply_that_is_gone_fails_the_job(reply):
    upload = reply(REPLY, "reply", {"GET": Answer(404)})
    job = upload.case.failed(0x80190194)
    assert "Close-Session" not in upload.names() and job["ErrorDetails"]["context"] == 5


def test_a_reply_at_another_host_is_refused(reply):
    """A server may not send the daemon elsewhere unless the job allows it."""
    upload = reply(REPLY, lambda server: server.url.replace("127.0.0.1", "localhost") + "reply")
    upload.case.failed()
    assert upload.gets() == [] and not upload.path.exists()
