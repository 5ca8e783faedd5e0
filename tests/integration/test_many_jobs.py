# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands over more jobs than one transaction touches: answered when the intent is durable, and as if done then."""
import json
import threading
import time

import pytest

from support.bus import Bus, BusError, options, query
from support.preload import preload
from support.wait import poll

URL = "http://127.0.0.1:9/x"


LATER = {"RetryDelay": "1h", "RetryDelayMax": "1h"}


def settled(bus, **expected):
    """Waits until as many jobs as EXPECTED are in these states."""
    poll(lambda: bus.counts().items() >= expected.items(), lambda: f"the jobs are {expected}, but {bus.counts()}")


@pytest.fixture
def busy(home, serve):
    """A daemon whose only slot is taken by an upload that stands still."""
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon(MaxActive=1, **LATER)
    daemon.bus.add(home.file(size=100_000), f"{server.url}/still")
    poll(lambda: server.requests("fragment"), "the upload is under way")
    return daemon


def test_a_command_behind_pause_all_finds_the_jobs_paused(home, busy):
    """The pause was said first, though its turn comes later, and a kill in between changes nothing of that."""
    ids = busy.bus.add_many(home.file(size=10), URL, 3000)
    assert busy.bus.control("pause", all=True) == (3001, 0, [])
    busy.bus.verb(ids[2500], "Resume")
    busy.kill()
    busy.restart()
    settled(busy.bus, paused=3000)
    busy.bus.wait(ids[2500], "retrying")  # nobody listens there: it has been tried


def test_what_is_under_way_is_stopped_with_the_answer(home, serve):
    """Whoever pauses everything does not wait for a million jobs until the line is free."""
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon(MaxActive=2, MaxActivePerHost=2)
    source = home.file(size=100_000)
    daemon.bus.add_many(source, URL, 1500, hold=True)
    flying = [daemon.bus.add(source, f"{server.url}/{name}") for name in "ab"]
    poll(lambda: len(server.requests("fragment")) == 2, "both are under way")
    assert daemon.bus.control("pause", all=True) == (1502, 0, [])
    assert [daemon.bus.job(job)["State"] for job in flying] == ["paused", "paused"]
    settled(daemon.bus, paused=1502)


def test_jobs_that_refuse_and_numbers_without_a_job_are_told(home, busy):
    ids = busy.bus.add_many(home.file(size=10), URL, 1200, hold=True)
    for job in ids[:3]:
        busy.bus.verb(job, "Cancel")
    settled(busy.bus, paused=1197, cancelled=3)
    matched, failed, failures = busy.bus.control("resume", ids=[*ids, *range(9001, 9201)])
    assert (matched, failed, len(failures)) == (1400, 203, 100)
    assert failures[0] == (9001, "org.bitsq1.Error.NoSuchJob", 'there is no job 9001; "bitsq list" shows them')
    settled(busy.bus, queued=1197, cancelled=3)
    matched, failed, failures = busy.bus.control("resume", all=True)
    assert (matched, failed, len(failures)) == (1201, 1201, 100)
    assert failures[0][1] == "org.bitsq1.Error.InvalidState" and "only a paused job" in failures[0][2]


def test_a_state_that_people_see_selects_among_many(home, serve):
    """Those under way are stored as the queued ones are, and are not meant by "queued"."""
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon(MaxActive=2, MaxActivePerHost=2)
    source = home.file(size=100_000)
    flying = [daemon.bus.add(source, f"{server.url}/{name}") for name in "ab"]
    poll(lambda: len(server.requests("fragment")) == 2, "both are under way")
    daemon.bus.add_many(source, URL, 1500)
    assert daemon.bus.control("pause", state=["queued"])[:2] == (1500, 0)
    settled(daemon.bus, paused=1500, transferring=2)
    assert daemon.bus.control("cancel", state=["transferring"])[:2] == (2, 0)
    for job in flying:
        daemon.bus.wait(job, "cancelled")


def test_a_group_is_selected_among_many(home, busy):
    source = home.file(size=10)
    busy.bus.add_many(source, URL, 1500)
    busy.bus.add_many(source, URL, 1100, group="photos")
    assert busy.bus.control("pause", group="photos")[:2] == (1100, 0)
    settled(busy.bus, queued=1500, paused=1100)
    rows, _, _ = busy.bus.query(group="photos")
    assert len(rows) == 1000 and {row["State"] for row in rows} == {"paused"}


