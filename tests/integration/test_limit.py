# SPDX-License-Identifier: LGPL-2.1-or-later
"""The limit of rate for all jobs together: who decides it, that it outlives the daemon, and that it holds."""
import datetime
import time

import dbus
import pytest

from support.bus import MANAGER, PROPERTIES, ROOT, BusError
from support.clock import Clock
from support.wait import poll

UNCHOSEN = 2**64 - 1
BURST_S = 0.1  # more than a bucket holds
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def choose(bus, rate):
    bus.call(ROOT, PROPERTIES, "Set", "ssv", MANAGER, "RateLimit", dbus.UInt64(rate))


def limit(bus):
    return [bus.get(name) for name in ("RateLimit", "EffectiveRateLimit", "RateLimitSource")]


@pytest.fixture
def bus(either_bus):
    return either_bus


# ---- who decides ----

def test_without_a_choice_there_is_no_limit(bus):
    assert limit(bus) == [UNCHOSEN, 0, "configuration"]
    assert bus.get("RateLimitUntil") == 0


def test_a_choice_counts_until_it_is_taken_back(bus):
    choose(bus, 500_000)
    assert limit(bus) == [500_000, 500_000, "command"]
    choose(bus, 0)
    assert limit(bus) == [0, 0, "command"]
    choose(bus, UNCHOSEN)
    assert limit(bus) == [UNCHOSEN, 0, "configuration"]


@pytest.mark.parametrize("value", [dbus.String("fast"), dbus.Int32(5), dbus.UInt64(2**40 + 1), dbus.UInt64(2**64 - 2)],
                         ids=["text", "another type", "too large", "far too large"])
def test_what_is_no_limit_is_an_invalid_argument(bus, value):
    choose(bus, 7)
    with pytest.raises(BusError) as error:
        bus.call(ROOT, PROPERTIES, "Set", "ssv", MANAGER, "RateLimit", value)
    assert error.value.name == "InvalidArgument"
    assert limit(bus) == [7, 7, "command"]


@pytest.mark.parametrize("name", ["Rate", "Nonsense"])
def test_no_other_property_can_be_written(bus, name):
    with pytest.raises(BusError):
        bus.call(ROOT, PROPERTIES, "Set", "ssv", MANAGER, name, dbus.UInt64(1))


def test_the_largest_limit_is_one(bus):
    choose(bus, 2**40)
    assert bus.get("EffectiveRateLimit") == 2**40


def test_a_choice_outlives_the_daemon(home):
    daemon = home.daemon(RateLimit="2M")
    assert limit(daemon.bus) == [UNCHOSEN, 2_000_000, "configuration"]
    choose(daemon.bus, 300_000)
    daemon.kill()
    daemon.restart()
    assert limit(daemon.bus) == [300_000, 300_000, "command"]
    choose(daemon.bus, UNCHOSEN)
    daemon.kill()
    daemon.restart()
    assert limit(daemon.bus) == [UNCHOSEN, 2_000_000, "configuration"]


def test_a_reload_counts_at_once_but_not_over_a_choice(home):
    daemon = home.daemon(RateLimit="2M")
    home.config(RateLimit="3M")
    daemon.bus.manager("Reload")
    assert limit(daemon.bus) == [UNCHOSEN, 3_000_000, "configuration"]
    choose(daemon.bus, 1000)
    home.config(RateLimit="off")
    daemon.bus.manager("Reload")
    assert limit(daemon.bus) == [1000, 1000, "command"]
    choose(daemon.bus, UNCHOSEN)
    assert limit(daemon.bus) == [UNCHOSEN, 0, "configuration"]


def test_a_bad_schedule_leaves_the_old_one_in_force(home):
    daemon = home.daemon(RateSchedule="00:00-24:00=200K")
    home.config(RateSchedule="08:00..18:00=200K")
    with pytest.raises(BusError) as error:
        daemon.bus.manager("Reload")
    assert error.value.name == "InvalidArgument" and "08:00-18:00" in error.value.message
    assert limit(daemon.bus) == [UNCHOSEN, 200_000, "schedule"]


# ---- the schedule ----

def clock_text(moment):
    return moment.strftime("%H:%M")


def around(now, hours):
    """A span of HOURS that begins an hour before NOW, as a schedule has it, and its end in microseconds."""
    begin = now.replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=1)
    end = begin + datetime.timedelta(hours=hours)
    return f"{clock_text(begin)}-{clock_text(end)}", int(end.timestamp() * 1e6)


def test_a_span_that_is_open_wins_over_the_limit_until_it_ends(home):
    home.env["TZ"] = "UTC"
    span, end = around(datetime.datetime.now(datetime.timezone.utc), 4)
    bus = home.daemon(RateLimit="2M", RateSchedule=f"{span}=100K").bus
    assert limit(bus) == [UNCHOSEN, 100_000, "schedule"]
    assert bus.get("RateLimitUntil") == end


