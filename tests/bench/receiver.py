# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy in front of a server that notes when the bytes of request bodies arrive, and what they make of a rate."""
import bisect
import re
import socket
import threading
import time

PIECE_BYTES = 65536
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)


class BodyCounter:
    """Tells the bytes of bodies from those of heads in one direction of a connection."""

    def __init__(self):
        self.head, self.left = b"", 0

    def feed(self, data):
        """How many bytes of DATA belong to bodies."""
        body = 0
        while data:
            if self.left > 0:
                taken = min(self.left, len(data))
                self.left, body, data = self.left - taken, body + taken, data[taken:]
                continue
            head, end, data = (self.head + data).partition(b"\r\n\r\n")
            if not end:
                self.head, data = head, b""
                continue
            length = LENGTH.search(b"\r\n" + head)
            self.head, self.left = b"", int(length.group(1)) if length else 0
        return body


class Receiver:
    """Listens on `port` of 127.0.0.1 while it is entered; `arrivals` has (time, bytes)."""

    def __init__(self, server_port):
        self.server_port, self.arrivals, self.lock = server_port, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for run, ends in ((self._up, (client, server)), (self._down, (server, client))):
                threading.Thread(target=run, args=ends, daemon=True).start()

    def _up(self, client, server):
        counter = BodyCounter()

        def note(data):
            if body := counter.feed(data):
                with self.lock:
                    self.arrivals.append((time.monotonic(), body))
        self._carry(client, server, note)

    def _down(self, server, client):
        self._carry(server, client, lambda data: None)

    @staticmethod
    def _carry(reader, writer, note):
        try:
            while data := reader.recv(PIECE_BYTES):
                note(data)
                writer.sendall(data)
        except OSError:
            pass
        for sock in (reader, writer):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def between(self, begin, end):
        """Arrivals from BEGIN to END, as (seconds since BEGIN, bytes)."""
        with self.lock:
            return [(at - begin, size) for at, size in self.arrivals if begin <= at < end]


def windows(arrivals, seconds, width):
    """Bytes in each whole window of WIDTH seconds within SECONDS, side by side."""
    sums = [0] * int(seconds / width + 1e-9)
    for at, size in arrivals:
        if (index := int(at / width)) < len(sums):
            sums[index] += size
    return sums


def fullest_window(arrivals, width):
    """The most bytes that arrived within WIDTH seconds, wherever the window begins."""
    times, total, before = [at for at, _ in arrivals], 0, [0]
    for _, size in arrivals:
        total += size
        before.append(total)
    return max((before[bisect.bisect_left(times, at + width)] - before[index] for index, at in enumerate(times)),
               default=0)
