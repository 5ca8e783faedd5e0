# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that floods, never reads or sends rubbish costs the daemon no memory and the others no time."""
import re
import time
from pathlib import Path

import pytest

from support import tree
from support.peer import Peer, method_call
from support.wait import poll

MIB = 1 << 20
# Memory that the sanitizer holds back so that a use after free is found would look like growth.
NO_QUARANTINE = {"ASAN_OPTIONS": tree.SANITIZERS["ASAN_OPTIONS"] + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}

# Each is answered with some 10 KiB.
INTROSPECT = method_call(1, "/org/bitsq1", "org.freedesktop.DBus.Introspectable", "Introspect")
SUBSCRIBE = method_call(1, "/org/bitsq1", "org.bitsq1.Manager", "Subscribe", "a{sv}", b"\0\0\0\0\0\0\0\0")


@pytest.fixture
def daemon(home):
    home.env.update(NO_QUARANTINE)
    return home.daemon()


def address(home):
    return (home.state / "address").read_text().strip()


def resident(daemon):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text()).group(1)) * 1024


def answers_quickly(bus):
    start = time.monotonic()
    assert bus.get("Version")
    return time.monotonic() - start < 10


def test_a_client_that_asks_and_never_reads_does_not_grow_the_daemon(home, daemon):
    before = resident(daemon)
    peers = [Peer(address(home)) for _ in range(4)]
    for peer in peers:
        peer.flood(INTROSPECT, 20_000)
        assert answers_quickly(daemon.bus)
    assert resident(daemon) - before < 64 * MIB
    for peer in peers:
        peer.close()


def test_a_subscriber_that_never_reads_does_not_grow_the_daemon(home, daemon):
    peer = Peer(address(home))
    peer.socket.sendall(SUBSCRIBE)
    before = resident(daemon)
    source = home.file(size=10)
    for i in range(300):  # each adds, changes and removes a job: several signals
        job = daemon.bus.add(source, f"http://127.0.0.1:9/{i}", hold=True)
        daemon.bus.verb(job, "Cancel")
        daemon.bus.wait(job, "cancelled")
        daemon.bus.verb(job, "Remove")
    assert resident(daemon) - before < 64 * MIB and answers_quickly(daemon.bus)
    peer.close()


RUBBISH = {
    "no authentication": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(4096),
    "no end": b"\0AUTH " + b"A" * 100_000,
    "another user": b"\0AUTH EXTERNAL " + str(4242).encode().hex().encode() + b"\r\nBEGIN\r\n" + INTROSPECT,
    "anonymous": b"\0AUTH ANONYMOUS\r\nBEGIN\r\n" + INTROSPECT,
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH.keys())
def test_rubbish_before_authentication_hurts_nobody(home, daemon, data):
    import socket
    from support.bus import socket_path
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.settimeout(60)
        raw.connect(socket_path(address(home)))
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
        except ConnectionError:
            answer = b""
    assert b"org.bitsq1.Manager" not in answer
    assert answers_quickly(daemon.bus)


MESSAGES = {
    "a length of 2 GiB": INTROSPECT[:4] + b"\xff\xff\xff\x7f" + INTROSPECT[8:],
    "a header of 2 GiB": INTROSPECT[:12] + b"\xff\xff\xff\x7f" + INTROSPECT[16:],
    "another version": INTROSPECT[:3] + b"\x07" + INTROSPECT[4:],
    "no message": b"\xff" * 4096,
    "an array that is longer than its body": method_call(1, "/org/bitsq1", "org.bitsq1.Manager", "Subscribe", "a{sv}",
                                                         b"\xff\xff\xff\0\0\0\0\0"),
    "a wrong signature": method_call(1, "/org/bitsq1", "org.bitsq1.Manager", "GetJob", "s", b"\1\0\0\0x\0"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_broken_message_hurts_only_its_sender(home, daemon, message):
    peer = Peer(address(home))
    peer.socket.sendall(message)
    assert answers_quickly(daemon.bus)
    peer.close()


def test_more_connections_than_the_bound_are_turned_away_and_room_comes_back(home, daemon):
    peers = []
    try:
        for _ in range(400):  # the bound is 256
            peers.append(Peer(address(home)))
    except (OSError, AssertionError):
        pass
    assert len(peers) < 300
    for peer in peers:
        peer.close()
    poll(lambda: home.daemons[0].is_ready(), "a new client is let in")
    assert answers_quickly(daemon.bus)


def test_every_descriptor_of_the_daemon_is_closed_by_exec(home, serve):
    """A helper that is started later must not inherit the queue."""
    server = serve("--fault", "fragment#2: stall")
    daemon = home.daemon(FragmentMin=5120, FragmentMax=8192)
    job = daemon.bus.add(home.file(size=100_000), f"{server.url}/x")
    poll(lambda: len(server.requests("fragment")) >= 2, "an upload is under way")
    assert daemon.bus.job(job)["State"] == "transferring"
    inherited = {}
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        flags = re.search(r"flags:\s+(\d+)", Path(f"/proc/{daemon.pid}/fdinfo/{entry.name}").read_text()).group(1)
        if int(entry.name) > 2 and not int(flags, 8) & 0o2000000:
            inherited[entry.name] = str(entry.readlink())
    assert not inherited
