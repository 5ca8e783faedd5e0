# SPDX-License-Identifier: LGPL-2.1-or-later
"""What NetworkManager says of the devices that the kernel routes over."""
import dbus
import pytest

from support.sense import Namespace, NetworkManager, SystemBus, Watch

states = NetworkManager.states
IPV4, IPV6 = "198.51.100.1", "2001:db8:1::1"
SILENT = "route uplink unknown unknown"


@pytest.fixture
def bus(home):
    made = SystemBus(home)
    yield made
    made.stop()


@pytest.fixture
def manager(bus):
    return NetworkManager(bus)


@pytest.fixture
def net():
    made = Namespace("net")
    made.ip("link set lo up")
    made.link("uplink", "192.0.2.7/24", "2001:db8::7/64")
    made.ip("route add default via 192.0.2.1", "route add ::/0 via 2001:db8::1 dev uplink")
    yield made
    made.stop()


@pytest.fixture
def watch(home, net, bus):
    started = Watch(home, "network", bus.address, prefix=net.prefix)
    yield started
    started.stop()


def test_without_a_bus_the_kernel_is_all_there_is(watch):
    assert watch.ask("path", IPV4) == SILENT


def test_without_networkmanager_the_kernel_is_all_there_is(bus, watch):
    bus.start()
    assert watch.ask("path", IPV4) == SILENT


@pytest.mark.parametrize("value, said", [(0, "unknown"), (1, "yes"), (2, "no"), (3, "yes"), (4, "no"), (77, "unknown")])
def test_a_guess_that_a_device_is_metered_counts(home, net, bus, manager, value, said):
    bus.start()
    manager.start()
    manager.add("uplink", "uplink", **states(value, 4))
    watch = Watch(home, "network", bus.address, prefix=net.prefix)
    watch.until(f"route uplink full {said}", "path", IPV4)
    watch.stop()


@pytest.mark.parametrize("value, said", [(1, "none"), (2, "portal"), (3, "limited"), (4, "full"), (0, "unknown")])
def test_what_a_device_reaches_is_told_for_each_family(bus, manager, watch, value, said):
    bus.start()
    manager.start()
    manager.add("uplink", "uplink", **states(2, value, 4))
    watch.until(f"route uplink {said} no", "path", IPV4)
    watch.until("route uplink full no", "path", IPV6)
    watch.until("route uplink full no", "path")
    manager.set_device(**states(2, 4, value))
    watch.until(f"route uplink {said} no", "path", IPV6)
    watch.until("route uplink full no", "path", IPV4)


def test_each_change_is_told(bus, manager, watch):
    bus.start()
    manager.start()
    manager.add("uplink", "uplink", **states(2, 4))
    watch.until("route uplink full no", "path", IPV4)
    for values, said in ((states(1, 4), "route uplink full yes"), (states(1, 2), "route uplink portal yes"),
                         (states(2, 4), "route uplink full no")):
        before = len(watch.events)
        manager.set_device(**values)
        watch.until(said, "path", IPV4)
        watch.told(before + 1)


def test_of_a_device_that_it_does_not_know_nothing_is_said(net, bus, manager, watch):
    bus.start()
    manager.start()
    manager.set(Metered=dbus.UInt32(1))
    manager.add("other", "other", **states(1, 2))
    manager.add("uplink", "uplink", **states(2, 4))
    watch.until("route uplink full no", "path", IPV4)
    net.link("office", "203.0.113.7/24")
    watch.until("route office unknown unknown", "path", "203.0.113.9")


@pytest.mark.parametrize("state", [0, 10])
def test_of_a_device_that_it_does_not_manage_nothing_is_said(bus, manager, watch, state):
    bus.start()
    manager.start()
    manager.set(Connectivity=dbus.UInt32(2))
    manager.add("uplink", "uplink", **states(1, 4), State=dbus.UInt32(100))
    watch.until("route uplink full yes", "path", IPV4)
    for value, said in ((state, SILENT), (100, "route uplink full yes")):
        before = len(watch.events)
        manager.set_device(State=dbus.UInt32(value))
        watch.until(said, "path", IPV4)
        watch.told(before + 1)


