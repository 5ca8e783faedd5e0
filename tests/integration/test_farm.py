# SPDX-License-Identifier: LGPL-2.1-or-later
"""A farm: BITS servers behind a balancer know nothing of each other's sessions."""
import pytest

from support.farm import NODES, Farm
from support.uploads import FS, SMALL

SIZE = 10 * FS
FAULT = ("--fault", "fragment#4: status 503")


@pytest.fixture
def farm(tmp_path, serve):
    farms = []

    def start(**keywords):
        farms.append(Farm(tmp_path, serve, *FAULT, **keywords))
        return farms[-1]
    yield start
    for each in farms:
        each.stop()


def upload_past_a_change_of_node(home, farm):
    """Stops at the fourth Fragment; then the balancer leads everybody to the other node, and the job goes on."""
    daemon = home.daemon(**SMALL)
    source = home.file(size=SIZE)
    job = daemon.bus.add(source, farm.url + "/target", retry_delay=3_600_000_000)
    daemon.bus.wait(job, "retrying")
    first, = [name for name, node in farm.nodes.items() if node.requests("create")]
    farm.leave_out(first)
    for _ in range(2):  # each node stops once at its fourth Fragment
        daemon.bus.verb(job, "Retry")
        done = daemon.bus.wait(job, "done", "failed", "retrying")
        if done["State"] == "done":
            break
    assert done["State"] == "done", done
    other, = set(farm.nodes) - {first}
    return source.read_bytes(), done, farm.nodes[first], farm.nodes[other], first


def starts(node):
    return [int(entry["headers"]["content-range"].split()[1].split("-")[0]) for entry in node.requests("fragment")]


def test_with_a_host_id_a_session_stays_where_it_lives(home, farm):
    data, done, first, other, name = upload_past_a_change_of_node(home, farm(host_id=True))
    assert (first.root / "target").read_bytes() == data
    assert len(first.requests("create")) == 1 and not other.requests()
    assert starts(first) == [0, FS, 2 * FS, 3 * FS, *range(3 * FS, SIZE, FS)]
    assert done["Resent"] == FS and NODES[name] in done["Server"]["host"]


def test_without_one_the_upload_begins_anew_at_the_other_node_and_ends_identical(home, farm):
    data, _, first, other, _ = upload_past_a_change_of_node(home, farm())
    assert (other.root / "target").read_bytes() == data and not (first.root / "target").exists()
    assert other.requests("fragment")[0]["status"] == 500 and len(other.requests("create")) == 1
    assert starts(other)[:2] == [3 * FS, 0]  # refused, and anew
