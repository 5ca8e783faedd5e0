# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests that are written in C, as pytest items."""
import os
import re
import subprocess

import pytest

from support import tree

TIMEOUT_S = 600  # a bound against hanging, not an expectation

_MACRO = r"cmocka_unit_test(?:_setup_teardown|_setup|_teardown|_prestate|_prestate_setup_teardown)?"
# #define OPEN(test) cmocka_unit_test_setup_teardown(test, ...): OPEN(name) registers too
_WRAPPER = re.compile(rf"^[ \t]*#[ \t]*define[ \t]+(\w+)\(\s*(\w+)[^)]*\)(?:[ \t]|\\\n)*{_MACRO}\(\s*\2\b[^\n]*", re.M)


class CFailure(Exception):
    """What a C test printed."""


def registrations(text):
    """Names of the tests that a source registers, in order."""
    code = tree.without_comments(text)
    macros = [_MACRO, *(match.group(1) for match in _WRAPPER.finditer(code))]
    found = re.findall(rf"\b(?:{'|'.join(macros)})\(\s*(\w+)", _WRAPPER.sub("", code))
    return list(dict.fromkeys(found))


def run(command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, cwd=tree.ROOT,
                          stdin=subprocess.DEVNULL, env={**os.environ, **tree.SANITIZERS, **environment})
    return done.returncode, done.stdout + done.stderr


class CItem(pytest.Item):
    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, CFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, self.name


class CTestFile(pytest.File):
    def collect(self):
        for name in registrations(self.path.read_text(encoding="utf-8")) or [None]:
            yield CTest.from_parent(self, name=name or "registers_no_test", test=name)


class CTest(CItem):
    def __init__(self, *, test, **kwargs):
        super().__init__(**kwargs)
        self.test = test

    def runtest(self):
        if self.test is None:
            raise CFailure(f"{self.path} registers no test by cmocka_unit_test(NAME)")
        programs = [tree.BUILD / "tests" / folder / self.path.stem for folder in (self.path.parent.name, "unit")]
        program = next((path for path in programs if path.exists()), None)
        if program is None:
            raise CFailure(f"{programs[0]} was not built: declare it in CMake by bitsq_test()")
        status, output = run([program], BITSQ_TEST=self.test)
        if status != 0:
            raise CFailure(f"{self.test}: exit status {status}\n{output}")
        ran = re.findall(r"^\[\s+OK \] (\w+)", output, re.M)
        if ran != [self.test]:
            raise CFailure(f"expected to run {self.test} alone, ran {ran or 'nothing'}\n{output}")


class FuzzFolder(pytest.File):
    """tests/fuzz: each tests/fuzz/corpus/NAME is replayed by build-asan/tests/fuzz/run_NAME."""

    def collect(self):
        corpora = self.path.parent / "corpus"
        for folder in sorted(corpora.iterdir()) if corpora.is_dir() else []:
            if folder.is_dir():
                yield FuzzCorpus.from_parent(self, name=f"corpus_{folder.name}", folder=folder)


class FuzzCorpus(CItem):
    def __init__(self, *, folder, **kwargs):
        super().__init__(**kwargs)
        self.folder = folder

    def runtest(self):
        program = tree.BUILD / "tests" / "fuzz" / f"run_{self.folder.name}"
        inputs = sorted(path for path in self.folder.iterdir() if path.is_file())
        if not inputs or not program.exists():
            raise CFailure(f"{self.folder} is empty, or {program} was not built")
        status, output = run([program, *inputs])
        if status != 0:
            raise CFailure(f"{program.name}: exit status {status}\n{output}")
