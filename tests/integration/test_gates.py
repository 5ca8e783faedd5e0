# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why a job waits: for each gate, the text, the JSON and D-Bus say the same, and `run` is the way past it."""
import resource
import signal
import time

import pytest

from server.scripted import ScriptedServer, stall
from support.bus import JOB, ROOT, BusError
from support.gates import agree, explain, why
from support.wait import poll

NOWHERE = "http://127.0.0.1:9/target"
HOUR = 3600


def hours_from_now(begin, end):
    """A window that begins and ends so many hours from now, as the clock on the wall of the tests (UTC) shows them."""
    def clock(hours):
        return time.strftime("%H:%M", time.gmtime(time.time() + hours * HOUR))
    return f"{clock(begin)}-{clock(end)}"


def test_a_job_that_is_to_start_later_waits_behind_its_time(home):
    bus = home.daemon().bus
    added = home.bitsq("add", "--not-before", "2h", home.file(size=10), NOWHERE)
    assert added.code == 0, added
    shown, until = agree(home, bus, added.ids[0], "time", "to start later", f"bitsq set {added.ids[0]} not-before=")
    assert shown["State"] == "blocked" and abs(until / 1e6 - time.time() - 2 * HOUR) < 120


def test_outside_its_hours_a_job_is_blocked_until_they_begin(home):
    bus = home.daemon().bus
    window = hours_from_now(2, 3)
    job = bus.add(home.file(size=10), NOWHERE, window=window)
    shown, until = agree(home, bus, job, "window", f"outside its hours: {window}", f"bitsq set {job} window=")
    assert shown["State"] == "blocked" and abs(until / 1e6 - time.time() - 2 * HOUR) < 120
    assert bus.job(job)["BlockedUntil"] == until
    assert "until" in home.bitsq("list").out


def test_the_window_of_many_jobs_is_counted_as_one(home):
    bus = home.daemon().bus
    bus.add_many(home.file(size=10), NOWHERE, 50, window=hours_from_now(2, 3))
    poll(lambda: bus.counts().get("blocked") == 50, "all of them count as blocked")


def test_within_its_hours_it_runs(home, serve):
    home.daemon()
    server = serve()
    done = home.bitsq("add", "--wait", "--window", hours_from_now(-1, 1), home.file(size=1000), server.url + "/x")
    assert done.code == 0, done


def test_what_is_not_the_turn_of_a_job_is_the_slot(home):
    with ScriptedServer() as server:
        server.handler.script["Create-Session"] = stall()
        bus = home.daemon(MaxActive=1).bus
        first = bus.add(home.file(size=10), server.url + "first")
        poll(lambda: bus.job(first)["State"] == "connecting", "the first job is under way")
        job = bus.add(home.file("other.bin", size=10), server.url + "second")
        shown, _ = agree(home, bus, job, "slot", "1 of 1 slots in use", f"bitsq set {job} priority=high")
        assert shown["State"] == "queued"
        bus.verb(first, "Pause")
        bus.verb(job, "Pause")


def test_after_an_error_a_job_waits_for_its_next_attempt(home, closed_port):
    bus = home.daemon(RetryDelay="1h", RetryDelayMax="1h").bus
    job = bus.add(home.file(size=10), f"http://127.0.0.1:{closed_port}/x")
    poll(lambda: bus.job(job)["State"] == "retrying", "the first attempt has failed")
    shown, until = agree(home, bus, job, "retry", "no connection to the server", f"bitsq retry {job}")
    assert until == shown["NextAttempt"]
    # The next one for that server does not have to find that out.
    other = bus.add(home.file("other.bin", size=10), f"http://127.0.0.1:{closed_port}/y")
    poll(lambda: bus.job(other)["State"] == "blocked", "the second job is held")
    agree(home, bus, other, "retry", "did not answer; one job at a time", f"bitsq run {other}")
    assert bus.job(other)["Attempts"] == 0


