# SPDX-License-Identifier: LGPL-2.1-or-later
"""One batch in many calls: all of it or nothing, whatever happens on the way."""
import subprocess

import dbus
import pytest

from support.bus import BusError, options
from support.home import BITSQD
from support.preload import preload
from support.wait import poll

URL = "http://127.0.0.1:9/x"
LATER = {"RetryDelay": "1h", "RetryDelayMax": "1h"}


def add_part(bus, source, token, offset, count, more=True, **values):
    """One call of a batch; returns its ids."""
    chosen = options({"hold": True, **values})
    rows = [dbus.Struct((dbus.ByteArray(bytes(source)), f"{URL}{offset + i}", chosen), signature="aysa{sv}")
            for i in range(count)]
    return bus.manager("AddJobs", "a(aysa{sv})a{sv}", rows, options({"batch": token, "offset": offset, "more": more}))


def refused(bus, *arguments, **values):
    with pytest.raises(BusError) as error:
        add_part(bus, *arguments, **values)
    return error.value


def test_nobody_sees_a_batch_before_its_last_part(home, way):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    ids = add_part(daemon.bus, source, "list", 0, 1000)
    ids += add_part(daemon.bus, source, "list", 1000, 1000)
    assert daemon.bus.counts() == {} and daemon.bus.query(all=True)[0] == []
    with pytest.raises(BusError):
        daemon.bus.job(ids[0])
    ids += add_part(daemon.bus, source, "list", 2000, 500, more=False)
    assert daemon.bus.counts() == {"paused": 2500} and ids == sorted(set(ids))
    assert daemon.bus.job(ids[1234])["Url"] == f"{URL}1234"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_batch_that_the_daemon_did_not_outlive_leaves_nothing(home, how):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    first = add_part(daemon.bus, source, "list", 0, 1000)
    add_part(daemon.bus, source, "list", 1000, 1000)
    alone = daemon.bus.add(source, URL, hold=True)
    if how == "kill":
        daemon.kill()
    else:
        assert daemon.stop() == []
    daemon.restart()
    assert daemon.bus.counts() == {"paused": 1} and [row["Id"] for row in daemon.bus.query(all=True)[0]] == [alone]
    error = refused(daemon.bus, source, "list", 2000, 1, more=False)
    assert error.name == "InvalidArgument" and "begin it again" in error.message
    again = add_part(daemon.bus, source, "list", 0, 1000)
    again += add_part(daemon.bus, source, "list", 1000, 1, more=False)
    assert daemon.bus.counts() == {"paused": 1002} and min(again) > max(first)


def test_a_part_that_fails_takes_the_others_with_it(home):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    add_part(daemon.bus, source, "list", 0, 1000)
    error = refused(daemon.bus, home.path / "not there", "list", 1000, 5)
    assert error.name == "SourceUnreadable" and "not there" in error.message
    error = refused(daemon.bus, source, "list", 1005, 5, more=False)
    assert error.name == "InvalidArgument" and "nothing of it was queued" in error.message
    assert daemon.bus.counts() == {}
    add_part(daemon.bus, source, "list", 0, 5)
    add_part(daemon.bus, source, "list", 5, 5, more=False)
    assert daemon.bus.counts() == {"paused": 10}


def test_a_batch_whose_caller_does_not_come_back_is_given_up(home):
    home.config("[bitsqd]\nRetryDelay=1h\nMaxJobs=1500\n[Test]\nBatchTimeout=50ms\n")
    daemon = home.daemon()
    source = home.file(size=10)
    add_part(daemon.bus, source, "list", 0, 1000)

    def has_room():
        try:
            return daemon.bus.add_many(source, URL, 1000, hold=True)
        except BusError as error:
            assert error.name == "LimitReached"
        return None
    poll(has_room, "what nobody came back for makes room")
    assert "is not known" in refused(daemon.bus, source, "list", 1000, 1).message


