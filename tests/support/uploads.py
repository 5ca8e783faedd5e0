# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon against one scripted server, and what went over the wire between them."""
import os
import re
import time

from server.scripted import ScriptedServer, tls_context
from support.wait import poll

FS = 4096  # the fragment size of most assertions
SMALL = {"FragmentFloor": FS, "FragmentMin": FS, "FragmentMax": FS}
PROTOCOL = "{7df0354d-249b-430f-820d-3d2a9bef4931}"
SECOND = 1_000_000  # microseconds

# HRESULTs, as [MC-BUP] and bitsmsg.h have them.
INVALID_SERVER_RESPONSE = 0x8020001B
LOCAL_FILE_CHANGED = 0x8020001D
SESSION_NOT_FOUND = 0x8020001F
ACCESS_DENIED = 0x80070005
TIMEOUT = 0x80072EE2
REMOTE_FILE = 5
LOCAL_FILE = 4


def http_error(status):
    return 0x80190000 + status


class Fragment:
    def __init__(self, entry):
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", entry["headers"]["content-range"])
        assert match, entry
        self.first, self.last, self.total = map(int, match.groups())
        self.length = int(entry["headers"]["content-length"])
        self.session = entry["headers"]["bits-session-id"]
        self.status, self.next, self.received = entry["status"], entry["next"], entry["body_received"]
        assert 0 <= self.first <= self.last < self.total and self.length == self.last - self.first + 1, entry


class Case:
    """Made by the fixture `case`: case(FAULT..., size=...) starts a server that misbehaves so, a daemon and a job."""

    def __init__(self, home, serve, way, certificates):
        self.home, self.way, self.certificates, self._serve = home, way, certificates, serve
        self.server = self.daemon = self.source = self.id = None

    def start(self, *options, config=None):
        """A server with these options and a daemon, without a job."""
        self.server = self.serve(*options)
        self.start_daemon(**(SMALL if config is None else config))

    @property
    def over_tls(self):
        return self.way.scheme == "https"

    def serve(self, *options, **more):
        """A bits-server, over TLS where the way is https."""
        files = ("--tls-cert", self.certificates.server, "--tls-key", self.certificates.server_key)
        return self._serve(*(files if self.over_tls else ()), *options, **more)

    def scripted(self, handler=None, **more):
        """A server that answers what the test says, byte for byte."""
        tls = tls_context(self.certificates.server, self.certificates.server_key) if self.over_tls else None
        return ScriptedServer(handler, tls=tls, **more)

    def start_daemon(self, **config):
        self.daemon = self.home.daemon(**config)
        return self.daemon

    def add(self, source, url, **job):
        """Another job, which trusts the tests' authority where it needs to; returns its id."""
        if self.over_tls:
            job.setdefault("cacert", str(self.certificates.ca))
        return self.daemon.bus.add(source, url, **job)

    def __call__(self, *faults, size=10_000, options=(), config=None, data=None, path="/target", **job):
        rules = [word for fault in faults for word in ("--fault", fault)]
        self.start(*options, *rules, config=config)
        self.source = self.home.file(size=size, data=data)
        self.id = self.add(self.source, self.server.url + path, **job)
        return self

    @property
    def job(self):
        return self.daemon.bus.job(self.id)

    def wait(self, *states):
        return self.daemon.bus.wait(self.id, *states)

    def done(self):
        """Waits for the end and proves that the server has the same file."""
        job = self.wait("done", "failed")
        assert job["State"] == "done", job
        self.same()
        return job

    def same(self):
        target = self.server.root / "target"
        assert target.read_bytes() == self.source.read_bytes()

    def failed(self, code=None, context=None):
        job = self.wait("done", "failed")
        assert job["State"] == "failed", job
        if code is not None:
            assert job["Error"][1] == code, (hex(job["Error"][1]), job["Error"])
        if context is not None:
            assert job["ErrorDetails"]["context"] == context, job["ErrorDetails"]
        return job

    def packets(self):
        return [entry["packet"] for entry in self.server.requests()]

    def fragments(self):
        return [Fragment(entry) for entry in self.server.requests("fragment")]

    def starts(self):
        return [fragment.first for fragment in self.fragments()]

    def wait_for(self, packet, count=1):
        """Waits until the server has seen COUNT requests of that packet."""
        return poll(lambda: (seen := self.server.requests(packet)) and len(seen) >= count and seen,
                    lambda: f"{count} {packet} at the server, which saw {self.packets()}")

    def settle(self):
        """Waits until the queue file has not been written for a while: what was submitted is on disk."""
        queue = self.home.state / "queue" / "data.mdb"

        def quiet():
            before = os.stat(queue).st_mtime_ns
            time.sleep(0.3)
            return os.stat(queue).st_mtime_ns == before
        poll(quiet, "the queue file is quiet")

    def silent(self, seconds=0.7):
        """Proves that no request comes for a while."""
        before = self.packets()
        time.sleep(seconds)
        assert self.packets() == before


def one_at_a_time(entries):
    """No request began before the one before it had its answer."""
    ordered = sorted(entries, key=lambda entry: entry["time_usec"])
    return all(later["time_usec"] >= earlier["end_usec"] for earlier, later in zip(ordered, ordered[1:]))
