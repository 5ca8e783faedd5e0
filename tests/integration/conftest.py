# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from support.uploads import Case


@pytest.fixture
def case(home, serve):
    return Case(home, serve)
