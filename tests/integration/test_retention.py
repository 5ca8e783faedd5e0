# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finished jobs are forgotten after a while: which of them, when, and what never is."""
import re
import subprocess
import time

import pytest

from server.application import Application
from server.scripted import ScriptedServer
from support.clock import Clock
from support.session_bus import SessionBus
from support.uploads import SMALL
from support.wait import poll

CLOSED = "http://127.0.0.1:9/x"


@pytest.fixture
def clock(home):
    return Clock(home)


@pytest.fixture
def server():
    with ScriptedServer() as running:
        yield running


def listed(bus):
    return [row["Id"] for row in bus.query(all=True)[0]]


def upload(home, bus, server, count=1):
    """COUNT jobs that are done, one behind the other."""
    source, ids = home.file("done.bin", size=10), []
    for _ in range(count):
        ids.append(bus.add(source, f"{server.url}done"))
        bus.wait(ids[-1], "done")
    return ids


def fail(home, bus):
    job = bus.add(home.file("failed.bin", size=10), CLOSED, no_progress_timeout=0)
    bus.wait(job, "failed")
    return job


def hold(home, bus):
    return bus.add(home.file("held.bin", size=10), CLOSED, hold=True)


def settle(home, bus):
    """What the daemon was told to remove before is removed now: the writer keeps the order. Returns a held job."""
    job = hold(home, bus)
    bus.verb(job, "Cancel")
    bus.wait(job, "cancelled")
    return job


def test_only_so_many_finished_jobs_stay_listed(home, server):
    """RetainJobs=3: the oldest that are done or cancelled make room; failed ones and those that are not over stay."""
    bus = home.daemon(RetainJobs=3).bus
    failed, held = fail(home, bus), hold(home, bus)
    ids = upload(home, bus, server, 5)
    poll(lambda: listed(bus) == [failed, held, *ids[2:]], lambda: f"{ids[:2]} are gone: {listed(bus)}")
    cancelled = settle(home, bus)
    poll(lambda: listed(bus) == [failed, held, *ids[3:], cancelled], lambda: f"{ids[2]} is gone: {listed(bus)}")
    assert "removed 1 finished jobs (RetainDays=30, RetainJobs=3)" in home.logs()


def test_new_limits_count_from_their_reload_on(home, server):
    bus = home.daemon(RetainJobs=0).bus
    ids = upload(home, bus, server, 4)
    home.config(RetainJobs=1)
    bus.manager("Reload")
    poll(lambda: listed(bus) == ids[3:], lambda: f"{ids[3]} alone is left: {listed(bus)}")


def test_limits_count_from_the_start_on(home, server):
    daemon = home.daemon()
    ids = upload(home, daemon.bus, server, 3)
    assert daemon.stop() == []
    home.config(RetainJobs=2)
    daemon.restart()
    poll(lambda: listed(daemon.bus) == ids[1:], lambda: f"{ids[0]} is gone: {listed(daemon.bus)}")


def test_what_finished_long_ago_is_gone_however_it_ended(home, server, clock):
    """31 days later: done and failed jobs are gone, what was never over is not, whatever its age."""
    daemon = home.daemon()
    done, failed, held = upload(home, daemon.bus, server)[0], fail(home, daemon.bus), hold(home, daemon.bus)
    assert daemon.stop() == []
    clock.step(29)
    daemon.restart()
    newer = settle(home, daemon.bus)
    assert listed(daemon.bus) == [done, failed, held, newer]
    assert daemon.stop() == []
    clock.step(31)
    daemon.restart()
    poll(lambda: listed(daemon.bus) == [held, newer], lambda: f"{done} and {failed} are gone: {listed(daemon.bus)}")


def test_nothing_is_forgotten_without_limits(home, server, clock):
    daemon = home.daemon(RetainDays=0, RetainJobs=0)
    ids = [*upload(home, daemon.bus, server), fail(home, daemon.bus)]
    assert daemon.stop() == []
    clock.step(3650)
    daemon.restart()
    settle(home, daemon.bus)
    assert listed(daemon.bus)[:2] == ids


def test_a_clock_that_jumps_by_years_forgets_nothing(home, server, clock):
    """The clock of a running daemon is set ahead by ten years: no job is ten years old for that."""
    bus = home.daemon(RetainDays=1).bus
    ids = [*upload(home, bus, server), fail(home, bus)]
    clock.step(3650)

    def has_read_the_clock():
        return bus.job(settle(home, bus))["Created"] / 1e6 > time.time() + 3600 * 86400
    poll(has_read_the_clock, "the daemon has read its clock")
    bus.manager("Reload")
    settle(home, bus)
    settle(home, bus)
    assert listed(bus)[:2] == ids
    assert "finished jobs (" not in home.logs()


def test_a_failed_job_is_cancelled_at_its_server_before_it_is_forgotten(home, serve, clock):
    server = serve("--fault", "fragment#2: status 403")
    daemon = home.daemon(RetainDays=1, **SMALL)
    job = daemon.bus.add(home.file(size=20_000), f"{server.url}/target", no_progress_timeout=0)
    daemon.bus.wait(job, "failed")
    assert not server.requests("cancel")
    assert daemon.stop() == []
    clock.step(2)
    daemon.restart()
    poll(lambda: listed(daemon.bus) == [], "the job is gone")
    assert len(server.requests("cancel")) == 1


def test_a_stored_reply_goes_with_its_job(home, serve):
    with Application(reply=lambda call: b"thanks") as application:
        server = serve("--notify-type", "2", "--notify-url", application.url)
        bus = home.daemon(RetainJobs=1).bus
        source = home.file(size=10)

        def replies():
            return [path.read_bytes() for path in (home.state / "replies").rglob("*") if path.is_file()]
        first = home.bitsq("add", "-w", "--reply", source, f"{server.url}/a").ids
        assert listed(bus) == first and replies() == [b"thanks"]
        second = home.bitsq("add", "-w", "--reply", source, f"{server.url}/b").ids
        poll(lambda: listed(bus) == second and len(replies()) == 1, lambda: f"one reply is left: {replies()}")


def test_who_watches_is_told_what_was_forgotten(home, server):
    session = SessionBus(home, activation=False)
    home.message_bus = session.address
    try:
        bus = home.daemon(RetainJobs=0).bus
        ids = upload(home, bus, server, 2)
        monitor = home.path / "monitor"
        with open(monitor, "wb") as out, subprocess.Popen(
                ["dbus-monitor", "--address", session.address, "type='signal',member='JobRemoved'"],
                env=home.env, stdout=out, stdin=subprocess.DEVNULL) as process:
            try:
                poll(lambda: b"NameAcquired" in monitor.read_bytes(), "the monitor listens")
                home.config(RetainJobs=1)
                bus.manager("Reload")
                poll(lambda: re.search(rb"member=JobRemoved\n +uint64 %d\n" % ids[0], monitor.read_bytes()),
                     "the signal came")
            finally:
                process.terminate()
    finally:
        session.stop()


@pytest.mark.parametrize("line", ["RetainDays=-1", "RetainDays=3651", "RetainDays=30d", "RetainJobs=2000001"])
def test_a_limit_that_makes_no_sense_is_refused(home, line):
    home.config(f"[bitsqd]\n{line}\n")
    done = subprocess.run([home.env["BITSQ_DAEMON"]], env=home.env, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1 and f"bitsqd.conf:2: {line} is not a valid value; it takes 0 to" in done.stderr, done
