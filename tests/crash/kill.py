#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kills the daemon again and again while it uploads real files, and counts what that cost.

    tests/crash/kill.py --kills 1000 --seed 7 --jobs 8        BITSQ_BUILD=build for another build folder

Half of the kills come at named points of one job's exchange, which the server holds open until the daemon is dead, while
the other jobs upload to a second server; the others come at random moments, also while the daemon starts and while
`bitsq add` queues: an id that it printed counts as a job. It prints a table and ends with 0 where no job was lost, no
file differs or was delivered twice, nothing arrived that nobody sent, and no kill cost more bytes than the fragment in
force and FragmentMin.
"""
import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import resent  # noqa: E402
from support.bits import BitsServer  # noqa: E402
from support.bus import BusError  # noqa: E402
from support.home import Home  # noqa: E402
from support.wait import poll  # noqa: E402

FRAGMENT_MIN, FRAGMENT_MAX = 5 * 1024, 1024 * 1024
SOURCE_MAX = 6 * 1024 * 1024
CONFIG = {"FragmentMin": FRAGMENT_MIN, "FragmentMax": FRAGMENT_MAX, "RetryDelay": "50ms", "RetryDelayMax": "200ms",
          "MaxActive": 8, "MaxActivePerHost": 8, "RetainJobs": 0}  # a job that is not listed any more counts as lost
KILLS_A_PHASE = 50
SLOWLY = "fragment: rate 2Mi; ack-delay 3ms"  # so that a kill meets many uploads on their way
SERVERS = [("--mode", mode, "--partial", partial) for mode in ("msdn", "spec") for partial in ("keep", "discard")]

# Where the daemon dies: (rule that holds the exchange open, packet and number that the log must show).
POINTS = {
    "before the Create-Session was carried out": ("create#1: stall", "create", 1),
    "before the Ack to Create-Session": ("create#1: process; stall", "create", 1),
    "after the Ack to Create-Session": ("fragment#1: stall head", "fragment", 1),
    "in the middle of a fragment's body": ("fragment#2: stall 3000", "fragment", 2),
    "after a fragment was read, not stored": ("fragment#2: stall", "fragment", 2),
    "after a fragment was stored, before its Ack": ("fragment#2: process; stall", "fragment", 2),
    "after the Ack to a fragment": ("fragment#3: stall head", "fragment", 3),
    "on Close-Session, before publishing": ("close#1: stall", "close", 1),
    "on Close-Session, after publishing": ("close#1: process; stall", "close", 1),
}
AFTER_CLOSE = "after the Ack to Close-Session"


def microseconds():
    return time.monotonic_ns() // 1000


def merged(servers):
    """The requests that SERVERS saw; a connection is named by its server, too."""
    return [{**entry, "connection": (server.port, entry["connection"])} for server in servers for entry in server.requests()]


def delivered(entry):
    """Whether this request made the server keep a file for good."""
    return entry["packet"] == "close" and entry["session"] is not None and (
        entry["status"] == 200 or "process" in str(entry["fault"] or ""))


def in_flight(requests, times):
    """For each of TIMES, how many targets had been asked for, and were delivered later or never."""
    begin, end = {}, {}
    for entry in requests:
        if entry["packet"] == "create":
            begin[entry["target"]] = min(entry["time_usec"], begin.get(entry["target"], entry["time_usec"]))
        if delivered(entry):
            end[entry["target"]] = entry["end_usec"]
    return [sum(begin[target] <= time <= end.get(target, time) for target in begin) for time in times]


def show_exchange(target, requests, times):
    """What the server saw of TARGET, and the kills in between."""
    shown = [(entry["time_usec"], f"{entry['packet']} {entry['headers'].get('content-range', '')}, {entry['body_received']} "
              f"received: {entry['status']} {entry['fault'] or ''} on {entry['connection']}")
             for entry in requests if entry["target"] == target]
    for moment, text in sorted(shown + [(moment, f"kill {number}") for number, moment in enumerate(times)]):
        print(f"{moment}: {text}", file=sys.stderr)


def real_files():
    """Files of this machine, of many sizes."""
    found = [path for folder in ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/share/doc")
             for path in Path(folder).rglob("*")
             if path.is_file() and not path.is_symlink() and path.stat().st_size <= SOURCE_MAX]
    return sorted(found)


class Harness:
    def __init__(self, seed, jobs):
        self.random = random.Random(seed)
        self.parallel = jobs
        self.home = Home()
        self.folder = Path(tempfile.mkdtemp(prefix="bitsq-kill-"))
        self.files = real_files()
        self.home.file("empty", data=b"")
        self.home.file("one byte", data=b"x")
        self.odd = [self.home.path / "empty", self.home.path / "one byte"]
        self.daemon = self.home.daemon(**CONFIG)
        self.maybe = set() # targets of adds whose answer the kill cut off: they may arrive, or not
        self.jobs = {}     # id -> (source, where it must stand at the end)
        self.phases = []   # accounts
        self.kills = {}    # point -> count
        self.servers = 0
        self.flying = []   # jobs on their way, one number a kill
        self.stray = self.differ = self.lost = self.failed = self.twice = 0

    def source(self):
        if self.random.random() < 0.1:
            return self.random.choice(self.odd)
        # Many fragments make many moments: prefer files that have some.
        return max(self.random.sample(self.files, 6), key=lambda path: path.stat().st_size)

    def add(self, server, source):
        name = f"{len(self.jobs)}-{self.random.getrandbits(32):x}"
        job = self.daemon.bus.add(source, f"{server.url}/{name}", key=name)
        self.jobs[job] = (source, server.root / name)
        return job

    def start_add(self, server):
        """`bitsq add` under way, by a user whose library cannot start another daemon."""
        name, source = f"add-{self.random.getrandbits(48):x}", self.source()
        process = self.home.start_bitsq("add", "-q", source, f"{server.url}/{name}",
                                        env={**self.home.env, "BITSQ_DAEMON": "/nonexistent"})
        return process, source, server.root / name

    def finish_add(self, process, source, target):
        out, err = process.communicate(timeout=60)
        if process.returncode == 0:
            self.jobs[int(out)] = (source, target)
            return [int(out)]
        if out:
            raise RuntimeError(f"bitsq add printed {out!r} and ended with {process.returncode}: {err}")
        self.maybe.add(target)
        return []

    def kill(self, point):
        """Returns the last moment before another daemon may run."""
        self.daemon.kill()
        self.kills[point] = self.kills.get(point, 0) + 1
        return microseconds()

    def finish(self, servers, times, jobs):
        """Lets all JOBS end, and takes stock of what the servers have."""
        for job in jobs:
            try:
                state = self.daemon.bus.wait(job, "done", "failed", "cancelled", deadline_s=300)
            except BusError as error:
                print(f"job {job} is lost: {error}", file=sys.stderr)
                self.lost += 1
                continue
            if state["State"] != "done":
                print(f"job {job} ended as {state['State']}: {state['Error']}", file=sys.stderr)
                self.failed += 1
            source, target = self.jobs[job]
            if not target.is_file() or target.read_bytes() != source.read_bytes():
                print(f"{target} is not {source}", file=sys.stderr)
                self.differ += 1
        requests = merged(servers)
        sessions = {(entry["target"], entry["session"]) for entry in requests if delivered(entry)}
        self.twice += len(sessions) - len({target for target, _ in sessions})
        self.flying += in_flight(requests, times)
        account = resent.Account(requests, times, FRAGMENT_MIN)
        self.phases.append(account)
        for (_, target), _, _ in account.over():
            show_exchange(target, requests, times)
        for server in servers:
            self.leave(server)

    def leave(self, server):
        """Ends SERVER; counts the files on it that no job sent."""
        expected = {target.name for target in [*(target for _, target in self.jobs.values()), *self.maybe]
                    if target.parent == server.root}
        self.stray += len({path.name for path in server.root.iterdir() if not path.name.startswith(".")} - expected)
        if server.stop() != 0:
            raise RuntimeError("the server ended badly")
        shutil.rmtree(server.root)

    def server(self, *rules):
        self.servers += 1
        faults = [word for rule in rules for word in ("--fault", rule)]
        return BitsServer(self.folder / str(self.servers), *self.random.choice(SERVERS), *faults)

    def large_source(self):
        """Points on the second and third fragment need a file that has them."""
        return self.random.choice([path for path in self.files if path.stat().st_size > 3 * FRAGMENT_MAX] or self.files)

    def named(self, point):
        """A kill at POINT of one upload, while others are on their way."""
        rule, packet, count = POINTS.get(point, (None, "close", 1))
        server, busy = self.server(*([rule] if rule else [])), self.server(SLOWLY)
        jobs = [self.add(busy, self.source()) for _ in range(self.parallel - 1)]
        poll(lambda: len(busy.requests("create")) >= len(jobs), "the others have begun")
        jobs.append(self.add(server, self.large_source()))
        jobs += [self.add(busy, self.source()) for _ in range(self.parallel)]  # take the place of those that end early
        poll(lambda: len(server.requests(packet)) >= count, lambda: f"{point}: the server saw {server.requests()}")
        times = [self.kill(point)]
        self.daemon.restart()
        self.finish([server, busy], times, jobs)

    def random_phase(self, kills):
        """Uploads in parallel; the daemon dies KILLS times at random moments."""
        server = self.server(SLOWLY)
        jobs, times = [], []
        while len(times) < kills:
            waiting = sum(self.daemon.bus.job(job)["State"] not in ("done", "failed") for job in jobs[-4 * self.parallel:])
            jobs += [self.add(server, self.source()) for _ in range(2 * self.parallel - waiting)]
            time.sleep(self.random.uniform(0, 0.3))  # the random moment itself, not a wait for anything
            adding = self.random.random() < 0.3 and self.start_add(server)
            if adding:
                time.sleep(self.random.uniform(0, 0.05))
            times.append(self.kill("while bitsq add queues" if adding else "at a random moment"))
            jobs += self.finish_add(*adding) if adding else []
            if len(times) < kills and self.random.random() < 0.2:
                self.daemon.start(wait=False)
                time.sleep(self.random.uniform(0, 0.1))
                times.append(self.kill("at a random moment of the start"))
            self.daemon.restart()
        self.finish([server], times, jobs)

    def run(self, kills):
        points = [*POINTS, AFTER_CLOSE]
        for number in range(kills // 2):
            self.named(points[number % len(points)])
        left = kills - kills // 2
        while left > 0:
            self.random_phase(min(left, KILLS_A_PHASE))
            left -= min(left, KILLS_A_PHASE)

    def ids_lost(self):
        """Jobs whose id was returned and that the queue does not know any more."""
        known, cursor = set(), 0
        while True:
            rows, cursor, _ = self.daemon.bus.query(after=cursor, all=True)
            known |= {row["Id"] for row in rows}
            if cursor == 0:
                return len(set(self.jobs) - known)

    def report(self):
        costs = [cost for phase in self.phases for cost in phase.per_kill()]
        over = [entry for phase in self.phases for entry in phase.over()]
        bounds = [bound for phase in self.phases for bound in phase.bound.values()]
        rows = [("kills", len(costs), "")]
        rows += [(f"  {point}", count, "") for point, count in self.kills.items()]
        rows += [("jobs on their way at a kill, mean", f"{sum(self.flying) / max(1, len(self.flying)):.1f}", ""),
                 ("jobs", len(self.jobs), ""), ("jobs lost", max(self.lost, self.ids_lost()), 0),
                 ("jobs failed", self.failed, 0), ("files that differ", self.differ, 0),
                 ("files that nobody sent", self.stray, 0), ("files delivered twice", self.twice, 0),
                 ("re-sent bytes a kill, mean", sum(costs) // max(1, len(costs)), ""),
                 ("re-sent bytes a kill, most", max(costs, default=0), ""),
                 ("fragment in force + FragmentMin, mean", sum(bounds) // max(1, len(bounds)), ""),
                 ("kills that cost more than that", len(over), 0),
                 ("bytes re-sent without a kill", sum(phase.unprovoked for phase in self.phases), 0)]
        for name, value, wanted in rows:
            print(f"{name:50} {value:>12} {f'must be {wanted}' if wanted != '' else ''}".rstrip())
        for (kill, target), count, bound in over:
            print(f"kill {kill}, {target}: {count} bytes again, bound {bound}", file=sys.stderr)
        return all(value == wanted for _, value, wanted in rows if wanted != "")

    def done(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.done()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=8, help="uploads at a time")
    options = parser.parse_args()
    harness = Harness(options.seed, options.jobs)
    try:
        harness.run(options.kills)
        good = harness.report()
    finally:
        harness.done()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
