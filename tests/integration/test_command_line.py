# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contract of the command line: what goes where, exit codes, JSON, selections, keys and lists."""
import json
import os
import signal

import pytest

from support.home import BITSQ
from support.wait import poll

CLOSED = "http://127.0.0.1:9/"


@pytest.fixture
def queue(home):
    home.daemon()
    return home


def held(home, count=1, *options):
    source = home.file(size=1000)
    ids = []
    for i in range(count):
        added = home.bitsq("add", "--hold", *options, source, f"{CLOSED}{i}")
        assert added.code == 0, added
        ids += added.ids
    return ids


def states(home, *ids):
    jobs = home.bitsq("list", "--json").json["jobs"]
    found = {job["id"]: job["state"] for job in jobs}
    return [found.get(job) for job in ids] if ids else found


def test_add_prints_one_id_a_line_and_nothing_else(queue):
    sources = [queue.file(f"{i}.bin", size=10) for i in range(3)]
    added = queue.bitsq("add", "--hold", *sources, CLOSED)
    assert added.code == 0 and added.out == "".join(f"{job}\n" for job in added.ids) and len(added.ids) == 3
    assert added.ids == sorted(added.ids)
    urls = [job["url"] for job in queue.bitsq("list", "--json").json["jobs"]]
    assert urls == [f"{CLOSED}{i}.bin" for i in range(3)]


def test_add_is_all_or_none(queue):
    good = queue.file(size=10)
    added = queue.bitsq("add", "--hold", good, queue.path / "missing", CLOSED)
    assert added.code == 11 and added.out == "" and "missing" in added.err
    assert states(queue) == {}


def test_several_files_need_a_url_that_ends_in_a_slash(queue):
    added = queue.bitsq("add", queue.file("a", size=1), queue.file("b", size=1), "http://127.0.0.1:9/x")
    assert added.code == 2 and "/" in added.err and states(queue) == {}


def test_an_upload_can_be_waited_for_in_the_same_command(home, serve):
    home.daemon()
    server = serve()
    source = home.file(size=300_000)
    added = home.bitsq("add", "-w", source, f"{server.url}/x")
    assert added.code == 0 and len(added.ids) == 1, added
    assert (server.root / "x").read_bytes() == source.read_bytes()
    assert "done" in added.err, "a line a change of state where standard error is no terminal"
    assert home.bitsq("add", "-q", "-w", source, f"{server.url}/y").err == ""


def test_exit_code_4_is_a_job_that_failed_5_one_that_was_cancelled_10_mixed_ends(home, serve):
    home.daemon()
    server = serve("--fault", "create if target bad: status 403")
    source = home.file(size=100)
    good = home.bitsq("add", source, f"{server.url}/good").ids[0]
    bad = home.bitsq("add", source, f"{server.url}/bad").ids[0]
    gone = home.bitsq("add", "--hold", source, f"{server.url}/gone").ids[0]
    assert home.bitsq("cancel", str(gone)).code == 0
    assert home.bitsq("wait", str(good)).code == 0
    failed = home.bitsq("wait", str(bad))
    assert failed.code == 4 and failed.out == "" and "403" in failed.err
    assert home.bitsq("wait", str(gone)).code == 5
    assert home.bitsq("wait", str(good), str(bad), str(gone)).code == 10
    assert home.bitsq("add", "-w", source, f"{server.url}/bad").code == 4


def test_exit_code_6_is_a_wait_that_took_too_long(queue):
    job = held(queue)[0]
    waited = queue.bitsq("wait", "--timeout", "1s", str(job))
    assert waited.code == 6 and waited.out == ""
    assert states(queue, job) == ["paused"]


def test_exit_code_9_is_a_full_queue(home):
    home.daemon(MaxJobs=2)
    held(home, 2)
    full = home.bitsq("add", "--hold", home.file(size=10), CLOSED + "x")
    assert full.code == 9 and full.out == "" and len(full.err.splitlines()) == 1, full


def test_exit_code_10_is_a_selection_of_which_some_failed(queue):
    first, second = held(queue, 2)
    assert queue.bitsq("cancel", str(second)).code == 0
    poll(lambda: states(queue, second) == ["cancelled"], "cancelled")
    some = queue.bitsq("resume", str(first), str(second))
    assert some.code == 10 and "cancelled" in some.err, some


def test_a_verb_that_the_state_forbids_says_the_state(queue):
    job = held(queue)[0]
    again = queue.bitsq("retry", str(job))
    assert again.code == 1 and "paused" in again.err and again.out == "", again


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_exit_code_130_detaches_and_the_job_goes_on(queue, sent):
    job = held(queue)[0]
    waiting = queue.start_bitsq("wait", str(job))
    poll(lambda: takes_signals(waiting.pid), "the command waits")
    waiting.send_signal(sent)
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130 and out == "" and str(job) in err and "wait" in err, (out, err)
    assert states(queue, job) == ["paused"]