def test_a_retry_is_for_the_server_of_its_job_alone(home, closed_port):
    bus = home.daemon(RetryDelay="1h", RetryDelayMax="1h").bus
    job, elsewhere = [bus.add(home.file(f"{host}.bin", size=10), f"http://{host}:{closed_port}/x")
                      for host in ("127.0.0.1", "127.0.0.2")]
    for failed in (job, elsewhere):
        bus.wait(failed, "retrying")
    waiting = bus.add(home.file("waiting.bin", size=10), f"http://127.0.0.2:{closed_port}/y")
    bus.wait(waiting, "blocked")
    before = bus.job(job)["NextAttempt"]
    bus.verb(job, "Retry")
    poll(lambda: bus.job(job)["NextAttempt"] > before, "the job was tried again")
    assert bus.job(waiting)["State"] == "blocked" and bus.job(waiting)["Attempts"] == 0
    bus.verb(elsewhere, "Retry")
    bus.wait(waiting, "retrying")


def test_what_cannot_be_had_of_credentials_is_their_gate(home):
    bus = home.daemon(RetryDelay="1h", RetryDelayMax="1h").bus
    token = home.file("token.sh", data=b"#!/bin/sh\nexit 75\n")
    token.chmod(0o700)
    made = home.bitsq("credential", "set", "ci", "--token-command", str(token))
    assert made.code == 0, made
    job = bus.add(home.file(size=10), "https://127.0.0.1:9/x", auth="bearer", credential="ci")
    bus.wait(job, "retrying")
    agree(home, bus, job, "credential", "failed", f"bitsq retry {job}")


def test_a_rate_is_told_and_holds_nobody(home):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), NOWHERE, rate=200_000, not_before=int((time.time() + HOUR) * 1e6))
    is_open, _, text, _ = explain(bus, job)["rate"]
    assert is_open and text == "at most 200 kB/s for this job"
    assert why(home, job)[0]["rate"] == ["open", "-", "-", text]
    row = next(row for row in home.bitsq("why", "--json", str(job)).json["jobs"][0]["gates"] if row["gate"] == "rate")
    assert row["open"] is True and row["why"] == text


def test_run_passes_every_gate_once(home, serve):
    bus = home.daemon().bus
    server = serve()
    job = bus.add(home.file(size=1000), server.url + "/x", window=hours_from_now(2, 3),
                  not_before=int((time.time() + HOUR) * 1e6))
    assert bus.job(job)["State"] == "blocked"
    ran = home.bitsq("run", str(job))
    assert ran.code == 0 and ran.out == "", ran
    assert home.bitsq("wait", str(job)).code == 0


def test_what_run_has_passed_is_no_reason_any_more(home, serve):
    """A job that was sent past its hours and finds no slot waits for that, and nobody is told of the hours."""
    server = serve("--fault", "fragment: stall")
    bus, source = home.daemon().bus, home.file(size=1000)
    assert home.bitsq("group", "set", "one", "parallel=1").code == 0
    first = bus.add(source, server.url + "/x", group="one")
    bus.wait(first, "transferring")
    job = bus.add(source, server.url + "/y", group="one", window=hours_from_now(2, 3),
                  not_before=int((time.time() + HOUR) * 1e6))
    assert bus.job(job)["State"] == "blocked" and set(bus.job(job)["Gates"]) == {"time", "window"}
    assert home.bitsq("run", str(job)).code == 0
    shown, until = agree(home, bus, job, "slot", "1 of 1 slots in use for the group one", f"bitsq set {job} priority=high")
    assert shown["State"] == "queued" and shown["Because"].startswith("1 of 1 slots") and until == 0
    for gate in ("time", "window"):
        assert explain(bus, job)[gate][:3] == (True, 0, "closed, but bitsq run sends it past")
        assert why(home, job)[0][gate] == ["open", "-", "-", "closed, but bitsq run sends it past"]
    bus.verb(first, "Cancel")
    bus.wait(job, "transferring")


def test_run_passes_the_gates_that_are_named_and_says_what_is_left(home, serve):
    bus = home.daemon().bus
    server = serve()
    job = bus.add(home.file(size=1000), server.url + "/x", window=hours_from_now(2, 3),
                  not_before=int((time.time() + HOUR) * 1e6))
    ran = home.bitsq("run", "--ignore", "time", str(job))
    assert ran.code == 0 and f"job {job} still waits: outside its hours" in ran.err, ran
    assert bus.job(job)["State"] == "blocked"
    assert home.bitsq("run", "--ignore", "time,window", "--json", str(job)).json == {"schema": "bitsq.run/1", "id": job}
    assert home.bitsq("wait", str(job)).code == 0


