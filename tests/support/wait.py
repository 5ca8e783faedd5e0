# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for what another process does: by looking often, with a bound that only a hang ever reaches."""
import time

DEADLINE_S = 60
POLL_S = 0.01


def poll(condition, what, deadline_s=DEADLINE_S):
    """The first true value of condition(); WHAT is said where it never comes."""
    end = time.monotonic() + deadline_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what}: not within {deadline_s} s")
        time.sleep(POLL_S)
