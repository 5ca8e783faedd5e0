# SPDX-License-Identifier: LGPL-2.1-or-later
"""The battery as UPower tells of it, and sleep as logind does."""
import dbus
import dbus.lowlevel
import pytest

from support.sense import MOCK, SystemBus, Watch
from support.wait import poll

UPOWER, UPOWER_PATH = "org.freedesktop.UPower", "/org/freedesktop/UPower"
BATTERY, BATTERY_PATH = "org.freedesktop.UPower.Device", "/org/freedesktop/UPower/devices/DisplayDevice"
LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
LOGIND_INTERFACE = "org.freedesktop.login1.Manager"
NOBODY_SAYS = "unknown mains -"
DELAY, IDLE = ("sleep", "bitsq", "delay"), ("idle", "bitsq", "block")


@pytest.fixture
def bus(home):
    made = SystemBus(home)
    yield made
    made.stop()


@pytest.fixture
def watch(home, bus):
    started = Watch(home, "power", bus.address)
    yield started
    started.stop()


def set_battery(bus, **values):
    bus.set(UPOWER, BATTERY_PATH, BATTERY, **values)


def inhibitors(bus):
    """(what, who, mode) of each."""
    held = bus.object(LOGIND, LOGIND_PATH).ListInhibitors(dbus_interface=LOGIND_INTERFACE)
    return sorted((str(what), str(who), str(mode)) for what, who, why, mode, *_ in held if str(why))


def until_held(bus, *wanted):
    poll(lambda: inhibitors(bus) == sorted(wanted), lambda: f"{wanted} are held, but {inhibitors(bus)}")


def prepare_for_sleep(bus, begins):
    bus.object(LOGIND, LOGIND_PATH).EmitSignal(LOGIND_INTERFACE, "PrepareForSleep", "b", [begins], dbus_interface=MOCK)


# ---- the battery ----

def test_without_a_bus_the_machine_is_on_mains(watch):
    assert watch.ask("power") == NOBODY_SAYS
    for command in ("hold", "allow", "release"):
        assert watch.ask(command) == "ok"


def test_a_battery_is_told_of_with_every_change(bus, watch):
    bus.start()
    bus.mock(UPOWER, "upower")
    watch.until("known mains -", "power")
    steps = [(lambda: set_battery(bus, IsPresent=True, Percentage=80.0), "known mains 80"),
             (lambda: bus.set(UPOWER, UPOWER_PATH, UPOWER, OnBattery=True), "known battery 80"),
             (lambda: set_battery(bus, Percentage=19.99), "known battery 19"),
             (lambda: set_battery(bus, IsPresent=False), "known battery -"),
             (lambda: bus.set(UPOWER, UPOWER_PATH, UPOWER, OnBattery=False), "known mains -")]
    for step, said in steps:
        before = len(watch.events)
        step()
        watch.until(said, "power")
        watch.told(before + 1)


def test_what_is_not_different_is_not_told(bus, watch):
    bus.start()
    bus.mock(UPOWER, "upower", OnBattery=True)
    watch.until("known battery -", "power")
    set_battery(bus, IsPresent=True, Percentage=50.2)
    watch.until("known battery 50", "power")
    before = len(watch.events)
    set_battery(bus, Percentage=50.7, TimeToEmpty=dbus.Int64(100))
    set_battery(bus, Percentage=50.1)
    set_battery(bus, Percentage=49.0)
    watch.until("known battery 49", "power")
    assert len(watch.events) == before + 1


@pytest.mark.parametrize("value, said", [(0.0, "0"), (100.0, "100"), (100.4, "100"), (-5.0, "0"), (1e300, "100"),
                                         (float("nan"), "0")])
def test_percent_are_0_to_100_whatever_is_said(bus, watch, value, said):
    bus.start()
    bus.mock(UPOWER, "upower", OnBattery=True)
    set_battery(bus, IsPresent=True, Percentage=value)
    watch.until(f"known battery {said}", "power")


def test_upower_may_go_and_come_back(bus, watch):
    bus.start()
    for _ in range(2):
        bus.mock(UPOWER, "upower", OnBattery=True)
        watch.until("known battery -", "power")
        before = len(watch.events)
        bus.end_mock(UPOWER)
        watch.until(NOBODY_SAYS, "power")
        watch.told(before + 1)


def test_the_bus_may_go_and_come_back(bus, watch):
    for _ in range(2):
        bus.start()
        bus.mock(UPOWER, "upower", OnBattery=True)
        bus.mock(LOGIND, "logind")
        watch.until("known battery -", "power")
        until_held(bus, DELAY)
        bus.stop()
        watch.until(NOBODY_SAYS, "power")


