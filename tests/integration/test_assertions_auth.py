# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: credentials go to those who asked for them, and before any byte of the file."""
import pytest

from server.scripted import BitsSession, drop
from support.auth import BasicSession, NtlmSession, Proxy, basic, keep
from support.replies import ReplySession
from support.uploads import SMALL, Case, http_error

USER, PASSWORD = "alice", "correct horse"


def start(case, server, **job):
    case.start_daemon(**SMALL)
    case.source = case.home.file(size=10_000)
    case.id = case.add(case.source, server.url + "target", **job)


def done(case, server):
    job = case.wait("done", "failed")
    assert job["State"] == "done", (job["Error"], server.requests)
    assert server.files["/target"].read_bytes() == case.source.read_bytes()
    return job


@pytest.mark.parametrize("auth", ["basic", None])
def test_assertion_26_basic_is_answered_after_a_challenge_and_not_before(case: Case, auth):
    """401 to Create-Session: it is repeated with the credential, which did not stand in the first one."""
    keep(case.home, "up", user=USER, password=PASSWORD)
    with case.scripted(BasicSession(USER, PASSWORD)) as server:
        start(case, server, credential="up", **({"auth": auth} if auth else {}))
        job = done(case, server)
        first, second = server.requests[:2]
        assert first.packet == second.packet == "Create-Session"
        assert first.header("Authorization") is None and second.header("Authorization") == basic(USER, PASSWORD)
        assert job["AttemptLog"] == []
        assert [r.body_received for r in server.requests if r.status == 401] == [0]


def test_assertion_26_nothing_is_sent_to_a_server_that_does_not_ask(case: Case):
    keep(case.home, "up", user=USER, password=PASSWORD)
    with case.scripted() as server:
        start(case, server, credential="up", auth="basic")
        done(case, server)
        assert {request.header("Authorization") for request in server.requests} == {None}


def test_assertion_26_wrong_credentials_fail_after_one_answer(case: Case):
    """The challenge is answered once; the session, had there been one, is kept for a retry with others."""
    keep(case.home, "up", user=USER, password="wrong")
    with case.scripted(BasicSession(USER, PASSWORD)) as server:
        start(case, server, credential="up", auth="basic")
        case.failed(http_error(401))
        assert [request.header("Authorization") for request in server.requests] == [None, basic(USER, "wrong")]


def test_assertion_26_a_job_without_credentials_fails_at_the_challenge(case: Case):
    with case.scripted(BasicSession(USER, PASSWORD)) as server:
        start(case, server)
        case.failed(http_error(401))
        assert [request.packet for request in server.requests] == ["Create-Session"]


def test_refused_credentials_keep_the_session_for_others(case: Case):
    """In the middle the password is changed at the server; with the new one the job goes on where it was."""
    keep(case.home, "up", user=USER, password=PASSWORD)
    handler = BasicSession(USER, PASSWORD)
    with case.scripted(handler) as server:
        def change(_request, normal):
            answer = normal()
            handler.wanted = basic(USER, "new")
            return answer
        handler.script["Fragment", 1] = change
        start(case, server, credential="up", auth="basic")
        case.failed(http_error(401))
        keep(case.home, "up", user=USER, password="new")
        case.daemon.bus.verb(case.id, "Retry")
        done(case, server)
        assert len({request.session for request in server.packets("Fragment")}) == 1


def test_assertion_27_a_connection_is_authenticated_before_it_carries_bytes(case: Case):
    """NTLM authenticates connections. The first one and, after a loss, the second are authenticated by Pings, which have no
    body; no Fragment meets a challenge."""
    keep(case.home, "up", user=USER, password=PASSWORD)
    handler = NtlmSession()
    handler.script["Fragment", 2] = drop()
    with case.scripted(handler) as server:
        start(case, server, credential="up", auth="ntlm")
        done(case, server)
        refused = [request for request in server.requests if request.status == 401]
        assert {(request.packet, request.body_received) for request in refused} == {("Ping", 0)}
        fragments = server.packets("Fragment")
        assert {request.status for request in fragments} == {200, None}
        assert {request.connection for request in fragments[2:]} <= handler.known


def proxied(case, proxy, handler=None, **job):
    server = case.scripted(handler or BitsSession())
    server.__enter__()
    start(case, server, proxy=proxy.url, **job)
    return server


def test_assertion_28_a_proxy_gets_its_own_credential_after_its_challenge(case: Case):
    """407: the same message again with Proxy-Authorization. What is for the proxy does not reach the server, nor the
    other way."""
    keep(case.home, "proxy", user="bob", password="proxy word")
    keep(case.home, "up", user=USER, password=PASSWORD)
    with Proxy("bob", "proxy word") as proxy:
        server = proxied(case, proxy, BasicSession(USER, PASSWORD), proxy_credential="proxy", credential="up",
                         auth="basic")
        try:
            done(case, server)
        finally:
            server.stop()
        assert "proxy-authorization" not in proxy.heads[0][1]
        assert proxy.heads[1][1]["proxy-authorization"] == basic("bob", "proxy word")
        assert {request.header("Proxy-Authorization") for request in server.requests} == {None}
        said = {head.get("proxy-authorization") for _, head in proxy.heads}
        assert said == {None, basic("bob", "proxy word")}
        # Through the tunnel nothing is seen; a plain proxy passes the server's challenge and its answer on.
        assert case.over_tls == all("authorization" not in head for _, head in proxy.heads)


def test_assertion_28_wrong_credentials_for_a_proxy_fail_after_one_answer(case: Case):
    keep(case.home, "proxy", user="bob", password="wrong")
    with Proxy("bob", "proxy word") as proxy:
        server = proxied(case, proxy, proxy_credential="proxy")
        try:
            case.failed(http_error(407))
        finally:
            server.stop()
        assert [head.get("proxy-authorization") for _, head in proxy.heads] == [None, basic("bob", "wrong")]
        assert server.requests == []


def test_assertion_28_the_credential_of_a_server_never_goes_to_a_proxy(case: Case):
    keep(case.home, "up", user=USER, password=PASSWORD)
    with Proxy("bob", "proxy word") as proxy:
        server = proxied(case, proxy, credential="up", auth="basic")
        try:
            case.failed(http_error(407))
        finally:
            server.stop()
        assert len(proxy.heads) == 1
        assert not {"authorization", "proxy-authorization"} & set(proxy.heads[0][1])


def test_every_request_has_the_headers_of_the_job(case: Case):
    """A file of headers goes with everything, Ping, GET and Close-Session as well."""
    path = case.home.path / "headers"
    path.write_text("X-Api-Key: key of alice\nX-Tenant: 7\n", encoding="utf-8")
    path.chmod(0o600)
    handler = ReplySession(b"reply", "reply")
    handler.script["Fragment", 2] = drop()
    with case.scripted(handler) as server:
        start(case, server, header_file=str(path), reply=bytes(case.home.path / "reply"), credentials_over_http=True)
        done(case, server)
        assert {r.packet or r.method for r in server.requests} == {
            "Create-Session", "Fragment", "Ping", "GET", "Close-Session"}
        assert {(r.header("X-Api-Key"), r.header("X-Tenant")) for r in server.requests} == {("key of alice", "7")}
