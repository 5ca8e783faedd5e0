#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lets the N-th call of a kind fail, for N = 1, 2, 3 ... until a run meets none, in each phase of a daemon's life.

    tests/crash/faults.py                              BITSQ_BUILD=build for another build folder
    tests/crash/faults.py --sample 16 --seed 3         so many runs, drawn from the first calls of each kind
    tests/crash/faults.py --phase submit --kind "write: EIO" --number 2                one run again, with its log

Memory is refused once at each call site of the daemon's own code that a phase comes by. Then the fault is gone: the
daemon must still be there (where memory ran out it may have ended, but not crashed), say nothing of a store that cannot
be written any more, end well, and after a start every job whose id was returned must be there as its callers were told,
and every file the same at the server. It prints a table and ends with 0 where all of that held.
"""
import argparse
import contextlib
import errno
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dbus  # noqa: E402

from crash import preloaded  # noqa: E402
from support import tree  # noqa: E402
from support.bits import BitsServer  # noqa: E402
from support.bus import JOB, ROOT, BusError, options  # noqa: E402
from support.home import BITSQD, REPORT, Home  # noqa: E402
from support.wait import poll  # noqa: E402

CONFIG = {"FragmentMin": 5 * 1024, "FragmentMax": 20 * 1024, "RetryDelay": "20ms", "RetryDelayMax": "100ms",
          "MaxActive": 8, "MaxActivePerHost": 8}
FOREVER = (1 << 64) - 1
NUMBER_MAX = 2000   # calls of a kind in one phase: more would be a loop without end
SAMPLED_CALLS = 6

KINDS = {
    "write: ENOSPC": (preloaded.WRITE, errno.ENOSPC), "write: EIO": (preloaded.WRITE, errno.EIO),
    "write: short": (preloaded.WRITE, preloaded.SHORT), "write: EINTR": (preloaded.WRITE, errno.EINTR),
    "sync: EIO": (preloaded.SYNC, errno.EIO), "sync: slow": (preloaded.SYNC, preloaded.SLOW),
    "name: ENOSPC": (preloaded.NAME, errno.ENOSPC), "name: EIO": (preloaded.NAME, errno.EIO),
    "room: ENOSPC": (preloaded.ROOM, errno.ENOSPC),
    "descriptor: EMFILE": (preloaded.DESCRIPTOR, errno.EMFILE), "descriptor: EINTR": (preloaded.DESCRIPTOR, errno.EINTR),
    "read: EIO": (preloaded.READ, errno.EIO),
}
LASTING = ("write: ENOSPC", "write: EIO", "sync: EIO")  # also from the first call on, until it is mended
MEMORY = "memory"
MENDED = ", until mended"

# A file that cannot be read is an end with a reason, which `retry` lifts.
MAY_FAIL = ("read: EIO", MEMORY)


class Problem(Exception):
    """What should not have happened."""


@dataclass
class Fault:
    phase: str
    kind: str
    number: int = 0  # the call that fails
    site: int = 0    # or the place in the program that is refused memory; with neither, sites are noted

    def arm(self, faults):
        if self.kind == MEMORY:
            # Sites are noted by a run in which nothing fails.
            faults.arm(preloaded.MEMORY, errno.ENOMEM, first=1 if self.site else FOREVER, site=self.site)
        elif self.kind.endswith(MENDED):
            faults.arm(*KINDS[self.kind.removesuffix(MENDED)], first=1, last=FOREVER)
        else:
            faults.arm(*KINDS[self.kind], first=self.number)


class Run:
    """One life of a daemon with one fault, and the life after it."""

    def __init__(self, fault):
        self.fault = fault
        self.folder = Path(tempfile.mkdtemp(prefix="bitsq-fault-"))
        self.home = Home()
        self.plain = self.home.env
        self.home.state.mkdir(mode=0o700)
        self.faults = preloaded.Faults(self.folder / "control")
        self.faulty = preloaded.environment(self.home, BITSQ_CALLS_FAULTS=self.faults.path)
        self.server = BitsServer(self.folder, "--fault", "create: ack-delay 100ms", "--fault",
                                 "fragment if target slow: rate 20Ki")
        self.daemon = None
        self.promised = {}   # id -> (source or None, name on the server, states that it may be in at the end)
        self.refused = []    # errors that callers got
        self.ended = None    # exit code of a daemon that did not survive

    # ---- what callers do ----

    def call(self, function, *arguments, **keywords):
        """The answer (True for an empty one), or None where it was an error that a caller understands."""
        try:
            answer = function(*arguments, **keywords)
            return True if answer is None else answer
        except BusError as error:
            if error.name in ("NoReply", "Disconnected", "Timeout") and self.fault.kind != MEMORY:
                raise Problem(f"a caller got no answer: {error}") from None
            if not error.message:
                raise Problem(f"an error without a sentence: {error}") from None
            self.refused.append(str(error))
            return None

    def add(self, name, size, **values):
        source = self.home.file(name, size=size)
        job = self.call(self.daemon.bus.add, source, f"{self.server.url}/{name}", **values)
        if job is not None:
            self.promised[job] = (source, name, ("done",))
        return job

    def add_several(self, *names):
        sources = [self.home.file(name, size=3000) for name in names]
        entries = [(dbus.ByteArray(bytes(source)), f"{self.server.url}/{name}", options({}))
                   for source, name in zip(sources, names)]
        jobs = self.call(self.daemon.bus.manager, "AddJobs", "a(aysa{sv})a{sv}", entries, options({}))
        if jobs is not None and len(jobs) != len(names):
            raise Problem(f"{len(names)} jobs were added, but the ids are {jobs}")
        for job, source, name in zip(jobs or (), sources, names):
            self.promised[job] = (source, name, ("done",))

    def verb(self, job, method, *states):
        """A change of JOB, which ends in one of STATES where it was acknowledged, else there or where it went before."""
        source, name, before = self.promised[job]
        done = self.call(self.daemon.bus.verb, job, method)
        self.promised[job] = (source, name, states if done is not None else (*before, *states))

    # ---- the phases: what is prepared, and what happens while the fault is there ----

    def act_single(self):
        """One job alone: nothing comes behind it that would make up for what it missed."""
        self.add("only", 3000)
        self.settle()

    def act_submit(self):
        self.add("one", 2000, key="k1")
        self.add_several("two", "three")
        self.add("four", 0, key="k2")

    def act_connect(self):
        """A caller that comes while the fault is there."""
        self.daemon.reconnect()
        self.add("late", 3000)

    def prepare_transfer(self):
        self.add("large", 60_000)  # the server takes its time with Create-Session: the rest is within act_transfer()

    def act_transfer(self):
        self.settle()

    def prepare_finish(self):
        self.add("empty", 0)

    def act_finish(self):
        self.settle()

    def prepare_cancel(self):
        self.slow, self.other = self.add("slow-1", 80_000), self.add("slow-2", 80_000)
        self.over = self.add("over", 10)
        self.daemon.bus.wait(self.over, "done")
        poll(lambda: len([e for e in self.server.requests("fragment") if "slow" in e["target"]]) >= 2, "two uploads")
        assert all(self.daemon.bus.job(job)["State"] == "transferring" for job in (self.slow, self.other))

    def act_cancel(self):
        self.verb(self.slow, "Cancel", "cancelled")
        self.verb(self.over, "Remove", None)
        self.verb(self.other, "Pause", "paused")
        settings = dbus.Dictionary({"priority": dbus.String("high")}, signature="sv")
        self.call(self.daemon.bus.call, f"{ROOT}/jobs/{self.other}", JOB, "Set", "a{sv}", settings)

    def prepare_reload(self):
        self.add("waiting", 5000)
        self.home.config(**{**CONFIG, "MaxActive": 3})

    def act_reload(self):
        self.call(self.daemon.bus.manager, "Reload")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.call(self.daemon.bus.get, "Version")

    def prepare_shutdown(self):
        self.add("slow-3", 60_000)
        self.add("soon", 3000)

    def act_shutdown(self):
        self.stop(self.daemon)

    def prepare_start(self):
        self.add("before", 3000)
        self.daemon.stop()

    def act_start(self):
        self.daemon.start(wait=False)
        ready = poll(lambda: self.has_ended() or self.daemon.is_ready(), "the daemon starts or ends")
        if ready and self.ended is None:
            self.add("after", 3000)

    # ---- the frame ----

    def has_ended(self):
        """Whether the daemon has gone by itself; then it must not have crashed, and must have said why."""
        process = self.daemon.process
        if process is None or process.poll() is None:
            return False
        self.ended = process.returncode
        self.daemon.process = None
        return True

    def settle(self):
        """Waits for the jobs to end, or for the daemon to; a lasting fault lets none end, and is waited for."""
        if self.fault.kind.endswith(MENDED):
            poll(lambda: self.faults.hit, "a call fails")
            return

        def over():
            if self.has_ended():
                return True
            states = [self.daemon.bus.job(job)["State"] for job in self.promised]
            return all(state in ("done", "failed", "cancelled") for state in states)
        with contextlib.suppress(BusError):
            poll(over, lambda: f"jobs end: {[self.daemon.bus.job(job) for job in self.promised]}")

    def stop(self, daemon):
        process, daemon.process = daemon.process, None
        daemon._forget_bus()
        process.terminate()
        try:
            self.ended = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Problem("the daemon did not end on SIGTERM") from None

    def check_degraded(self):
        """While the store cannot be written: new jobs are refused for that reason, and anybody can see it."""
        try:
            self.daemon.bus.add(self.home.file("no", size=1), f"{self.server.url}/no")
            raise Problem("a job was taken though the store cannot be written")
        except BusError as error:
            if error.name != "Degraded":
                raise Problem(f"refused, but not as Degraded: {error}") from None
        if not self.daemon.bus.get("Degraded"):
            raise Problem("the store cannot be written, but Degraded is empty")
        self.home.env = self.plain  # the command line is spared
        shown = self.home.bitsq("daemon", "status")
        if "cannot be written" not in shown.out + shown.err:
            raise Problem(f"bitsq daemon status does not say that the store cannot be written: {shown}")

    def reconnect(self):
        """Memory may have run out for the connection of the caller, who makes another one then."""
        try:
            self.daemon.bus.get("Version")
        except BusError as error:
            if self.fault.kind != MEMORY or error.name != "Disconnected":
                raise
            self.daemon.reconnect()

    def check_alive(self):
        """After the fault: still at work, healed, and able to take a job."""
        if self.has_ended():
            if self.fault.kind != MEMORY and self.fault.phase not in ("start", "shutdown"):
                raise Problem(f"the daemon ended with {self.ended}")
            return
        self.reconnect()
        poll(lambda: self.daemon.bus.get("Degraded") == [], lambda: f"Degraded ends: {self.daemon.bus.get('Degraded')}", 30)
        if self.fault.kind != MEMORY:
            self.daemon.bus.manager("Reload")
        self.stop(self.daemon)
        if self.ended != 0:
            raise Problem(f"the daemon ended with {self.ended} on SIGTERM, after the fault was gone")

    def check_end(self):
        """However the life with the fault ended: by itself, and with a word on it."""
        text = self.home.logs()
        if REPORT.search(text) or self.ended is None or self.ended < 0 or self.ended == 86:
            raise Problem(f"the daemon crashed ({self.ended})")
        if self.ended not in (0, 1):
            raise Problem(f"the daemon ended with {self.ended}")
        if self.ended == 1 and "bitsqd: " not in text and "cannot" not in text:
            raise Problem("the daemon ended without a reason")

    def check_after(self):
        """The life after it."""
        self.home.env = self.plain
        self.daemon.start()
        if degraded := self.daemon.bus.get("Degraded"):
            raise Problem(f"after a restart: {degraded}")
        for job, (source, name, states) in self.promised.items():
            self.check_job(job, source, name, states)

    def check_job(self, job, source, name, states):
        bus = self.daemon.bus
        try:
            state = bus.job(job)
            if state["State"] == "failed" and self.fault.kind in MAY_FAIL:
                bus.verb(job, "Retry")
            if "paused" in states and len(states) > 1 and state["State"] == "paused":
                return
            state = bus.wait(job, "done", "failed", "cancelled", *(["paused"] if "paused" in states else []))
        except BusError as error:
            if None not in states:
                raise Problem(f"job {job} ({name}) is lost: {error}") from None
            return
        if state["State"] not in states:
            raise Problem(f"job {job} ({name}) is {state['State']}, should be {states}: {state['Error']}")
        if state["State"] == "done" and (self.server.root / name).read_bytes() != source.read_bytes():
            raise Problem(f"{name} at the server is not what was sent")

    def run(self):
        phase = self.fault.phase
        self.home.env = self.faulty
        self.daemon = self.home.daemon(**CONFIG)
        getattr(self, f"prepare_{phase}", lambda: None)()
        self.fault.arm(self.faults)
        getattr(self, f"act_{phase}")()
        if self.fault.kind.endswith(MENDED):
            self.check_degraded()
        hit = self.faults.hit
        self.faults.disarm()
        if self.daemon.process is not None:
            self.check_alive()
        self.check_end()
        self.check_after()
        return hit

    def done(self):
        self.faults.close()
        with contextlib.suppress(OSError):
            self.server.process.kill()
            self.server.process.wait()
            self.server.process.stdout.close()
        for daemon in self.home.daemons:
            if daemon.process is not None:
                daemon.kill()
        try:
            self.home.done()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


PHASES = [name.removeprefix("act_") for name in vars(Run) if name.startswith("act_")]


def attempt(fault):
    """(calls that failed, what was wrong or None, how many callers were told, sites)."""
    run = Run(fault)
    hit, problem = 0, None
    try:
        hit = run.run()
    except Exception as error:  # whatever it is, the others go on
        hit = run.faults.hit
        where = "" if isinstance(error, Problem) else traceback.format_exc()
        problem = f"{error}\n{where}--- log of the daemon\n{run.home.logs()[-3000:]}"
    sites, ended = run.faults.sites(), run.ended
    try:
        run.done()
    except AssertionError as error:
        problem = problem or str(error)
    return Result(fault, hit, problem, len(run.refused), ended, sites)


@dataclass
class Result:
    fault: Fault
    hit: int
    problem: str
    refused: int
    ended: int
    sites: list


def until_clean(task):
    """All numbers of one kind in one phase."""
    phase, kind = task
    results = []
    for number in range(1, NUMBER_MAX):
        results.append(attempt(Fault(phase, kind, number)))
        if results[-1].hit == 0 and results[-1].problem is None or len([r for r in results if r.problem]) >= 5:
            break
    return results


def name_of(site):
    done = subprocess.run(["addr2line", "-f", "-p", "-e", BITSQD, hex(site - 1)], capture_output=True, text=True)
    return done.stdout.strip() or hex(site)


def memory_faults(phases):
    """One for each site, in the first phase that comes by it."""
    faults, known = [], set()
    for phase in phases:
        for site in attempt(Fault(phase, MEMORY)).sites:
            if site not in known:
                known.add(site)
                faults.append(Fault(phase, MEMORY, site=site))
    return faults


def report(results):
    rows, problems = {}, []
    for result in results:
        row = rows.setdefault((result.fault.kind, result.fault.phase), Counter())
        row["runs"] += 1
        row["failed calls"] += result.hit
        row["callers refused"] += result.refused
        row["ended early"] += result.ended == 1
        row["problems"] += result.problem is not None
        if result.problem:
            problems.append(result)
    columns = ("runs", "failed calls", "callers refused", "ended early", "problems")
    print(f"{'kind':28} {'phase':10}" + "".join(f"{column:>17}" for column in columns))
    for (kind, phase), row in sorted(rows.items()):
        print(f"{kind:28} {phase:10}" + "".join(f"{row[column]:17}" for column in columns))
    print(f"{'all':39}" + "".join(f"{sum(row[column] for row in rows.values()):17}" for column in columns))
    for result in problems:
        fault = result.fault
        place = f" at {name_of(fault.site)}" if fault.site else ""
        print(f"\n=== {fault.phase}, {fault.kind}, number {fault.number}, site {fault.site}{place}: {result.problem}")
    return not problems


def watched(results):
    """Says at once what went wrong, since a run through all takes long."""
    for result in results:
        if result.problem:
            print(f"{result.fault}: {result.problem.splitlines()[0]}", file=sys.stderr, flush=True)
        yield result


def run_all(options, pool):
    phases = [options.phase] if options.phase else PHASES
    kinds = [options.kind] if options.kind else [*KINDS, *(kind + MENDED for kind in LASTING), MEMORY]
    once = [Fault(phase, kind) for kind in kinds if kind.endswith(MENDED) for phase in phases
            if phase not in ("start", "shutdown")]
    counted = [(phase, kind) for phase in phases for kind in kinds if kind in KINDS]
    if options.number or options.site:
        return [attempt(Fault(options.phase, options.kind, options.number, options.site))]
    memory = memory_faults(phases) if MEMORY in kinds else []
    if options.sample:
        drawn = random.Random(options.seed)
        pairs = [Fault(phase, kind, number) for phase, kind in counted for number in range(1, SAMPLED_CALLS + 1)]
        some = [*drawn.sample(once, 1), *drawn.sample(pairs, options.sample),
                *drawn.sample(memory, min(len(memory), options.sample // 2))]
        return pool.map(attempt, some, chunksize=1)
    results = list(watched(pool.imap_unordered(attempt, [*once, *memory])))
    for more in pool.imap_unordered(until_clean, counted):
        results += watched(more)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", choices=PHASES)
    parser.add_argument("--kind", choices=[*KINDS, *(kind + MENDED for kind in LASTING), MEMORY])
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--site", type=int, default=0)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        results = run_all(options, pool)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