def test_run_resumes_a_paused_job_and_refuses_one_that_is_over(home, serve):
    home.daemon()
    server = serve()
    job = home.bitsq("add", "--hold", home.file(size=1000), server.url + "/x").ids[0]
    assert home.bitsq("run", str(job)).code == 0
    assert home.bitsq("wait", str(job)).code == 0
    again = home.bitsq("run", str(job))
    assert again.code == 1 and f"job {job} is done" in again.err and "bitsq show" in again.err, again
    asked = home.bitsq("why", str(job))
    assert asked.code == 1 and "no gate holds it" in asked.err, asked


@pytest.mark.parametrize("arguments, code, words", [
    (["why"], 2, "no job is named"),
    (["why", "99"], 3, "there is no job 99"),
    (["run"], 2, "no job is named"),
    (["run", "1", "2"], 2, "more than one job is named"),
    (["run", "99"], 3, "99"),
    (["run", "--ignore", "slot", "1"], 2, "slot is no gate that can be ignored"),
    (["run", "--ignore", ",", "1"], 2, "names no gate"),
    (["add", "--window", "08:00..18:00", "file.bin", NOWHERE], 2, "as 08:00-18:00"),
    (["add", "--window", "Monday 08:00-18:00", "file.bin", NOWHERE], 2, "Mon..Fri 08:00-18:00"),
    (["add", "--network", "cheap", "file.bin", NOWHERE], 2, "any or unmetered"),
    (["add", "--power", "120%", "file.bin", NOWHERE], 2, "30%"),
    (["add", "--not-before", "tomorrow", "file.bin", NOWHERE], 2, "22:00"),
    (["add", "--rate", "fast", "file.bin", NOWHERE], 2, "200K"),
    (["add", "--rate", "10", "file.bin", NOWHERE], 2, "at least 64 bytes a second"),
    (["add", "--source-changed", "ignore", "file.bin", NOWHERE], 2, "fail or restart"),
])
def test_what_cannot_be_understood_is_refused_with_the_remedy(home, arguments, code, words):
    home.daemon()
    home.file(size=10)
    done = home.bitsq(*arguments)
    assert (done.code, words in done.err) == (code, True), done


def test_the_gates_that_run_can_pass_are_the_same_on_the_bus(home):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), NOWHERE, not_before=int((time.time() + HOUR) * 1e6))
    passable = {gate for gate, row in explain(bus, job).items() if row[3].get("passable")}
    assert passable == {"time", "window", "network", "metered", "power", "group", "retry", "source", "credential"}
    with pytest.raises(BusError) as caught:
        bus.call(f"{ROOT}/jobs/{job}", JOB, "Run", "as", ["disk"])
    assert caught.value.name == "InvalidArgument" and "disk" in caught.value.message


def test_what_was_set_is_shown_and_can_be_taken_back(home):
    bus = home.daemon().bus
    job = bus.add(home.file(size=10), NOWHERE, hold=True)
    done = home.bitsq("set", str(job), "window=22:00-06:00", "network=unmetered", "power=30%", "rate=200K",
                      "source-changed=restart", "not-before=2h")
    assert done.code == 0, done
    options = bus.job(job)["Options"]
    assert (options["window"], options["network"], options["power"], options["rate"], options["source_changed"]) == \
        ("22:00-06:00", "unmetered", "30%", 200_000, "restart")
    shown = home.bitsq("show", str(job)).out
    assert "window=22:00-06:00" in shown and "at most" in shown and "not before" in shown
    for key in ("window", "network", "power", "rate", "source-changed", "not-before"):
        assert home.bitsq("set", str(job), f"{key}=").code == 0
    assert bus.job(job)["Options"] == {}


def test_a_paused_group_holds_its_jobs_and_lets_them_go(home, serve):
    bus = home.daemon().bus
    server = serve()
    assert home.bitsq("group", "set", "photos", "parallel=1").code == 0
    assert home.bitsq("group", "pause", "photos").code == 0
    job = bus.add(home.file(size=1000), server.url + "/x", group="photos")
    shown, _ = agree(home, bus, job, "group", "the group photos is paused", "bitsq group resume photos")
    assert shown["State"] == "blocked"
    assert home.bitsq("group", "resume", "photos").code == 0
    assert home.bitsq("wait", str(job)).code == 0


