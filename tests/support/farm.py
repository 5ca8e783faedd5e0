# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two BITS servers that share nothing, behind HAProxy in round robin: connection by connection, since a balancer that
moved each request to another node would let no session live that has no host of its own."""
import contextlib
import socket
import subprocess

from support.wait import poll

NODES = {"a": "127.0.0.2", "b": "127.0.0.3"}

CONFIG = """\
global
    stats socket {admin} mode 600 level admin
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    option prefer-last-server
    http-reuse never
frontend farm
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    server a {a}
    server b {b}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Farm:
    """url is the balancer's; nodes["a"] and nodes["b"] are the servers behind it."""

    def __init__(self, folder, serve, *options, host_id=False):
        self.admin, self.port, self.nodes = folder / "haproxy.sock", free_port(), {}
        for name, address in NODES.items():
            node = serve(*options, port=0, listen=address)
            self.nodes[name] = node
        if host_id:
            for name, node in self.nodes.items():
                node.stop()
                self.nodes[name] = serve(*options, "--host-id", f"{NODES[name]}:{node.port}", "--host-id-timeout", "60",
                                         port=node.port, listen=NODES[name])
        config = folder / "haproxy.cfg"
        config.write_text(CONFIG.format(admin=self.admin, port=self.port,
                                        **{name: f"{NODES[name]}:{node.port}" for name, node in self.nodes.items()}))
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        poll(self._is_ready, "HAProxy answers")

    def _is_ready(self):
        assert self.process.poll() is None, self.process.stdout.read().decode()
        with contextlib.suppress(OSError):
            return self.command("show info")
        return None

    def command(self, text):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.admin))
            admin.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    def leave_out(self, name):
        """Requests that come to the balancer go to the other node from now on."""
        assert not self.command(f"set server nodes/{name} state maint").strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
