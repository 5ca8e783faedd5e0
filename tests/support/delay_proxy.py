#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A long, slow and unreliable line in front of a server: a TCP proxy with a round trip time, a rate, and losses.

    with DelayProxy(("127.0.0.1", server.port), round_trip_s=0.1, bytes_per_s=50e6 / 8) as line:
        ... upload to http://127.0.0.1:{line.port}/ ...

    client ──▶ [ not read: waits in the client ] ──▶ queue ──▶ serialised at the rate ──▶ half a round trip ──▶ server

Each direction is one link that all connections share. A piece that is read is on the link from the end of the piece
before it; it arrives half a round trip after its last byte has left. What does not fit into the queue before the link is
not read, so that a client feels the rate as it would behind a router. A connection carries nothing in its first round
trip, as if its handshake had to travel. Not modelled: lost packets and what a congestion control makes of them.

A loss is a reset of both ends, by script: cuts=[100_000, None] resets the first connection once 100,000 bytes of the
client have been carried, and none of the others; cut() resets what is open now.
"""
import argparse
import asyncio
import signal
import socket
import struct
import sys
import threading

PIECE_BYTES = 16384
QUEUE_BYTES = 131072  # before the link, in each direction: 20 ms at 50 Mbit/s, longer than a busy machine is late
BUFFER_BYTES = 65536  # of the kernel, for each socket


class Link:
    """One direction, shared by all connections."""

    def __init__(self, bytes_per_s):
        self.bytes_per_s = bytes_per_s
        self.free_at = 0.0  # when the link has carried all that was given to it

    def take(self, size, now):
        """Puts a piece on the link; returns when its last byte has left."""
        if self.bytes_per_s:
            self.free_at = max(self.free_at, now) + size / self.bytes_per_s
            return self.free_at
        return now

    def wait_for_room(self, now):
        """Seconds until the queue before the link takes another piece."""
        if not self.bytes_per_s:
            return 0.0
        return max(0.0, self.free_at - now - (QUEUE_BYTES - PIECE_BYTES) / self.bytes_per_s)


def reset(writer):
    """Ends a connection as if its other end had lost it."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class DelayProxy:
    """Listens on a port of 127.0.0.1 while it is entered; its work is done in a thread of its own."""

    def __init__(self, server, round_trip_s=0.0, bytes_per_s=None, cuts=(), port=0):
        self.server, self.round_trip_s, self.cuts = server, round_trip_s, list(cuts)
        self.up, self.down = Link(bytes_per_s), Link(bytes_per_s)
        self.accepted = 0
        self.carried_up = self.carried_down = 0  # bytes that have arrived
        self.port = port
        self._open = set()  # pairs of writers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self):
        """Resets every connection that is open now; returns how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    async def _cut(self):
        pairs = list(self._open)
        for pair in pairs:
            self._reset_pair(pair)
        return len(pairs)

    def _reset_pair(self, pair):
        self._open.discard(pair)
        for writer in pair:
            reset(writer)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stop = asyncio.Event()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # inherited by what is accepted
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        server = await asyncio.start_server(self._accept, sock=listener, limit=PIECE_BYTES)
        self._ready.set()
        await self._stop.wait()
        server.close()
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, client_reader, client_writer):
        number, self.accepted = self.accepted, self.accepted + 1
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.server, limit=PIECE_BYTES)
        except OSError:
            reset(client_writer)
            return
        pair = (client_writer, server_writer)
        for writer in pair:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(pair)
        cut_after = self.cuts[number] if number < len(self.cuts) else None
        begin = self._loop.time() + self.round_trip_s
        try:
            await asyncio.gather(self._carry(client_reader, server_writer, "up", begin, cut_after),
                                 self._carry(server_reader, client_writer, "down", begin))
            self._open.discard(pair)
            for writer in pair:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            self._reset_pair(pair)

    async def _carry(self, reader, writer, direction, begin, cut_after=None):
        """One direction of one connection, to its end."""
        pieces = asyncio.Queue()
        arriving = asyncio.ensure_future(self._arrive(pieces, writer, direction, cut_after))
        link, seen = getattr(self, direction), 0
        try:
            await asyncio.sleep(begin - self._loop.time())
            while True:
                await asyncio.sleep(link.wait_for_room(self._loop.time()))
                size = PIECE_BYTES if cut_after is None else min(PIECE_BYTES, cut_after - seen)
                data = await reader.read(size) if size > 0 else b""
                seen += len(data)
                left_at = link.take(len(data), self._loop.time())
                pieces.put_nowait((left_at + self.round_trip_s / 2, data))
                if not data:
                    break
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(self, pieces, writer, direction, cut_after):
        """Hands each piece over when its time has come; an empty one is the end."""
        carried = 0
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - self._loop.time())
            if cut_after is not None and carried >= cut_after:
                raise ConnectionResetError("cut by script")
            if not data:
                break
            carried += len(data)
            # Before the bytes: who has them finds them counted.
            setattr(self, "carried_" + direction, getattr(self, "carried_" + direction) + len(data))
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def main():
    parser = argparse.ArgumentParser(description="A slow line from a port of 127.0.0.1 to a server.")
    parser.add_argument("server", help="HOST:PORT")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--round-trip-ms", type=float, default=0)
    parser.add_argument("--mbit", type=float, help="rate of each direction")
    parser.add_argument("--cut", action="append", type=int, default=[], metavar="BYTES",
                        help="reset the first connection after BYTES of the client; again for the next one")
    options = parser.parse_args()
    host, _, port = options.server.rpartition(":")
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with DelayProxy((host, int(port)), options.round_trip_ms / 1000,
                    options.mbit and options.mbit * 1e6 / 8, options.cut, options.port) as line:
        print(f"listening on 127.0.0.1:{line.port}", flush=True)
        signal.sigwait(ending)


if __name__ == "__main__":
    sys.exit(main())