def test_the_system_bus_is_where_the_environment_says(home, bus):
    bus.start()
    bus.mock(UPOWER, "upower", OnBattery=True)
    watch = Watch(home, "power", "system", env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
    watch.until("known battery -", "power")
    watch.stop()


def test_no_service_is_started_by_being_asked(home, bus, watch):
    started = home.path / "started"
    (home.path / "services").mkdir()
    for name in (UPOWER, LOGIND):
        (home.path / "services" / f"{name}.service").write_text(
            f"[D-BUS Service]\nName={name}\nExec=/bin/touch {started}\n")
    bus.start()
    assert watch.ask("hold") == "ok"
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY, IDLE)
    bus.end_mock(LOGIND)
    bus.mock(UPOWER, "upower")
    watch.until("known mains -", "power")
    bus.end_mock(UPOWER)
    watch.until(NOBODY_SAYS, "power")
    assert not started.exists()


# ---- sleep ----

def test_sleep_waits_until_everything_is_put_down(bus, watch):
    bus.start()
    bus.mock(LOGIND, "logind")
    for _ in range(2):
        until_held(bus, DELAY)
        told = len(watch.events)
        prepare_for_sleep(bus, True)
        poll(lambda: watch.events[told:] == ["asleep"], "sleep is told of")
        assert inhibitors(bus) == [DELAY]
        watch.ask("allow")
        until_held(bus)
        prepare_for_sleep(bus, False)
        poll(lambda: watch.events[told:] == ["asleep", "awake"], "waking up is told of")
    until_held(bus, DELAY)


def test_a_machine_that_slept_without_being_allowed_to_is_awake_like_any_other(bus, watch):
    bus.start()
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY)
    prepare_for_sleep(bus, True)
    prepare_for_sleep(bus, True)
    prepare_for_sleep(bus, False)
    poll(lambda: watch.events == ["asleep", "awake"], "sleep is told of")
    until_held(bus, DELAY)


def test_allowing_sleep_while_nobody_wants_it_gives_nothing_away(bus, watch):
    bus.start()
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY)
    assert watch.ask("allow") == "ok"
    assert watch.ask("hold") == "ok"
    until_held(bus, DELAY, IDLE)


def test_the_machine_is_held_awake_only_while_that_is_wanted(bus, watch):
    assert watch.ask("hold") == "ok"
    bus.start()
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY, IDLE)
    for _ in range(3):
        watch.ask("release")
        until_held(bus, DELAY)
        watch.ask("hold\nhold")
        until_held(bus, DELAY, IDLE)
    for _ in range(20):
        watch.ask("release\nhold")
    watch.ask("release")
    until_held(bus, DELAY)


def test_where_logind_goes_the_machine_counts_as_awake(bus, watch):
    bus.start()
    bus.mock(LOGIND, "logind")
    watch.ask("hold")
    until_held(bus, DELAY, IDLE)
    prepare_for_sleep(bus, True)
    watch.told(1, "asleep")
    bus.end_mock(LOGIND)
    watch.told(1, "awake")
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY, IDLE)
    assert watch.events == ["asleep", "awake"]


def test_sleep_that_was_announced_before_is_told_of(bus, watch):
    bus.start()
    bus.mock(LOGIND, "logind", PreparingForSleep=True)
    watch.told(1, "asleep")
    prepare_for_sleep(bus, False)
    watch.told(1, "awake")


def test_a_refused_inhibitor_changes_nothing_else(bus, watch):
    bus.start()
    bus.mock(UPOWER, "upower", OnBattery=True)
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY)
    mock = bus.object(LOGIND, LOGIND_PATH)
    mock.AddMethod(LOGIND_INTERFACE, "Inhibit", "ssss", "h",
                   "raise dbus.exceptions.DBusException('no', name='org.freedesktop.DBus.Error.AccessDenied')",
                   dbus_interface=MOCK)
    watch.ask("hold")
    prepare_for_sleep(bus, True)
    watch.told(1, "asleep")
    watch.ask("allow")
    watch.until("known battery -", "power")
    prepare_for_sleep(bus, False)
    watch.told(1, "awake")


def test_a_signal_that_somebody_else_sends_is_not_believed(bus, watch):
    """One that has a destination arrives whatever it is that the receiver asked for."""
    bus.start()
    bus.mock(UPOWER, "upower")
    bus.mock(LOGIND, "logind")
    until_held(bus, DELAY)
    watch.until("known mains -", "power")
    before = list(watch.events)
    for name in bus.connection.list_names():
        if not name.startswith(":"):
            continue
        for path, interface, member, signature, arguments in [
                (LOGIND_PATH, LOGIND_INTERFACE, "PrepareForSleep", "b", [True]),
                (UPOWER_PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                 [UPOWER, {"OnBattery": True}, []]),
                ("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", [LOGIND, ":1.0", ""])]:
            signal = dbus.lowlevel.SignalMessage(path, interface, member)
            signal.set_destination(name)
            signal.append(*arguments, signature=signature)
            bus.connection.send_message(signal)
    bus.connection.flush()
    set_battery(bus, IsPresent=True, Percentage=50.0)
    watch.until("known mains 50", "power")
    assert watch.events == before + ["changed"]
    assert inhibitors(bus) == [DELAY]
