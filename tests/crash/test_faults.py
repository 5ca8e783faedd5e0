# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that fail, and memory that is refused; faults.py says what it does, and runs through all of them by hand."""
import subprocess
import sys

import pytest

from crash import faults, preloaded
from support import tree


@pytest.mark.first
def test_a_call_that_fails_loses_nothing():
    done = subprocess.run([sys.executable, tree.ROOT / "tests" / "crash" / "faults.py", "--sample", "12"],
                          capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def outcome(phase, kind):
    result = faults.attempt(faults.Fault(phase, kind + faults.MENDED))
    assert result.problem is None, result.problem
    return result


def test_a_full_disk_shows_as_degraded_and_is_forgotten_when_there_is_space_again():
    assert outcome("submit", "write: ENOSPC").hit > 0


def test_an_upload_waits_for_a_disk_that_cannot_be_written_and_ends_then():
    assert outcome("transfer", "sync: EIO").hit > 0


def test_memory_is_refused_to_the_code_of_the_daemon():
    sites = faults.attempt(faults.Fault("submit", faults.MEMORY)).sites
    assert len(sites) > 20
    result = faults.attempt(faults.Fault("submit", faults.MEMORY, site=sites[0]))
    assert result.hit == 1


def test_a_start_without_memory_for_the_state_folder_says_what_it_was_for():
    name = {site: faults.name_of(site) for site in faults.attempt(faults.Fault("start", faults.MEMORY)).sites}
    sites = [site for site in name if name[site].startswith("statedir_open ")]
    assert sites, name
    results = [faults.attempt(faults.Fault("start", faults.MEMORY, site=site)) for site in sites]
    assert [(result.ended, result.problem) for result in results] == [(1, None)] * len(sites)


def test_the_control_block_is_the_one_that_the_library_maps(tmp_path):
    control = preloaded.Faults(tmp_path / "control")
    control.arm(preloaded.WRITE, 5, first=2, site=7)
    assert (tmp_path / "control").read_bytes()[:preloaded.TABLE].hex() == (
        "01000000" "05000000" + "0200000000000000" * 2 + "00" * 16 + "0700000000000000")
    control.close()


def test_a_job_that_found_no_memory_to_start_is_started_later():
    sites = faults.attempt(faults.Fault("single", faults.MEMORY)).sites
    wanted = [site for site in sites if faults.name_of(site).startswith(("runner_new ", "keep_host "))]
    assert wanted, [faults.name_of(site) for site in sites]
    results = [faults.attempt(faults.Fault("single", faults.MEMORY, site=site)) for site in wanted]
    assert [(result.hit, result.problem) for result in results] == [(1, None)] * len(wanted)
