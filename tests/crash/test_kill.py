# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at named points and at random ones; kill.py says what it does, and runs longer by hand."""
import subprocess
import sys

import pytest

from support import tree
from support.resent import Account


@pytest.mark.first
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_lose_no_job_and_no_byte(seed):
    done = subprocess.run([sys.executable, tree.ROOT / "tests" / "crash" / "kill.py", "--kills", "40", "--seed", str(seed)],
                          capture_output=True, text=True, timeout=1500)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def fragment(time_usec, first, length, received, connection=None, status=200):
    return {"packet": "fragment", "time_usec": time_usec, "target": "/x", "body_received": received, "status": status,
            "connection": time_usec // 10 if connection is None else connection,
            "headers": {"content-range": f"bytes {first}-{first + length - 1}/100000", "content-length": str(length)}}


def test_what_comes_again_is_laid_to_the_kill_that_ended_the_life_in_which_it_came_before():
    """As drawn in resent.py: a fragment of 1,000, half of another one, a kill, a small one at the start, the rest."""
    account = Account([fragment(1, 0, 1000, 1000), fragment(2, 1000, 1000, 500),
                       fragment(11, 0, 50, 50), fragment(12, 1000, 1000, 1000)], [10], 50)
    assert account.resent == {(0, "/x"): 50 + 500} and account.bound == {(0, "/x"): 1050} and account.over() == []
    assert account.per_kill() == [550] and account.unprovoked == 0


def test_a_kill_that_costs_more_than_the_bound_is_found():
    account = Account([fragment(1, 0, 1000, 1000), fragment(2, 1000, 1000, 1000), fragment(11, 0, 2000, 2000)], [10], 50)
    assert account.over() == [((0, "/x"), 2000, 1050)]


def test_bytes_that_come_again_without_a_kill_are_found():
    account = Account([fragment(1, 0, 1000, 1000), fragment(2, 0, 1000, 1000)], [10], 50)
    assert account.unprovoked == 1000 and account.resent == {}


def test_what_the_server_reads_late_belongs_to_the_daemon_that_sent_it():
    account = Account([fragment(1, 0, 1000, 1000, 1), fragment(12, 1000, 1000, 1000, 1), fragment(20, 1000, 50, 50, 2)],
                      [10], 50)
    assert account.resent == {(0, "/x"): 50} and account.unprovoked == 0


def test_what_the_server_asks_for_again_is_laid_to_the_kill():
    """Half of a fragment arrived; the small first one of the next life is refused by 416 with an offset within it."""
    account = Account([fragment(1, 0, 1000, 20), fragment(11, 0, 50, 50, status=416), fragment(12, 20, 980, 980)], [10], 50)
    assert account.resent == {(0, "/x"): 50} and account.unprovoked == 0


def test_each_kill_costs_a_small_fragment_that_is_refused():
    """A kill in the middle of a fragment, and one before the answer to the small first one of the next life is stored."""
    account = Account([fragment(1, 0, 1000, 1000), fragment(2, 1000, 1000, 1000), fragment(11, 0, 50, 50, status=416),
                       fragment(21, 0, 50, 50, status=416), fragment(22, 1000, 1000, 1000)], [10, 20], 50)
    assert account.resent == {(0, "/x"): 50 + 1000, (1, "/x"): 50}
    assert account.over() == [] and account.unprovoked == 0


def test_a_refusal_before_any_kill_is_no_excuse():
    account = Account([fragment(1, 0, 50, 50, status=416), fragment(2, 0, 50, 50)], [10], 50)
    assert account.unprovoked == 50
