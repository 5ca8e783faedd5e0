# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may know whom: the #include lines of the programs against the edges that the architecture allows."""
import re

import pytest

from support import tree

# What a box may include of ours; every box may include itself and base. A name with a slash is one header.
EDGES = {
    "base": set(),
    "core": set(),
    "store": {"core"},
    "net": {"core"},
    "io": {"core"},
    "sense": {"core"},
    "config": {"core"},
    "manager": {"store", "io", "sense", "core"},
    "bus": {"manager", "core", "dbus"},
    "main": {"store", "net", "io", "sense", "config", "core", "manager", "bus", "dbus"},
    "libbitsq": {"dbus", "bitsq"},
    "cli": {"bitsq"},
}

# Headers of others that only some boxes may see; a name with a slash is one file.
DOORS = {
    "systemd/sd-bus.h": {"bus", "sense", "libbitsq"},
    "systemd/sd-bus-vtable.h": {"bus"},
    "systemd/sd-event.h": {"net", "io", "sense", "manager", "bus", "main", "libbitsq"},
    "systemd/sd-daemon.h": {"manager", "main", "bus"},
    "systemd/sd-journal.h": {"manager", "main"},
    "curl/": {"net"},
    "lmdb.h": {"store/lmdb.c"},
    "libmnl/": {"sense"},
    "json-c/": {"cli"},
    "ini_config": {"config"},
    "microhttpd.h": set(),
}

# The headers of the C library that name no system call, clock, file or thread.
PURE = {
    "arpa/inet.h",  # inet_pton()
    "assert.h", "ctype.h", "endian.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h",
    "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h", "sys/param.h", "sys/types.h",
}
# Of those, core may use what only computes.
IMPURE_CALLS = re.compile(r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|fopen|fdopen|freopen|remove|rename|"
                          r"tmpfile|perror|getenv|setenv|system|exit|_exit|rand|random|srand|time|clock|getpid|getuid|"
                          r"open|read|write|close|socket|connect|send|recv|sleep|usleep|nanosleep)\s*\(")

CLOCKS = re.compile(r"\b(clock_gettime|gettimeofday|getrandom|getentropy|random|rand|time|moment_now|"
                    r"sd_id128_randomize|arc4random\w*)\s*\(")
# io/file stamps its look at a file as the machine stamps the file; io/pool bounds how long it waits for its threads; the
# spawner is a process of its own, and times what it runs; a token's end is a time from the moment that it was had.
CLOCKS_MAY = ("daemon/manager/", "daemon/main.c", "daemon/io/file.c", "daemon/io/pool.c",
              "daemon/io/spawner_process.c", "daemon/io/token.c", "libbitsq/base/moment.",
              "libbitsq/", "cli/")
CLOCKS_MAY_NOT = ("libbitsq/base/",)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.M)


def box_of(path):
    parts = path.parts
    if parts[0] == "libbitsq":
        return "base" if parts[1] == "base" else "libbitsq"
    if parts[0] == "cli":
        return "cli"
    if len(parts) == 2:
        return "config" if path.stem.startswith("config") else "main"
    return parts[1]


def door_is_open(path, header):
    for prefix, allowed in DOORS.items():
        if header == prefix or (prefix.endswith(("/", "config")) and header.startswith(prefix)):
            return box_of(path) in allowed or f"{path.parent.name}/{path.name}" in allowed
    return True


def edge_is_allowed(path, kind, header):
    """None, or why PATH may not include HEADER."""
    box = box_of(path)
    if kind == "<":
        if not door_is_open(path, header):
            return f"<{header}> is not for {box}"
        if box == "core" and header not in PURE:
            return f"core is pure: <{header}> is not on its list"
        return None
    target = header.split("/")[0] if "/" in header else ("config" if header.startswith("config") else box)
    if target in (box, "base") or target in EDGES[box]:
        if target == "net" and box not in ("net", "main"):
            return "net is reached through core/transfer.h only"
        return None
    if path.parts[0] == "daemon" and target in ("bitsq", "libbitsq"):
        return "the daemon never knows the library"
    return f"{box} may not include \"{header}\""


def findings(path, text):
    return [f"{path}: {why}" for kind, header in INCLUDE.findall(tree.without_comments(text, strings=False))
            if (why := edge_is_allowed(path, kind, header))]


SOURCES = tree.sources("daemon", "libbitsq", "cli")


def test_every_include_is_an_allowed_edge():
    assert not [finding for path in SOURCES for finding in findings(path, tree.read(path))]


