# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that is not there for a while takes the files of its jobs along, and brings them back."""
import re

import pytest

from support.gates import agree
from support.sense import Namespace
from support.uploads import FS, LOCAL_FILE_CHANGED, SMALL
from support.wait import poll

NOT_READY = 0x80070015


class Stick:
    """A file system that is shown at `place` or not, for a daemon in a namespace of mounts of its own."""

    def __init__(self, home):
        self.machine = Namespace("mount")
        self.store, self.place = home.path / "store", home.path / "stick"
        for folder in (self.store, self.place):
            folder.mkdir()
        self.machine.run("mount", "-t", "tmpfs", "none", str(self.store))
        home.wrapper = self.machine.prefix

    def put(self, path, name="file.bin"):
        self.machine.run("cp", "-p", str(path), str(self.store / name))
        return self.place / name

    def plug(self):
        self.machine.run("mount", "--bind", str(self.store), str(self.place))

    def pull(self):
        self.machine.run("umount", "--lazy", str(self.place))


@pytest.fixture
def stick(home):
    made = Stick(home)
    yield made
    made.machine.stop()


def away(bus, job):
    """Waits until JOB waits for its file system."""
    poll(lambda: bus.job(job)["Error"][1] == NOT_READY, lambda: f"it waits; {bus.job(job)}")
    shown = bus.wait(job, "retrying")
    assert shown["Attempts"] == 0
    return shown


def arrived(home, server, bus, job, source, name="target"):
    shown = bus.wait(job, "done", "failed")
    assert shown["State"] == "done", (shown, home.logs())
    assert (server.root / name).read_bytes() == source.read_bytes()


def test_a_job_waits_for_its_file_system_and_goes_on_by_itself(home, serve, stick):
    stick.plug()
    bus = home.daemon(**SMALL, RetryDelayMax="1d").bus
    server = serve("--fault", "fragment: ack-delay 30ms")
    original = home.file("original.bin", size=60 * FS)
    job = bus.add(stick.put(original), server.url + "/target")
    poll(lambda: len(server.requests("fragment")) > 2, "it is under way")
    stick.pull()
    shown = away(bus, job)
    assert f"the file system {stick.place} is not mounted; mount it, and it goes on by itself" in shown["Error"][2]
    assert shown["Gates"] == ["source"]
    agree(home, bus, job, "source", f"the file system {stick.place} is not mounted", "goes on by itself")
    why = home.bitsq("why", str(job)).out
    assert "is not mounted" in why and "mount it, and it goes on by itself" in why
    stick.plug()
    arrived(home, server, bus, job, original)
    assert len(server.requests("create")) == 1 and not server.requests("cancel")


def test_it_waits_also_where_it_was_never_begun_and_says_so_once(home, serve, stick):
    stick.plug()
    bus = home.daemon(RetryDelayMax="100ms").bus
    server = serve()
    original = home.file("original.bin", size=1000)
    job = bus.add(stick.put(original), server.url + "/target", hold=True)
    stick.pull()
    bus.verb(job, "Resume")
    first = away(bus, job)["NextAttempt"]
    poll(lambda: bus.job(job)["NextAttempt"] > first + 500_000, "it was tried several times")
    assert len(re.findall("is not mounted", home.logs())) == 1, home.logs()
    events = [event for event in home.bitsq("events", "--json=lines").out.splitlines() if '"retrying"' in event]
    assert len(events) == 1, events
    assert bus.job(job)["Attempts"] == 0 and not server.requests()
    stick.plug()
    arrived(home, server, bus, job, original)


def test_after_a_start_it_is_tried_at_once(home, serve, stick):
    stick.plug()
    daemon = home.daemon(RetryDelayMax="1d")
    server = serve()
    original = home.file("original.bin", size=1000)
    job = daemon.bus.add(stick.put(original), server.url + "/target", hold=True)
    stick.pull()
    daemon.bus.verb(job, "Resume")
    away(daemon.bus, job)
    daemon.kill()
    stick.plug()
    daemon.restart()
    arrived(home, server, daemon.bus, job, original)


def test_it_still_waits_after_a_start_without_it(home, serve, stick):
    stick.plug()
    daemon = home.daemon(RetryDelayMax="1d")
    server = serve()
    original = home.file("original.bin", size=1000)
    job = daemon.bus.add(stick.put(original), server.url + "/target", hold=True)
    stick.pull()
    daemon.bus.verb(job, "Resume")
    before = away(daemon.bus, job)["NextAttempt"]
    daemon.kill()
    daemon.restart()
    poll(lambda: daemon.bus.job(job)["NextAttempt"] > before, "it was tried again")
    away(daemon.bus, job)
    stick.plug()
    arrived(home, server, daemon.bus, job, original)


def test_many_jobs_of_one_file_system_all_go_on(home, serve, stick):
    stick.plug()
    bus = home.daemon(RetryDelayMax="1d", MaxActive=2).bus
    server = serve()
    original = home.file("original.bin", size=1000)
    source = stick.put(original)
    jobs = [bus.add(source, f"{server.url}/target{number}", hold=True) for number in range(30)]
    stick.pull()
    for job in jobs:
        bus.verb(job, "Resume")
    for job in jobs:
        away(bus, job)
    stick.plug()
    for number, job in enumerate(jobs):
        arrived(home, server, bus, job, original, f"target{number}")


def test_a_file_that_was_deleted_fails_as_its_file_system_is_there(home, serve, stick):
    stick.plug()
    bus = home.daemon(RetryDelayMax="1d").bus
    source = stick.put(home.file("original.bin", size=1000))
    job = bus.add(source, serve().url + "/target", hold=True)
    stick.machine.run("rm", str(source))
    bus.verb(job, "Resume")
    shown = bus.wait(job, "failed", "retrying", "done")
    assert shown["State"] == "failed" and shown["Error"][1] == LOCAL_FILE_CHANGED, shown


def test_a_file_that_was_deleted_meanwhile_fails_when_its_file_system_is_back(home, serve, stick):
    stick.plug()
    bus = home.daemon(RetryDelayMax="1d").bus
    source = stick.put(home.file("original.bin", size=1000))
    job = bus.add(source, serve().url + "/target", hold=True)
    stick.pull()
    bus.verb(job, "Resume")
    away(bus, job)
    stick.machine.run("rm", str(stick.store / source.name))
    stick.plug()
    assert bus.wait(job, "failed", "done")["Error"][1] == LOCAL_FILE_CHANGED


def test_a_job_that_waits_can_be_cancelled(home, serve, stick):
    stick.plug()
    bus = home.daemon(**SMALL, RetryDelayMax="1d").bus
    server = serve("--fault", "fragment: ack-delay 30ms")
    job = bus.add(stick.put(home.file("original.bin", size=60 * FS)), server.url + "/target")
    poll(lambda: len(server.requests("fragment")) > 2, "it is under way")
    stick.pull()
    away(bus, job)
    bus.verb(job, "Cancel")
    bus.wait(job, "cancelled")
    assert len(server.requests("cancel")) == 1


def test_retry_tries_at_once_and_waits_again(home, serve, stick):
    stick.plug()
    bus = home.daemon(RetryDelayMax="1d").bus
    job = bus.add(stick.put(home.file("original.bin", size=1000)), serve().url + "/target", hold=True)
    stick.pull()
    bus.verb(job, "Resume")
    before = away(bus, job)["NextAttempt"]
    bus.verb(job, "Retry")
    poll(lambda: bus.job(job)["NextAttempt"] > before, "it was tried again")
    away(bus, job)
