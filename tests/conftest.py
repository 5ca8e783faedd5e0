# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes one test of each registered cmocka test and of each fuzz corpus, and counts what tests/run prints."""
import fnmatch
import os
from pathlib import Path

import pytest

from support import tree
from support.ctests import CTestFile, FuzzFolder

pytest_plugins = ["support.fixtures"]


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.name.startswith("test_") and file_path.parent.name in ("unit", "model"):
        return CTestFile.from_parent(parent, path=file_path)
    if file_path.name == "CMakeLists.txt" and file_path.parent.name == "fuzz":
        return FuzzFolder.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items):
    # Long tests first, so that no worker is left alone with one at the end.
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def allowed_skips():
    patterns = []
    for line in (tree.ROOT / "tests" / "may-skip").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            patterns.append(line.split()[0])
    return patterns


def is_controller(config):
    return not hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    if not is_controller(config):
        return
    stats = terminalreporter.stats
    count = lambda *names: sum(len(stats.get(name, [])) for name in names)
    unlisted = [report.nodeid for report in stats.get("skipped", [])
                if not any(fnmatch.fnmatch(report.nodeid, pattern) for pattern in allowed_skips())]
    for nodeid in unlisted:
        terminalreporter.write_line(f"{nodeid} was skipped, but tests/may-skip does not list it", red=True)
    config.stash[UNLISTED] = len(unlisted)
    totals = (count("passed", "xpassed"), count("failed", "error", "xfailed"), count("skipped"))
    if path := os.environ.get("BITSQ_TEST_TOTALS"):
        Path(path).write_text("{} passed, {} failed, {} skipped\n".format(*totals), encoding="ascii")
    config.stash[RAN] = totals[0] + totals[1]


UNLISTED = pytest.StashKey()
RAN = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    yield  # the summary is written within
    if is_controller(session.config) and session.exitstatus == 0:
        stash = session.config.stash
        if stash.get(UNLISTED, 0) or not stash.get(RAN, 0):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