def takes_signals(pid):
    """Whether the process reads its signals from a descriptor by now."""
    try:
        return any("signalfd" in os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False  # a descriptor that was closed meanwhile


def test_selections_name_ids_ranges_states_and_all(queue):
    ids = held(queue, 6)
    source = queue.file(size=10)
    assert queue.bitsq("cancel", str(ids[0])).code == 0
    assert queue.bitsq("cancel", "--yes", f"{ids[1]}-{ids[2]}").code == 0
    poll(lambda: states(queue, *ids[:3]) == 3 * ["cancelled"], "three are cancelled")
    assert queue.bitsq("remove", "--yes", "--state", "cancelled").code == 0
    assert sorted(states(queue)) == ids[3:]
    assert queue.bitsq("cancel", "--yes", "--group", "default", "--state", "paused").code == 0
    poll(lambda: set(states(queue).values()) == {"cancelled"}, "all are cancelled")
    assert queue.bitsq("remove", "--yes", "--all").code == 0
    assert states(queue) == {} and source.exists()


@pytest.mark.parametrize("verb", ["cancel", "remove"])
def test_a_bulk_command_that_destroys_needs_yes_without_a_terminal(queue, verb):
    ids = held(queue, 2)
    refused = queue.bitsq(verb, "--all")
    assert refused.code == 2 and "--yes" in refused.err and states(queue, *ids) == ["paused", "paused"]


def test_a_selection_that_matches_nothing_is_exit_code_3(queue):
    for command in (["pause", "--all"], ["cancel", "--yes", "--state", "done"], ["resume", "--group", "nobody"],
                    ["remove", "--yes", "7-9"]):
        empty = queue.bitsq(*command)
        assert empty.code == 3 and empty.out == "", empty


def test_a_name_and_a_priority_are_kept(queue):
    job = held(queue, 1, "-n", "The report", "-p", "high")[0]
    shown = queue.bitsq("show", "--json", str(job)).json
    shown = shown["jobs"][0]
    assert shown["name"] == "The report" and shown["priority"] == "high" and shown["state"] == "paused"


def test_options_reach_the_job(queue):
    job = held(queue, 1, "--fragment-size", "64Ki:1M", "--retry-delay", "90s", "--no-progress-timeout", "2h")[0]
    options = queue.bitsq("show", "--json", str(job)).json["jobs"][0]["options"]
    assert options == {"fragment_size": [65536, 1_000_000], "retry_delay": 90_000_000,
                       "no_progress_timeout": 7_200_000_000}


def test_the_same_key_twice_is_one_job(queue):
    source = queue.file(size=100)
    first = queue.bitsq("add", "--hold", "--key", "nightly", source, CLOSED + "x")
    again = queue.bitsq("add", "--hold", "--key", "nightly", source, CLOSED + "x")
    assert first.code == again.code == 0 and first.ids == again.ids and len(states(queue)) == 1


def test_the_same_key_for_another_upload_already_exists(queue):
    source = queue.file(size=100)
    first = queue.bitsq("add", "--hold", "--key", "nightly", source, CLOSED + "x").ids[0]
    for options, url in ((["--if-exists", "keep"], "y"), (["--if-exists", "fail"], "x"), ([], "y")):
        other = queue.bitsq("add", "--hold", "--key", "nightly", *options, source, CLOSED + url)
        assert other.code == 1 and other.out == "" and "nightly" in other.err, other
    assert list(states(queue)) == [first]


def test_a_key_can_replace(queue):
    source = queue.file(size=100)
    first = queue.bitsq("add", "--hold", "--key", "nightly", source, CLOSED + "x").ids[0]
    second = queue.bitsq("add", "--hold", "--key", "nightly", "--if-exists", "replace", source, CLOSED + "y")
    assert second.code == 0 and second.ids != [first], second
    found = queue.bitsq("list", "--json", "--state", "paused").json["jobs"]
    assert [(job["id"], job["url"]) for job in found] == [(second.ids[0], CLOSED + "y")]


def test_a_key_goes_with_one_file(queue):
    two = queue.bitsq("add", "--key", "k", queue.file("a", size=1), queue.file("b", size=1), CLOSED)
    assert two.code == 2 and states(queue) == {}


def test_a_list_of_files_and_urls_is_read_from_a_file(queue):
    paths = [queue.file(f"{i}", size=10) for i in range(3)]
    listing = queue.path / "list"
    listing.write_text("".join(f"{path}\t{CLOSED}u{i}\n" for i, path in enumerate(paths)))
    added = queue.bitsq("add", "--hold", "--from-file", listing)
    assert added.code == 0 and len(added.ids) == 3, added
    assert [job["url"] for job in queue.bitsq("list", "--json").json["jobs"]] == [f"{CLOSED}u{i}" for i in range(3)]


def test_names_from_find_are_read_with_nul_between_them(queue):
    names = [b"plain", b"new\nline", b"tab\there", b"caf\xe9"]
    stdin = b"".join(os.fsencode(queue.file(name, size=10)) + b"\0" for name in names)
    added = queue.bitsq("add", "--hold", "--from-file", "-", "-0", CLOSED, stdin=stdin, text=False)
    assert added.code == 0 and len(added.out.split()) == 4, added


def test_a_list_is_all_or_none_and_names_its_line(queue):
    good = queue.file(size=10)
    listing = queue.path / "list"
    listing.write_text(f"{good}\t{CLOSED}a\n{queue.path}/missing\t{CLOSED}b\n")
    added = queue.bitsq("add", "--hold", "--from-file", listing)
    assert added.code == 11 and "missing" in added.err and added.out == "" and states(queue) == {}
    listing.write_text(f"{good}\t{CLOSED}a\nno url here\n")
    added = queue.bitsq("add", "--hold", "--from-file", listing)
    assert added.code == 2 and "2" in added.err and states(queue) == {}, added


def test_a_list_of_thousands_is_queued_all_or_none(queue):
    """More than one call to the daemon carries: the last entry still decides over all."""
    source, listing = queue.file(size=10), queue.path / "list"
    lines = [f"{source}\t{CLOSED}{number}\n" for number in range(2500)]
    listing.write_text("".join([*lines, f"{queue.path}/gone\t{CLOSED}gone\n"]), encoding="utf-8")
    added = queue.bitsq("add", "--hold", "--from-file", listing)
    assert added.code == 11 and added.out == "" and "gone" in added.err
    assert queue.bitsq("list", "--json").json["jobs"] == []
    listing.write_text("".join(lines), encoding="utf-8")
    added = queue.bitsq("add", "--hold", "--from-file", listing)
    assert added.code == 0 and len(added.ids) == 2500 == len(set(added.ids))
    assert len(queue.bitsq("list", "--json").json["jobs"]) == 2500


def test_a_url_from_a_file_stays_out_of_the_arguments_and_every_output(queue):
    secret = queue.path / "url"
    secret.write_text("http://127.0.0.1:9/x?signature=hunter2\n")
    added = queue.bitsq("add", "--hold", "--url-file", secret, queue.file(size=10))
    assert added.code == 0, added
    job = str(added.ids[0])
    outputs = [queue.bitsq(*command) for command in (["list"], ["show", job], ["list", "--json"],
                                                     ["show", "--json", job])]
    everything = "".join(result.out + result.err for result in outputs) + queue.logs()
    assert "hunter2" not in everything and "signature=…" in outputs[1].out, outputs[1]


def test_dry_run_checks_and_adds_nothing(queue):
    good = queue.bitsq("add", "--dry-run", queue.file(size=10), CLOSED + "x")
    assert good.code == 0 and states(queue) == {}, good
    assert queue.bitsq("add", "--dry-run", queue.path / "missing", CLOSED).code == 11


VERBS = [["list"], ["list", "--state", "paused"], ["show", "{id}"], ["daemon", "status"], ["version"],
         ["wait", "--timeout", "1s", "{id}"], ["pause", "{id}"], ["resume", "{id}"], ["cancel", "{id}"],
         ["retry", "{id}"], ["remove", "{id}"], ["show", "4711"], ["add", "/nonexistent", CLOSED], ["add", "--dry-run", "/etc/hostname", CLOSED]]


@pytest.mark.parametrize("command", VERBS, ids=lambda command: " ".join(command))
def test_json_is_valid_and_names_its_schema(queue, command):
    job = held(queue)[0]
    result = queue.bitsq(*(word.format(id=job) for word in command), "--json")
    text = result.out or result.err
    for line in text.splitlines():
        assert json.loads(line)["schema"].startswith("bitsq."), result
    assert len(text.splitlines()) == 1 or not result.out, result


def test_json_lines_are_one_object_a_line(queue):
    ids = held(queue, 3)
    lines = queue.bitsq("list", "--json=lines").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids


def test_json_has_numbers_as_numbers_and_times_as_rfc_3339(queue):
    job = held(queue)[0]
    shown = queue.bitsq("show", "--json", str(job)).json["jobs"][0]
    assert shown["id"] == job and shown["size"] == 1000 and shown["acknowledged"] == 0
    assert shown["created"].endswith("Z") and shown["created"][10] == "T" and shown["finished"] is None


def test_an_error_in_json_has_its_stable_name(queue):
    missing = queue.bitsq("add", "--json", queue.path / "missing", CLOSED)
    error = json.loads(missing.err or missing.out)
    assert error["error"] == "SourceUnreadable" and missing.code == 11


def test_no_colour_and_no_escapes_where_there_is_no_terminal(queue):
    held(queue)
    for command in (["list"], ["show", "1"], ["help"], ["daemon", "status"]):
        result = queue.bitsq(*command)
        assert "\x1b" not in result.out + result.err
    assert queue.bitsq("add", "-w", "--no-progress-timeout", "0", queue.file(size=1), CLOSED).code == 4
    assert "\x1b[" in queue.bitsq("list", "--color=always").out


def test_help_is_an_answer(queue):
    overview = queue.bitsq("help")
    assert overview.code == 0 and overview.err == "" and "add" in overview.out
    for verb in ("add", "list", "show", "watch", "wait", "pause", "resume", "cancel", "retry", "remove", "limit", "daemon"):
        assert queue.bitsq("help", verb).code == 0
        assert queue.bitsq(verb, "--help").out == queue.bitsq("help", verb).out
        assert verb in overview.out


def test_an_unknown_option_names_the_near_one(queue):
    assert "--priority" in queue.bitsq("add", "--priorty", "high", "x", CLOSED).err


def test_list_and_show_say_what_a_job_waits_for(queue):
    job = held(queue)[0]
    assert "paused" in queue.bitsq("list").out
    shown = queue.bitsq("show", str(job)).out
    assert "paused" in shown and CLOSED in shown


def test_an_answer_that_cannot_be_written_is_an_error(queue):
    held(queue)
    with open("/dev/full", "w") as full:
        import subprocess
        done = subprocess.run([BITSQ, "list"], env=queue.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "No space" in done.stderr, done


def test_wait_for_any_returns_with_the_first(home, serve):
    home.daemon()
    server = serve()
    held_job = home.bitsq("add", "--hold", home.file(size=10), f"{server.url}/a").ids[0]
    quick = home.bitsq("add", home.file(size=10), f"{server.url}/b").ids[0]
    assert home.bitsq("wait", "--any", str(held_job), str(quick)).code == 0


def test_wait_finds_every_job_of_a_long_selection(home):
    """More than a page of the list, and more than watch keeps in view."""
    bus = home.daemon().bus
    bus.add_many(home.file(size=10), CLOSED, 1000, hold=True)
    ids = bus.add_many(home.file(size=10), f"{CLOSED}more", 200, hold=True)
    assert home.bitsq("cancel", "--all", "--yes").code == 0
    waited = home.bitsq("wait", f"1-{max(ids)}")
    assert waited.code == 5 and "there is no job" not in waited.out + waited.err, waited
    assert (waited.out + waited.err).count("was cancelled") == 1200
    waited = home.bitsq("wait", f"1-{max(ids) + 1}")
    assert waited.code == 10 and (waited.out + waited.err).count("there is no job") == 1


def test_wait_for_started_returns_before_the_end(home, serve):
    home.daemon(FragmentMin=5120, FragmentMax=8192)
    server = serve("--fault", "fragment: stall")
    job = home.bitsq("add", home.file(size=100_000), f"{server.url}/a").ids[0]
    assert home.bitsq("wait", "--for", "started", str(job)).code == 0


def test_watch_without_a_terminal_prints_a_line_a_change(home, serve):
    home.daemon()
    server = serve("--fault", "create: ack-delay 500ms")
    job = home.bitsq("add", home.file(size=10), f"{server.url}/a").ids[0]
    watched = home.bitsq("watch", str(job))
    assert watched.code == 0 and "done" in watched.out + watched.err, watched


def test_daemon_status_start_stop_and_restart(home):
    assert home.bitsq("daemon", "status").code == 7
    started = home.bitsq("daemon", "start")
    assert started.code == 0, started
    first = home.bitsq("daemon", "status", "--json").json
    assert first["running"] and first["state_directory"] == str(home.state)
    assert home.bitsq("daemon", "restart").code == 0
    assert home.bitsq("daemon", "status", "--json").json["pid"] != first["pid"]
    assert home.bitsq("daemon", "stop").code == 0
    assert home.bitsq("daemon", "status").code == 7


def test_no_secret_of_a_url_stands_in_an_error(home, serve):
    home.daemon()
    server = serve("--fault", "create: status 403; error 0x80070005 0x5")
    added = home.bitsq("add", "-w", home.file(size=10), f"{server.url}/x?token=hunter2")
    assert added.code == 4 and "hunter2" not in added.err + home.bitsq("list").out + home.logs(), added
