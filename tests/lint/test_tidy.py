# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang-tidy with .clang-tidy over every source of the programs, one test a file so that they run in parallel."""
import json
import re
import subprocess

import pytest

from support import tree

# gcc's flags that clang does not know, and the sanitizers, whose instrumentation the analyzer does not need.
FOREIGN = re.compile(r"^-(fsanitize|fno-sanitize|fconserve-stack|Wno-maybe-uninitialized)")


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The build's compile commands in a form that clang reads."""
    entries = json.loads((tree.BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    for entry in entries:
        entry["command"] = " ".join(word for word in entry["command"].split(" ") if not FOREIGN.match(word))
    folder = tmp_path_factory.mktemp("tidy")
    (folder / "compile_commands.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder, {entry["file"] for entry in entries}


@pytest.mark.first
@pytest.mark.parametrize("source", [path for path in tree.sources("daemon", "libbitsq", "cli") if path.suffix == ".c"],
                         ids=str)
def test_clang_tidy_finds_nothing(source, commands):
    folder, built = commands
    assert str(tree.ROOT / source) in built, f"{source} is part of no target"
    done = subprocess.run(["clang-tidy", "--quiet", "-p", str(folder), str(tree.ROOT / source)], cwd=tree.ROOT,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
