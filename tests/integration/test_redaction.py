# SPDX-License-Identifier: LGPL-2.1-or-later
"""A secret is on the wire and in the user's own files, and nowhere else."""
import re
import subprocess
from pathlib import Path

import pytest

from server.scripted import Answer, BitsSession, ack
from support import ways
from support.auth import BasicSession, keep
from support.uploads import ACCESS_DENIED, SMALL, Case
from support.wait import poll

USER, PASSWORD, KEY, QUERY, TOKEN = "alice", "Pass-7f3a91", "Key-52bd08", "Query-c91e44", "Token-e07b36"
SECRETS = [PASSWORD, KEY, QUERY, TOKEN]
over_session_buses = pytest.mark.parametrize(
    "way", [way for way in ways.ALL if way.bus == "session"], ids=str, indirect=True)


class Monitor:
    """All that goes over the session bus, as text."""

    def __init__(self, home):
        self.path = home.path / "monitor.txt"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(["dbus-monitor", "--address", home.message_bus], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env={"PATH": home.env["PATH"]})
        poll(lambda: self.path.stat().st_size > 0, "the monitor is connected")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        return self.path.read_text(errors="replace")


def said_about(case):
    """What anybody is told of the job: properties, lists, both output forms of the command, and the daemon's log."""
    bus, home = case.daemon.bus, case.home
    yield "job", repr(case.job)
    yield "list", repr(bus.query())
    for words in (("show", str(case.id)), ("show", "--json", str(case.id)), ("list",), ("list", "--json")):
        result = home.bitsq(*words)
        yield " ".join(words), result.out + result.err
    yield "log", home.logs()
    for pid in home.processes():
        yield f"command line of {pid}", Path("/proc", str(pid), "cmdline").read_text(errors="replace")


def none_in(places, secrets):
    for place, text in places:
        assert text, place
        for secret in secrets:
            assert secret not in text, (place, text)


def stored(home):
    return b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file())


@over_session_buses
def test_passwords_headers_and_queries_are_told_to_nobody(case: Case):
    """The job meets trouble, fails and succeeds: its password and its headers are neither in the queue nor in anything
    that is said, and of its URL the values of the query are only in the queue."""
    keep(case.home, "up", user=USER, password=PASSWORD)
    headers = case.home.path / "headers"
    headers.write_text(f"X-Api-Key: {KEY}\n", encoding="utf-8")
    headers.chmod(0o600)
    handler = BasicSession(USER, PASSWORD)
    handler.script["Fragment", 2] = Answer(503)
    handler.script["Fragment", 3] = ack(403, BITS_Error_Code="0x80070005")
    with case.scripted(handler) as server:
        case.start_daemon(**SMALL)
        monitor = Monitor(case.home)
        case.source = case.home.file(size=10_000)
        case.id = case.add(case.source, f"{server.url}up?sig={QUERY}", credential="up", header_file=str(headers),
                           credentials_over_http=True)
        case.failed(ACCESS_DENIED)
        none_in(said_about(case), SECRETS)
        case.daemon.bus.verb(case.id, "Retry")
        assert case.wait("done", "failed")["State"] == "done"
        none_in(said_about(case), SECRETS)
        assert {request.header("X-Api-Key") for request in server.requests} == {KEY}
    # The caller's own AddJob is on the bus with its URL; nothing that the daemon says may have it.
    told = monitor.stop()
    assert "JobAdded" in told or "StateChanged" in told or "PropertiesChanged" in told
    for part in re.split(r"\n(?=signal |method call |method return |error )", told):
        if "member=AddJob" not in part:
            assert not any(secret in part for secret in SECRETS), part
    assert case.daemon.stop() == []
    queue = stored(case.home)
    assert QUERY.encode() in queue and not any(secret.encode() in queue for secret in (PASSWORD, KEY))
    case.daemon.start()


class TokenSession(BitsSession):
    def __call__(self, request, connection):
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return Answer(401, [("WWW-Authenticate", "Bearer")])
        return super().__call__(request, connection)


@over_session_buses
def test_a_token_is_told_to_nobody_but_its_server(case: Case):
    token = case.home.path / "token"
    token.write_text(TOKEN + "\n", encoding="ascii")
    token.chmod(0o600)
    keep(case.home, "up", token_file=token)
    with case.scripted(TokenSession()) as server:
        case.start_daemon(**SMALL)
        case.source = case.home.file(size=10_000)
        case.id = case.add(case.source, server.url + "up", credential="up", credentials_over_http=True)
        assert case.wait("done", "failed")["State"] == "done", case.job
        none_in(said_about(case), SECRETS)
    assert case.daemon.stop() == []
    assert TOKEN.encode() not in stored(case.home)
    case.daemon.start()
