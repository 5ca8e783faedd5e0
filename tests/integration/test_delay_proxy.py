# SPDX-License-Identifier: LGPL-2.1-or-later
"""The slow line of the tests does what it says; what is measured behind it rests on that."""
import hashlib
import socket
import threading
import time

import pytest

from support.delay_proxy import QUEUE_BYTES, DelayProxy
from support.uploads import FS, SMALL

RTT_S = 0.08


class Sink:
    """Answers each connection's first byte with one byte, and takes the rest."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.digest, self.received = hashlib.sha256(), 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection):
        first = True
        with connection:
            try:
                while data := connection.recv(65536):
                    if first:
                        connection.sendall(b"!")
                    first = False
                    self.received += len(data)
                    self.digest.update(data)
                connection.sendall(b".")
            except ConnectionResetError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def sink():
    made = Sink()
    yield made
    made.close()


def connect(line):
    return socket.create_connection(("127.0.0.1", line.port), timeout=30)


def until_the_end(client):
    while (answer := client.recv(1)) != b".":
        assert answer


def test_an_answer_takes_a_round_trip_and_the_first_one_two(sink):
    with DelayProxy(sink.address, round_trip_s=RTT_S) as line, connect(line) as client:
        start = time.monotonic()
        client.sendall(b"x")
        assert client.recv(1) == b"!"
        first = time.monotonic()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"."
        last = time.monotonic()
    assert 2 * RTT_S * 0.99 <= first - start and RTT_S * 0.99 <= last - first


def test_bytes_arrive_as_they_were_sent_and_no_faster_than_the_rate(sink):
    data = bytes(range(256)) * 4096  # 1 MiB
    rate = 4 << 20
    with DelayProxy(sink.address, round_trip_s=RTT_S, bytes_per_s=rate) as line, connect(line) as client:
        start = time.monotonic()
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        until_the_end(client)
        seconds = time.monotonic() - start
        assert (line.carried_up, line.carried_down) == (len(data), 2)
    assert sink.received == len(data) and sink.digest.digest() == hashlib.sha256(data).digest()
    assert seconds >= len(data) / rate + RTT_S


def test_connections_share_the_rate(sink):
    """What two clients send goes over one link: twice the bytes take twice the time."""
    size, rate = 1 << 19, 2 << 20
    with DelayProxy(sink.address, bytes_per_s=rate) as line, connect(line) as one, connect(line) as other:
        start = time.monotonic()
        senders = [threading.Thread(target=client.sendall, args=(bytes(size),)) for client in (one, other)]
        for sender in senders:
            sender.start()
        for sender, client in zip(senders, (one, other)):
            sender.join()
            client.shutdown(socket.SHUT_WR)
        for client in (one, other):
            until_the_end(client)
        assert time.monotonic() - start >= 2 * size / rate * 0.99 and line.carried_up == 2 * size


def test_what_the_link_does_not_take_stays_in_the_client(sink):
    """The line reads no more than its queue holds: a client without a buffer of its own feels the rate."""
    with DelayProxy(sink.address, bytes_per_s=1000) as line, connect(line) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += client.send(bytes(4096))
        assert QUEUE_BYTES / 2 < sent < 8 * QUEUE_BYTES


def test_a_script_cuts_connections(sink):
    """The first connection is reset after 100,000 bytes, the second is left alone, and cut() resets what is open."""
    with DelayProxy(sink.address, cuts=[100_000]) as line:
        with connect(line) as client, pytest.raises(ConnectionError):
            while True:
                client.sendall(bytes(10_000))
        assert line.carried_up == 100_000
        with connect(line) as client:
            client.sendall(bytes(200_000))
            client.shutdown(socket.SHUT_WR)
            until_the_end(client)
        with connect(line) as client:
            client.sendall(b"x")
            while line.carried_up != 300_001:
                time.sleep(0.01)
            assert client.recv(1) == b"!" and line.cut() == 1
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_an_upload_over_a_line_that_breaks_is_whole(home, serve):
    """Connections are lost after an arbitrary number of bytes, a few times; the file at the server is the same."""
    server = serve()
    with DelayProxy(("127.0.0.1", server.port), round_trip_s=0.01, bytes_per_s=4 << 20,
                    cuts=[50_000, 7_000, 12_345, 200_000]) as line:
        bus = home.daemon(**{**SMALL, "FragmentMax": 16 * FS}).bus
        source = home.file(size=100 * FS + 1)
        job = bus.add(source, f"http://127.0.0.1:{line.port}/x")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert line.accepted >= 5
    assert (server.root / "x").read_bytes() == source.read_bytes()