def test_parts_must_follow_each_other(home):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    add_part(daemon.bus, source, "list", 0, 10)
    for offset in (0, 9, 11):
        assert "has 10 jobs so far" in refused(daemon.bus, source, "list", offset, 1).message
    assert "1 to 64 bytes" in refused(daemon.bus, source, "x" * 65, 0, 1).message
    assert "1 to 64 bytes" in refused(daemon.bus, source, "", 0, 1).message
    assert "replace" in refused(daemon.bus, source, "other", 0, 1, key="k", if_exists="replace").message
    add_part(daemon.bus, source, "list", 10, 1, more=False)
    assert daemon.bus.counts() == {"paused": 11}


def test_so_many_batches_and_no_more_are_open(home):
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    for number in range(16):
        add_part(daemon.bus, source, f"list {number}", 0, 1)
    error = refused(daemon.bus, source, "list 16", 0, 1)
    assert error.name == "LimitReached" and "16 batches" in error.message
    add_part(daemon.bus, source, "list 3", 1, 1, more=False)
    add_part(daemon.bus, source, "list 16", 0, 1)


def test_calls_that_come_too_quickly_wait_for_room_in_their_order(home):
    """All sent before the first answer is read: the jobs of 20 calls do not stand in memory at once."""
    daemon = home.daemon(**LATER)
    source, chosen, answers = dbus.ByteArray(bytes(home.file(size=10))), options({"hold": True}), []
    calls = []
    for number in range(20):
        rows = [dbus.Struct((source, f"{URL}{number}-{i}", chosen), signature="aysa{sv}") for i in range(1000)]
        message = dbus.lowlevel.MethodCallMessage(None, "/org/bitsq1", "org.bitsq1.Manager", "AddJobs")
        message.append(rows, options({"batch": "list", "offset": number * 1000, "more": number < 19}),
                       signature="a(aysa{sv})a{sv}")
        calls.append(daemon.bus.connection.send_message_with_reply(message, answers.append, 60))
    for call in calls:
        call.block()
    assert daemon.bus.counts() == {"paused": 20000}
    ids = [row["Id"] for row in daemon.bus.query(all=True)[0]]
    assert daemon.bus.job(ids[0])["Url"] == f"{URL}0-0"


def test_so_many_jobs_may_wait_to_be_added_and_no_more(home):
    """4,000 on their way and 32,000 behind them; who sends more before it reads an answer is told so."""
    home.env.update({**preload("slow_sync"), "SLOW_SYNC_MSEC": "150"})
    daemon = home.daemon(**LATER)
    source, chosen = dbus.ByteArray(bytes(home.file(size=10))), options({"hold": True})
    calls, answers = [], []
    for number in range(60):
        message = dbus.lowlevel.MethodCallMessage(None, "/org/bitsq1", "org.bitsq1.Manager", "AddJobs")
        message.append([dbus.Struct((source, f"{URL}{number}-{i}", chosen), signature="aysa{sv}") for i in range(1000)],
                       options({}), signature="a(aysa{sv})a{sv}")
        calls.append(message)
    pending = [daemon.bus.connection.send_message_with_reply(message, answers.append, 60) for message in calls]
    for call in pending:
        call.block()
    refused = [answer for answer in answers if answer.get_type() == 3]
    accepted = len(answers) - len(refused)
    assert accepted >= 36 and refused and daemon.bus.counts() == {"paused": 1000 * accepted}
    for answer in refused:
        assert answer.get_error_name().endswith(".LimitReached") and "wait for the answers" in answer.get_args_list()[0]


def test_a_start_that_fails_leaves_the_rest_of_a_batch_to_the_next_one(home):
    """What the start had begun to take back is under way when it fails."""
    daemon = home.daemon(**LATER)
    source = home.file(size=10)
    add_part(daemon.bus, source, "list", 0, 1000)
    daemon.kill()
    place = home.state / "socket"
    place.unlink(missing_ok=True)
    place.mkdir()
    failed = subprocess.run([BITSQD], env=home.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert failed.returncode == 1, failed
    assert "cannot listen on the private socket: Is a directory" in failed.stderr, failed
    place.rmdir()
    daemon.start()
    assert daemon.bus.counts() == {}
    assert daemon.bus.add_many(source, URL, 1000, hold=True)
