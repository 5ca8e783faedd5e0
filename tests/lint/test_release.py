# SPDX-License-Identifier: LGPL-2.1-or-later
"""An assert() guards against our own bugs and stays in the builds that people run."""
import json
import shlex
import subprocess

import pytest

from support import tree


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The compile commands of a Release build."""
    folder = tmp_path_factory.mktemp("release")
    done = subprocess.run(["cmake", "-S", tree.ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                           "-DBITSQ_TESTS=OFF"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "compile_commands.json").read_text(encoding="utf-8"))


def test_a_release_build_defines_no_ndebug(release):
    assert release
    assert not [entry["file"] for entry in release if "NDEBUG" in entry["command"]]


def test_an_assert_fires_with_the_flags_of_a_release_build(release, tmp_path):
    flags = [word for word in shlex.split(release[0]["command"])[1:] if word.startswith(("-O", "-f", "-D", "-std", "-U"))]
    source = tmp_path / "fires.c"
    source.write_text("#include <assert.h>\nint main(int argc, char **argv) { (void)argv; assert(argc > 1); return 0; }\n")
    subprocess.run(["cc", *flags, "-o", tmp_path / "fires", source], check=True)
    done = subprocess.run([tmp_path / "fires"], capture_output=True, text=True)
    assert done.returncode < 0 and "argc > 1" in done.stderr