def test_a_span_without_a_limit_lifts_the_one_of_the_configuration(home):
    home.env["TZ"] = "UTC"
    span, end = around(datetime.datetime.now(datetime.timezone.utc), 4)
    bus = home.daemon(RateLimit="2M", RateSchedule=f"{span}=off").bus
    assert limit(bus) == [UNCHOSEN, 0, "schedule"]
    assert bus.get("RateLimitUntil") == end


def test_spans_that_follow_each_other_with_one_rate_are_one(home):
    home.env["TZ"] = "UTC"
    now = datetime.datetime.now(datetime.timezone.utc)
    first, middle = around(now, 4)
    begin = datetime.datetime.fromtimestamp(middle / 1e6, datetime.timezone.utc)
    end = begin + datetime.timedelta(hours=3)
    bus = home.daemon(RateSchedule=f"{first}=100K; {clock_text(begin)}-{clock_text(end)}=100K").bus
    assert bus.get("RateLimitUntil") == int(end.timestamp() * 1e6)


def test_a_schedule_counts_in_the_zone_of_the_machine(home):
    home.env["TZ"] = "Asia/Kolkata"
    now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    span, end = around(now, 4)
    bus = home.daemon(RateSchedule=f"{span}=100K").bus
    assert limit(bus) == [UNCHOSEN, 100_000, "schedule"]
    assert bus.get("RateLimitUntil") == end


def test_another_day_has_another_rate(home):
    home.env["TZ"] = "UTC"
    clock = Clock(home)
    today = datetime.datetime.now(datetime.timezone.utc).weekday()
    # Two days that lie half a week apart, so that midnight may pass meanwhile.
    spans = [f"{DAYS[(today - 1) % 7]}..{DAYS[(today + 1) % 7]} 00:00-24:00=100K",
             f"{DAYS[(today + 2) % 7]}..{DAYS[(today + 4) % 7]} 00:00-24:00=200K"]
    daemon = home.daemon(RateSchedule="; ".join(spans))
    assert limit(daemon.bus) == [UNCHOSEN, 100_000, "schedule"]
    clock.step(3)
    daemon.bus.manager("Reload")
    assert limit(daemon.bus) == [UNCHOSEN, 200_000, "schedule"]


# ---- that it holds ----

def test_no_more_goes_than_the_limit_lets_through(home, serve):
    """A slow machine may take longer; nothing may be quicker."""
    bus, server, rate = home.daemon(RateLimit="40K").bus, serve(), 40_000
    source = home.file(size=60_000)
    begin = time.monotonic()
    job = bus.add(source, server.url + "/a")
    bus.wait(job, "done")
    assert time.monotonic() - begin >= 60_000 / rate - BURST_S
    assert (server.root / "a").read_bytes() == source.read_bytes()


def test_all_jobs_share_one_limit(home, serve):
    bus, server, rate = home.daemon(RateLimit="60K", MaxActive=6, MaxActivePerHost=6).bus, serve(), 60_000
    source = home.file(size=15_000)
    begin = time.monotonic()
    jobs = bus.add_many(source, server.url + "/", 6)
    for job in jobs:
        bus.wait(job, "done")
    assert time.monotonic() - begin >= 6 * 15_000 / rate - BURST_S
    assert [path.read_bytes() == source.read_bytes() for path in sorted(server.root.iterdir())
            if path.is_file()] == [True] * 6


def test_a_limit_of_a_byte_a_second_holds_an_upload_back_and_lifting_it_lets_it_go(home, serve):
    bus, server = home.daemon().bus, serve()
    choose(bus, 1)
    job = bus.add(home.file(size=200_000), server.url + "/a")
    bus.wait(job, "transferring")
    assert bus.job(job)["Acknowledged"] == 0
    choose(bus, 0)
    assert bus.wait(job, "done", "failed")["State"] == "done"
    assert bus.job(job)["Resent"] == 0


def test_a_limit_that_comes_holds_what_is_under_way(home, serve):
    bus, server = home.daemon(FragmentMax="64KiB").bus, serve()
    choose(bus, 400_000)
    job = bus.add(home.file(size=20_000_000), server.url + "/a")
    poll(lambda: bus.job(job)["Acknowledged"] > 0, "the upload has begun")
    choose(bus, 1)
    # A fragment takes most of a day now: what is acknowledged comes to rest.
    seen = []
    poll(lambda: seen.append(bus.job(job)["Acknowledged"]) or (len(seen) > 50 and seen[-50] == seen[-1]),
         "the upload rests")
    assert seen[-1] < 20_000_000 and bus.job(job)["State"] == "transferring"
    choose(bus, UNCHOSEN)
    assert bus.wait(job, "done", "failed")["State"] == "done"


