# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user does while every write of the daemon is recorded, and what may be found on the disk after each record.

A reply counts from the last message on that left the daemon before the caller had read it: what it promises must survive
a crash at any later place of the log. A request counts from the place where the log stood when it was made.
"""
import bisect
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import dbus

from crash import disk, preloaded
from support.bits import BitsServer
from support.bus import JOB, ROOT
from support.home import Home
from support.wait import poll

# As in core/job.h; the lowest bit is open_image's: the job may be gone.
GONE, READY, PAUSED, RETRYING, CANCELLING, DONE, FAILED, CANCELLED = (1 << bit for bit in range(8))
NOBODY = 9  # the port of a service that nobody offers any more
RUNS = READY | RETRYING | DONE
PRIORITIES = {"foreground": 1, "high": 2, "normal": 4, "low": 8}
CONFIG = {"FragmentMin": 5 * 1024, "FragmentMax": 10 * 1024, "RetryDelay": "50ms", "RetryDelayMax": "200ms"}

# verb: (what a request allows besides, what its reply leaves)
VERBS = {"Pause": (PAUSED, PAUSED), "Resume": (RUNS, RUNS), "Cancel": (CANCELLING | CANCELLED, CANCELLING | CANCELLED),
         "Remove": (GONE, GONE)}


class Scenario:
    def __init__(self, jobs, crowd):
        self.home = Home()
        self.folder = Path(tempfile.mkdtemp(prefix="bitsq-images-"))
        self.log = self.folder / "log"
        self.home.state.mkdir(mode=0o700)
        self.root_inode = self.home.state.stat().st_ino
        self.home.env = preloaded.environment(self.home, BITSQ_CALLS_LOG=self.log)
        self.server = BitsServer(self.folder, "--fault", "fragment: ack-delay 2ms",
                                 "--fault", "fragment if target slow: ack-delay 50ms")
        self.facts = []    # (place in the log, is a reply, id, what, value)
        self.targets = {}  # id -> path on the server
        self.daemon = None
        self.run(jobs, crowd)

    # ---- what the user does ----

    def place(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def note(self, is_reply, job, what, value, place=None):
        self.facts.append((self.place() if place is None else place, is_reply, job, what, value))

    def add(self, size, kind="file", **values):
        name = f"{kind}-{len(self.targets)}"
        source = self.home.file(name, size=size)
        job = self.daemon.bus.add(source, f"{self.server.url}/{name}", **values)
        self.note(True, job, "states", RUNS)
        self.note(True, job, "priorities", PRIORITIES[values.get("priority", "normal")])
        self.targets[job] = f"/{name}"
        return job

    def add_crowd(self, count):
        """Jobs by one call, a large transaction, for a server that is not there."""
        source = self.home.file(f"crowd-{len(self.targets)}", size=10)  # one that nobody changes afterwards
        none = dbus.Dictionary({}, signature="sv")
        entries = [(dbus.ByteArray(bytes(source)), f"http://127.0.0.1:{NOBODY}/crowd-{i}", none) for i in range(count)]
        jobs = self.daemon.bus.manager("AddJobs", "a(aysa{sv})a{sv}", entries, none)
        for i, job in enumerate(jobs):
            self.note(True, job, "states", READY | RETRYING)
            self.note(True, job, "priorities", PRIORITIES["normal"])
            self.targets[job] = f"/crowd-{i}"
        return jobs

    def verb(self, job, name):
        allowed, left = VERBS[name]
        self.note(False, job, "states", allowed)
        self.daemon.bus.verb(job, name)
        self.note(True, job, "states", left)

    def control(self, verb, jobs):
        """The same by one call for many jobs."""
        allowed, left = VERBS[verb]
        for job in jobs:
            self.note(False, job, "states", allowed)
        matched, failed, _ = self.daemon.bus.control(verb.lower(), ids=jobs)
        assert (matched, failed) == (len(jobs), 0)
        for job in jobs:
            self.note(True, job, "states", left)

    def set_priority(self, job, priority):
        self.note(False, job, "priorities", PRIORITIES[priority])
        settings = dbus.Dictionary({"priority": dbus.String(priority)}, signature="sv")
        self.daemon.bus.call(f"{ROOT}/jobs/{job}", JOB, "Set", "a{sv}", settings)
        self.note(True, job, "priorities", PRIORITIES[priority])

    def finish(self, jobs, state="done"):
        for job in jobs:
            self.daemon.bus.wait(job, state)
            self.note(True, job, "states", {"done": DONE, "cancelled": CANCELLED}[state])

    def sent(self, job, count=1):
        """Waits until the server has seen so many fragments of JOB."""
        def seen():
            return sum(entry["target"] == self.targets[job] for entry in self.server.requests("fragment")) >= count
        poll(seen, f"{count} fragments of job {job} at the server")

    def round(self, number, jobs, crowd):
        """Uploads, of which some are paused, changed, cancelled and removed on their way."""
        sizes = [0, 700, 30_000, 120_000, 60_000]
        added = [self.add(sizes[i % len(sizes)], key=f"{number}-{i}") for i in range(jobs)]
        held, urgent, given_up = self.add(90_000, "slow"), self.add(40_000, "slow", priority="low"), self.add(200_000, "slow")
        self.sent(held, 2)
        self.verb(held, "Pause")
        self.set_priority(urgent, "high")
        self.sent(given_up, 2)
        self.verb(given_up, "Cancel")
        self.finish([given_up], "cancelled")
        self.daemon.bus.manager("Reload")
        self.control("Resume", [held])
        self.finish([*added, held, urgent])
        self.control("Remove", added[::2])
        crowd = self.add_crowd(crowd)
        self.control("Cancel", crowd)
        self.finish(crowd, "cancelled")
        self.control("Remove", crowd[::2])
        self.verb(given_up, "Remove")

    def run(self, jobs, crowd):
        self.daemon = self.home.daemon(**CONFIG)
        self.round(0, jobs, crowd)
        assert self.daemon.stop() == []
        self.daemon.start()
        self.round(1, jobs, crowd)
        # A kill leaves the disk as it is, but the next start finds work.
        late = [self.add(200_000, "slow"), self.add(100)]
        self.sent(late[0], 3)
        self.daemon.kill()
        self.daemon.restart()
        self.finish(late)
        assert self.daemon.stop() == []
        assert self.server.stop() == 0

    def done(self):
        with contextlib.suppress(OSError):
            self.server.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.done()


class Promises:
    """What must be found where the log was cut: the lines that open_image reads."""

    def __init__(self, scenario, records):
        self.targets = scenario.targets
        starts = [record.at for record in records]
        sends = [index for index, record in enumerate(records) if record.kind == disk.SEND]
        self.facts = sorted(((self._index(fact, starts, sends), *fact[1:]) for fact in scenario.facts), key=lambda f: f[0])
        acks = [(entry["time_usec"], entry["target"], entry["next"]) for entry in scenario.server.requests("fragment")
                if isinstance(entry["next"], int)]
        self.acks = sorted(acks)
        self.records = records

    @staticmethod
    def _index(fact, starts, sends):
        """The number of the first record that FACT is true before."""
        following = bisect.bisect_left(starts, fact[0])
        if not fact[1]:
            return following
        return sends[max(0, bisect.bisect_left(sends, following) - 1)]

    def lines(self, count):
        """For a disk on which the first COUNT records have happened."""
        states, priorities, offsets = {}, {}, {}
        for index, is_reply, job, what, value in self.facts:
            if index >= count and is_reply:
                continue
            if index > count:
                continue
            table = states if what == "states" else priorities
            table[job] = value if is_reply else table.get(job, 0) | value
        now = self.records[min(count, len(self.records) - 1)].time_usec  # the next one may be under way
        for time_usec, target, offset in self.acks:
            if time_usec > now:
                break
            offsets[target] = max(offset, offsets.get(target, 0))
        known = sorted(job for job in states if job in priorities)
        return [f"next {max(known, default=0) + 1}"] + [
            f"job {job} {states[job]} {priorities[job]} {offsets.get(self.targets[job], 0)}" for job in known]
