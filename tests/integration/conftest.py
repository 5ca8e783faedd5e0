# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from server.certificates import Certificates
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


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Of an authority of the tests' own, for every loopback address that a server of theirs listens on."""
    return Certificates(tmp_path_factory.mktemp("certificates"),
                        "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:::1")


@pytest.fixture
def case(home, serve, way, certificates):
    return Case(home, serve, way, certificates)
