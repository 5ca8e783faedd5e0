# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kerberos and NTLM against a real KDC and a server that verifies what it is answered: both hold for a TCP connection."""
import pytest

from server.auth_proxy import AuthProxy
from server.auth_schemes import Accounts
from server.kerberos import Realm
from support.auth import keep
from support.uploads import FS, SMALL

SIZE = 10 * FS


@pytest.fixture
def realm(tmp_path, home, monkeypatch):
    """The user has a ticket, and daemon and server know the realm."""
    with Realm(tmp_path / "realm") as realm:
        home.env.update(realm.environment)
        for name, value in realm.environment.items():
            monkeypatch.setenv(name, value)
        yield realm


@pytest.fixture
def behind(serve):
    """behind(["Negotiate"], accounts, ...) -> (front, server)."""
    fronts = []

    def start(schemes, accounts, **more):
        server = serve()
        front = AuthProxy(schemes, upstream=("127.0.0.1", server.port), accounts=accounts, **more)
        fronts.append(front.__enter__())
        return front, server
    yield start
    for front in fronts:
        front.__exit__(None, None, None)


def upload(home, front, **job):
    """Returns the daemon's bus, the job's id and the file."""
    bus = home.daemon(**SMALL).bus
    source = home.file(size=SIZE)
    return bus, bus.add(source, f"http://localhost:{front.port}/target", **job), source


def assert_bodies_only_on_proven_connections(front):
    """No connection carries a body before a message without one has passed on it."""
    proven = set()
    for entry in front.entries:
        if entry.body_length > 0:
            assert entry.connection in proven and entry.passed, entry
        if entry.passed:
            proven.add(entry.connection)


def test_a_ticket_is_enough(home, realm, behind):
    front, server = behind(["Negotiate"], Accounts(keytab=realm.keytab))
    bus, job, source = upload(home, front, auth="negotiate")
    assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
    assert (server.root / "target").read_bytes() == source.read_bytes()
    assert front.entries[0].packet == "Ping" and front.entries[0].scheme is None
    assert_bodies_only_on_proven_connections(front)


def test_a_new_connection_is_proven_before_it_carries_bytes(home, realm, behind):
    front, server = behind(["Negotiate"], Accounts(keytab=realm.keytab), requests_per_connection=6)
    bus, job, source = upload(home, front, auth="negotiate")
    assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
    assert (server.root / "target").read_bytes() == source.read_bytes()
    assert len({entry.connection for entry in front.entries}) > 1
    assert_bodies_only_on_proven_connections(front)


def test_without_a_ticket_the_job_fails_with_the_next_step_and_goes_on_once_there_is_one(home, realm, behind):
    front, server = behind(["Negotiate"], Accounts(keytab=realm.keytab))
    tickets = realm.folder / "tickets"
    kept = tickets.rename(realm.folder / "kept")
    bus, job, source = upload(home, front, auth="negotiate")
    failed = bus.wait(job, "done", "failed")
    assert failed["State"] == "failed" and failed["Error"][0] == "BG_E_HTTP_ERROR_401"
    assert "negotiate" in failed["Error"][2] and "retry" in failed["Error"][2]
    kept.rename(tickets)
    bus.verb(job, "Retry")
    assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
    assert (server.root / "target").read_bytes() == source.read_bytes()


def test_ntlm_is_answered_right(home, behind):
    front, server = behind(["NTLM"], Accounts("alice", "correct horse"), requests_per_connection=6)
    keep(home, "work", user="alice", password="correct horse")
    bus, job, source = upload(home, front, auth="ntlm", credential="work")
    assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
    assert (server.root / "target").read_bytes() == source.read_bytes()
    assert_bodies_only_on_proven_connections(front)
