#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens every state folder that a power cut may leave, and looks for what was promised to callers.

    tests/crash/images.py                    BITSQ_BUILD=build for another build folder, which must not be sanitized
    tests/crash/images.py --sample 500 --daemons 5                                     what the suite runs

A daemon works through scenario.py while a preloaded library records each write, sync and change of a name in its state
folder. The record is cut before each sync (and at its end), and of what was not synced by then

    prefix   the first pieces have arrived, for each number of pieces
    subset   any of them have: all subsets of up to 12 pieces; of more, all that lack one or two, and seeded ones
    torn     all have, or the first ones, but one of them only up to a sector, or from a sector on

open_image opens each with the daemon's own store, compares it with what had been acknowledged by then, checks every
index, opens it again, and adds a job. A sample is opened by bitsqd itself. It prints a table and ends with 0 where
nothing was wrong; the first image that was wrong is kept, with the command that looks at it again.

    --late-syncs   a disk that lies, on which a sync counts from the next one on: that something is wrong must be found
"""
import argparse
import itertools
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crash import disk, scenario  # noqa: E402
from support import tree  # noqa: E402
from support.home import Home  # noqa: E402

OPEN_IMAGE = tree.BUILD / "tests" / "crash" / "open_image"
ALL_SUBSETS_MAX = 12
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a memory file system: these images are synced for nobody


class Checker:
    """open_image, started again where an image ended it."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def _start(self):
        self.errors = open(self.folder / "errors", "w+", encoding="utf-8")
        self.process = subprocess.Popen([OPEN_IMAGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, bufsize=1, env={"PATH": "/usr/bin", **tree.SANITIZERS})

    def look(self, image, promises):
        """None, or what is wrong with IMAGE."""
        if self.process is None:
            self._start()
        self.process.stdin.write(f"{image} {promises}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer == "ok":
            return None
        if answer:
            return answer.removeprefix("bad ")
        code = self.close()
        return f"open_image ended with {code}: {(self.folder / 'errors').read_text(errors='replace')[-2000:]}"

    def close(self):
        if self.process is None:
            return 0
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        self.errors.close()
        self.process = None
        return code


def choices(pieces, subsets, seed):
    """(kind, pieces that have arrived) for one cut, each once."""
    count = len(pieces)
    seen = set()

    def new(kind, indexes, torn=None):
        key = (tuple(indexes), None if torn is None else (torn.offset, len(torn.data)))
        if key not in seen:
            seen.add(key)
            yield kind, [pieces[index] for index in indexes] + ([torn] if torn else [])

    for length in range(count + 1):
        yield from new("prefix", range(length))
    if count <= ALL_SUBSETS_MAX:
        for bits in range(1 << count):
            yield from new("subset", [index for index in range(count) if bits >> index & 1])
    else:
        for missing in itertools.chain(((i,) for i in range(count)), itertools.combinations(range(count), 2)):
            yield from new("subset", [index for index in range(count) if index not in missing])
        drawn = random.Random(seed)
        for _ in range(subsets):
            bits = drawn.getrandbits(count)
            yield from new("seeded", [index for index in range(count) if bits >> index & 1])
    for number, piece in enumerate(pieces):
        for torn in piece.torn() if isinstance(piece, disk.Page) else ():
            yield from new("torn", range(number), torn)
            yield from new("torn", [index for index in range(count) if index != number], torn)


class Cuts:
    """Goes through the log: at each cut, what is firm, what is loose, and how many records have happened."""

    def __init__(self, records, root_inode, late_syncs):
        self.records, self.root_inode, self.late_syncs = records, root_inode, late_syncs

    def __iter__(self):
        replay = disk.Replay(self.root_inode, self.late_syncs)
        for index, record in enumerate(self.records):
            if replay.is_barrier(record):
                under_way = replay.pieces(record) if record.kind == disk.WRITE else []
                yield index, replay.firm, replay.loose + under_way
            replay.take(record)
        yield len(self.records), replay.firm, replay.loose


class Worker:
    """Every PARTS-th image, from PART on."""

    def __init__(self, job, part, parts):
        self.job, self.part, self.parts = job, part, parts
        self.folder = Path(tempfile.mkdtemp(prefix="img-", dir=FOLDER))
        self.checker = Checker(self.folder)
        self.counts, self.wrong, self.first = Counter(), Counter(), None

    def run(self):
        try:
            number = 0
            for count, firm, loose in self.job.cuts():
                promises = None
                for kind, arrived in choices(loose, self.job.subsets, count):
                    number += 1
                    if number % self.parts != self.part or not self.job.wants(number):
                        continue
                    promises = promises or self.job.promises_at(count, self.folder)
                    self.look(number, kind, firm.with_pieces(arrived), promises)
        finally:
            self.checker.close()
            shutil.rmtree(self.folder)
        return self.counts, self.wrong, self.first

    def look(self, number, kind, state, promises):
        image = self.folder / "image"
        shutil.rmtree(image, ignore_errors=True)
        state.write(0, image)
        wrong = self.checker.look(image, promises)
        self.counts[kind] += 1
        if wrong is None and self.job.wants_daemon(number):
            kind = f"{kind}, by bitsqd"
            self.counts[kind] += 1
            wrong = open_by_daemon(state, promises, self.checker)
        if wrong is None:
            return
        self.wrong[kind] += 1
        if self.first is None:
            self.first = (number, wrong, keep(number, state, promises) if not self.job.late_syncs else None)


def keep(number, state, promises):
    """Saves an image that was wrong; returns its folder."""
    kept = Path(tempfile.mkdtemp(prefix=f"bitsq-image-{number}-"))
    state.write(0, kept / "image")
    shutil.copy(promises, kept / "promises")
    return kept


def open_by_daemon(state, promises, checker):
    """None, or what is wrong with the image where bitsqd serves it; the server of its jobs is gone."""
    home = Home()
    try:
        state.write(0, home.state)
        daemon = home.daemon(RetryDelay="1h", RetryDelayMax="1h")
        degraded = daemon.bus.get("Degraded")
        rows, _, _ = daemon.bus.query(all=True)
        found = {row["Id"] for row in rows}
        ended = daemon.stop()
        wanted = [list(map(int, line.split()[1:])) for line in promises.read_text().splitlines() if line.startswith("job")]
        lost = [job for job, states, *_ in wanted if not states & scenario.GONE and job not in found]
        risen = [job for job, states, *_ in wanted if states == scenario.GONE and job in found]
        if degraded or lost or risen or ended:
            return f"bitsqd: degraded {degraded}, lost {lost}, removed and there {risen}, {ended}"
        return checker.look(home.state, promises)
    except AssertionError as error:
        return f"bitsqd: {error}"
    finally:
        home.done()


class Job:
    """What the workers share; they are forked, and change nothing in it."""

    def __init__(self, made, options):
        self.records = disk.read_log(made.log)
        self.promises = scenario.Promises(made, self.records)
        self.root_inode, self.subsets, self.late_syncs = made.root_inode, 0, options.late_syncs
        many = sum(len(loose) > ALL_SUBSETS_MAX for _, _, loose in self.cuts())
        self.subsets = options.subsets // many if many else 0
        self.total = sum(1 for _, _, loose in self.cuts() for _ in choices(loose, self.subsets, 0))
        drawn = random.Random(options.seed)
        numbers = range(1, self.total + 1)
        self.sample = None if options.sample is None else set(drawn.sample(numbers, min(options.sample, self.total)))
        self.daemons = set(drawn.sample(sorted(self.sample) if self.sample else numbers, min(options.daemons, self.total)))

    def cuts(self):
        return Cuts(self.records, self.root_inode, self.late_syncs)

    def wants(self, number):
        return self.sample is None or number in self.sample

    def wants_daemon(self, number):
        return number in self.daemons

    def promises_at(self, count, folder):
        path = folder / "promises"
        path.write_text("\n".join(self.promises.lines(count)) + "\n", encoding="ascii")
        return path


def run(job, workers):
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(Worker.run, [Worker(job, part, workers) for part in range(workers)], chunksize=1)


def report(job, results):
    counts, wrong = sum((r[0] for r in results), Counter()), sum((r[1] for r in results), Counter())
    cuts = [len(loose) for _, _, loose in job.cuts()]
    print(f"{len(job.records)} records, {len(cuts)} places to cut at, up to {max(cuts)} loose pieces, {job.total} images")
    print(f"{'images':24} {'opened':>10} {'violations':>10}")
    for kind in sorted(counts):
        print(f"{kind:24} {counts[kind]:10} {wrong[kind]:10}")
    for number, what, kept in filter(None, (r[2] for r in results)):
        print(f"image {number}: {what}")
        if kept:
            print(f"    cp -r {kept}/image {kept}/again && echo {kept}/again {kept}/promises | {OPEN_IMAGE}")
    return sum(wrong.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5, help="ordinary uploads in each half of the scenario")
    parser.add_argument("--crowd", type=int, default=100, help="jobs added by one call, in each half")
    parser.add_argument("--subsets", type=int, default=10_000, help="seeded subsets in all")
    parser.add_argument("--sample", type=int, help="look at so many images only")
    parser.add_argument("--daemons", type=int, default=300, help="images that bitsqd opens, too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--late-syncs", action="store_true")
    options = parser.parse_args()
    made = scenario.Scenario(options.jobs, options.crowd)
    try:
        job = Job(made, options)
        violations = report(job, run(job, options.workers))
    finally:
        made.done()
    return 0 if bool(violations) == options.late_syncs else 1


if __name__ == "__main__":
    sys.exit(main())
