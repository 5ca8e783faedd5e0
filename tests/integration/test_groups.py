# SPDX-License-Identifier: LGPL-2.1-or-later
"""Groups: settings that are durable with the reply, over D-Bus and on the command line."""
import json
import resource
import signal

import dbus
import pytest

from support.bus import MANAGER, ROOT, BusError, options
from support.wait import poll

URL = "http://127.0.0.1:9/x"
ALL = {"max_active": 2, "rate": 200_000, "window": "Mon..Fri 22:00-06:00", "network": "unmetered", "power": "50%",
       "paused": True}
PLAIN = {"default": {"paused": False}}


def set_group(bus, name, **values):
    bus.manager("SetGroup", "sa{sv}", name, options(values))


def fill(bus):
    """As many groups as there may be, sent all at once, so that they share commits."""
    for number in range(1000):
        bus.connection.call_async(bus.name, ROOT, MANAGER, "SetGroup", "sa{sv}",
                                  (f"g{number}", options({"rate": 1000})), None, None)
    set_group(bus, "g0", rate=2000)  # answered behind all of them


def groups(bus):
    return bus.manager("ListGroups")


def refused(call, *arguments, **values):
    with pytest.raises(BusError) as caught:
        call(*arguments, **values)
    return caught.value


def test_what_is_set_is_listed_over_each_way_and_the_rest_stays(home, way):
    bus = home.daemon().bus
    assert groups(bus) == PLAIN
    set_group(bus, "photos", **ALL)
    assert groups(bus) == {**PLAIN, "photos": ALL}
    set_group(bus, "photos", max_active=5, network="any")
    assert groups(bus)["photos"] == {**ALL, "max_active": 5, "network": "any"}
    set_group(bus, "photos", reset=["max_active", "power"], paused=False, window="", rate=0, network="")
    assert groups(bus)["photos"] == {"paused": False}


def test_settings_are_there_after_a_restart_and_after_a_kill_behind_the_reply(home):
    daemon = home.daemon()
    set_group(daemon.bus, "photos", **ALL)
    set_group(daemon.bus, "gone", rate=1000)
    assert daemon.stop() == []
    daemon.restart()
    assert groups(daemon.bus) == {**PLAIN, "photos": ALL, "gone": {"paused": False, "rate": 1000}}
    set_group(daemon.bus, "default", window="always")
    daemon.kill()
    daemon.restart()
    assert groups(daemon.bus)["default"] == {"paused": False, "window": "always"}
    daemon.bus.manager("RemoveGroup", "s", "gone")
    daemon.kill()
    daemon.restart()
    assert set(groups(daemon.bus)) == {"default", "photos"}


def test_removing_settings_leaves_the_jobs_in_their_group(bus, home):
    job = bus.add(home.file(size=10), URL, hold=True, group="photos")
    set_group(bus, "photos", max_active=1)
    bus.manager("RemoveGroup", "s", "photos")
    assert groups(bus) == PLAIN and bus.job(job)["Group"] == "photos"
    error = refused(bus.manager, "RemoveGroup", "s", "photos")
    assert error.name == "InvalidArgument" and "no settings of a group photos" in error.message


def test_the_default_group_can_be_reset_but_is_always_there(bus):
    bus.manager("RemoveGroup", "s", "default")
    set_group(bus, "default", max_active=3)
    assert groups(bus) == {"default": {"paused": False, "max_active": 3}}
    bus.manager("RemoveGroup", "s", "default")
    assert groups(bus) == PLAIN


