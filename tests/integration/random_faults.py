#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uploads to a server that goes wrong at random, and says whether each one ended as it must.

    tests/integration/random_faults.py --runs 1000 --seed 7        BITSQ_BUILD=build for another build folder

Run N has the seed SEED + N, which decides everything: file, fragment size, kind of server, http or https, and the rules
by which it misbehaves (tests/server/README.md). Faults that pass must end in an identical file; one that stays must end
the job with its own reason; both within a bounded number of requests. Prints each run that did not, with what repeats
it, and the totals.
"""
import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from server.certificates import Certificates  # noqa: E402
from support.bits import BitsServer  # noqa: E402
from support.home import Home  # noqa: E402
from support.uploads import ACCESS_DENIED, INVALID_SERVER_RESPONSE, http_error  # noqa: E402

SIZES = [0, 1, 4095, 4096, 4097, 10_000, 50_000, 100_000]
FRAGMENTS = [4096, 8192, 16384, 65536]
PASSING_MAX = 4  # rules a run
TIMEOUT = {"ResponseTimeout": "1s", "RetryDelay": "20ms", "RetryDelayMax": "100ms", "MaxActive": 1}

# What may come with any answer and changes nothing.
HARMLESS = ["header-case lower", "header-case upper", "body-bytes 3000", "chunked; body-bytes 10", "no-length",
            "ack-delay 20ms", "header X-Unknown ?"]
LOST = ["drop head", "drop before-store", "drop after-store", "drop after-ack", "portal", "status 500", "status 502",
        "status 503", "status 504"]
STALLED = ["stall", "process; stall"]  # not with Fragments: the Ack to the last one may take minutes
PASSING = {
    "create": HARMLESS + LOST + STALLED + ["status 201", "session-id lower", "session-id negative", "session-id long",
                                 "no-header BITS-Protocol", "status 409", "no-header BITS-Session-Id"],
    "fragment": HARMLESS + LOST + [
        "drop 1", "drop 3000", "store 1", "store 3000", "store 1000; drop", "status 408", "status 409", "status 429",
        "status 416", "status 416; no-header BITS-Received-Content-Range", "forget-session", "next abc",
        "next 99999999", "no-header BITS-Received-Content-Range", "disk-full", "status 408; error 0x80070112 0x7",
        "forget-session; header BITS-Error x8020001F"],
    "close": HARMLESS + LOST + STALLED + ["status 201", "forget-session"],
    "ping": HARMLESS + LOST + STALLED + ["error 1", "status 400", "status 404", "status 405", "status 501"],
}
# What stays, and the codes by which the job may fail.
STAYING = {
    "create: status 403; error 0x80070005 0x5": {ACCESS_DENIED},
    "create: status 501; error 0x80070005 0x5": {ACCESS_DENIED},
    "create: status 404": {http_error(404)},
    "create: status 302; header Location http://127.0.0.1:9/": {http_error(302)},
    "create: header BITS-Protocol {00000000-0000-0000-0000-000000000000}": {0x80200022},
    "create: portal": {INVALID_SERVER_RESPONSE},
    "fragment: status 413": {http_error(413)},
    "fragment: status 400; error 0x80070057 0x5": {0x80070057},
    "fragment: status 400; error 0x80070057 0x7": {0x80070057},
    "fragment: status 500; error 0x80200020 0x5": {0x80200020},
    "fragment: portal": {INVALID_SERVER_RESPONSE},
    "fragment: next abc": {INVALID_SERVER_RESPONSE},
    "close: status 403": {http_error(403)},
}


class Run:
    """What one seed decides."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.seed, self.size, self.fragment = seed, rng.choice(SIZES), rng.choice(FRAGMENTS)
        self.over_tls = rng.random() < 0.5
        self.options = ["--mode", rng.choice(["msdn", "spec"]), "--partial", rng.choice(["keep", "discard"]),
                        "--overwrite", "yes", "--error-header", rng.choice(["code", "error", "both"])]
        self.rules = [self._passing(rng) for _ in range(rng.randint(0, PASSING_MAX))]
        self.staying = rng.choice(sorted(STAYING)) if rng.random() < 0.25 else None
        if self.staying:
            self.rules.append(self.staying)

    @staticmethod
    def _passing(rng):
        packet = rng.choices(["create", "fragment", "close", "ping"], [1, 4, 2, 1])[0]
        return f"{packet}#{rng.randint(1, 6 if packet == 'fragment' else 2)}: {rng.choice(PASSING[packet])}"

    @property
    def requests_max(self):
        """Each rule may cost a session, in which everything is sent once more, and some words around it."""
        least = 4096 if self.fragment == 4096 else 5120
        return (self.size // least + 8) * (len(self.rules) + 2) + 60

    def __str__(self):
        return (f"seed {self.seed}: {self.size} bytes in fragments of {self.fragment}, "
                f"{'https' if self.over_tls else 'http'}, {' '.join(self.options)}, {self.rules}")


def judge(run, job, server, source):
    """What is wrong with the end of a run, or None."""
    count = len(server.requests())
    if count > run.requests_max:
        return f"{count} requests, more than {run.requests_max}"
    if job["State"] == "done":
        target = server.root / "target"
        # A Close-Session whose answer was lost, and then no session: no client can tell whether it was carried out. What
        # must not be is that nobody is told.
        if not job["Confirmed"] and (run.staying == "close: status 403" or not target.exists()):
            return None if "check the file at the server" in job["Error"][2] else "unconfirmed, and nobody is told"
        return None if target.read_bytes() == source.read_bytes() else "done, but the file at the server is another"
    if run.staying is None:
        return f"failed with {job['Error']} although every fault passes"
    if job["Error"][1] not in STAYING[run.staying] or not job["Error"][2]:
        return f"failed with {job['Error']} for another reason than {run.staying}"
    return None


def carry_out(run, folder, certificates):
    """One run; returns what is wrong with it, or None."""
    home = Home()
    files = ["--tls-cert", certificates.server, "--tls-key", certificates.server_key] if run.over_tls else []
    server = BitsServer(Path(folder) / str(run.seed), *files, *run.options,
                        *[word for rule in run.rules for word in ("--fault", rule)])
    try:
        floor = {"FragmentFloor": run.fragment} if run.fragment < 5120 else {}
        bus = home.daemon(**{**TIMEOUT, **floor, "FragmentMin": min(run.fragment, 5120), "FragmentMax": run.fragment}).bus
        source = home.file(size=run.size)
        trust = {"cacert": str(certificates.ca)} if run.over_tls else {}
        number = bus.add(source, server.url + "/target", **trust)
        return judge(run, bus.wait(number, "done", "failed"), server, source)
    finally:
        server.stop()
        home.done()


def main():
    parser = argparse.ArgumentParser(description="Uploads to a server that goes wrong at random.")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="random-faults-") as folder:
        certificates = Certificates(Path(folder) / "certificates")
        for seed in range(options.seed, options.seed + options.runs):
            run = Run(seed)
            try:
                fault = carry_out(run, folder, certificates)
            except (AssertionError, OSError) as error:
                fault = str(error)
            if fault:
                wrong += 1
                print(f"{run}\n    {fault}", flush=True)
    print(f"{options.runs} runs, {wrong} did not end as they must")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
