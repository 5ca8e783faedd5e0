# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benches stay able to run: each says its options, and a tiny run of it prints its figures. No figure is judged."""
import json
import subprocess

import pytest

from support import tree

BENCHES = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "server-ceiling")
TINY = {
    "p1": ["--mib", "1", "--pairs", "1"],
    "p2": ["--mib", "1", "--pairs", "1"],
    "p3": ["--files", "20", "--pairs", "1"],
    "p4": ["--mib", "1", "--round-trip-ms", "5"],
    "p5": ["--jobs", "10", "--batch", "1500", "--others", "5", "--rounds", "1"],
    "p6": ["--jobs", "100", "--hosts", "3", "--pages", "2"],
    "p7": ["--jobs", "20", "--seconds", "1"],
    "p8": ["--with", "curl", "--kib", "1024", "--jobs", "2", "--seconds", "1"],
    "p9": ["--mib", "4", "--seconds", "1", "--sync-ms", "20", "--read-ms", "5"],
    "server-ceiling": ["--mib", "1", "--runs", "1"],
}


def run(name, *words):
    return subprocess.run([tree.ROOT / "tests/bench" / name, *map(str, words)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)


def trial(name, folder, *words):
    """The figures of a tiny run with the build that is tested, as printed and as written."""
    done = run(name, "--trial", "--build", tree.BUILD, "--folder", folder, "--disk", folder, "--json",
               folder / f"{name}.json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_tells_its_options(name):
    done = run(name, "--help")
    assert done.returncode == 0 and "--json" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", BENCHES)
def test_a_tiny_run_of_a_bench_prints_and_writes_its_figures(name, tmp_path):
    printed, written = trial(name, tmp_path, *TINY[name])
    assert written["schema"] == "bitsq.bench/1" and written["figures"]
    for figure in written["figures"]:
        assert f"{figure['name']} {figure['value']:.4g} {figure['unit']} {figure['target']}" in printed
        assert figure["name"].startswith(f"{name}.")


def test_a_rate_limit_is_measured_or_said_not_to_be_there(tmp_path):
    printed, written = trial("p8", tmp_path, "--kib", 1024, "--jobs", 1, "--seconds", 1)
    assert written["figures"] or "not built: this daemon has no rate limit" in printed
