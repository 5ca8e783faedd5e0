#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A raw-socket HTTP server that sends exactly the bytes a test wants, at the moment it wants.

    with ScriptedServer() as s:                       # a well-behaved BITS server
        s.script["Fragment", 2] = ack(416, next=1000) # but for its second Fragment
        s.script["Close-Session", 1] = lambda request, normal: normal().but(status=201)
        ... upload to s.url + "name" ...
        s.wait_for(lambda s: "/name" in s.files)
        assert s.files["/name"].read_bytes() == data

ScriptedServer(handler) takes any handler(request, connection) instead: it is called when the request's body was read
(and dropped: request.sha256 and body_received tell what it was) and returns an Answer, bytes or an Action. Acting
before the body is read is for handlers with an at_head(request, connection) method, which return an Action or None, and
for the Actions of a script. See BitsSession for what handlers may have besides.

Threads: one a connection. Callbacks run in the thread of the request that they are about.
"""
import argparse
import hashlib
import json
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":  # as a command, Python looks for modules only in the folder of this file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position,unused-import
from server.scripted_answers import (Action, Answer, ack, carried_out, close, delayed, drop, drop_after_bytes, early,
                                     hold_open, send_and_close, send_and_drop, stall, stall_after_bytes)
from server.scripted_bits import PROTOCOL, BitsSession, Session
# pylint: enable=wrong-import-position

HEAD_BYTES_MAX = 1 << 20
KEPT_BODY_BYTES_MAX = 1 << 20  # request.body holds bodies up to this size
PATIENCE = 60  # seconds; wait_for() gives up then


class Request:
    """One request. It is in server.requests from the moment its head was read."""

    def __init__(self, head, number, connection):
        self.time = time.monotonic()
        self.number, self.connection = number, connection.number
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = (lines[0].split(" ") + ["", ""])[:3]
        self.headers = [tuple(part.strip() for part in line.partition(":")[::2]) for line in lines[1:]]
        self.packet = self.header("BITS-Packet-Type")
        self.packet_number = 0  # among those of its packet type, from 1
        self.session = self.header("BITS-Session-Id")
        self.content_length = int(self.header("Content-Length") or 0)
        self.range = self._range(self.header("Content-Range"))
        self.body_received = 0
        self.body = b""  # if it is small
        self.sha256 = None  # of the whole body
        self.complete = False  # the whole body was read
        self.answered = False
        self.status = None

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    @staticmethod
    def _range(text):
        try:
            first, last, total = text.split(" ", 1)[1].replace("/", "-").split("-")
            return int(first), int(last), int(total)
        except (AttributeError, IndexError, ValueError):
            return None

    def __repr__(self):
        return (f"<{self.number}: {self.packet or self.method} {self.target} {self.range or ''} "
                f"{self.body_received}/{self.content_length} -> {self.status}>")


class Connection:
    """One TCP connection: reads requests, asks the handler, answers."""

    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.buffer = b""

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.sock.close()

    def run(self):
        try:
            if self.server.tls is not None:
                self.sock.do_handshake()
            while True:
                head = self._read_head()
                if head is None or not self._serve(head):
                    break
        except OSError as error:  # the client went, or did not like our certificate, or the server ends
            if isinstance(error, ssl.SSLError):
                self.server.tls_errors.append(error)
        finally:
            self.sock.close()
            self.server.connection_ended(self)

    def _read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data or len(self.buffer) > HEAD_BYTES_MAX:
                return None
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def _serve(self, head):
        """One request; False ends the connection."""
        server, handler = self.server, self.server.handler
        request = server.add_request(head, self)
        server.call(server.on_request_head, request)
        outcome = handler.at_head(request, self) if hasattr(handler, "at_head") else None
        if outcome is not None and outcome.kind == "early":
            return self._act(request, outcome)
        limit = None if outcome is None else outcome.after_bytes
        whole = self._read_body(request, limit)
        if not request.complete and hasattr(handler, "on_torn"):
            handler.on_torn(request)
        server.changed()
        if not whole:
            return False
        if limit is not None:
            return self._act(request, outcome)
        return self._act(request, handler(request, self))

    def _read_body(self, request, limit):
        sink = getattr(self.server.handler, "on_body", None)
        digest = hashlib.sha256()
        wanted = request.content_length if limit is None else min(limit, request.content_length)
        while request.body_received < wanted:
            size = min(wanted - request.body_received, self.server.chunk_bytes)
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            try:
                data = data or self.sock.recv(size)
            except OSError:
                pass  # a reset is an end like any other: on_torn() has to know
            if not data:
                return False
            digest.update(data)
            if request.content_length <= KEPT_BODY_BYTES_MAX:
                request.body += data
            if sink is not None:
                sink(request, request.body_received, data)
            request.body_received += len(data)
            self.server.changed()
            self.server.call(self.server.on_body_progress, request, request.body_received)
        if request.body_received == request.content_length:
            request.sha256 = digest.hexdigest()
            request.complete = True
            self.server.changed()
        return True

    def _wait(self, seconds=None):
        """Waits while the client stays; True if the time is up."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
            return False
        except socket.timeout:
            self.sock.settimeout(None)
            return True

    def _act(self, request, outcome):
        if not isinstance(outcome, Action):
            outcome = Action("send-close" if getattr(outcome, "closes", False) else "send", outcome)
        if outcome.kind == "delay":
            if not self._wait(outcome.seconds):
                return False
        self.server.call(self.server.before_answer, request)
        if outcome.data:
            request.status = getattr(outcome.data, "status", None)
            request.answered = True
            # Before the bytes: who has read the answer finds it noted.
            self.server.changed()
            self.sock.sendall(bytes(outcome.data))
        self.server.call(self.server.after_answer, request)
        self.server.changed()
        if outcome.kind in ("drop", "send-drop"):
            self.reset()
        elif outcome.kind in ("stall", "hold"):
            if outcome.after_bytes is None:
                self._wait()
            else:
                self.server.stopping.wait()  # reading would make room for more
        return outcome.kind in ("send", "delay")


