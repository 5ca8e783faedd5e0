# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine around the queue: links that go down, metered networks, batteries and sleep, as jobs meet them."""
import dbus
import pytest

from support.bits import BitsServer
from support.gates import agree
from support.sense import MOCK, Namespace, NetworkManager, SystemBus
from support.wait import poll

KIB = 1024
UPOWER, UPOWER_PATH = "org.freedesktop.UPower", "/org/freedesktop/UPower"
BATTERY, BATTERY_PATH = "org.freedesktop.UPower.Device", "/org/freedesktop/UPower/devices/DisplayDevice"
LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
SERVER = "198.51.100.1"
SLOW = {"FragmentMin": "16KiB", "FragmentMax": "16KiB"}


class NamespaceServer(BitsServer):
    """A server in a network namespace of its own."""

    def __init__(self, folder, namespace, *options):
        self.namespace = namespace
        super().__init__(folder, *options, listen=SERVER, port=8080, prefix=namespace.prefix)


@pytest.fixture
def system_bus(home):
    made = SystemBus(home)
    made.start()
    home.env["DBUS_SYSTEM_BUS_ADDRESS"] = made.address
    yield made
    made.stop()


@pytest.fixture
def manager(system_bus):
    made = NetworkManager(system_bus)
    made.start()
    return made


@pytest.fixture
def there():
    """The machine with the server."""
    made = Namespace("net")
    made.ip("link set lo up")
    yield made
    made.stop()


@pytest.fixture
def here(home, there):
    """The machine with the daemon: one link, uplink, to the other one."""
    made = Namespace("net", beside=there)
    made.ip("link set lo up", f"link add uplink type veth peer name peer netns {there.holder.pid}",
            "addr add 198.51.100.2/24 dev uplink", "link set uplink up")
    there.ip(f"addr add {SERVER}/24 dev peer", "link set peer up")
    home.wrapper = made.prefix
    yield made
    made.stop()


@pytest.fixture
def server(tmp_path, there):
    made = NamespaceServer(tmp_path / "there", there)
    yield made
    made.stop()


def doctor(home):
    """What it says of the network, and its verdict."""
    findings = home.bitsq("doctor", "--json").json["findings"]
    said, = [finding for finding in findings if finding["name"] == "network"]
    return said["verdict"], said["text"], said["remedy"]


def under_way(home, bus, server, **values):
    """A job whose first fragments are there, and some more to come."""
    job = bus.add(home.file("big", size=600 * KIB), server.url + "/big", rate=150 * KIB, **values)
    poll(lambda: bus.job(job)["Acknowledged"] > 0, "the first fragment is there")
    return job


def test_a_link_that_goes_down_blocks_jobs_without_an_error_and_its_return_lets_them_go_on(home, here, server):
    bus = home.daemon(**SLOW).bus
    job = under_way(home, bus, server)
    here.ip("link set uplink down")
    poll(lambda: bus.job(job)["State"] == "blocked", "the job is blocked")
    shown, _ = agree(home, bus, job, "network", "there is no network to 198.51.100.1:8080", "goes on by itself")
    assert shown["Attempts"] == 0 and shown["Acknowledged"] > 0
    assert bus.get("Network")["connected"] is False
    here.ip("link set uplink up")
    done = bus.wait(job, "done")
    assert done["Attempts"] == 0
    assert (server.root / "big").read_bytes() == (home.path / "big").read_bytes()
    assert len(server.requests("create")) == 1


def test_an_address_that_vanishes_takes_its_sockets_with_it(home, here, server):
    bus = home.daemon(**SLOW).bus
    job = under_way(home, bus, server)
    here.ip("addr add 198.51.100.3/24 dev uplink", "addr del 198.51.100.2/24 dev uplink",
            "addr add 198.51.100.3/24 dev uplink")
    done = bus.wait(job, "done")
    assert done["Attempts"] == 0 and (server.root / "big").read_bytes() == (home.path / "big").read_bytes()


def test_without_a_way_out_a_new_job_waits_and_one_to_this_machine_runs(home, here, serve):
    bus = home.daemon().bus
    here.ip("link set uplink down")
    poll(lambda: bus.get("Network")["connected"] is False, "the daemon has seen it")
    job = bus.add(home.file(size=10), f"http://{SERVER}:8080/x")
    assert bus.job(job)["State"] == "blocked" and bus.job(job)["Gates"] == ["network"]
    assert doctor(home) == ("problem", "there is no way out of this machine: jobs wait, but for servers on it",
                            "connect this machine to a network; jobs go on by themselves")
    local = bus.add(home.file("other.bin", size=10), "http://127.0.0.1:9/x")
    poll(lambda: bus.job(local)["State"] == "retrying", "the other one is tried")


def test_a_vpn_that_comes_up_makes_its_servers_reachable(home, here):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), "http://203.0.113.7:8080/x")
    poll(lambda: bus.job(job)["Gates"] == ["network"], "there is no way to it")
    here.link("vpn", "203.0.113.1/24")
    poll(lambda: "network" not in bus.job(job)["Gates"], "the way is there")
    here.ip("link set vpn down")
    poll(lambda: "network" in bus.job(job)["Gates"], "the way is gone")


