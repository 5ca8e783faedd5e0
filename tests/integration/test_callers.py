# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who calls over a message bus: the bus is asked, and nobody else waits for its answer."""
import subprocess

import dbus
import pytest

from support.bus import Bus, BusError, options
from support.held_bus import HeldBus
from support.session_bus import SessionBus
from support.wait import DEADLINE_S, poll

URL = "http://127.0.0.1:9/x"
QUESTION = b"GetConnectionUnixUser"
ERROR = 3  # the type of an error reply


@pytest.fixture
def held(home, session_bus):
    """The bus as the daemon reaches it: a question who calls stays unanswered until it is let go."""
    bus = HeldBus(home.path / "held", session_bus.address, QUESTION)
    home.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address
    yield bus
    bus.stop()


def send(caller, method, signature, *arguments):
    """Without waiting: a function that does, and returns the answer."""
    message, answers = dbus.lowlevel.MethodCallMessage("org.bitsq1", "/org/bitsq1", "org.bitsq1.Manager", method), []
    message.append(*arguments, signature=signature)
    call = caller.connection.send_message_with_reply(message, answers.append, 60)
    caller.connection.flush()

    def answer():
        call.block()
        return answers[0]
    return answer


def send_part(caller, source, part, last):
    """Of a batch that has one job in each part, so that an order that changes is noticed."""
    row = dbus.Struct((dbus.ByteArray(bytes(source)), f"{URL}{part}", options({"hold": True})), signature="aysa{sv}")
    return send(caller, "AddJobs", "a(aysa{sv})a{sv}", [row],
                options({"batch": "list", "offset": part, "more": part < last}))


def reach(session_bus):
    """A caller on the bus, where the daemon is by now."""
    caller = Bus(session_bus.address, "org.bitsq1")
    poll(caller.is_there, "the daemon is on the bus")
    return caller


def test_a_bus_that_is_slow_to_say_who_calls_stops_nobody(home, session_bus, held):
    daemon, source = home.daemon(), home.file(size=10)
    caller = reach(session_bus)
    parts = [send_part(caller, source, part, 29) for part in range(10)]
    assert held.asked.wait(DEADLINE_S)
    assert daemon.bus.add(source, f"{URL}private", hold=True) == 1
    poll(lambda: held.has_read(b"AddJobs", 10), "all parts were read")
    assert daemon.bus.counts() == {"paused": 1}
    held.let_go()
    parts += [send_part(caller, source, part, 29) for part in range(10, 30)]  # read before or behind the answer
    for part in parts:
        answer = part()
        assert answer.get_type() != ERROR, answer.get_args_list()
    rows = daemon.bus.query(all=True)[0]
    assert [daemon.bus.job(row["Id"])["Url"] for row in rows] == [f"{URL}private", *(f"{URL}{part}" for part in range(30))]


def test_so_many_calls_may_wait_for_the_bus_and_no_more(home, session_bus, held):
    daemon, source = home.daemon(), dbus.ByteArray(bytes(home.file(size=10)))
    callers = [reach(session_bus) for _ in range(10)]
    calls = [send(caller, "AddJob", "aysa{sv}", source, f"{URL}{number}", options({"hold": True}))
             for number in range(30) for caller in callers]
    poll(lambda: held.has_read(b"AddJob", 300), "all calls were read")
    assert daemon.bus.counts() == {}
    held.let_go()
    answers = [call() for call in calls]
    refused = [answer for answer in answers if answer.get_type() == ERROR]
    assert len(refused) == 300 - 256 and daemon.bus.counts() == {"paused": 256}
    for answer in refused:
        assert answer.get_error_name() == "org.bitsq1.Error.LimitReached"
        assert "too many calls wait for the message bus" in answer.get_args_list()[0]
    assert callers[0].add(home.file(size=10), URL, hold=True)


def test_calls_that_wait_for_a_bus_that_goes_away_are_dropped(home, session_bus, held):
    daemon, source = home.daemon(), home.file(size=10)
    caller = reach(session_bus)
    for part in range(3):
        send_part(caller, source, part, 2)
    poll(lambda: held.has_read(b"AddJobs", 3), "all parts were read")
    held.stop()
    assert daemon.bus.add(source, URL, hold=True) == 1
    assert daemon.bus.counts() == {"paused": 1}


def test_the_bus_is_asked_once_who_a_caller_is(home, session_bus):
    bus = home.daemon().bus
    source = home.file(size=10)
    heard = home.path / "heard"
    with open(heard, "wb") as out:
        monitor = subprocess.Popen(["dbus-monitor", "--address", session_bus.address,
                                    "type='method_call',destination='org.freedesktop.DBus'",
                                    "type='method_call',destination='org.bitsq1'"], stdout=out, stdin=subprocess.DEVNULL)
    poll(lambda: "NameAcquired" in heard.read_text(), "the monitor is on the bus")
    callers = [Bus(session_bus.address, "org.bitsq1") for _ in range(40)]
    for number, caller in enumerate(callers):
        for turn in range(3):
            caller.add(source, f"http://127.0.0.1:9/{number}-{turn}", hold=True)
    callers[0].add(source, "http://127.0.0.1:9/last", hold=True)  # 39 others later, it has been forgotten
    poll(lambda: heard.read_text().count("member=AddJob") == 121, "the monitor has heard all calls")
    monitor.terminate()
    monitor.wait(60)
    assert heard.read_text().count("member=GetConnection") == 41
    assert bus.counts() == {"paused": 121}


def test_a_bus_that_does_not_say_who_calls_is_told_so(home):
    members = ("GetConnectionUnixUser", "GetConnectionCredentials")  # sd-bus asks for either
    bus = SessionBus(home, policy="".join(f'<deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus" send_member="{member}"/>'
                                          for member in members))
    try:
        caller = Bus(bus.address, "org.bitsq1")
        with pytest.raises(BusError) as error:
            caller.add(home.file(size=10), "http://127.0.0.1:9/", hold=True)
        assert error.value.name == "NotPermitted"
        assert "does not say who calls: Permission denied" in error.value.message and "policy" in error.value.message
        caller.close()
        assert home.bitsq("add", "--hold", home.file(size=10), "http://127.0.0.1:9/").code == 0
    finally:
        bus.stop()