def tls_context(certificate, key, client_ca=None):
    """For ScriptedServer(tls=...): files in PEM; with client_ca, only clients with a certificate of that issuer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class ScriptedServer:
    """Listens on a free port of HOST, a numeric address, while it is entered. url ends in "/".

    tls is an ssl.SSLContext for a server, see tls_context(); the URL is one of https then.
    """

    def __init__(self, handler=None, port=0, chunk_bytes=65536, receive_buffer_bytes=None, host="127.0.0.1", tls=None):
        self.handler = BitsSession() if handler is None else handler
        self.chunk_bytes = chunk_bytes
        self.requests = []
        self.errors = []  # exceptions out of callbacks and handlers; raised again at the end
        self.host, self.tls = host, tls
        self.tls_errors = []  # what made connections end, as in a handshake that failed
        self.on_request_head = self.before_answer = self.after_answer = None  # called with the request
        self.on_body_progress = None  # called with the request and the bytes received so far
        self.stopping = threading.Event()
        self.condition = threading.Condition(threading.RLock())
        self._connections = set()
        self._threads = []
        self._accepted = 0
        self._packets = {}
        self._port = port
        self._receive_buffer_bytes = receive_buffer_bytes

    def __enter__(self):
        self.listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer_bytes:
            # A small buffer keeps what the kernel takes from the client close to what the server has read.
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        self.listener.bind((self.host, self._port))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{'https' if self.tls else 'http'}://{shown}:{self.port}/"
        self._start(self._accept)
        return self

    def __exit__(self, kind, value, traceback):
        self.stop()
        if kind is None and self.errors:
            raise self.errors[0]

    def stop(self):
        self.stopping.set()
        with self.condition:
            sockets = [self.listener] + [connection.sock for connection in self._connections]
            threads = list(self._threads)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in threads:
            thread.join(PATIENCE)
        self.listener.close()
        if hasattr(self.handler, "close"):
            self.handler.close()

    script = property(lambda self: self.handler.script)
    files = property(lambda self: self.handler.files)
    sessions = property(lambda self: self.handler.sessions)
    history = property(lambda self: self.handler.history)
    connections = property(lambda self: self._accepted)

    def _start(self, target):
        thread = threading.Thread(target=target, daemon=True)
        with self.condition:
            self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                # The handshake is the connection's thread's: a client that hangs in it must not stop the others.
                try:
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                except OSError:
                    continue  # the client has gone already
            with self.condition:
                if self.stopping.is_set():
                    sock.close()
                    return
                self._accepted += 1
                connection = Connection(self, sock, self._accepted)
                self._connections.add(connection)
                self.condition.notify_all()
            self._start(lambda connection=connection: self._guard(connection))

    def _guard(self, connection):
        try:
            connection.run()
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
            self.changed()

    def add_request(self, head, connection):
        with self.condition:
            request = Request(head, len(self.requests) + 1, connection)
            kind = request.packet or request.method
            request.packet_number = self._packets[kind] = self._packets.get(kind, 0) + 1
            self.requests.append(request)
            self.condition.notify_all()
            return request

    def connection_ended(self, connection):
        with self.condition:
            self._connections.discard(connection)
            self.condition.notify_all()

    def changed(self):
        with self.condition:
            self.condition.notify_all()

    @staticmethod
    def call(callback, *arguments):
        if callback is not None:
            callback(*arguments)

    def wait_for(self, predicate, timeout=PATIENCE):
        """Waits until predicate(server) is true and returns what it returned; it is tried after each event."""
        with self.condition:
            result = self.condition.wait_for(lambda: self.errors or predicate(self), timeout)
            if self.errors:
                raise self.errors[0]
            if not result:
                raise TimeoutError(f"waited {timeout} s in vain; requests: {self.requests}")
            return result

    def packets(self, packet):
        """The requests of one packet type so far."""
        with self.condition:
            return [request for request in self.requests if request.packet == packet]


def main():
    parser = argparse.ArgumentParser(
        description="A well-behaved BITS server on 127.0.0.1, but for the answers named. Prints each request as JSON.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", action="append", default=[], metavar="PACKET[#N]=FILE",
                        help="send the bytes of FILE instead, to the N-th packet of this type or to all")
    parser.add_argument("--hold", action="append", default=[], metavar="PACKET[#N]=FILE",
                        help="the same, and leave the connection open without another byte")
    parser.add_argument("--drop", action="append", default=[], metavar="PACKET[#N]", help="reset the connection")
    parser.add_argument("--stall", action="append", default=[], metavar="PACKET[#N]", help="never answer")
    options = parser.parse_args()

    def key(text):
        packet, mark, number = text.partition("#")
        return (packet, int(number)) if mark else packet

    def report(request):
        members = {name: value for name, value in vars(request).items() if name != "body"}
        print(json.dumps(members), flush=True)

    # Blocked before any thread starts, so that no moment is the wrong one to be ended.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with ScriptedServer(port=options.port) as server:
        for rules, make in ((options.answer, send_and_close), (options.hold, hold_open)):
            for rule in rules:
                packet, _, path = rule.partition("=")
                server.script[key(packet)] = make(Path(path).read_bytes())
        server.script.update({key(rule): drop() for rule in options.drop})
        server.script.update({key(rule): stall() for rule in options.stall})
        server.after_answer = report
        print(f"listening on {server.url}", flush=True)
        signal.sigwait(ending)


if __name__ == "__main__":
    sys.exit(main())
