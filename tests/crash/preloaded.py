# SPDX-License-Identifier: LGPL-2.1-or-later
"""bitsqd with the library of preload.h in front of its calls: what it writes is recorded, what it asks for is refused."""
import mmap
import os
import re
import struct
import subprocess

from support import tree
from support.home import BITSQD

LIBRARY = tree.BUILD / "tests" / "crash" / "libcrashcalls.so"

# As in preload.h.
WRITE, SYNC, NAME, ROOM, DESCRIPTOR, READ, MEMORY = range(1, 8)
SHORT, SLOW = 1001, 1002
SITES = 8192
KIND, ACTION, FIRST, LAST, SEEN, HIT, SITE, TABLE = 0, 4, 8, 16, 24, 32, 40, 48
CONTROL_SIZE = TABLE + 8 * SITES


def environment(home, **variables):
    """What HOME's daemon needs to be started with the library."""
    assert LIBRARY.exists(), f"{LIBRARY} was not built"
    libraries = subprocess.run(["ldd", BITSQD], capture_output=True, text=True, check=True).stdout
    sanitizer = re.findall(r"=> (\S*/libasan\.so\S*)", libraries)
    env = {**home.env, "LD_PRELOAD": " ".join([str(LIBRARY), *sanitizer]),
           "BITSQ_CALLS_FOLDER": os.path.realpath(home.state), **{key: str(value) for key, value in variables.items()}}
    # The library comes before the sanitizer's own, to see the calls of memory first.
    env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
    return env


class Faults:
    """The file that faults.c maps: arm() says what is refused from now on, disarm() ends it."""

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as file:
            file.truncate(CONTROL_SIZE)
            self.map = mmap.mmap(file.fileno(), CONTROL_SIZE)

    def _number(self, at):
        return struct.unpack_from("=Q", self.map, at)[0]

    def arm(self, kind, action, first=1, last=None, site=0):
        self.disarm()
        struct.pack_into("=I", self.map, ACTION, action)
        struct.pack_into("=QQQQQ", self.map, FIRST, first, first if last is None else last, 0, 0, site)
        struct.pack_into("=I", self.map, KIND, kind)

    def disarm(self):
        struct.pack_into("=I", self.map, KIND, 0)

    @property
    def seen(self):
        return self._number(SEEN)

    @property
    def hit(self):
        return self._number(HIT)

    def sites(self):
        """Call sites that asked for memory, as offsets in bitsqd."""
        return sorted(site for site in struct.unpack_from(f"={SITES}Q", self.map, TABLE) if site)

    def close(self):
        self.map.close()
