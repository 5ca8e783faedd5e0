# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal: whoever was away, or whose daemon was killed, misses nothing and is told where something is missing."""
import json
import signal
import subprocess

import dbus
import pytest

from support.bus import BusError
from support.home import BITSQ
from support.preload import preload
from support.wait import DEADLINE_S, poll

URL = "http://127.0.0.1:9/x"
LATER = {"RetryDelay": "1h", "RetryDelayMax": "1h"}


def events(bus, after=0, limit=1000):
    """Everything behind AFTER as (sequence, what, details), and whether something is missing."""
    rows, gap, last = [], False, None
    while last != after:
        last = after
        page, after, missing = bus.manager("GetEvents", "tu", dbus.UInt64(after), dbus.UInt32(limit))
        rows += [(row[0], row[2], row[3]) for row in page]
        gap |= missing
    return rows, gap


def test_the_life_of_an_upload_stands_in_the_journal(home, serve, way):
    server = serve()
    daemon = home.daemon()
    job = daemon.bus.add(home.file(size=1000), f"{server.url}/target", name="report")
    daemon.bus.wait(job, "done")
    rows, gap = events(daemon.bus)
    assert [(what, details["job"], details["name"], details["count"]) for _, what, details in rows] == [
        ("added", job, "report", 1), ("started", job, "report", 1), ("done", job, "report", 1)] and not gap
    assert events(daemon.bus, after=2)[0] == rows[2:] == events(daemon.bus, after=2, limit=1)[0]


def test_an_error_is_told_with_its_reason_and_the_next_attempt(home):
    daemon = home.daemon(**LATER)
    job = daemon.bus.add(home.file(size=10), URL + "?signature=secret")
    daemon.bus.wait(job, "retrying")
    (_, _, details), = [row for row in events(daemon.bus)[0] if row[1] == "retrying"]
    assert details["error"][0] == "ERROR_CANNOT_CONNECT" and "no connection" in details["error"][2]
    # One is of the queue's time, the other the same moment as the wall clock will show it.
    assert abs(details["next_attempt"] - daemon.bus.job(job)["NextAttempt"]) < 1_000_000
    assert "secret" not in str(events(daemon.bus))


def test_a_kill_loses_no_event_and_numbers_go_on(home):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    job = daemon.bus.add(source, URL, hold=True)
    before, _ = events(daemon.bus)
    daemon.bus.verb(job, "Cancel")
    daemon.kill()
    daemon.restart()
    daemon.bus.wait(job, "cancelled")
    rows, gap = events(daemon.bus, after=before[-1][0])
    assert [what for _, what, _ in rows] == ["cancelled"] and not gap
    assert [sequence for sequence, _, _ in before + rows] == list(range(1, len(before + rows) + 1))


def test_a_command_over_many_jobs_is_one_event_with_their_number(home):
    daemon = home.daemon(**LATER)
    ids = daemon.bus.add_many(home.file(size=10), URL, 2500, hold=True)
    daemon.bus.control("cancel", ids=ids[:101])
    rows = [(what, details["count"]) for _, what, details in events(daemon.bus)[0] if "job" not in details]
    assert rows == [("added", 1000), ("added", 1000), ("added", 500), ("cancelling", 101)]


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_a_bound(home, limit):
    with pytest.raises(BusError) as error:
        home.daemon().bus.manager("GetEvents", "tu", dbus.UInt64(0), dbus.UInt32(limit))
    assert error.value.name == "InvalidArgument" and "1 to 1000" in error.value.message


def test_text_and_json_tell_the_same(home):
    daemon = home.daemon(**LATER)
    job = daemon.bus.add(home.file(size=10), URL, hold=True, name="holidays")
    daemon.bus.verb(job, "Resume")
    daemon.bus.wait(job, "retrying")
    lines = home.bitsq("events").out.splitlines()
    whole = home.bitsq("events", "--json").json
    single = [json.loads(line) for line in home.bitsq("events", "--json=lines").out.splitlines()]
    assert [(event["sequence"], event["event"]) for event in whole["events"]] == \
           [(event["sequence"], event["event"]) for event in single]
    assert len(lines) == len(single) and whole["schema"] == "bitsq.events/1" and whole["gap"] is False
    for line, event in zip(lines, single):
        assert line.startswith(f"{event['sequence']}  ") and f"{job} holidays: {event['event']}" in line
    assert whole["next"] == single[-1]["sequence"] and single[-1]["error"]["name"] == "ERROR_CANNOT_CONNECT"
    assert single[-1]["next_attempt"].endswith("Z") and "no connection" in lines[-1] and ", next " in lines[-1]
    since = home.bitsq("events", "--since", str(whole["next"] - 1), "--json").json["events"]
    assert [event["sequence"] for event in since] == [whole["next"]]
    assert home.bitsq("events", "--since", "x").code == 2


