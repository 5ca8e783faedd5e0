# SPDX-License-Identifier: LGPL-2.1-or-later
"""House rules that a program can check."""
import re
import subprocess
import xml.dom.minidom

import pytest

from support import tree

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

C_SOURCES = tree.sources("daemon", "libbitsq", "cli", "tests", "packaging")
PROGRAM_SOURCES = tree.sources("daemon", "libbitsq", "cli")
# A table that a reader reviews line by line, a licence and text that others fixed may be as long as they are.
NO_SPDX = re.compile(r"^(LICENSE|\.git.*|\.clang-.*|\.editorconfig|README\.md|CHANGELOG\.md|tests/fuzz/corpus/.*|tests/data/queue-of-.*|"
                     r".*\.(png|gif|svg|txt|json|expected|golden|in)|packaging/debian/(changelog|control|copyright|"
                     r"source/.*|.*\.(install|links|docs|manpages|symbols)))$")


def is_text(path):
    return b"\0" not in (tree.ROOT / path).read_bytes()[:4096]


def test_every_file_names_its_licence():
    missing = [str(path) for path in tree.files() if not NO_SPDX.match(str(path)) and is_text(path)
               and "SPDX-License-Identifier: LGPL-2.1-or-later" not in "\n".join(tree.read(path).splitlines()[:5])]
    assert not missing


def test_no_file_is_longer_than_its_readers_like():
    long = [f"{path}: {lines} lines" for path in C_SOURCES + tree.sources("tests", "dbus", suffixes=(".py",))
            if (lines := len(tree.read(path).splitlines())) > FILE_LINES_MAX]
    assert not long


def functions(text):
    """(name, lines) of each function: with the layout that .clang-format gives, braces stand in the first column."""
    name, start = None, None
    for number, line in enumerate(tree.without_comments(text).splitlines()):
        if start is None and line.startswith("{") and name:
            start = number
        elif line.startswith("}") and start is not None:
            yield name, number - start + 1
            name, start = None, None
        elif start is None and (match := re.match(r"[A-Za-z_].*?\b(\w+)\(", line)) and not line.rstrip().endswith(";"):
            name = match.group(1)


def test_no_function_is_longer_than_a_screen():
    long = [f"{path}: {name}() has {lines} lines" for path in C_SOURCES if path.suffix == ".c"
            for name, lines in functions(tree.read(path)) if lines > FUNCTION_LINES_MAX]
    assert not long


def test_a_long_function_is_found():
    text = "static int f(int a,\n             int b)\n{\n" + "    a++;\n" * 70 + "}\n"
    assert list(functions("int g(void);\n" + text)) == [("f", 72)]


# Spelt so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PRIVATE = re.compile(r"\.\./" r"shared|/wo" r"rk/(main|shared)|/tmp" r"/wt/")


@pytest.mark.parametrize("pattern", [UNFINISHED, PRIVATE], ids=["unfinished work", "private paths"])
def test_no_file_mentions(pattern):
    hits = [f"{path}: {match.group(0)}" for path in tree.files()
            if is_text(path) and "fuzz/corpus" not in str(path) and path.name != "LICENSE"
            for match in pattern.finditer((tree.ROOT / path).read_text(encoding="utf-8", errors="replace"))]
    assert not hits


def test_clang_format_would_change_nothing():
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, C_SOURCES)], cwd=tree.ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_headers_are_guarded_once():
    assert not [str(path) for path in C_SOURCES if path.suffix == ".h" and path.name != "bitsq.h"
                and "#pragma once" not in tree.read(path)]


def shell_scripts():
    for path in tree.files():
        if path.suffix == ".sh" or (path.suffix == "" and "corpus" not in path.parts and is_text(path)
                                    and re.match(r"#!.*\b(ba|da)?sh\b", tree.read(path)[:64])):
            yield path


def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", "-x", *map(str, shell_scripts())], cwd=tree.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_xml_is_well_formed():
    checked = [xml.dom.minidom.parse(str(tree.ROOT / path)) for path in tree.files() if path.suffix == ".xml"]
    assert checked


# Every descriptor is closed by exec: call, what its line must name.
DESCRIPTORS = [
    (r"open", "O_CLOEXEC"), (r"openat", "O_CLOEXEC"), (r"openat2", "O_CLOEXEC"), (r"mkostemp", "O_CLOEXEC"),
    (r"pipe2", "O_CLOEXEC"), (r"socket", "SOCK_CLOEXEC"), (r"socketpair", "SOCK_CLOEXEC"),
    (r"accept4", "SOCK_CLOEXEC"), (r"eventfd", "EFD_CLOEXEC"), (r"epoll_create1", "EPOLL_CLOEXEC"),
    (r"inotify_init1", "IN_CLOEXEC"), (r"signalfd", "SFD_CLOEXEC"), (r"timerfd_create", "TFD_CLOEXEC"),
    (r"memfd_create", "MFD_CLOEXEC"), (r"fopen", 'e"'), (r"fdopen", ""), (r"popen", 'e"'),
]
NEVER = re.compile(r"(?<![\w.>])(accept|pipe|dup|epoll_create|inotify_init|creat|mkstemp|F_DUPFD)\b\s*[(,]")


def leaks(text):
    """Calls whose descriptor would survive an exec."""
    code = tree.without_comments(text, strings=False)
    for name, flag in DESCRIPTORS:
        for match in re.finditer(rf"(?<![\w.>]){name}\s*\((.*?)\)\s*[;,)&|<>=!?{{]", code, re.S):
            if flag not in match.group(1) and "..." not in match.group(1):
                yield match.group(0)
    for match in NEVER.finditer(tree.without_comments(text)):
        yield match.group(0)


def test_every_descriptor_is_closed_by_exec():
    assert not [f"{path}: {call}" for path in PROGRAM_SOURCES if path.suffix == ".c" for call in leaks(tree.read(path))]


def test_a_descriptor_that_survives_exec_is_found():
    assert list(leaks("    fd = open(path, O_RDONLY);\n"))
    assert list(leaks('    f = fopen(path, "r");\n'))
    assert list(leaks("    fd = accept(listener, NULL, NULL);\n"))
    assert list(leaks("    fd = fcntl(fd, F_DUPFD, 3);\n"))
    assert not list(leaks("    fd = open(path, O_RDONLY |\n              O_CLOEXEC);\n"))
    assert not list(leaks('    f = fopen(path, "re");\n    source_open(path, 0);\n    loop->accept(x);\n'))
