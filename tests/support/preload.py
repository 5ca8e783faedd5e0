# SPDX-License-Identifier: LGPL-2.1-or-later
"""Libraries of the tests' own that the daemon of one test is started with."""
import re
import subprocess

from support import tree
from support.home import BITSQD


def preload(name):
    """The environment that puts tests/support/NAME.c, or tests/bench/slow_sync.c, between the daemon and the C library."""
    library = tree.BUILD / "tests" / ("bench/slow-sync.so" if name == "slow_sync" else f"support/lib{name}.so")
    assert library.exists(), f"{library} was not built"
    # A sanitizer's library has to come first.
    libraries = subprocess.run(["ldd", BITSQD], capture_output=True, text=True, check=True).stdout
    sanitizer = re.findall(r"=> (\S*/libasan\.so\S*)", libraries)
    return {"LD_PRELOAD": " ".join([*sanitizer, str(library)])}
