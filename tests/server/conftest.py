# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the tests of the test server itself."""
import pytest

from server.client import Server


@pytest.fixture
def serve(tmp_path):
    """serve("--mode", "spec") starts a server with these options; each must end cleanly."""
    servers = []

    def start(*options):
        servers.append(Server(tmp_path, *options))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.returncode is None:
            assert server.stop() == 0