def test_the_window_of_a_group_holds_for_jobs_that_are_queued_already(home):
    bus = home.daemon().bus
    jobs = bus.add_many(home.file(size=10), NOWHERE, 20, group="night",
                        not_before=int((time.time() + HOUR) * 1e6))
    window = hours_from_now(2, 3)
    assert home.bitsq("group", "set", "night", f"window={window}").code == 0
    agree(home, bus, jobs[7], "window", f"{window} (chosen by its group)", "bitsq group set night window=")
    assert bus.job(jobs[7])["Gates"] == ["time", "window"]


def test_the_parallelism_of_a_group_is_a_slot(home):
    with ScriptedServer() as server:
        server.handler.script["Create-Session"] = stall()
        bus = home.daemon(MaxActive=4, MaxActivePerHost=4).bus
        assert home.bitsq("group", "set", "one", "parallel=1").code == 0
        first = bus.add(home.file(size=10), server.url + "first", group="one")
        bus.wait(first, "connecting")
        job = bus.add(home.file("other.bin", size=10), server.url + "second", group="one")
        agree(home, bus, job, "slot", "1 of 1 slots in use for the group one", f"bitsq set {job} priority=high")
        for which in (job, first):
            bus.verb(which, "Pause")


def test_what_is_not_done_by_its_deadline_has_failed(home):
    with ScriptedServer() as server:
        server.handler.script["Create-Session"] = stall()
        bus = home.daemon().bus
        source, soon = home.file(size=10), int((time.time() + 1) * 1e6)
        runs = bus.add(source, server.url + "runs", deadline=soon)
        paused = bus.add(source, server.url + "paused", deadline=soon, hold=True)
        other = bus.add(source, server.url + "other", deadline=int((time.time() + HOUR) * 1e6), hold=True)
        for job in (runs, paused):
            seen = bus.wait(job, "failed")
            assert seen["Error"][0] == "ERROR_DEADLINE" and "bitsq set ID deadline=" in seen["Error"][2]
        assert bus.job(other)["State"] == "paused"
        shown = home.bitsq("show", str(paused)).out
        assert f"bitsq set {paused} deadline=" in shown and f"bitsq retry {paused}" in shown
        failed = [event for event in home.bitsq("events", "--json=lines").out.splitlines() if '"failed"' in event]
        assert len(failed) == 2


def test_a_deadline_that_passed_while_the_daemon_was_away_counts_at_its_start(home):
    daemon = home.daemon()
    job = daemon.bus.add(home.file(size=10), NOWHERE, deadline=int((time.time() + 1.5) * 1e6), hold=True)
    daemon.kill()
    daemon.restart()
    assert daemon.bus.wait(job, "failed")["Error"][0] == "ERROR_DEADLINE"


def test_a_deadline_can_be_taken_back_and_the_job_goes_on(home, serve):
    bus = home.daemon().bus
    server = serve()
    job = bus.add(home.file(size=10), server.url + "/x", deadline=int(time.time() * 1e6) - 1, hold=True)
    bus.wait(job, "failed")
    assert home.bitsq("set", str(job), "deadline=").code == 0
    assert home.bitsq("retry", str(job)).code == 0
    assert home.bitsq("wait", str(job)).code == 0


def test_while_the_queue_cannot_be_written_jobs_wait_for_the_disk(home):
    daemon = home.daemon()
    assert daemon.stop() == []
    # A file size limit stands for a full disk; the signal that it adds does not come from one.
    daemon.start(preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    bus = daemon.bus
    job = bus.add(home.file(size=10), NOWHERE, not_before=int((time.time() + HOUR) * 1e6))
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, hard))
    with pytest.raises(BusError):
        bus.add(home.file("other.bin", size=10), NOWHERE)
    agree(home, bus, job, "disk", "the queue cannot be written", "bitsq daemon status")
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))
    poll(lambda: bus.job(job)["Gates"] == ["time"], "it can be written again")
