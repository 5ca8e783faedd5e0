# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of this project and its build folder."""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BITSQ_BUILD", ROOT / "build-asan")).resolve()

# exitcode tells a sanitizer's report from a failed check; handle_abort prints the stack of an assert().
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=86:handle_abort=1:strict_string_checks=1:"
                    "detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=86",
}


def files():
    """All files of the project, tracked or about to be, as paths relative to ROOT."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return sorted(Path(name) for name in listed if name and (ROOT / name).is_file())


def sources(*folders, suffixes=(".c", ".h")):
    return [path for path in files() if path.suffix in suffixes and path.parts[0] in folders]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text, strings=True):
    """TEXT with comments blanked, and the contents of strings too; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[-1] if strings else token
    return _TOKEN.sub(blank, text)
