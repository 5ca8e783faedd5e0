# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks: a unit is started when a job is done or has failed, at least once for each such event, also over a crash."""
import os
import shutil

import dbus
import pytest

from server.scripted import ScriptedServer
from support.bus import BusError
from support.wait import poll

CLOSED = "http://127.0.0.1:9/x"
NO_SYSTEMCTL = "/nonexistent/systemctl"  # as on a machine without systemd, wherever the tests run
LATER = "1h"


@pytest.fixture
def server():
    with ScriptedServer() as running:
        yield running


class Program:
    """A program that the daemon runs: it notes its arguments, and then does what BODY, a shell's, says."""

    def __init__(self, home, name):
        self.path, self.notes = home.path / name, home.path / f"{name}.runs"
        self.says()

    def says(self, body=""):
        # Made anew and put in its place: a file that is being run cannot be written.
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f'#!/bin/sh\necho "$*" >> "{self.notes}"\n{body}\n', encoding="ascii")
        fresh.chmod(0o700)
        os.replace(fresh, self.path)

    @property
    def runs(self):
        return self.notes.read_text(encoding="ascii").splitlines() if self.notes.exists() else []

    def wait(self, count):
        poll(lambda: len(self.runs) >= count, lambda: f"{count} runs: {self.runs}")
        return self.runs


@pytest.fixture
def command(home):
    return Program(home, "hook")


@pytest.fixture
def systemctl(home):
    return Program(home, "systemctl")


def start(home, command=None, systemctl=None, **keys):
    if command:
        keys["HookCommand"] = command.path
    return home.daemon(SystemctlPath=systemctl.path if systemctl else NO_SYSTEMCTL, **keys)


def upload(home, bus, server, **options):
    job = bus.add(home.file("done.bin", size=10), f"{server.url}done", **options)
    bus.wait(job, "done")
    return job


def fail(home, bus, **options):
    job = bus.add(home.file("failed.bin", size=10), CLOSED, no_progress_timeout=0, **options)
    bus.wait(job, "failed")
    return job


def sequences(bus, job, what):
    """Of the events of JOB that say that it is WHAT now."""
    events, _, _ = bus.manager("GetEvents", "tu", dbus.UInt64(0), dbus.UInt32(1000))
    return [event[0] for event in events if event[2] == what and event[3].get("job") == job]


def told(home, words, count=1):
    poll(lambda: home.logs().count(words) >= count, lambda: f"the log says {words!r}\n{home.logs()}")


def nothing_is_pending(home, daemon, *programs):
    """What was delivered is not run again by the next daemon. A job of its own shows that it has looked."""
    before = [program.runs for program in programs]
    assert daemon.stop() == []
    daemon.restart()
    job = fail(home, daemon.bus, on_failure="probe.service")
    told(home, f"hook probe.service (failed, event {sequences(daemon.bus, job, 'failed')[0]})")
    for program, runs in zip(programs, before):
        assert [run for run in program.runs if "probe.service" not in run] == runs


# ---- what is started ----

def test_units_are_the_users_own_and_roots_are_the_systems(home, server, systemctl):
    bus = start(home, systemctl=systemctl).bus
    job = upload(home, bus, server, on_success="backup@")
    whose = "" if os.geteuid() == 0 else "--user "
    assert systemctl.wait(1) == [f"{whose}start --no-block --no-ask-password -- backup@{job}-"
                                 f"{sequences(bus, job, 'done')[0]}.service"]


def test_each_end_of_a_job_starts_its_unit_with_job_and_event(home, server, systemctl):
    daemon = start(home, systemctl=systemctl)
    bus = daemon.bus
    options = {"on_success": "backup@.service", "on_failure": "alarm.target"}
    done = upload(home, bus, server, **options)
    assert systemctl.wait(1)[0].endswith(f"-- backup@{done}-{sequences(bus, done, 'done')[0]}.service")
    fail(home, bus, **options)
    assert systemctl.wait(2)[1].endswith("start --no-block --no-ask-password -- alarm.target")
    upload(home, bus, server, on_failure="alarm.target")
    cancelled = bus.add(home.file(size=10), CLOSED, hold=True, **options)
    bus.verb(cancelled, "Cancel")
    bus.wait(cancelled, "cancelled")
    told(home, ") was started", 2)
    nothing_is_pending(home, daemon, systemctl)


def test_a_retry_that_succeeds_is_an_event_of_its_own(home, server, systemctl):
    bus = start(home, systemctl=systemctl).bus
    job = fail(home, bus, on_failure="failed@", on_success="done@")
    systemctl.wait(1)
    assert home.bitsq("set", str(job), f"url={server.url}done").code == 0
    bus.verb(job, "Retry")
    bus.wait(job, "done")
    runs = systemctl.wait(2)
    assert runs[0].endswith(f"failed@{job}-{sequences(bus, job, 'failed')[0]}.service")
    assert runs[1].endswith(f"done@{job}-{sequences(bus, job, 'done')[0]}.service")


