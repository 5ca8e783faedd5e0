# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus interface as a caller meets it, against the contract in dbus/."""
import struct
import time
import xml.etree.ElementTree as ET

import pytest

from support import tree
from support.bus import Bus, BusError, options
from support.clock import Clock
from support.peer import Peer
from support.wait import poll

EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
CONTRACT = {"org.bitsq1.Manager": "dbus/org.bitsq1.Manager.xml", "org.bitsq1.Job": "dbus/org.bitsq1.Job.xml"}


def members(interface):
    """(kind, name) -> what a caller relies on."""
    found = {}
    for member in interface:
        if member.tag in ("method", "signal"):
            direction = "in" if member.tag == "method" else "out"
            found[member.tag, member.get("name")] = [
                (arg.get("direction", direction), arg.get("type"), arg.get("name")) for arg in member.iter("arg")]
        elif member.tag == "property":
            emits = {note.get("name"): note.get("value") for note in member.iter("annotation")}.get(EMITS, "true")
            found[member.tag, member.get("name")] = (member.get("type"), member.get("access"), emits)
    return found


def interfaces(xml):
    return {node.get("name"): members(node) for node in ET.fromstring(xml).iter("interface")}


def contract(name):
    return interfaces((tree.ROOT / CONTRACT[name]).read_text(encoding="utf-8"))[name]


@pytest.fixture
def bus(either_bus):
    return either_bus


def test_the_live_manager_has_exactly_the_members_of_the_contract(bus):
    assert interfaces(bus.introspect())["org.bitsq1.Manager"] == contract("org.bitsq1.Manager")


def test_a_live_job_has_exactly_the_members_of_the_contract(bus, home):
    job = bus.add(home.file(size=10), "http://127.0.0.1:9/x", hold=True)
    live = interfaces(bus.introspect(f"/org/bitsq1/jobs/{job}"))
    assert live["org.bitsq1.Job"] == contract("org.bitsq1.Job")


def test_every_property_of_a_job_has_the_type_of_the_contract(bus, home):
    job = bus.add(home.file(size=10), "http://127.0.0.1:9/x", hold=True)
    values = bus.job(job)
    assert set(values) == {name for kind, name in contract("org.bitsq1.Job") if kind == "property"}


@pytest.mark.parametrize("path", ["/org/bitsq1/jobs/4711", "/org/bitsq1/jobs/x", "/org/bitsq1/jobs/01",
                                  "/org/bitsq1/jobs/18446744073709551616"])
def test_a_job_object_that_does_not_exist_is_no_object(home, path):
    bus = home.daemon().bus
    with pytest.raises(BusError) as error:
        bus.call(path, "org.bitsq1.Job", "Pause", "")
    assert error.value.name in ("NoSuchJob", "UnknownObject", "UnknownMethod"), error.value


@pytest.mark.parametrize("options", [{"frobnicate": "x"}, {"priority": "urgent"}, {"fragment_size": (9, 1)},
                                     {"if_exists": "maybe", "key": "k"}],
                         ids=lambda options: next(iter(options)))
def test_a_wrong_option_is_an_invalid_argument(home, options):
    bus = home.daemon().bus
    with pytest.raises(BusError) as error:
        bus.add(home.file(size=10), "http://127.0.0.1:9/x", **options)
    assert error.value.name == "InvalidArgument" and error.value.message.strip().count("\n") == 0
    assert bus.query(all=True)[0] == []


def test_an_option_of_the_wrong_type_is_an_invalid_argument(home):
    import dbus
    bus = home.daemon().bus
    wrong = dbus.Dictionary({"hold": dbus.String("yes")}, signature="sv")
    with pytest.raises(BusError) as error:
        bus.manager("AddJob", "aysa{sv}", bytes(home.file(size=10)), "http://127.0.0.1:9/x", wrong)
    assert error.value.name == "InvalidArgument"


@pytest.mark.parametrize("source", [b"relative.bin", b"", b"/a\0b", b"/" + b"x" * 5000],
                         ids=["relative", "empty", "with a NUL", "too long"])
def test_a_source_that_is_no_absolute_path_is_refused(home, source):
    bus = home.daemon().bus
    with pytest.raises(BusError) as error:
        bus.add(source, "http://127.0.0.1:9/x")
    assert error.value.name in ("InvalidArgument", "SourceUnreadable"), error.value


def test_an_empty_filter_never_changes_jobs(home):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), "http://127.0.0.1:9/x", hold=True)
    with pytest.raises(BusError) as error:
        bus.control("cancel")
    assert error.value.name == "InvalidArgument" and bus.job(job)["State"] == "paused"


def test_a_page_ends_where_its_limit_says_and_the_next_goes_on(home):
    bus = home.daemon().bus
    source = home.file(size=10)
    ids = [bus.add(source, f"http://127.0.0.1:9/{i}", hold=True) for i in range(25)]
    seen, cursor = [], 0
    while True:
        rows, cursor, _ = bus.query(after=cursor, limit=10, all=True)
        assert len(rows) <= 10
        seen += [row["Id"] for row in rows]
        if cursor == 0:
            break
    assert seen == ids


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_of_no_or_too_many_rows_is_refused(home, limit):
    bus = home.daemon().bus
    with pytest.raises(BusError) as error:
        bus.query(limit=limit, all=True)
    assert error.value.name == "InvalidArgument"


