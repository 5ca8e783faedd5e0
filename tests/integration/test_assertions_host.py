# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: BITS-Host-Id moves a session to one machine of many, and the fallback time leads back."""
import contextlib

import pytest

from server.scripted import BitsSession, ack, drop
from support.uploads import FS, INVALID_SERVER_RESPONSE, PROTOCOL, SECOND, SMALL, Case

OTHER = "127.0.0.2"


def with_host(host, timeout=None):
    """What Create-Session is answered by, host id included."""
    return lambda _request, normal: normal().but(BITS_Host_Id=host, BITS_Host_Id_Fallback_Timeout=timeout)


@contextlib.contextmanager
def two_servers(case, host=OTHER, **more):
    """The origin and the other host, which share a port, as the URL's port is kept."""
    sessions = BitsSession()
    end, sessions.close = sessions.close, lambda: None  # one server may stop before the other
    try:
        with case.scripted(sessions) as origin, case.scripted(sessions, host=host, port=origin.port, **more) as other:
            yield origin, other
    finally:
        end()


def start(case, origin, **job):
    case.start_daemon(**SMALL)
    case.source = case.home.file(size=10_000)
    case.id = case.add(case.source, origin.url + "up/target?key=value", **job)


def done(case, server):
    job = case.wait("done", "failed")
    assert job["State"] == "done", job
    assert server.files["/up/target?key=value"].read_bytes() == case.source.read_bytes()
    return job


def packets(server):
    return [request.packet for request in server.requests]


def test_assertion_30_the_session_moves_to_the_host_that_the_server_names(case: Case):
    """After Create-Session a Ping goes to the host of BITS-Host-Id, at the same port, path and query and under its own
    name; so do all that follow."""
    with two_servers(case) as (origin, other):
        origin.script["Create-Session"] = with_host(OTHER, 3)
        start(case, origin)
        job = done(case, origin)
        assert packets(origin) == ["Create-Session"]
        assert packets(other) == ["Ping", *3 * ["Fragment"], "Close-Session"]
        assert {request.target for request in other.requests} == {"/up/target?key=value"}
        assert {request.header("Host") for request in other.requests} == {f"{OTHER}:{origin.port}"}
        assert OTHER in job["Server"]["host"]


def test_assertion_30_a_host_may_be_an_ipv6_address(case: Case):
    with two_servers(case, host="::1") as (origin, other):
        origin.script["Create-Session"] = with_host("::1", 3)
        start(case, origin)
        done(case, origin)
        assert packets(other) == ["Ping", *3 * ["Fragment"], "Close-Session"]
        assert {request.header("Host") for request in other.requests} == {f"[::1]:{origin.port}"}


@pytest.mark.parametrize("host", [f"http://{OTHER}/x", f"user@{OTHER}", f"{OTHER}/x"])
def test_assertion_30_a_host_that_is_none_is_not_followed(case: Case, host):
    """A host id with a scheme, a path or a user is no host: the answer is invalid, and nothing goes there."""
    with case.scripted() as origin, case.scripted(host=OTHER, port=origin.port) as other:
        origin.script["Create-Session"] = with_host(host, 3)
        start(case, origin, no_progress_timeout=0)
        case.failed(INVALID_SERVER_RESPONSE)
        assert packets(origin) == ["Create-Session"] and other.connections == 0


def test_assertion_31_a_host_that_is_down_is_left_for_the_origin_in_time(case: Case):
    """Nobody listens at the host: it is tried until the fallback time is over, then the origin is asked."""
    with case.scripted() as origin:
        origin.script["Create-Session", 1] = with_host(OTHER, 3)
        start(case, origin)
        job = done(case, origin)
        first, second = origin.requests[:2]
        assert 2.5 <= second.time - first.time <= 20
        assert packets(origin)[-4:] == [*3 * ["Fragment"], "Close-Session"]
        assert {attempt[5].rsplit(":", 1)[0] for attempt in job["AttemptLog"] if attempt[5]} <= {OTHER}


def test_assertion_31_an_origin_that_does_not_know_the_session_begins_anew(case: Case):
    """The host breaks down in the middle; the origin has never heard of the session: Create-Session, and from 0."""
    with two_servers(case) as (origin, other):
        origin.script["Create-Session", 1] = with_host(OTHER, 2)
        start(case, origin)
        other.script["Fragment", 2] = lambda request, normal: drop()
        other.wait_for(lambda server: len(server.packets("Fragment")) >= 2)
        other.stop()
        origin.sessions.clear()
        done(case, origin)
        assert packets(origin).count("Create-Session") == 2
        restarted = [request.range[0] for request in origin.packets("Fragment") if request.status == 200]
        assert restarted == [0, FS, 2 * FS]


def test_assertion_32_without_a_fallback_time_the_origin_is_never_asked(case: Case):
    """The host is down and no time is set: the origin hears nothing more, and the job ends by its own limit."""
    with case.scripted() as origin:
        origin.script["Create-Session"] = with_host(OTHER)
        start(case, origin, no_progress_timeout=2 * SECOND)
        case.failed(0x80200024)
        assert packets(origin) == ["Create-Session"]


def test_a_session_id_of_a_refused_create_moves_nothing(case: Case):
    """Neither the session id nor the host of an answer other than 200 and 201 counts."""
    with case.scripted() as origin:
        origin.script["Create-Session", 1] = ack(409, session="wrong", BITS_Protocol=PROTOCOL, BITS_Host_Id=OTHER)
        start(case, origin)
        done(case, origin)
        assert [r.session for r in origin.packets("Fragment")].count("wrong") == 0
        assert packets(origin).count("Create-Session") == 2


def test_every_change_of_the_host_is_logged(case: Case):
    """Where the bytes of a user go is never a secret from the administrator."""
    with two_servers(case) as (origin, _other):
        origin.script["Create-Session"] = with_host(OTHER, 3)
        start(case, origin)
        done(case, origin)
        assert f"127.0.0.1:{origin.port} sends this upload on to {OTHER} (BITS-Host-Id)" in case.home.logs()
