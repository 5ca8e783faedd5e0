# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from support import ways
from support.session_bus import SessionBus
from support.uploads import Case


@pytest.fixture(params=ways.ALL, ids=str)
def way(request, home):
    if request.param.bus == "private":
        yield request.param
        return
    bus = SessionBus(home, activation=False)
    home.message_bus = bus.address
    yield request.param
    bus.stop()


@pytest.fixture
def case(home, serve, way):
    return Case(home, serve, way)
