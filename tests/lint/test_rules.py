# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/PROTOCOL.md names a test for every rule: each of them must exist."""
import re

import pytest

from support import tree

PAGE = tree.ROOT / "tests" / "PROTOCOL.md"
TEST_NAME = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+){2,})`")
DEFINITION = re.compile(r"^(?:static void|def) ([a-z]\w*)\(", re.M)


def rows():
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and not set(line) <= set("|-") and not line.endswith(("Proof |", "Test |")):
            yield number, cells


@pytest.fixture(scope="module", name="definitions")
def fixture_definitions():
    return {name for path in (tree.ROOT / "tests").rglob("test_*")
            if path.suffix in (".c", ".py") for name in DEFINITION.findall(path.read_text())}


def test_every_test_that_the_page_names_exists(definitions):
    missing = [f"{PAGE.name}:{number}: {name}" for number, cells in rows()
               for name in TEST_NAME.findall(cells[-1]) if name not in definitions]
    assert not missing, "\n".join(missing)


def test_every_rule_has_a_test_or_a_reason():
    bare = [f"{PAGE.name}:{number}: {cells[0]}" for number, cells in rows()
            if not TEST_NAME.search(cells[-1]) and not cells[-1].startswith("Left out")]
    assert not bare, "\n".join(bare)


def test_every_conformance_assertion_has_its_tests():
    numbered = {int(cells[0]): cells[1] for _, cells in rows() if len(cells) == 2 and cells[0].isdigit()
                and "test_assertion_" in cells[1]}
    assert [number for number in range(1, 41) if f"test_assertion_{number:02}_" not in numbered.get(number, "")] == []