@pytest.mark.parametrize("path, line", [
    ("daemon/core/session.c", '#include "store/store.h"'),
    ("daemon/core/session.c", "#include <unistd.h>"),
    ("daemon/core/session.c", "#include <time.h>"),
    ("daemon/core/proto.c", "#include <curl/curl.h>"),
    ("daemon/store/store.c", '#include "manager/manager.h"'),
    ("daemon/store/store.c", "#include <lmdb.h>"),
    ("daemon/store/store.c", "#include <systemd/sd-bus.h>"),
    ("daemon/net/net.c", '#include "io/source.h"'),
    ("daemon/io/source.c", '#include "net/net.h"'),
    ("daemon/manager/runner.c", '#include "net/net.h"'),
    ("daemon/manager/runner.c", '#include "bus/server.h"'),
    ("daemon/manager/runner.c", "#include <curl/curl.h>"),
    ("daemon/bus/job.c", '#include "store/store.h"'),
    ("daemon/bus/job.c", '#include "bitsq/bitsq.h"'),
    ("daemon/main.c", '#include "bitsq/bitsq.h"'),
    ("daemon/config.c", '#include "manager/manager.h"'),
    ("libbitsq/client.c", '#include "core/job.h"'),
    ("libbitsq/base/text.c", '#include "core/job.h"'),
    ("libbitsq/bitsq.h", "#include <microhttpd.h>"),
    ("cli/add.c", '#include "dbus/names.h"'),
    ("cli/add.c", "#include <systemd/sd-bus.h>"),
])
def test_a_forbidden_edge_is_found(path, line):
    assert findings(tree.Path(path), line + "\n")


@pytest.mark.parametrize("path, line", [
    ("daemon/core/session.c", '#include "base/parse.h"'),
    ("daemon/store/lmdb.c", "#include <lmdb.h>"),
    ("daemon/manager/runner.c", '#include "core/transfer.h"'),
    ("daemon/bus/job.c", '#include "dbus/vtables.h"'),
    ("daemon/main.c", '#include "net/net.h"'),
    ("daemon/config.c", '#include <ini_configobj.h>'),
    ("cli/add.c", '#include "bitsq/bitsq.h"'),
    ("daemon/io/source.c", '/* #include "net/net.h" */'),
])
def test_an_allowed_edge_is_no_finding(path, line):
    assert not findings(tree.Path(path), line + "\n")


# Random bytes that decide nothing: they only tell one thing from another.
RANDOM_NAMES = {
    ("daemon/bus/peer.c", "sd_id128_randomize"),  # the server id that D-Bus wants of each connection
    ("daemon/store/recover.c", "getrandom"),      # the identity of a new queue
}


def reads_clock(path, text):
    name = str(path)
    if name.startswith(CLOCKS_MAY) and not (name.startswith(CLOCKS_MAY_NOT) and "/moment." not in name):
        return []
    return [f"{path}: {match.group(0)}" for match in CLOCKS.finditer(tree.without_comments(text))
            if (name, match.group(1)) not in RANDOM_NAMES]


def test_clocks_and_randomness_are_read_only_in_the_manager_and_main():
    assert not [finding for path in SOURCES for finding in reads_clock(path, tree.read(path))]


def test_a_clock_in_the_wrong_place_is_found():
    assert reads_clock(tree.Path("daemon/store/store.c"), "    x = time (NULL);\n")
    assert reads_clock(tree.Path("daemon/core/backoff.c"), "    clock_gettime(CLOCK_REALTIME, &t);\n")
    assert reads_clock(tree.Path("libbitsq/base/text.c"), "    moment_now();\n")
    assert not reads_clock(tree.Path("daemon/core/backoff.c"), "/* time() */ next_time(x); wait_time = 0;\n")
    assert not reads_clock(tree.Path("daemon/manager/manager.c"), "    moment_now();\n")


def impure(path, text):
    return [f"{path}: {match.group(0)}" for match in IMPURE_CALLS.finditer(tree.without_comments(text))]


def test_core_only_computes():
    assert not [finding for path in SOURCES if box_of(path) == "core" for finding in impure(path, tree.read(path))]


def test_a_call_that_is_not_pure_is_found():
    assert impure(tree.Path("daemon/core/job.c"), '    printf("x");\n')
    assert not impure(tree.Path("daemon/core/job.c"), '    snprintf(out, n, "printf(");\n')
