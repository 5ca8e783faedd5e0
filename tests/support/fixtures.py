# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests ask for by name."""
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.bits import BitsServer
from support.bus import Bus
from support.home import Home
from support.session_bus import SessionBus


@pytest.fixture
def home():
    """A user of the test's own; at the end nothing may be left running, and nothing may have reported."""
    made = Home()
    yield made
    made.done()


@pytest.fixture
def serve(tmp_path):
    """serve("--mode", "spec") starts a bits-server; each must end well."""
    servers = []

    def start(*options, **keywords):
        servers.append(BitsServer(tmp_path / f"server{len(servers)}", *options, **keywords))
        return servers[-1]

    yield start
    codes = [server.stop() for server in servers if server.process.returncode is None]
    assert not any(codes), codes


@pytest.fixture
def web():
    """web(status=200, body="...") starts a web server that answers so to everything, and returns its URL."""
    servers = []

    def start(status=200, body="", content_type="text/plain", **headers):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_PUT = do_BITS_POST = answer

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port():
    """A port of the loopback that refuses connections: bound, but nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def session_bus(home):
    """A session bus in the user's environment that starts bitsqd when org.bitsq1 is called."""
    bus = SessionBus(home)
    yield bus
    bus.stop()


@pytest.fixture
def bus(home):
    """A daemon's objects on its private socket."""
    return home.daemon().bus


@pytest.fixture(params=["private socket", "session bus"])
def either_bus(request, home):
    """A daemon's objects, in turn over each of the two ways to them."""
    if request.param == "private socket":
        yield home.daemon().bus
        return
    request.getfixturevalue("session_bus")
    bus = Bus(home.env["DBUS_SESSION_BUS_ADDRESS"], "org.bitsq1")
    yield bus
    bus.close()
