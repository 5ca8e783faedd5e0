# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers and proxies that want to know who asks, and the credentials that a user keeps for them."""
import base64
import socket
import struct
import threading

from server.scripted import Answer, BitsSession

NTLM_CHALLENGE = base64.b64encode(
    b"NTLMSSP\0" + struct.pack("<I", 2) + struct.pack("<HHI", 0, 0, 48) + struct.pack("<I", 0x00008201) + b"\1" * 8 +
    bytes(8) + struct.pack("<HHI", 0, 0, 48)).decode()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def keep(home, name, **lines):
    """A credential as `bitsq credential set` writes it."""
    path = home.path / "config" / "bitsq" / "credentials" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")


class BasicSession(BitsSession):
    """Wants Basic with this user and password for everything."""

    def __init__(self, user, password):
        super().__init__()
        self.wanted = basic(user, password)

    def __call__(self, request, connection):
        if request.header("Authorization") != self.wanted:
            return Answer(401, [("WWW-Authenticate", 'Basic realm="bits"')])
        return super().__call__(request, connection)


class NtlmSession(BitsSession):
    """Authenticates connections by the two legs of NTLM; whatever the second one says is believed."""

    def __init__(self):
        super().__init__()
        self.known = set()  # numbers of connections

    def __call__(self, request, connection):
        scheme, _, token = (request.header("Authorization") or "").partition(" ")
        message = base64.b64decode(token)[8:9] if scheme == "NTLM" else b""
        if message == b"\3":
            self.known.add(connection.number)
        if connection.number in self.known:
            return super().__call__(request, connection)
        return Answer(401, [("WWW-Authenticate", f"NTLM {NTLM_CHALLENGE}" if message == b"\1" else "NTLM")])


class Proxy:
    """A proxy on 127.0.0.1 that wants Basic where it is given a user: it forwards requests and connects tunnels."""

    def __init__(self, user=None, password=None):
        self.wanted = basic(user, password) if user else None
        self.heads = []  # (request line, lower-case name -> value), in order
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, client.makefile("rb") as reader:
            try:
                while self._one(client, reader):
                    pass
            except OSError:
                pass

    @staticmethod
    def _head(reader):
        line, headers = reader.readline().decode("latin-1").strip(), {}
        while (text := reader.readline().decode("latin-1").strip()):
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return line, headers

    def _one(self, client, reader):
        line, headers = self._head(reader)
        if not line:
            return False
        self.heads.append((line, headers))
        body = reader.read(int(headers.get("content-length", 0)))
        if self.wanted and headers.get("proxy-authorization") != self.wanted:
            client.sendall(b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n')
            return True
        method, target, _ = line.split(" ")
        if method == "CONNECT":
            self._tunnel(client, target)
            return False
        place, _, path = target.removeprefix("http://").partition("/")
        self._forward(client, place, f"{method} /{path} HTTP/1.1", headers, body)
        return True

    @staticmethod
    def _connect(place):
        host, _, port = place.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)))

    def _forward(self, client, place, line, headers, body):
        passed = [f"{name}: {value}" for name, value in headers.items() if not name.startswith("proxy-")]
        with self._connect(place) as server, server.makefile("rb") as answers:
            server.sendall("\r\n".join([line, *passed, "Connection: close", "", ""]).encode("latin-1") + body)
            status, fields = self._head(answers)
            data = answers.read(int(fields.get("content-length", 0)))
        told = [f"{name}: {value}" for name, value in fields.items() if name != "connection"]
        client.sendall("\r\n".join([status, *told, "", ""]).encode("latin-1") + data)

    def _tunnel(self, client, place):
        with self._connect(place) as server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