def test_a_missed_deadline_is_a_failure(home, systemctl):
    bus = start(home, systemctl=systemctl).bus
    job = bus.add(home.file(size=10), CLOSED, hold=True, deadline=1, on_failure="late@")
    bus.wait(job, "failed")
    assert systemctl.wait(1)[0].endswith(f"late@{job}-{sequences(bus, job, 'failed')[0]}.service")


def test_jobs_of_a_batch_have_their_hooks_and_removed_ones_too(home, server, command):
    bus = start(home, command).bus
    command.says("sleep 600")
    jobs = bus.add_many(home.file(size=10), f"{server.url}many", 8, on_success="many@")
    for job in jobs:
        bus.wait(job, "done")
    command.wait(4)  # the others wait for their turn
    for job in jobs:
        bus.verb(job, "Remove")
    command.says()
    daemon, = home.daemons
    daemon.kill()
    daemon.restart()
    poll(lambda: {int(run.split()[1]) for run in command.runs[4:]} == set(jobs), lambda: f"all came: {command.runs}")


# ---- without systemd ----

def test_without_systemd_the_hook_command_gets_unit_job_event_and_outcome(home, server, command):
    command.says("env > " + str(home.path / "environment"))
    daemon = start(home, command)
    home.env["BITSQ_SECRET"] = "x"
    done = upload(home, daemon.bus, server, on_success="backup@")
    sequence = sequences(daemon.bus, done, "done")[0]
    assert command.wait(1) == [f"backup@{done}-{sequence}.service {done} {sequence} done"]
    failed = fail(home, daemon.bus, on_failure="alarm")
    assert command.wait(2)[1] == f"alarm.service {failed} {sequences(daemon.bus, failed, 'failed')[0]} failed"
    told(home, "was handed to HookCommand=", 2)
    names = {line.split("=")[0] for line in (home.path / "environment").read_text().splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PWD", "SHLVL", "_", "OLDPWD"}
    nothing_is_pending(home, daemon, command)


def test_no_shell_sees_the_hook_command(home, server):
    program = Program(home, "a hook; touch wrong")
    bus = start(home, program).bus
    upload(home, bus, server, on_success="done")
    program.wait(1)


def test_a_manager_that_does_not_answer_leaves_it_to_the_hook_command(home, server, command, systemctl):
    systemctl.says('echo "Failed to connect to bus: No medium found" >&2\nexit 1')
    daemon = start(home, command, systemctl)
    job = upload(home, daemon.bus, server, on_success="done@")
    assert command.wait(1)[0].startswith(f"done@{job}-")
    assert [("start" in run, "show" in run) for run in systemctl.runs] == [(True, False), (False, True)]
    told(home, "was handed to HookCommand=")
    nothing_is_pending(home, daemon, command)


def test_without_systemd_and_a_command_the_log_says_so_and_it_is_over(home, server):
    daemon = start(home)
    job = upload(home, daemon.bus, server, on_success="done@")
    told(home, "there is no systemd on this machine; to have a program run instead, set HookCommand=")
    assert f"hook done@{job}-{sequences(daemon.bus, job, 'done')[0]}.service (done, event" in home.logs()
    nothing_is_pending(home, daemon)
    assert home.logs().count(f"hook done@{job}-") == 1


def test_a_reload_counts_from_the_next_hook_on(home, server, command):
    bus = start(home).bus
    upload(home, bus, server, on_success="done")
    told(home, "there is no systemd")
    home.config(HookCommand=command.path, SystemctlPath=NO_SYSTEMCTL)
    bus.manager("Reload")
    upload(home, bus, server, on_success="done")
    command.wait(1)


def test_path_is_not_asked_for_systemctl(home, server, systemctl):
    """The first systemctl of PATH may be anybody's."""
    home.env["PATH"] = f"{home.path}:{home.env['PATH']}"
    assert shutil.which("systemctl", path=home.env["PATH"]) == str(systemctl.path)
    daemon = start(home)
    upload(home, daemon.bus, server, on_success="done")
    told(home, "there is no systemd on this machine")
    nothing_is_pending(home, daemon, systemctl)
    assert systemctl.runs == []


# ---- what fails ----

def test_a_unit_that_cannot_be_started_is_tried_again_and_given_up(home, server, systemctl, command):
    """There is a manager, and it refuses: the hook command is no way round that."""
    systemctl.says('case "$*" in *show*) exit 0 ;; esac\necho "Unit done.service not found." >&2\nexit 5')
    daemon = start(home, command, systemctl, HookRetryDelay="1ms")
    upload(home, daemon.bus, server, on_success="done")
    told(home, "is given up")
    log = home.logs()
    assert log.count("it is tried again in") == 4 and command.runs == []
    assert "failed 5 times and is given up: systemctl failed with exit status 5: Unit done.service not found.; " \
           "start it by hand: systemctl " in log
    assert len([run for run in systemctl.runs if "start" in run]) == 5
    systemctl.says()
    nothing_is_pending(home, daemon)
    assert len([run for run in systemctl.runs if run.endswith("done.service")]) == 5


def test_a_command_that_fails_once_is_run_again(home, server, command):
    command.says(f'[ "$(wc -l < {command.notes})" -gt 1 ] || {{ echo "not yet" >&2; exit 3; }}')
    daemon = start(home, command, HookRetryDelay="1ms")
    upload(home, daemon.bus, server, on_success="done")
    first, second = command.wait(2)
    assert first == second and "HookCommand= failed with exit status 3: not yet; it is tried again" in home.logs()
    told(home, "was handed to HookCommand=")
    nothing_is_pending(home, daemon, command)


def test_a_command_that_is_not_there_is_named(home, server):
    bus = home.daemon(HookCommand="/nonexistent/hook", SystemctlPath=NO_SYSTEMCTL, HookRetryDelay="1ms").bus
    job = upload(home, bus, server, on_success="done")
    told(home, "is given up")
    assert "HookCommand= cannot be started: No such file or directory; correct HookCommand= and run it by hand with " \
           f"done.service {job} " in home.logs()


def test_a_hook_that_fails_holds_up_no_other(home, server, command):
    command.says('case "$1" in bad*) exit 1 ;; esac')
    bus = start(home, command, HookRetryDelay=LATER).bus
    for _ in range(6):
        upload(home, bus, server, on_success="bad")
    told(home, "it is tried again in 1h", 6)
    job = upload(home, bus, server, on_success="good")
    poll(lambda: any(run.startswith(f"good.service {job} ") for run in command.runs), "it was run")


# ---- crashes ----

@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_a_hook_that_was_not_through_runs_again_with_the_same_event(home, server, command, ending):
    command.says("exec sleep 600")
    daemon = start(home, command)
    job = upload(home, daemon.bus, server, on_success="done@")
    first, = command.wait(1)
    command.says()
    getattr(daemon, ending)()
    daemon.restart()
    assert command.wait(2) == [first, first]
    assert first.split()[2] == str(sequences(daemon.bus, job, "done")[0])
    told(home, "was handed to HookCommand=")
    nothing_is_pending(home, daemon, command)


def test_hooks_that_had_not_begun_at_a_kill_run_after_it(home, server, command):
    """Four run at a time: the fifth and sixth job are done, and their hooks not begun."""
    command.says("exec sleep 600")
    daemon = start(home, command)
    jobs = [upload(home, daemon.bus, server, on_success="done") for _ in range(6)]
    begun = command.wait(4)
    expected = {f"done.service {job} {sequences(daemon.bus, job, 'done')[0]} done" for job in jobs}
    command.says()
    daemon.kill()
    assert len(command.runs) == 4
    daemon.restart()
    poll(lambda: set(command.runs[4:]) == expected, lambda: f"all of {expected}: {command.runs}")
    assert set(begun) < expected
    told(home, "was handed to HookCommand=", 6)
    nothing_is_pending(home, daemon, command)


def test_tries_begin_anew_after_a_restart(home, server, command):
    command.says("exit 1")
    daemon = start(home, command, HookRetryDelay=LATER)
    upload(home, daemon.bus, server, on_success="done")
    told(home, "it is tried again in 1h")
    command.says()
    assert daemon.stop() == []
    daemon.restart()
    first, second = command.wait(2)
    assert first == second


# ---- what is asked for ----

def test_hooks_are_options_like_others_and_can_be_changed_and_taken_back(home):
    bus = home.daemon().bus
    job, = home.bitsq("add", "--hold", "--on-success", "backup@", "--on-failure=alarm.target", home.file(size=10),
                      CLOSED).ids
    assert {key: value for key, value in bus.job(job)["Options"].items() if key.startswith("on_")} == \
           {"on_success": "backup@.service", "on_failure": "alarm.target"}
    shown = home.bitsq("show", str(job)).out
    assert "on-success=backup@.service" in shown and "on-failure=alarm.target" in shown
    assert home.bitsq("show", str(job), "--json").json["jobs"][0]["options"]["on_success"] == "backup@.service"
    assert home.bitsq("set", str(job), "on-success=other", "on-failure=").code == 0
    assert bus.job(job)["Options"]["on_success"] == "other.service" and "on_failure" not in bus.job(job)["Options"]
    assert home.bitsq("set", str(job), "on_success=").code == 0
    assert "on_success" not in bus.job(job)["Options"]


@pytest.mark.parametrize("unit, words", [
    ("", "a unit is missing"),
    ("/usr/bin/backup", "put it into a service"),
    ("a b.service", "letters, digits"),
    ("x" * 248, "255 characters"),
    ("x" * 206 + "@.service", "214 characters"),
], ids=["nothing", "path", "blank", "long", "long template"])
def test_what_is_no_unit_is_refused_with_a_sentence(home, unit, words):
    bus = home.daemon().bus
    with pytest.raises(BusError) as caught:
        bus.add(home.file(size=10), CLOSED, on_success=unit)
    assert caught.value.name == "InvalidArgument" and words in caught.value.message
    wrong = home.bitsq("add", "--on-failure", unit, home.file(size=10), CLOSED)
    assert wrong.code == 2 and words in wrong.err and len(wrong.err.splitlines()) == 1, wrong
    job = bus.add(home.file(size=10), CLOSED, hold=True)
    if unit:
        assert words in home.bitsq("set", str(job), f"on-success={unit}").err