def test_a_rate_is_never_shown_above_the_limit_that_came(home, serve):
    bus, server = home.daemon(FragmentMax="64KiB").bus, serve()
    choose(bus, 400_000)
    job = bus.add(home.file(size=20_000_000), server.url + "/a")
    poll(lambda: bus.job(job)["Rate"] > 1000, "the upload has a rate")
    choose(bus, 1000)
    assert bus.job(job)["Rate"] <= 1000 and bus.get("Rate") <= 1000
    last = home.bitsq("list").out.splitlines()[-1]
    assert last.startswith("1 job, 1 active, ") and last.endswith("B/s of 1.0 kB/s (command)"), last
    assert "1.0 kB/s" in last.split(" of ")[0] or " B/s" in last.split(" of ")[0], last


def test_a_daemon_under_a_limit_ends_when_it_is_told_to(home, serve):
    daemon, server = home.daemon(RateLimit="1"), serve()
    jobs = daemon.bus.add_many(home.file(size=200_000), server.url + "/", 3)
    daemon.bus.wait(jobs[0], "transferring")
    assert daemon.stop() == []


def test_a_job_that_waits_for_its_turn_can_be_cancelled(home, serve):
    bus, server = home.daemon(RateLimit="1", MaxActive=3, MaxActivePerHost=3).bus, serve()
    jobs = bus.add_many(home.file(size=200_000), server.url + "/", 3)
    for job in jobs:
        bus.wait(job, "transferring")
    bus.verb(jobs[0], "Cancel")
    assert bus.wait(jobs[0], "cancelled")["State"] == "cancelled"
    choose(bus, 0)
    for job in jobs[1:]:
        assert bus.wait(job, "done", "failed")["State"] == "done"


# ---- the command ----

def test_the_command_shows_and_chooses(home):
    home.daemon(RateLimit="2M")
    assert home.bitsq("limit").out == "2.0 MB/s by the configuration\n"
    chosen = home.bitsq("limit", "500K")
    assert (chosen.code, chosen.out, chosen.err) == (0, "500 kB/s by command\n", "")
    assert home.bitsq("limit", "off").out == "no limit by command\n"
    assert home.bitsq("limit", "8Mbit").out == "1.0 MB/s by command\n"
    assert home.bitsq("limit", "schedule").out == "2.0 MB/s by the configuration\n"


def test_the_command_says_until_when_the_schedule_holds(home):
    home.env["TZ"] = "UTC"
    span, end = around(datetime.datetime.now(datetime.timezone.utc), 4)
    home.daemon(RateSchedule=f"{span}=2M")
    shown = home.bitsq("limit").out
    assert shown.startswith("2.0 MB/s by the schedule until "), shown
    home.bitsq("add", "--hold", str(home.file(size=10)), "http://127.0.0.1:9/x")
    last = home.bitsq("list").out.splitlines()[-1]
    assert last == f"1 job, 0 active, 0 B/s of 2.0 MB/s (schedule until {shown.split(' until ')[1].strip()})"
    answer = home.bitsq("limit", "--json").json
    assert answer == {"schema": "bitsq.limit/1", "rate": 2_000_000, "source": "schedule", "chosen": None,
                      "until": datetime.datetime.fromtimestamp(end / 1e6, datetime.timezone.utc)
                      .strftime("%Y-%m-%dT%H:%M:%S.000000Z")}


def test_no_limit_is_said_so(home):
    home.daemon()
    assert home.bitsq("limit").out == "no limit\n"
    assert home.bitsq("limit", "--json").json == {"schema": "bitsq.limit/1", "rate": None, "source": "configuration",
                                                  "until": None, "chosen": None}
    assert home.bitsq("limit", "off", "--json").json["chosen"] == 0


@pytest.mark.parametrize("arguments, remedy", [
    (["fast"], "off"), (["0"], "off"), (["-1"], ""), (["2 M"], "schedule"), (["200K", "300K"], ""), ([""], "off"),
    (["7bit"], "off"),
], ids=str)
def test_a_limit_that_is_none_is_a_usage_error_and_changes_nothing(home, arguments, remedy):
    home.daemon(RateLimit="2M")
    result = home.bitsq("limit", *arguments)
    assert result.code == 2 and result.out == "" and remedy in result.err, result
    assert home.bitsq("limit").out == "2.0 MB/s by the configuration\n"


def test_a_limit_that_is_too_large_is_refused_by_the_daemon(home):
    home.daemon()
    result = home.bitsq("limit", "2000T")
    assert result.code != 0 and "no limit" in result.err, result
