# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clock that jumps, for the daemon of one test: clockstep.c moves its CLOCK_REALTIME and no other clock."""
import re
import subprocess

from support import tree
from support.home import BITSQD

LIBRARY = tree.BUILD / "tests" / "support" / "libclockstep.so"
DAY_S = 86400


class Clock:
    def __init__(self, home):
        assert LIBRARY.exists(), f"{LIBRARY} was not built"
        self.file = home.path / "clock"
        self.step(0)
        # A sanitizer's library has to come first.
        libraries = subprocess.run(["ldd", BITSQD], capture_output=True, text=True, check=True).stdout
        sanitizer = re.findall(r"=> (\S*/libasan\.so\S*)", libraries)
        home.env.update({"LD_PRELOAD": " ".join([*sanitizer, str(LIBRARY)]), "CLOCKSTEP_FILE": str(self.file)})

    def step(self, days):
        """From now on the clock is so many days from the true time."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{days * DAY_S}\n", encoding="ascii")
        new.rename(self.file)