@pytest.mark.parametrize("values, words", [
    ({"colour": "red"}, "no such option"),
    ({"max_active": 65}, "1 to 64"),
    ({"max_active": "2"}, "wrong type"),
    ({"rate": 63}, "64 bytes to 1 TB"),
    ({"rate": 10 ** 12 + 1}, "64 bytes to 1 TB"),
    ({"window": "25:00-26:00"}, "window"),
    ({"window": "x" * 128}, "at most 127"),
    ({"network": "fast"}, "any or unmetered"),
    ({"power": "0%"}, "as 50%"),
    ({"reset": ["colour"]}, "max_active, rate, network, power, window, paused"),
    ({}, "nothing to set"),
], ids=str)
def test_a_wrong_setting_is_named_and_changes_nothing(bus, values, words):
    error = refused(set_group, bus, "photos", **values)
    assert error.name == "InvalidArgument" and words in error.message
    assert groups(bus) == PLAIN


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"], ids=repr)
def test_a_name_that_cannot_be_one_is_refused(bus, name):
    for call in (lambda: set_group(bus, name, rate=1000), lambda: bus.manager("RemoveGroup", "s", name)):
        error = refused(call)
        assert error.name == "InvalidArgument" and "1 to 64 bytes" in error.message
    set_group(bus, "ü" * 32, rate=1000)
    assert set(groups(bus)) == {"default", "ü" * 32}


def test_a_thousand_groups_have_settings_and_one_more_is_refused(bus):
    fill(bus)
    assert len(groups(bus)) == 1001
    error = refused(set_group, bus, "one more", rate=1000)
    assert error.name == "LimitReached" and "bitsq group remove" in error.message
    assert groups(bus)["g0"]["rate"] == 2000


def test_settings_that_cannot_be_written_are_refused_and_not_in_force(home):
    daemon = home.daemon()
    assert daemon.stop() == []
    # A file size limit stands for a full disk; the signal that it adds does not come from one.
    daemon.start(preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    set_group(daemon.bus, "photos", rate=1000)
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, hard))
    for error in (refused(set_group, daemon.bus, "photos", rate=2000),
                  refused(daemon.bus.manager, "RemoveGroup", "s", "photos")):
        assert error.name == "Degraded" and "cannot be written" in error.message
    assert groups(daemon.bus)["photos"] == {"paused": False, "rate": 1000}
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))
    poll(lambda: daemon.bus.get("Degraded") == [], "it has proved that it can be written")
    set_group(daemon.bus, "photos", rate=2000)
    assert groups(daemon.bus)["photos"]["rate"] == 2000


# ---- the command line ----

def listed(home):
    answer = home.bitsq("group", "list", "--json")
    assert answer.code == 0 and answer.json["schema"] == "bitsq.group-list/1"
    return {group.pop("name"): group for group in answer.json["groups"]}


NOTHING = {"paused": False, "max_active": None, "rate": None, "window": None, "network": None, "power": None}


def test_groups_are_set_listed_and_removed_on_the_command_line(home, bus):
    done = home.bitsq("group", "set", "photos", "parallel=2", "rate=200K", "window=Mon..Fri 22:00-06:00",
                      "network=unmetered", "power=50%")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert listed(home) == {"default": NOTHING, "photos": {**ALL, "paused": False}}
    assert home.bitsq("group", "set", "photos", "rate=", "window=").code == 0
    assert listed(home)["photos"] == {**NOTHING, "max_active": 2, "network": "unmetered", "power": "50%"}
    assert home.bitsq("group", "remove", "photos", "default").code == 0
    assert listed(home) == {"default": NOTHING}


def test_the_table_has_a_line_for_each_group_and_default_is_the_first(home, bus):
    set_group(bus, "a", **ALL)
    set_group(bus, "Fotos für Oma", max_active=1)
    head, *lines = home.bitsq("group", "list").out.splitlines()
    assert head.split() == ["NAME", "STATE", "PARALLEL", "RATE", "NETWORK", "POWER", "WINDOW"]
    assert lines[0].split() == ["default"] + ["-"] * 6
    assert lines[1].split() == ["Fotos", "für", "Oma", "-", "1", "-", "-", "-", "-"]
    assert lines[2].split() == ["a", "paused", "2", "200", "kB/s", "unmetered", "50%", "Mon..Fri", "22:00-06:00"]
    assert len({line.index(word) for line, word in ((head, "NETWORK"), (lines[2], "unmetered"))}) == 1


