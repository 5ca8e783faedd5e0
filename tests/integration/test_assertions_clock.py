# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: a clock that jumps by a day changes no timer."""
import time

import pytest

from support import ways
from support.clock import Clock
from support.uploads import FS, SECOND, SMALL, TIMEOUT, Case

HOUR = 3600 * SECOND
either_way = pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])


@pytest.fixture
def way():
    """Without TLS: a certificate of today is rightly refused by a clock that is two days ahead."""
    return ways.Way("http", "private")


@pytest.fixture
def clock(home):
    return Clock(home)


@either_way
def test_a_clock_that_jumps_does_not_move_a_retry(clock, case: Case, days):
    """A server asks for 3 seconds, and the clock jumps meanwhile: the retry comes after 3 seconds."""
    case("fragment#2: status 503; retry-after 3")
    case.wait("retrying")
    clock.step(days)
    case.done()
    refused, again = case.server.requests()[2:4]
    assert 2.9 <= (again["time_usec"] - refused["end_usec"]) / SECOND <= 60
    assert case.starts() == [0, FS, FS, 2 * FS]


@either_way
def test_a_clock_that_jumps_does_not_move_the_response_timer(clock, case: Case, days):
    """Two seconds without an answer are two seconds."""
    case("fragment: stall", config={**SMALL, "ResponseTimeout": "2s"}, no_progress_timeout=0)
    case.wait_for("fragment")
    clock.step(days)
    start = time.monotonic()
    case.failed(TIMEOUT)
    assert 1 <= time.monotonic() - start <= 60


def test_a_clock_that_jumps_is_no_time_without_progress(clock, case: Case):
    """A job may be without progress for an hour; a jump of a day does not count."""
    case("create#1-3: status 503", no_progress_timeout=HOUR)
    case.wait_for("create")
    clock.step(1)
    job = case.done()
    assert len(job["AttemptLog"]) == 3


def test_a_clock_that_jumps_does_not_end_a_cancellation(clock, case: Case):
    """Cancel-Session is tried again for a day at most; a jump of two days does not make it one."""
    case("fragment#2: stall", "cancel#1-2: status 500")
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Cancel")
    case.wait_for("cancel")
    clock.step(2)
    case.wait("cancelled")
    assert case.packets().count("cancel") == 3


def test_the_step_is_one(clock, case: Case):
    """What the daemon says of a new job is the time of its clock: the tests above would prove nothing without."""
    clock.step(2)
    job = case("create: status 503; retry-after 3600").wait("retrying")
    assert job["Created"] / SECOND > time.time() + 86400
