# SPDX-License-Identifier: LGPL-2.1-or-later
"""bits-server as a process, and a small BITS client to try it with."""
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse

from support import tree

BINARY = tree.BUILD / "tests" / "server" / "bits-server"
PROTOCOL = "{7df0354d-249b-430f-820d-3d2a9bef4931}"
ENVIRONMENT = {**os.environ, **tree.SANITIZERS}
DEADLINE = 60  # seconds; only a hang ever gets there


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def next(self):
        value = self.headers["BITS-Received-Content-Range"]
        return None if value is None else int(value)

    @property
    def error(self):
        return self.headers["BITS-Error-Code"]


class Client:
    """Sends BITS packets over one connection."""

    def __init__(self, port, host="127.0.0.1", tls=None):
        """TLS is the client's ssl.SSLContext."""
        if tls is None:
            self.http = http.client.HTTPConnection(host, port, timeout=DEADLINE)
        else:
            self.http = http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=tls)

    def send(self, packet, target="/file", body=b"", method="BITS_POST", **headers):
        fields = {"BITS-Packet-Type": packet} if packet else {}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        fields.setdefault("Content-Length", str(len(body)))
        self.http.request(method, target, body=body, headers=fields)
        return Answer(self.http.getresponse())

    def create(self, target="/file", **headers):
        headers.setdefault("BITS_Supported_Protocols", PROTOCOL)
        return self.send("Create-Session", target, **headers)

    def session(self, target="/file"):
        answer = self.create(target)
        assert answer.status == 200
        return answer.headers["BITS-Session-Id"]

    def fragment(self, session, first, data, total, target="/file", **headers):
        headers.setdefault("Content_Range", f"bytes {first}-{first + len(data) - 1}/{total}")
        return self.send("Fragment", target, data, BITS_Session_Id=session, **headers)

    def close_session(self, session, target="/file"):
        return self.send("Close-Session", target, BITS_Session_Id=session)

    def cancel_session(self, session, target="/file"):
        return self.send("Cancel-Session", target, BITS_Session_Id=session)

    def disconnect(self):
        self.http.close()


class Server:
    def __init__(self, folder, *options):
        self.root = folder / "root"
        self.root.mkdir(exist_ok=True)
        self.log_path = folder / "log"
        self.process = subprocess.Popen(
            [BINARY, "--root", self.root, "--log", self.log_path, *options],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.split()[-1]
        self.host, self.port = urllib.parse.urlsplit(self.url).hostname, urllib.parse.urlsplit(self.url).port

    def client(self, tls=None):
        return Client(self.port, self.host, tls)

    def log(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def wait_until_stored(self, size):
        """Waits until the unfinished uploads hold so many bytes."""
        end = time.monotonic() + DEADLINE
        while sum(path.stat().st_size for path in (self.root / ".bits-sessions").iterdir()) < size:
            assert time.monotonic() < end
            time.sleep(0.005)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE)
        self.process.stdout.close()
        return code
