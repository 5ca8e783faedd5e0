# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults drawn at random: a patient client comes through each of them, and a seed repeats a run."""
import http.client
import itertools
import random
import subprocess

import pytest

from server.client import BINARY, DEADLINE

DATA = random.Random(1).randbytes(300000)
REQUESTS_MAX = 2000  # of one upload; who needs more goes round in circles


class Patient:
    """Uploads DATA, whatever happens; not fast, not clever, but right."""

    def __init__(self, client, target):
        self.client, self.target = client, target
        self.session, self.offset, self.size = None, 0, 30000

    def send(self, function, *arguments):
        """The Ack, or None if there was none."""
        try:
            answer = function(*arguments)
        except (ConnectionError, http.client.HTTPException):
            self.client.disconnect()
            return None
        return answer if (answer.headers["BITS-Packet-Type"] or "").lower() == "ack" else None

    def step(self):
        """One request; True once the upload has ended."""
        if self.session is None:
            answer = self.send(self.client.create, self.target)
            if answer is not None and answer.status in (200, 201):
                self.session, self.offset = answer.headers["BITS-Session-Id"], 0
            return False
        if self.offset < len(DATA):
            self.fragment()
            return False
        answer = self.send(self.client.close_session, self.session, self.target)
        # What is not known after a lost Ack to Close-Session has been closed.
        return answer is not None and (answer.status in (200, 201) or answer.error == "0x8020001F")

    def fragment(self):
        data = DATA[self.offset:self.offset + self.size]
        answer = self.send(self.client.fragment, self.session, self.offset, data, len(DATA), self.target)
        if answer is None:
            return
        said = answer.headers["BITS-Received-Content-Range"] or answer.headers["BITS-Recieved-Content-Range"]
        if answer.error == "0x8020001F" or (answer.status == 416 and said is None):
            self.session = None
        elif answer.status == 413:
            self.size = max(5120, self.size // 2)
        elif answer.status in (200, 416) and said is not None:
            self.offset = int(said)

    def run(self):
        for _ in range(REQUESTS_MAX):
            if self.step():
                return
        raise AssertionError("the upload never ends")


def drawn(server):
    return [(entry["n"], entry["fault"]) for entry in server.log() if entry["fault"]]


@pytest.mark.parametrize("mode", ["msdn", "spec"])
@pytest.mark.parametrize("seed", range(8))
def test_a_patient_client_comes_through(serve, seed, mode):
    server = serve("--random-faults", f"{seed}:60:40", "--mode", mode, "--error-header", "code")
    for number in range(4):
        Patient(server.client(), f"/{number}").run()
        assert (server.root / str(number)).read_bytes() == DATA
    assert len(drawn(server)) > 10


def test_a_seed_repeats_a_run_and_another_makes_another(serve, tmp_path):
    runs = []
    for number, seed in enumerate(["5:50", "5:50", "6:50"]):
        server = serve("--random-faults", seed)
        Patient(server.client(), f"/{number}").run()
        assert server.stop() == 0
        runs.append(drawn(server))
        server.log_path.unlink()
    assert runs[0] == runs[1] != runs[2]
    assert runs[0][0][1].startswith("random 5: ")


def test_the_number_of_faults_is_bounded_and_none_follows_another_of_its_packet(serve):
    server = serve("--random-faults", "3:100:7")
    client = server.client()
    for _ in range(40):
        try:
            client.send("Ping")
        except (ConnectionError, http.client.HTTPException):
            client.disconnect()
    faulty = [entry["fault"] is not None for entry in server.log()]
    assert faulty == [True, False] * 7 + [False] * 26


def test_every_fault_is_drawn_in_time(serve):
    seen = set()
    for seed in itertools.count():
        server = serve("--random-faults", f"{seed}:100:1000000")
        for number in range(10):
            Patient(server.client(), f"/{number}").run()
        seen |= {fault.split(": ", 1)[1] for _, fault in drawn(server)}
        assert server.stop() == 0
        server.log_path.unlink()
        # Ping, Cancel-Session and GET are none of what this client sends.
        if len(seen) >= 45 or seed == 20:
            break
    assert len(seen) >= 45
    assert {fault.split(" ")[0].rstrip(":") for fault in seen} == {"create", "fragment", "close"}


@pytest.mark.parametrize("argument", ["", "x", "1:101", "1:", "1:2:3:4", "1:2:", "-1", "99999999999999999999"])
def test_a_wrong_seed_is_refused(tmp_path, argument):
    done = subprocess.run([BINARY, "--root", tmp_path, "--random-faults", argument], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.returncode == 1 and done.stderr.startswith("bits-server: ")