def test_json_lines_are_one_group_each_and_changes_name_their_groups(home, bus):
    changed = home.bitsq("group", "set", "photos", "parallel=2", "--json")
    assert changed.json == {"schema": "bitsq.groups.changed/1", "names": ["photos"]}
    lines = [json.loads(line) for line in home.bitsq("group", "list", "--json=lines").out.splitlines()]
    assert [(line["schema"], line["name"]) for line in lines] == [("bitsq.group/1", "default"),
                                                                  ("bitsq.group/1", "photos")]
    some = home.bitsq("group", "remove", "photos", "nobody", "--json")
    assert some.code == 10 and some.json == {"schema": "bitsq.groups.removed/1", "names": ["photos"]}
    assert json.loads(some.err)["error"] == "InvalidArgument"


def test_a_group_is_paused_and_resumed(home, bus):
    job = bus.add(home.file(size=10), URL, hold=True, group="photos")
    assert home.bitsq("group", "pause", "photos", "default").code == 0
    assert {name: group["paused"] for name, group in listed(home).items()} == {"default": True, "photos": True}
    assert home.bitsq("group", "resume", "photos").code == 0
    assert listed(home)["photos"] == NOTHING and listed(home)["default"]["paused"]
    assert bus.job(job)["State"] == "paused", "the job keeps its own state"


def test_a_misspelt_group_is_neither_paused_nor_made(home, bus):
    bus.add(home.file(size=10), URL, hold=True, group="photos")
    for verb in ("pause", "resume"):
        wrong = home.bitsq("group", verb, "phtos")
        assert wrong.code == 2 and "neither settings nor jobs" in wrong.err and "bitsq group list" in wrong.err
    assert home.bitsq("group", "resume", "photos").code == 0
    assert set(listed(home)) == {"default"}, "what is not paused needs no settings to say so"


@pytest.mark.parametrize("words, told", [
    (["set"], "no group is named"),
    (["set", "photos"], "no setting is named"),
    (["set", "photos", "parallel"], "KEY=VALUE"),
    (["set", "photos", "paralel=2"], "did you mean parallel?"),
    (["set", "photos", "max-active=2"], "did you mean parallel?"),
    (["set", "photos", "netwrk=any"], "did you mean network?"),
    (["set", "photos", "paused=yes"], "bitsq group pause"),
    (["set", "photos", "colour=red"], "parallel, rate, window, network or power"),
    (["set", "photos", "parallel=0"], "parallel= takes the limit back"),
    (["set", "photos", "parallel=65"], "1 to 64"),
    (["set", "photos", "rate=fast"], "200K, 2M or 8Mbit"),
    (["set", "photos", "rate=1"], "64 bytes to 1 TB"),
    (["set", "photos", "network=fast"], "any or unmetered"),
    (["set", "photos", "power=101%"], "as 30%"),
    (["set", "photos", "window=late"], "window"),
    (["remove"], "no group is named"),
    (["remove", "photos"], "no settings of a group photos"),
    (["list", "photos"], "nothing follows list"),
    (["lst"], "no such group command"),
    ([], "list, set, remove, pause or resume is missing"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_one_line_that_says_what_to_do(home, bus, words, told):
    wrong = home.bitsq("group", *words)
    assert wrong.code == 2 and wrong.out == "" and told in wrong.err and len(wrong.err.splitlines()) == 1, wrong
    assert groups(bus) == PLAIN


def test_exit_code_9_is_one_group_too_many(home, bus):
    fill(bus)
    assert home.bitsq("group", "set", "more", "rate=1K").code == 9


def test_settings_that_cannot_be_read_are_told_and_can_be_set_anew(home):
    daemon = home.daemon()
    set_group(daemon.bus, "photos", max_active=2, window="Mon..Fri 22:00-06:00")
    assert daemon.stop() == []
    file = home.state / "queue" / "data.mdb"
    file.write_bytes(file.read_bytes().replace(b"Mon..Fri 22:00", b"Mon..Fri 21:00"))
    daemon.restart()
    told, = daemon.bus.get("Degraded")
    assert "settings of the group photos could not be read" in told and "bitsq group set" in told
    assert groups(daemon.bus)["photos"] == {"paused": False} and "warning" in home.bitsq("group", "list").err
    set_group(daemon.bus, "photos", rate=1000)
    assert daemon.bus.get("Degraded") == [] and groups(daemon.bus)["photos"] == {"paused": False, "rate": 1000}
