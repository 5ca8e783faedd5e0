# SPDX-License-Identifier: LGPL-2.1-or-later
"""bitsq stats: the queue by state, and totals that outlive jobs, kills and restarts."""
import pytest

from support.wait import poll

CLOSED = "http://127.0.0.1:9/x"
NOTHING = {"done": 0, "failed": 0, "cancelled": 0, "uploaded": 0, "resent": 0}


@pytest.fixture
def queue(home):
    home.daemon()
    return home


def totals(home):
    """As JSON has them, without the time; the same as D-Bus has them."""
    answer = home.bitsq("stats", "--json").json
    assert answer["schema"] == "bitsq.stats/1"
    told = home.daemons[0].bus.manager("GetTotals")
    since, figures = answer["totals"].pop("since"), answer["totals"]
    assert since.endswith("Z") and told.pop("since") > 0 and told == figures
    return figures


def test_a_new_queue_has_nothing(queue):
    shown = queue.bitsq("stats")
    assert shown.code == 0 and shown.err == "", shown
    lines = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert lines["queue"] == "0 jobs" and lines["active"] == "0" and "next" not in lines
    assert lines["ended"].startswith("0 done, 0 failed, 0 cancelled since ")
    assert lines["uploaded"] == "0 B, and 0 B sent again"
    assert totals(queue) == NOTHING


def test_the_queue_is_shown_by_state(queue, serve):
    server = serve()
    source = queue.file(size=300_000)
    assert queue.bitsq("add", "-w", "-q", source, f"{server.url}/x").code == 0
    held = [queue.bitsq("add", "--hold", source, CLOSED).ids[0] for _ in range(2)]
    assert queue.bitsq("cancel", str(held[0])).code == 0
    answer = queue.bitsq("stats", "--json").json
    assert {state: count for state, count in answer["jobs"].items() if count} == {"done": 1, "paused": 1, "cancelled": 1}
    assert (answer["active_jobs"], answer["rate"], answer["next_wakeup"]) == (0, 0, None)
    assert totals(queue) == {**NOTHING, "done": 1, "cancelled": 1, "uploaded": 300_000}
    shown = queue.bitsq("stats").out
    assert "queue     3 jobs: 1 paused, 1 done, 1 cancelled\n" in shown and "1 done, 0 failed, 1 cancelled" in shown
    assert "uploaded  293 KiB, and 0 B sent again" in shown or "uploaded  292.9 KiB" in shown, shown


def test_totals_outlive_the_jobs_and_a_kill(home, serve):
    daemon = home.daemon()
    server = serve()
    assert home.bitsq("add", "-w", "-q", home.file(size=1000), f"{server.url}/x").code == 0
    daemon.kill()
    daemon.restart()
    assert home.bitsq("remove", "--yes", "--all").code == 0
    assert totals(home) == {**NOTHING, "done": 1, "uploaded": 1000}
    assert home.bitsq("stats").out.startswith("queue     0 jobs\n")


def test_a_job_that_failed_and_is_tried_again_counts_each_byte_once(home, serve):
    home.daemon()
    server = serve("--fault", "close#1: status 403")
    job = home.bitsq("add", home.file(size=1000), f"{server.url}/x").ids[0]
    assert home.bitsq("wait", str(job)).code == 4
    assert totals(home) == {**NOTHING, "failed": 1, "uploaded": 1000}
    assert home.bitsq("retry", str(job)).code == 0 and home.bitsq("wait", str(job)).code == 0
    after = totals(home)
    assert (after["done"], after["failed"], after["uploaded"]) == (1, 1, 1000)


def test_a_command_over_many_jobs_counts_every_one(queue):
    bus = queue.daemons[0].bus
    bus.add_many(queue.file(size=10), CLOSED, 1500, hold=True)
    assert queue.bitsq("cancel", "--yes", "--all").code == 0
    poll(lambda: bus.counts() == {"cancelled": 1500}, "every job is cancelled")
    assert totals(queue) == {**NOTHING, "cancelled": 1500}


def test_nothing_may_follow(queue):
    refused = queue.bitsq("stats", "12")
    assert refused.code == 2 and refused.out == "" and "nothing may follow" in refused.err