def test_a_metered_network_holds_what_does_not_want_one(home, manager, here, server):
    manager.add("uplink", "uplink", State=dbus.UInt32(100), **manager.states(1, 4, 4))
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), server.url + "/x", network="unmetered")
    poll(lambda: bus.job(job)["Gates"] == ["metered"], lambda: f"{bus.job(job)} waits for another network")
    agree(home, bus, job, "metered", "metered network (uplink)", f"bitsq set {job} network=any")
    assert doctor(home) == ("note", "uplink is metered: jobs with network=unmetered wait", "")
    free = bus.add(home.file("free", size=10), server.url + "/free")
    bus.wait(free, "done")
    manager.set_device(Metered=dbus.UInt32(2))
    bus.wait(job, "done")
    assert doctor(home) == ("ok", "uplink reaches the internet, as NetworkManager says", "")


def test_a_sign_in_page_is_a_closed_network(home, manager, here, server):
    manager.add("uplink", "uplink", State=dbus.UInt32(100), **manager.states(2, 2, 2))
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), server.url + "/x", not_before=2_000_000_000_000_000)
    poll(lambda: "network" in bus.job(job)["Gates"], "the sign-in page is known")
    agree(home, bus, job, "network", "asks for a sign-in first", "sign in with a browser")
    assert doctor(home) == ("problem", "uplink asks for a sign-in first: jobs wait",
                            "sign in with a browser; jobs go on by themselves")
    manager.set_device(Ip4Connectivity=dbus.UInt32(1), Ip6Connectivity=dbus.UInt32(1))
    poll(lambda: doctor(home) == ("problem", "uplink leads nowhere, as NetworkManager says: jobs wait",
                                  "look at the router, or its line"), "that it leads nowhere is known")
    assert home.bitsq("set", str(job), "not-before=").code == 0
    manager.set_device(Ip4Connectivity=dbus.UInt32(4))
    bus.wait(job, "done")


def test_on_battery_a_job_waits_for_mains_or_its_charge(home, system_bus, serve):
    system_bus.mock(UPOWER, "upower", OnBattery=True)
    system_bus.set(UPOWER, BATTERY_PATH, BATTERY, Type=dbus.UInt32(2), IsPresent=True, Percentage=dbus.Double(25.0))
    server = serve()
    bus = home.daemon(Power="30%").bus
    poll(lambda: bus.get("Power")["percent"] == 25, "the daemon knows the battery")
    job = bus.add(home.file(size=10), server.url + "/x")
    agree(home, bus, job, "power", "on battery (25 %), and it asks for 30%", f"bitsq set {job} power=any")
    mains = bus.add(home.file("other.bin", size=10), server.url + "/y", power="ac")
    system_bus.set(UPOWER, BATTERY_PATH, BATTERY, Percentage=dbus.Double(31.0))
    bus.wait(job, "done")
    assert bus.job(mains)["Gates"] == ["power"]
    system_bus.set(UPOWER, UPOWER_PATH, UPOWER, OnBattery=False)
    bus.wait(mains, "done")


def inhibitors(bus):
    held = bus.object(LOGIND, LOGIND_PATH).ListInhibitors(dbus_interface=f"{LOGIND}.Manager")
    return [(str(what), str(mode)) for what, who, why, mode, *_ in held if str(who) == "bitsq"]


def test_before_sleep_all_is_put_down_and_on_waking_it_goes_on(home, system_bus, serve):
    system_bus.mock(LOGIND, "logind")
    server = serve()
    bus = home.daemon(**SLOW).bus
    poll(lambda: ("sleep", "delay") in inhibitors(system_bus), "the daemon may put things down first")
    job = under_way(home, bus, server)
    logind = system_bus.object(LOGIND, LOGIND_PATH)
    logind.EmitSignal(f"{LOGIND}.Manager", "PrepareForSleep", "b", [True], dbus_interface=MOCK)
    poll(lambda: bus.get("ActiveJobs") == 0, "nothing is under way")
    asleep = bus.job(job)
    assert asleep["Attempts"] == 0 and asleep["State"] in ("queued", "blocked")
    logind.EmitSignal(f"{LOGIND}.Manager", "PrepareForSleep", "b", [False], dbus_interface=MOCK)
    done = bus.wait(job, "done")
    assert done["Attempts"] == 0 and len(server.requests("create")) == 1


def test_a_foreground_job_keeps_the_machine_awake_where_that_was_configured(home, system_bus, serve):
    system_bus.mock(LOGIND, "logind")
    server = serve()
    bus = home.daemon(**SLOW, KeepAwake="yes").bus
    poll(lambda: ("sleep", "delay") in inhibitors(system_bus), "logind is known")
    job = under_way(home, bus, server, priority="foreground")
    poll(lambda: ("idle", "block") in inhibitors(system_bus), "the machine is kept awake")
    bus.wait(job, "done")
    poll(lambda: ("idle", "block") not in inhibitors(system_bus), "it may fall asleep again")
