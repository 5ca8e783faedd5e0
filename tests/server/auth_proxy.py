# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server in front of bits-server that asks for credentials, as an origin (401) or as a proxy (407).

    with AuthProxy(["NTLM"], upstream=("127.0.0.1", server.port)) as front:                # an origin
        ... upload to front.url + "name" ...
    with AuthProxy(["Basic"], role="proxy", accounts=Accounts("me", "secret")) as proxy:   # a proxy, CONNECT too
        ... upload to server.url + "name" through proxy.url ...
        assert [entry.scheme for entry in proxy.entries] == [None, "Basic", "Basic"]

Schemes are Basic, Digest, NTLM, Negotiate and Bearer (the token is the password); with none, everyone may pass. NTLM and
Negotiate hold for the TCP connection that they came on. What passes goes to upstream (a proxy without one goes where the
request says) over ONE connection for each client connection, so that a server that counts connections sees the same
ones. A connection of which an end breaks is broken at the other, too.
"""
import select
import socket
import struct
import threading
import urllib.parse

from server.auth_schemes import Accounts, ConnectionAuth

HEAD_BYTES_MAX = 1 << 20
CHUNK_BYTES = 65536
PATIENCE = 60  # seconds; wait_for() gives up then


class Broken(Exception):
    """A connection ended in the middle of a message."""


class Stream:
    """A socket, and what was read from it too early."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def read_head(self):
        """Up to and with the empty line; None at an end between messages."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(CHUNK_BYTES)
            if not data and not self.buffer:
                return None
            if not data or len(self.buffer) > HEAD_BYTES_MAX:
                raise Broken
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read(self, size):
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        data = data or self.sock.recv(min(size, CHUNK_BYTES))
        if not data:
            raise Broken
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            data = self.sock.recv(CHUNK_BYTES)
            if not data:
                raise Broken
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line + b"\r\n"

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.sock.close()


class Head:
    """A request or response head."""

    def __init__(self, raw):
        lines = raw.decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.fields = [tuple(part.strip() for part in line.partition(":")[::2]) for line in lines[1:] if line]

    def get(self, name, default=None):
        return next((value for key, value in self.fields if key.lower() == name.lower()), default)

    def without(self, *names):
        lowered = [name.lower() for name in names]
        self.fields = [field for field in self.fields if field[0].lower() not in lowered]

    def __bytes__(self):
        lines = [self.start] + [f"{name}: {value}" for name, value in self.fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Entry:
    """One request as it arrived. Of credentials only the names of their schemes are kept."""

    def __init__(self, connection, head):
        self.connection = connection  # number of its TCP connection, from 1
        self.method, self.target = (head.start.split(" ") + [""])[:2]
        self.packet = head.get("BITS-Packet-Type")
        self.body_length = int(head.get("Content-Length") or 0)
        self.authorization = self._scheme(head.get("Authorization"))
        self.proxy_authorization = self._scheme(head.get("Proxy-Authorization"))
        self.scheme = None  # the one of the two that was for us
        self.status = None  # what the client was answered
        self.passed = False  # it was sent on

    @staticmethod
    def _scheme(value):
        return None if value is None else value.split(" ", 1)[0]

    def __repr__(self):
        return (f"<{self.connection}: {self.packet or self.method} {self.target} {self.body_length} bytes, "
                f"{self.scheme} -> {self.status}>")


class Relay:
    """One client connection and the upstream connection that belongs to it."""

    def __init__(self, proxy, sock, number):
        self.proxy, self.number = proxy, number
        self.client, self.upstream = Stream(sock), None
        self.auth = ConnectionAuth(proxy.accounts, proxy.schemes)
        self.passed = 0

    def run(self):
        try:
            while self._serve():
                pass
            self.client.sock.close()
        except (Broken, OSError):
            self.client.reset()
        finally:
            if self.upstream is not None:
                self.upstream.sock.close()

    def shutdown(self):
        for stream in (self.client, self.upstream):
            try:
                if stream is not None:
                    stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _serve(self):
        raw = self.client.read_head()
        if raw is None:
            return False
        head, proxy = Head(raw), self.proxy
        entry = Entry(self.number, head)
        entry.scheme = entry.proxy_authorization if proxy.is_proxy else entry.authorization
        proxy.note(entry)
        if (head.get("Expect") or "").lower() == "100-continue":
            self.client.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        verdict = None
        if proxy.schemes:
            verdict = self.auth.check(entry.method, entry.target, head.get(proxy.credential_header))
            if not verdict.allowed:
                return self._refuse(entry, head, proxy.status, verdict.challenges)
            head.without(proxy.credential_header)
        if entry.method == "CONNECT":
            return self._tunnel(entry)
        return self._pass_on(entry, head, verdict)

    def _answer(self, entry, status, fields=()):
        entry.status = status
        self.proxy.changed()
        text = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.client.sock.sendall(f"HTTP/1.1 {status} By AuthProxy\r\n{text}Content-Length: 0\r\n\r\n".encode("latin-1"))

    def _refuse(self, entry, head, status, challenges):
        """Reads the body first: who sends one without waiting would not see an answer before a reset."""
        left = entry.body_length
        while left > 0:
            left -= len(self.client.read(left))
        self._answer(entry, status, [(self.proxy.challenge_header, text) for text in challenges])
        return (head.get("Connection") or "").lower() != "close"

    def _connect(self, host, port):
        if self.upstream is None:
            sock = socket.create_connection(self.proxy.upstream or (host, port), PATIENCE)
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.upstream = Stream(sock)

    def _tunnel(self, entry):
        host, _, port = entry.target.rpartition(":")
        try:
            self._connect(host.strip("[]"), int(port))
        except (OSError, ValueError):
            self._answer(entry, 502)
            return True
        entry.status, entry.passed = 200, True
        self.proxy.changed()
        self.client.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ends = {self.client.sock: self.upstream.sock, self.upstream.sock: self.client.sock}
        self.upstream.sock.sendall(self.client.buffer)
        while True:
            for sock in select.select(list(ends), [], [])[0]:
                data = sock.recv(CHUNK_BYTES)
                if not data:
                    return False
                ends[sock].sendall(data)

    def _pass_on(self, entry, head, verdict):
        method, target, version = head.start.split(" ")
        if self.proxy.is_proxy:
            url = urllib.parse.urlsplit(target)
            if url.scheme != "http":
                self._answer(entry, 400)
                return False
            try:
                self._connect(url.hostname, url.port or 80)
            except OSError:
                return self._refuse(entry, head, 502, [])
            target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        else:
            self._connect(None, None)
        head.start = f"{method} {target} {version}"
        head.without("Proxy-Connection")
        entry.passed = True
        self.upstream.sock.sendall(bytes(head))
        left = entry.body_length
        while left > 0:
            data = self.client.read(left)
            left -= len(data)
            self.upstream.sock.sendall(data)
        return self._return_answer(entry, verdict) and self._may_go_on()

    def _may_go_on(self):
        self.passed += 1
        return self.proxy.requests_per_connection is None or self.passed < self.proxy.requests_per_connection

    def _return_answer(self, entry, verdict):
        """False if the connection ends with it."""
        raw = self.upstream.read_head()
        if raw is None:
            raise Broken
        head = Head(raw)
        entry.status = int(head.start.split(" ")[1])
        if verdict is not None and verdict.extra is not None:
            head.fields.append((self.proxy.challenge_header, verdict.extra))
        self.proxy.changed()
        self.client.sock.sendall(bytes(head))
        if entry.method == "HEAD" or entry.status in (204, 304):
            return True
        if head.get("Content-Length") is not None:
            left = int(head.get("Content-Length"))
            while left > 0:
                data = self.upstream.read(left)
                left -= len(data)
                self.client.sock.sendall(data)
        elif (head.get("Transfer-Encoding") or "").lower() == "chunked":
            self._return_chunks()
        else:
            self._return_rest()
            return False
        return (head.get("Connection") or "").lower() != "close"

    def _return_chunks(self):
        while True:
            line = self.upstream.read_line()
            self.client.sock.sendall(line)
            left = int(line.split(b";")[0], 16) + 2
            last = left == 2
            while left > 0:
                data = self.upstream.read(left)
                left -= len(data)
                self.client.sock.sendall(data)
            if last:
                return

    def _return_rest(self):
        try:
            while True:
                self.client.sock.sendall(self.upstream.read(CHUNK_BYTES))
        except Broken:
            pass


class AuthProxy:
    """Listens on a free port of 127.0.0.1 while it is entered. url ends in "/"; role is "origin" or "proxy".

    requests_per_connection: the connection ends after so many requests that passed, without announcement.
    """

    def __init__(self, schemes, upstream=None, role="origin", accounts=None, requests_per_connection=None):
        self.schemes, self.upstream = list(schemes), upstream
        self.is_proxy = role == "proxy"
        self.accounts = accounts or Accounts()
        self.requests_per_connection = requests_per_connection
        self.status = 407 if self.is_proxy else 401
        self.challenge_header = "Proxy-Authenticate" if self.is_proxy else "WWW-Authenticate"
        self.credential_header = "Proxy-Authorization" if self.is_proxy else "Authorization"
        self.entries = []  # of all requests, from the moment that their heads were read
        self.connections = 0
        self._condition = threading.Condition(threading.RLock())
        self._relays, self._threads, self._ended = [], [], False

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        with self._condition:
            self._ended = True
            relays, threads = list(self._relays), list(self._threads)
        self._listener.shutdown(socket.SHUT_RDWR)
        for relay in relays:
            relay.shutdown()
        for thread in threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _start(self, target):
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._condition:
                if self._ended:
                    sock.close()
                    return
                self.connections += 1
                relay = Relay(self, sock, self.connections)
                self._relays.append(relay)
                self._start(relay.run)

    def note(self, entry):
        with self._condition:
            self.entries.append(entry)
            self._condition.notify_all()

    def changed(self):
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, predicate, timeout=PATIENCE):
        """Waits until predicate(proxy) is true; it is tried after each event."""
        with self._condition:
            if not self._condition.wait_for(lambda: predicate(self), timeout):
                raise TimeoutError(f"waited {timeout} s in vain; requests: {self.entries}")