def test_settings_of_many_jobs_change_and_a_running_one_keeps_its_url(home, serve):
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon(MaxActive=1)
    source = home.file(size=100_000)
    running = daemon.bus.add(source, f"{server.url}/a")
    poll(lambda: server.requests("fragment"), "it is under way")
    ids = daemon.bus.add_many(source, URL, 1100, hold=True)
    changed = daemon.bus.manager("ControlJobs", "sa{sv}a{sv}", *set_call(url=f"{server.url}/b"))
    assert changed[:2] == (1101, 1) and changed[2][0][0] == running and "pause it first" in changed[2][0][2]
    poll(lambda: daemon.bus.job(ids[-1])["Url"] == f"{server.url}/b", "the last one has its new URL")
    assert daemon.bus.job(running)["Url"] == f"{server.url}/a"


def set_call(**values):
    return "set", query({"all": True}), options(values)


def test_ranges_have_a_bound_that_is_told(home):
    daemon = home.daemon()
    with pytest.raises(BusError) as refused:
        daemon.bus.control("pause", ids=list(range(1, 2 * 65537 + 1, 2)))
    assert refused.value.name == "LimitReached" and "65536 ranges" in refused.value.message
    assert daemon.bus.control("pause", ids=list(range(1, 2 * 65536 + 1, 2)))[:2] == (65536, 65536)


def test_a_job_that_has_nothing_at_a_server_is_cancelled_without_waiting_for_a_slot(home, busy):
    """A thousand of them would else take the slots of the uploads, one after the other."""
    ids = busy.bus.add_many(home.file(size=10), URL, 1100)
    assert busy.bus.control("cancel", ids=ids[:3])[:2] == (3, 0)
    assert [busy.bus.job(job)["State"] for job in ids[:3]] == ["cancelled"] * 3
    assert busy.bus.control("cancel", state=["queued"])[:2] == (1097, 0)
    settled(busy.bus, cancelled=1100, transferring=1)


def test_an_upload_that_ends_while_all_are_paused_is_not_counted_as_paused(home, serve):
    """Its last commit stands before the command in the writer's queue: the answer and the journal know that."""
    home.env.update({**preload("slow_sync"), "SLOW_SYNC_MSEC": "300"})
    server = serve()
    daemon = home.daemon()
    source = home.file(size=10)
    daemon.bus.add_many(source, URL, 1500, hold=True)
    ending = daemon.bus.add(source, f"{server.url}/target")
    poll(lambda: server.requests("close"), "the server has the whole file")
    matched, failed, failures = daemon.bus.control("pause", all=True)
    assert (matched, failed) == (1501, 1) and failures[0][0] == ending and "it is done" in failures[0][2]
    told = home.bitsq("events", "--json=lines").out.splitlines()
    assert [json.loads(line)["count"] for line in told if '"paused"' in line] == [1500]
    assert daemon.bus.job(ending)["State"] == "done"


def test_what_was_cancelled_can_be_removed_at_once(home, busy):
    """The list shows each job as the command that was answered will leave it, and so does the next command find it."""
    ids = busy.bus.add_many(home.file(size=10), URL, 2500)
    assert busy.bus.control("cancel", state=["queued"])[:2] == (2500, 0)
    assert busy.bus.job(ids[-1])["State"] == "cancelled"
    assert busy.bus.query(state=["queued"])[0] == []
    assert busy.bus.control("remove", state=["cancelled"])[:2] == (2500, 0)
    assert [row["State"] for row in busy.bus.query(all=True)[0]] == ["transferring"]
    poll(lambda: busy.bus.counts() == {"transferring": 1}, "the counts have come after")


def test_others_are_answered_while_a_command_counts_its_jobs(home):
    """Which takes thirty turns of the loop here: no caller waits for most of them."""
    daemon = home.daemon(**LATER)
    daemon.bus.add_many(home.file(size=10), URL, 30_000, hold=True)
    other, answers = Bus((home.state / "address").read_text().strip()), []
    other.get("Version")
    command = threading.Thread(target=lambda: answers.append(daemon.bus.control("retry", all=True)))
    moments = [time.monotonic()]
    command.start()
    while command.is_alive():
        other.get("Version")
        moments.append(time.monotonic())
    assert answers[0][:2] == (30_000, 30_000)  # none of them may be retried, so that little had to be written
    longest = max(after - before for before, after in zip(moments, moments[1:]))
    assert longest < (moments[-1] - moments[0]) / 2, (longest, moments[-1] - moments[0])