def test_a_device_that_is_not_checked_reaches_what_the_machine_does_if_it_has_the_default_route(net, bus, manager, watch):
    net.link("office", "203.0.113.7/24")
    bus.start()
    manager.start()
    manager.set(Connectivity=dbus.UInt32(2), Metered=dbus.UInt32(1))
    manager.add("uplink", "uplink", **states(2))
    manager.add("office", "office", **states(2))
    for address in ([IPV4], [IPV6], []):
        watch.until("route uplink portal no", "path", *address)
    watch.until("route office unknown no", "path", "203.0.113.9")
    manager.set_device(**states(2, 4))
    watch.until("route uplink full no", "path", IPV4)
    watch.until("route uplink unknown no", "path", IPV6)


def test_the_machine_itself_is_no_network(bus, manager, watch):
    bus.start()
    manager.start()
    manager.add("loopback", "lo", **states(1, 2))
    manager.add("uplink", "uplink", **states(1, 2))
    watch.until("route uplink portal yes", "path", IPV4)
    assert watch.ask("path", "127.0.0.1") == watch.ask("path", "192.0.2.7") == "local lo unknown unknown"


def test_a_modem_is_known_by_the_device_that_has_its_addresses(bus, manager, watch):
    bus.start()
    manager.start()
    manager.add("modem", "ttyUSB0", **states(1, 4), IpInterface="uplink")
    watch.until("route uplink full yes", "path", IPV4)


def test_a_tunnel_that_it_does_not_know_is_what_the_machine_is(net, bus, manager, watch):
    net.tunnel("tunnel")
    net.ip("link set tunnel up", "route add 203.0.113.0/24 dev tunnel")
    bus.start()
    manager.start()
    manager.set(Metered=dbus.UInt32(1), Connectivity=dbus.UInt32(2))
    watch.until("route tunnel portal yes", "path", "203.0.113.9")
    assert watch.ask("path", IPV4) == SILENT


def test_a_device_that_goes_is_forgotten_and_one_that_comes_is_asked_for(bus, manager, watch):
    bus.start()
    manager.start()
    manager.add("uplink", "uplink", **states(1, 4))
    watch.until("route uplink full yes", "path", IPV4)
    before = len(watch.events)
    manager.set(Devices=dbus.Array([], signature="o"))
    watch.until(SILENT, "path", IPV4)
    watch.told(before + 1)
    manager.set(Devices=dbus.Array([dbus.ObjectPath(manager.UPLINK)], signature="o"))
    watch.until("route uplink full yes", "path", IPV4)


def test_networkmanager_may_go_and_come_back(bus, manager, watch):
    bus.start()
    for _ in range(2):
        manager.start()
        manager.add("uplink", "uplink", **states(1, 4))
        watch.until("route uplink full yes", "path", IPV4)
        before = len(watch.events)
        bus.end_mock(manager.NAME)
        watch.until(SILENT, "path", IPV4)
        watch.told(before + 1)


def test_the_bus_may_go_and_come_back(bus, manager, watch):
    for _ in range(2):
        bus.start()
        manager.start()
        manager.add("uplink", "uplink", **states(1, 4))
        watch.until("route uplink full yes", "path", IPV4)
        before = len(watch.events)
        bus.stop()
        watch.until(SILENT, "path", IPV4)
        watch.told(before + 1)


def test_values_of_other_types_are_passed_by(bus, manager, watch):
    bus.start()
    manager.start()
    manager.add("uplink", "uplink", Metered="yes", Ip4Connectivity=dbus.Array([1], signature="u"), Speed=dbus.Byte(1),
                Ip6Connectivity=dbus.UInt32(4))
    watch.until("route uplink full unknown", "path", IPV6)
    assert watch.ask("path", IPV4) == SILENT


def test_networkmanager_is_not_started_by_being_asked(home, bus, manager, watch):
    started = home.path / "started"
    (home.path / "services").mkdir()
    (home.path / "services" / "nm.service").write_text(f"[D-BUS Service]\nName={manager.NAME}\nExec=/bin/touch {started}\n")
    bus.start()
    bus.mock("org.freedesktop.UPower", "upower")
    watch.ask("path", IPV4)
    manager.start()
    manager.add("uplink", "uplink", **states(1, 4))
    watch.until("route uplink full yes", "path", IPV4)
    bus.end_mock(manager.NAME)
    watch.until(SILENT, "path", IPV4)
    assert not started.exists()
