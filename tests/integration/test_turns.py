# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose turn it is: priorities and time slices at the edge of fragments, one probe for a server that is down."""
import subprocess
import time

from server.scripted import Answer, ScriptedServer
from support.wait import poll

KIB = 1024
SLOW = {"FragmentMin": "16KiB", "FragmentMax": "16KiB", "MaxActive": 1}


def order(bus, *jobs):
    """JOBS as their uploads ended."""
    return sorted(jobs, key=lambda job: bus.job(job)["Finished"])


def test_an_urgent_job_goes_first_and_the_other_goes_on_where_it_was(home, serve):
    bus = home.daemon(**SLOW).bus
    server = serve()
    slow = bus.add(home.file("slow", size=400 * KIB), server.url + "/slow", priority="low", rate=200 * KIB)
    poll(lambda: bus.job(slow)["Acknowledged"] > 0, "the first fragment of the slow one is there")
    urgent = bus.add(home.file("urgent", size=20 * KIB), server.url + "/urgent", priority="high")
    bus.wait(urgent, "done")
    assert bus.job(slow)["State"] in ("queued", "connecting", "transferring")
    assert bus.wait(slow, "done")["Resent"] == 0
    assert order(bus, slow, urgent) == [urgent, slow] and len(server.requests("create")) == 2
    assert (server.root / "slow").read_bytes() == (home.path / "slow").read_bytes()


def test_a_large_job_makes_room_after_its_time_slice(home, serve):
    bus = home.daemon(**SLOW, TimeSlice="1s").bus
    server = serve()
    large = bus.add(home.file("large", size=1000 * KIB), server.url + "/large", rate=200 * KIB)
    poll(lambda: bus.job(large)["Acknowledged"] > 0, "the first fragment of the large one is there")
    small = [bus.add(home.file(f"small{i}", size=KIB), f"{server.url}/small{i}") for i in range(3)]
    for job in small:
        bus.wait(job, "done")
    assert bus.job(large)["State"] != "done"
    bus.wait(large, "done")
    assert order(bus, large, *small)[-1] == large and len(server.requests("create")) == 4


def test_foreground_jobs_do_not_take_turns(home, serve):
    bus = home.daemon(**SLOW, TimeSlice="1s").bus
    server = serve()
    first = bus.add(home.file("first", size=400 * KIB), server.url + "/first", priority="foreground", rate=200 * KIB)
    poll(lambda: bus.job(first)["Acknowledged"] > 0, "the first fragment is there")
    second = bus.add(home.file("second", size=KIB), server.url + "/second", priority="foreground")
    bus.wait(second, "done")
    assert order(bus, first, second) == [first, second]


def test_a_server_that_is_down_is_asked_by_one_job_for_all(home):
    with ScriptedServer() as server:
        server.handler.script["Create-Session"] = Answer(503)
        bus = home.daemon(MaxActive=8, MaxActivePerHost=8, RetryDelay="300ms", RetryDelayMax="300ms").bus
        jobs = bus.add_many(home.file(size=10), server.url, 20)
        server.wait_for(lambda s: len(s.packets("Create-Session")) >= 6)
        tried = [job for job in jobs if bus.job(job)["Attempts"] > 0]
        blocked = [job for job in jobs if bus.job(job)["State"] == "blocked"]
        assert len(tried) < 15 and blocked and bus.counts().get("transferring", 0) == 0
        server.handler.script.pop("Create-Session")
        for job in jobs:
            bus.wait(job, "done")


def test_the_rate_of_a_job_and_of_its_group_hold(home, serve):
    bus = home.daemon(MaxActive=4, MaxActivePerHost=4).bus
    server = serve()
    assert home.bitsq("group", "set", "slow", "rate=100K").code == 0
    begin = time.monotonic()
    jobs = [bus.add(home.file(f"f{i}", size=100_000), f"{server.url}/f{i}", group="slow") for i in range(2)]
    jobs.append(bus.add(home.file("own", size=200_000), f"{server.url}/own", rate=100_000))
    for job in jobs:
        bus.wait(job, "done")
    # 200,000 bytes at 100,000 a second: what was saved up at the beginning is a small part of a second
    assert time.monotonic() - begin > 1.5


def test_a_change_of_gates_is_told_once_for_all_jobs_behind_them(home, session_bus):
    bus = home.daemon().bus
    jobs = bus.add_many(home.file(size=10), "http://127.0.0.1:9/", 150, group="many",
                        not_before=int((time.time() + 3600) * 1e6))
    assert home.bitsq("group", "set", "many", "parallel=1").code == 0
    told = home.path / "told"
    with open(told, "wb") as out:
        monitor = subprocess.Popen(["dbus-monitor", "--address", session_bus.address,
                                    "type='signal',interface='org.bitsq1.Manager',member='GatesChanged'"],
                                   stdout=out, stdin=subprocess.DEVNULL)
    poll(lambda: "NameAcquired" in told.read_text(), "the monitor is on the bus")
    assert home.bitsq("group", "pause", "many").code == 0
    poll(lambda: "uint64 150" in told.read_text(), lambda: f"the signal has come: {told.read_text()}")
    monitor.terminate()
    monitor.wait(60)
    words = told.read_text()
    assert words.count("member=GatesChanged") == 1 and 'string "group"' in words and "boolean false" in words
    assert bus.job(jobs[0])["Gates"] == ["time", "group"] and bus.counts() == {"blocked": 150}
