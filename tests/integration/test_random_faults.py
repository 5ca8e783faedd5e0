# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uploads to a server that goes wrong at random; random_faults.py beside this file does more of them by hand."""
import pytest

from integration.random_faults import Run, carry_out


@pytest.mark.parametrize("seed", range(30))
def test_an_upload_ends_as_it_must_whatever_the_server_does(seed, tmp_path, certificates):
    run = Run(seed)
    assert carry_out(run, tmp_path, certificates) is None, run