def test_a_batch_is_all_or_none(home):
    import dbus
    bus = home.daemon().bus
    none = dbus.Dictionary({}, signature="sv")
    entry = lambda path: dbus.Struct((dbus.ByteArray(bytes(path)), "http://127.0.0.1:9/x", none), signature="aysa{sv}")
    good, missing = home.file(size=10), home.path / "missing"
    with pytest.raises(BusError) as error:
        bus.manager("AddJobs", "a(aysa{sv})a{sv}", [entry(good), entry(missing)], none)
    assert error.value.name == "SourceUnreadable" and "missing" in error.value.message
    assert bus.query(all=True)[0] == []


def test_later_calls_hear_the_same_of_their_files_as_the_first(home):
    """Once a file of a mount was looked at, others there are looked at in another way."""
    import dbus
    bus = home.daemon().bus
    none = dbus.Dictionary({}, signature="sv")
    good, empty, missing = home.file("good", size=10), home.file("empty", size=0), home.path / "missing"
    entry = lambda path, **values: dbus.Struct((dbus.ByteArray(bytes(path)), "http://127.0.0.1:9/x", options({"hold": True, **values})),
                                               signature="aysa{sv}")
    add = lambda *entries: bus.manager("AddJobs", "a(aysa{sv})a{sv}", list(entries), none)
    assert len(add(entry(good))) == 1
    assert len(add(entry(good), entry(empty))) == 2
    for entries, part in (((entry(good), entry(missing)), "missing"), ((entry(home.path), entry(good)), "is a folder"),
                          ((entry(good), entry(empty, empty="refuse")), "empty files were to be refused")):
        with pytest.raises(BusError) as error:
            add(*entries)
        assert error.value.name == "SourceUnreadable" and part in error.value.message
    assert bus.counts() == {"paused": 3}


def test_a_client_may_only_ask_for_what_a_verb_allows_in_a_state(home):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), "http://127.0.0.1:9/x", hold=True)
    for method in ("Retry", "Remove"):
        with pytest.raises(BusError) as error:
            bus.verb(job, method)
        assert error.value.name == "InvalidState" and "paused" in error.value.message, (method, error.value)
    bus.verb(job, "Cancel")
    bus.wait(job, "cancelled")
    for method in ("Pause", "Resume", "Cancel"):
        with pytest.raises(BusError) as error:
            bus.verb(job, method)
        assert error.value.name == "InvalidState" and "cancelled" in error.value.message, (method, error.value)
    bus.verb(job, "Remove")
    with pytest.raises(BusError) as error:
        bus.verb(job, "Remove")
    assert error.value.name in ("NoSuchJob", "UnknownObject", "UnknownMethod")


def test_over_the_private_socket_each_is_told_of_every_job_until_it_unsubscribes(home):
    """No bus stands between, which would pick what each has asked for. An answer comes behind what was sent before it."""
    bus = home.daemon().bus
    source = home.file(size=10)
    peers = [Peer((home.state / "address").read_text().strip()) for _ in range(3)]

    def told():
        """Which of the jobs that are added meanwhile each of them hears of."""
        job = bus.add(source, "http://127.0.0.1:9/x", hold=True)
        heard = [peer.call("org.freedesktop.DBus.Peer", "Ping") for peer in peers]
        return [sum(b"JobAdded" in message and f"/jobs/{job}\0".encode() in message for message in messages)
                for messages in heard]
    for peer in peers:
        peer.call("org.freedesktop.DBus.Peer", "Ping")
    assert told() == [1, 1, 1]
    peers[1].call("org.bitsq1.Manager", "Unsubscribe")
    assert told() == [1, 0, 1]
    peers[1].call("org.bitsq1.Manager", "Subscribe", "a{sv}", bytes(8))
    assert told() == [1, 1, 1]
    for peer in peers:
        peer.close()


def test_a_signal_tells_the_next_attempt_as_the_property_does(home, serve):
    """By the clock on the wall, also where that was set while another job waits."""
    clock = Clock(home)
    first, second = (serve("--fault", "create: status 503; retry-after 3600") for _ in range(2))
    bus = home.daemon().bus
    source = home.file(size=10)
    bus.wait(bus.add(source, first.url + "/a"), "retrying")
    clock.step(2)
    peer = Peer((home.state / "address").read_text().strip())
    peer.call("org.freedesktop.DBus.Peer", "Ping")
    job = bus.add(source, second.url + "/a")
    shown = bus.wait(job, "retrying")
    assert shown["NextAttempt"] / 1e6 > time.time() + 86400
    heard = [message for message in peer.call("org.freedesktop.DBus.Peer", "Ping")
             if b"JobStateChanged" in message and b"next_attempt" in message and f"/jobs/{job}\0".encode() in message]
    peer.close()
    assert len(heard) == 1 and struct.pack("<Q", shown["NextAttempt"]) in heard[0]
