# SPDX-License-Identifier: LGPL-2.1-or-later
"""One large file over loopback: bitsq add --wait against curl -T of the same file to the same server.

Pairs are interleaved, and every other pair begins with the other program. The time of bitsq is from the start of the
command to its end, its processor time that of the command and of the daemon. The file is on a disk and in memory, where
its pages have been written out; what arrives goes to a folder of its own.
"""
import os
import subprocess
import time
from pathlib import Path

import common


def measure_curl(url, source, target, words):
    start = time.monotonic()
    process = subprocess.Popen(["curl", "-sS", "-f", "--noproxy", "*", *words, "-T", source, "-o", "/dev/null",
                                url + target])
    code, cpu = common.await_child(process)
    return code, time.monotonic() - start, cpu


def measure_bitsq(daemon, url, source, target, words):
    before, start = common.cpu_seconds(daemon.pid), time.monotonic()
    code, cpu = common.await_child(daemon.spawn_bitsq("add", "--quiet", "--wait", *words, source, url + target))
    return code, time.monotonic() - start, cpu + common.cpu_seconds(daemon.pid) - before


def measure_pairs(options, root, runs):
    """RUNS by name, each takes a target and returns (code, wall, cpu): the (wall, cpu) of each run by name."""
    times = {name: [] for name in runs}
    for pair in range(-1, options.pairs):  # the first pair warms up
        for name in sorted(runs, reverse=pair % 2 == 0):
            target = f"{name}-{pair + 1}"
            code, wall, cpu = runs[name](target)
            arrived = root / target
            if code != 0 or arrived.stat().st_size != options.mib * common.MIB:
                common.die(f"{name} ended with {code}")
            arrived.unlink()
            if pair >= 0:
                times[name].append((wall, cpu))
    return times


def main(name, description, target, prepare):
    """PREPARE(folder) gives the options of the server, of curl and of bitsq."""
    arguments = common.parser(description)
    arguments.add_argument("--mib", type=int, default=4096, help="size of the file (%(default)s)")
    arguments.add_argument("--pairs", type=int, default=11, help="how many (%(default)s)")
    arguments.add_argument("--source-folder", type=Path, default=Path("/var/tmp"), help="where the file is (%(default)s)")
    options = arguments.parse_args()
    common.enter_namespace(options)
    programs = common.Programs(options)
    figures = common.Figures(name, options, mib=options.mib, pairs=options.pairs, medium=str(options.source_folder),
                             arrives=str(options.folder), network="loopback, cubic")
    with common.folder_in(options.folder) as folder, common.folder_in(options.source_folder) as source_folder:
        of_server, of_curl, of_bitsq = prepare(folder)
        with common.server(programs, folder / "root", *of_server) as (url, _), common.Daemon(programs, folder) as daemon:
            source = source_folder / "source"
            common.make_file(source, options.mib * common.MIB)
            os.sync()
            runs = {"curl": lambda target: measure_curl(url, source, target, of_curl),
                    "bitsq": lambda target: measure_bitsq(daemon, url, source, target, of_bitsq)}
            times = measure_pairs(options, folder / "root", runs)
    for index, what in enumerate(("wall", "cpu")):
        ratios = [mine[index] / theirs[index] for mine, theirs in zip(times["bitsq"], times["curl"])]
        figures.say_median(f"{name}.{what}_ratio", ratios, "x_curl", target)
        for program, measured in times.items():
            figures.say_median(f"{name}.{program}_{what}", [pair[index] for pair in measured], "s", "-")
    figures.write()
