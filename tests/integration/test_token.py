# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bearer tokens that end or are refused while a job runs: they are had anew, and the upload goes on where it was."""
import pytest

from server.scripted import Answer, BitsSession, ScriptedServer, delayed
from support.auth import keep
from support.uploads import SMALL
from support.wait import poll

LATE = 3  # seconds; longer than the life of a token here


class TokenSession(BitsSession):
    """Wants the token that is valid now; `revoke_after` = the Fragment behind which it is another one."""

    def __init__(self, token, revoke_after=None, refusal=None):
        super().__init__()
        self.token, self.revoke_after = token, revoke_after
        self.refusal = refusal or Answer(401, [("WWW-Authenticate", "Bearer")])

    def __call__(self, request, connection):
        if request.header("Authorization") != f"Bearer {self.token}":
            return self.refusal
        answer = super().__call__(request, connection)
        if request.packet == "Fragment" and request.packet_number == self.revoke_after:
            self.token = "token-2"
        return answer


@pytest.fixture
def helper(home):
    """helper(LINES) keeps the credential "up": a helper that prints token-1, token-2 ... and then LINES, a shell's."""
    runs = home.path / "runs"

    def write(lines="", body=None):
        runs.write_text("", encoding="ascii")
        path = home.path / "helper"
        path.write_text(f'#!/bin/sh\necho >> {runs}\nrun=$(wc -l < {runs})\n' +
                        (body or 'echo "token-$run"\n') + lines, encoding="ascii")
        path.chmod(0o700)
        keep(home, "up", token_command=path)
    write.count = lambda: len(runs.read_text(encoding="ascii"))
    return write


def upload(home, server, size=20_000):
    bus = home.daemon(**SMALL, RetryDelay="100ms", RetryDelayMax="1s").bus
    source = home.file(size=size)
    return bus, source, bus.add(source, server.url + "target", credential="up", credentials_over_http=True)


def used(server):
    """The tokens that came, each once, in order."""
    return list(dict.fromkeys(request.header("Authorization") for request in server.requests))


def statuses(server):
    return [request.status for request in server.requests]


def same(server, source):
    return server.handler.files["/target"].read_bytes() == source.read_bytes()


@pytest.mark.parametrize("refusal", [
    Answer(401, [("WWW-Authenticate", "Bearer")]), Answer(500, [("WWW-Authenticate", "Bearer")])], ids=["401", "500"])
def test_a_token_that_is_refused_is_had_anew_once_and_the_session_goes_on(home, helper, refusal):
    helper()
    with ScriptedServer(TokenSession("token-1", revoke_after=2, refusal=refusal)) as server:
        bus, source, job = upload(home, server)
        done = bus.wait(job, "done", "failed")
        assert done["State"] == "done" and same(server, source), done
        assert used(server) == ["Bearer token-1", "Bearer token-2"] and helper.count() == 2
        assert statuses(server).count(refusal.status) == 1 and len(server.packets("Create-Session")) == 1
        assert done["Attempts"] == 0


def test_a_new_token_that_is_refused_too_ends_the_job_with_its_session_kept(home, helper):
    helper()
    with ScriptedServer(TokenSession("token-1")) as server:
        server.handler.script["Fragment", 3] = server.handler.refusal
        server.handler.revoke_after = 1
        bus, _, job = upload(home, server)
        failed = bus.wait(job, "done", "failed")
        assert failed["State"] == "failed" and failed["ErrorDetails"]["http_status"] == 401
        assert failed["Session"] == server.handler.history[0].id and not server.packets("Cancel-Session")


def test_a_helper_that_cannot_help_now_is_asked_again_later(home, helper):
    helper(body='[ $run -eq 2 ] && { echo "the issuer does not answer" >&2; exit 75; }\n'
                '[ $run -gt 1 ] && run=2\necho "token-$run"\n')
    with ScriptedServer(TokenSession("token-1", revoke_after=2)) as server:
        bus, source, job = upload(home, server)
        done = bus.wait(job, "done", "failed")
        assert done["State"] == "done" and same(server, source), done
        assert len(server.packets("Create-Session")) == 1
        assert "the issuer does not answer" in home.logs()


def test_a_helper_that_is_broken_says_so_instead_of_a_refusal(home, helper):
    helper(body='[ $run -eq 2 ] && { echo "no such account" >&2; exit 1; }\necho "token-$run"\n')
    with ScriptedServer(TokenSession("token-1", revoke_after=2)) as server:
        bus, _, job = upload(home, server)
        failed = bus.wait(job, "done", "failed")
        assert failed["State"] == "failed" and "no such account" in failed["Error"][2], failed["Error"]
        helper(body="echo token-2\n")
        bus.verb(job, "Retry")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert len(server.packets("Create-Session")) == 1


def test_a_token_that_ends_is_had_anew_before_the_next_request(home, helper):
    """It lasts a second longer than the margin within which it is taken for a spent one."""
    helper("echo expires=31\n")
    with ScriptedServer() as server:
        server.handler.script["Fragment", 2] = lambda request, normal: delayed(LATE, normal())
        bus, source, job = upload(home, server)
        assert bus.wait(job, "done", "failed")["State"] == "done" and same(server, source)
        tokens = [request.header("Authorization") for request in server.requests]
        assert tokens[:3] == ["Bearer token-1"] * 3 and tokens[3] == "Bearer token-2"
        assert set(statuses(server)) == {200}


def test_a_short_token_is_used_up_to_its_end(home, helper):
    """It never lasts as long as the margin: the helper does not run for each request."""
    helper("echo expires=20\n")
    with ScriptedServer() as server:
        bus, _, job = upload(home, server)
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert used(server) == ["Bearer token-1"] and helper.count() == 1


def test_a_pause_ends_the_wait_for_a_helper(home, helper):
    helper(body='[ $run -gt 1 ] && exec sleep 600\necho "token-$run"\n')
    with ScriptedServer(TokenSession("token-1", revoke_after=1)) as server:
        bus, _, job = upload(home, server)
        poll(lambda: helper.count() == 2, "the helper runs again")
        bus.verb(job, "Pause")
        assert bus.wait(job, "paused")["Session"] == server.handler.history[0].id