def test_what_an_event_advises_can_be_copied(home):
    bus = home.daemon().bus
    bus.add(home.file("first", size=10), URL, hold=True)
    job = bus.add(home.file(size=10), URL, auth="basic")
    assert bus.wait(job, "failed")["Error"][2].endswith("then: bitsq retry")
    last = home.bitsq("events").out.splitlines()[-1]
    assert f"then: bitsq retry {job}" in last, last


def test_a_gap_is_told(home):
    daemon = home.daemon(**LATER)
    daemon.bus.add(home.file(size=10), URL, hold=True)
    assert daemon.stop() == []
    (home.state / "queue" / "data.mdb").write_bytes(b"")  # the queue is lost, and with it what it told
    daemon.restart()
    daemon.bus.add(home.file(size=10), URL, hold=True)
    told = home.bitsq("events", "--since", "1")
    assert told.code == 0 and "not kept any more" in told.err and len(told.out.splitlines()) == 1
    answer = home.bitsq("events", "--since", "1", "--json").json
    assert answer["gap"] is True and answer["events"][0]["gap"] is True
    assert home.bitsq("events", "--since", str(answer["next"]), "--json").json["gap"] is False


def test_a_number_that_is_not_there_yet_is_told_as_what_it_is(home):
    home.daemon(**LATER).bus.add(home.file(size=10), URL, hold=True)
    told = home.bitsq("events", "--since", "99")
    assert told.code == 0 and len(told.out.splitlines()) == 1
    assert "no event 99 yet" in told.err and "not kept" not in told.err


class Follower:
    """bitsq events --follow, and what it has printed so far."""

    def __init__(self, home):
        self.out, self.err = home.path / "out", home.path / "err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([BITSQ, "events", "--follow"], env=home.env, stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL)

    def lines(self):
        return self.out.read_text().splitlines()

    def wait(self, count, what):
        poll(lambda: len(self.lines()) >= count, lambda: f"{what}, but {self.lines()} {self.err.read_text()}")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DEADLINE_S) == 130


def test_follow_goes_on_over_a_restart_and_says_how_to_go_on(home):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    first = daemon.bus.add(source, URL, hold=True)
    follower = Follower(home)
    follower.wait(1, "what was before is told")
    daemon.kill()
    daemon.restart()
    second = daemon.bus.add(source, URL, hold=True)
    follower.wait(2, "what came behind the restart is told")
    daemon.bus.verb(first, "Resume")
    follower.wait(4, "and what happens on")
    follower.interrupt()
    told = follower.lines()
    assert [int(line.split()[0]) for line in told] == list(range(1, len(told) + 1))
    for line, (job, what) in zip(told, ((first, "added"), (second, "added"), (first, "resumed"))):
        assert f"  {job} file.bin: {what}" in line
    notes = follower.err.read_text()
    assert "connecting again" in notes and f"--since {len(told)}" in notes


def test_follow_tells_of_a_first_request_though_nothing_happens_after_it(home, serve):
    """The disk is slow, so that the signal of the server's first answer comes before the event is there; then nothing
    moves, and no other signal makes up for one that is missing."""
    home.env.update({**preload("slow_sync"), "SLOW_SYNC_MSEC": "300"})
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon()
    follower = Follower(home)
    job = daemon.bus.add(home.file(size=1000), f"{server.url}/target")
    poll(lambda: server.requests("fragment"), "its bytes are on their way")
    follower.wait(2, "it has started")
    assert f"  {job} file.bin: started" in follower.lines()[-1]
    follower.interrupt()
