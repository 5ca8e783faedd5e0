# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clock that jumps, for the daemon of one test: clockstep.c moves its CLOCK_REALTIME and no other clock."""
from support.preload import preload

DAY_S = 86400


class Clock:
    def __init__(self, home):
        self.file = home.path / "clock"
        self.step(0)
        home.env.update({**preload("clockstep"), "CLOCKSTEP_FILE": str(self.file)})

    def step(self, days):
        """From now on the clock is so many days from the true time."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{days * DAY_S}\n", encoding="ascii")
        new.rename(self.file)
