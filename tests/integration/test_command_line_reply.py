# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line changes jobs, hands out replies, and shows what became of them."""
import json
import os
import pty
import subprocess

import pytest

from server.application import Application
from support.home import BITSQ
from support.wait import poll

CLOSED = "http://127.0.0.1:9/"
BINARY = bytes(range(256)) * 300


@pytest.fixture
def queue(home):
    home.daemon()
    return home


@pytest.fixture
def replying(serve):
    """replying(reply=...) starts a server with an application behind it; returns both."""
    applications = []

    def start(*options, **keywords):
        applications.append(Application(**keywords).__enter__())
        return serve("--notify-type", "2", "--notify-url", applications[-1].url, *options), applications[-1]

    yield start
    for application in applications:
        application.__exit__(None, None, None)


def job_of(home, job):
    return home.bitsq("show", "--json", str(job)).json["jobs"][0]


def held(home, *options, count=1):
    source = home.file(size=1000)
    return [home.bitsq("add", "--hold", *options, source, f"{CLOSED}{i}").ids[0] for i in range(count)]


# ---- set ----


def test_set_changes_settings_and_takes_them_back(queue):
    job = str(held(queue)[0])
    queue.file("here.pem", size=1)
    queue.bitsq("credential", "set", "work", "--token", stdin="x")
    changed = queue.bitsq("set", job, "priority=high", "name=The report", "retry-delay=90s", "no_progress_timeout=2h",
                          "fragment-size=64Ki:1M", "cert=here.pem", "credential=work", "netrc=yes", "proxy=none")
    assert changed.code == 0 and changed.out == changed.err == "", changed
    shown = job_of(queue, job)
    assert shown["priority"] == "high" and shown["name"] == "The report"
    assert shown["options"] == {
        "retry_delay": 90_000_000, "no_progress_timeout": 7_200_000_000, "fragment_size": [65536, 1_000_000],
        "cert": f"{queue.path}/here.pem", "credential": "work", "netrc": True, "proxy": ""}
    assert queue.bitsq("set", job, "priority=", "retry-delay=", "no-progress-timeout=", "fragment_size=", "cert=",
                       "credential=", "netrc=", "proxy=", "group=").code == 0
    shown = job_of(queue, job)
    assert shown["priority"] == "normal" and shown["options"] == {} and shown["group"] == "default"


def test_set_takes_what_show_prints(queue):
    first, second = held(queue, "--user-agent", "me/1", "--netrc=no", "--proxy", "none", count=2)
    lines = queue.bitsq("show", str(first)).out.splitlines()
    words = [line.split()[-1] for line in lines if "=" in line and "://" not in line]
    assert sorted(words) == ["netrc=no", "proxy=none", "user-agent=me/1"]
    assert queue.bitsq("set", str(second), "user-agent=", "netrc=", "proxy=").code == 0
    assert queue.bitsq("set", str(second), *words).code == 0
    assert job_of(queue, second)["options"] == job_of(queue, first)["options"]


@pytest.mark.parametrize("words, told", [
    (["prority=high"], "priority"), (["priority=highest"], "foreground"), (["nonsense=1"], "bitsq help add"),
    (["name="], "cannot be taken back"), (["url="], "cannot be taken back"), (["netrc=perhaps"], "yes"),
    (["retry-delay=5"], "90s"), (["url=http://h/dir/"], "name the file"), (["url=ftp://h/x"], "https://"),
    (["auth=x"], "negotiate"), ([], "no setting"), (["credential=../x"], "letters")])
def test_a_bad_setting_is_a_usage_error_that_says_what_is_right(queue, words, told):
    refused = queue.bitsq("set", "1", *words)
    assert refused.code == 2 and told in refused.err and len(refused.err.splitlines()) == 1 and not refused.out, refused


def test_set_needs_a_selection_and_asks_before_it_changes_many(queue):
    ids = held(queue, count=2)
    assert queue.bitsq("set", "priority=low").code == 2
    refused = queue.bitsq("set", "--all", "priority=low")
    assert refused.code == 2 and "--yes" in refused.err
    assert [job_of(queue, job)["priority"] for job in ids] == ["normal", "normal"]
    changed = queue.bitsq("set", "--all", "--yes", "priority=low", "--json")
    assert changed.json == {"schema": "bitsq.control/1", "verb": "set", "matched": 2, "failed": 0, "failures": []}
    assert [job_of(queue, job)["priority"] for job in ids] == ["low", "low"]
    assert queue.bitsq("set", f"{ids[0]}-{ids[1]}", "--yes", "-q", "priority=high").err == ""
    assert queue.bitsq("set", "--state", "failed", "--yes", "priority=low").code == 3
    assert queue.bitsq("set", "4711", "priority=low").code == 3


def test_what_is_over_is_not_changed(queue):
    first, second = held(queue, count=2)
    queue.bitsq("cancel", str(second))
    poll(lambda: job_of(queue, second)["state"] == "cancelled", "cancelled")
    some = queue.bitsq("set", str(first), str(second), "priority=low")
    assert some.code == 10 and "cancelled" in some.err and job_of(queue, first)["priority"] == "low", some


def test_a_new_url_goes_with_one_job_and_can_stay_out_of_the_arguments(queue):
    first, second = held(queue, count=2)
    both = queue.bitsq("set", str(first), str(second), "url=http://127.0.0.1:9/new")
    assert both.code == 2 and "one job" in both.err, both
    changed = queue.bitsq("set", str(first), "--url-file", "-", stdin="http://127.0.0.1:9/new?sig=hunter2\n")
    assert changed.code == 0 and job_of(queue, first)["url"] == "http://127.0.0.1:9/new?sig=…", changed


def test_a_failed_job_goes_on_with_another_setting(home, serve):
    home.daemon()
    server = serve()
    job = str(home.bitsq("add", "-w", "--no-progress-timeout", "0", home.file(size=1000), CLOSED + "x").ids[0])
    assert job_of(home, job)["state"] == "failed"
    assert home.bitsq("set", job, f"url={server.url}/x", "no-progress-timeout=").code == 0
    assert home.bitsq("retry", job).code == 0 and home.bitsq("wait", job).code == 0
    assert (server.root / "x").exists()


# ---- replies ----


def test_a_reply_is_printed_and_lies_where_it_was_wanted(home, replying):
    home.daemon()
    server, _ = replying(reply=lambda call: b"got %d" % len(call.data))
    job = str(home.bitsq("add", "-w", "--reply=out.txt", home.file(size=1000), f"{server.url}/x").ids[0])
    assert (home.path / "out.txt").read_bytes() == b"got 1000"
    assert home.bitsq("reply", job).out == "got 1000"
    shown = job_of(home, job)
    assert shown["type"] == "upload-reply" and shown["state"] == "done"
    assert shown["reply"] == {"path": f"{home.path}/out.txt", "received": 8, "size": 8, "stored": True}
    text = home.bitsq("show", job).out
    assert "upload-reply" in text and "8 B, stored" in text and f"{home.path}/out.txt" in text


def test_a_reply_that_the_daemon_keeps_goes_into_a_file_whole(home, replying):
    home.daemon()
    server, _ = replying(reply=BINARY)
    job = str(home.bitsq("add", "-w", "--reply", home.file(size=1000), f"{server.url}/x").ids[0])
    target = home.path / "reply.bin"
    target.write_text("old")
    written = home.bitsq("reply", job, "-o", "reply.bin")
    assert written.code == 0 and written.out == "" and target.read_bytes() == BINARY, written
    assert home.bitsq("reply", job, text=False).out == BINARY
    answer = home.bitsq("reply", job, "--json", "-o", "again.bin").json
    assert answer["schema"] == "bitsq.reply/1" and answer["written"] == len(BINARY) == answer["size"]
    assert home.bitsq("reply", job, "--json").json["stored"] is True
    assert home.bitsq("reply", job, "--json", "-o", "-").code == 2
    nowhere = home.bitsq("reply", job, "-o", "missing/x")
    assert nowhere.code == 1 and "missing/x" in nowhere.err
    assert home.bitsq("reply", job, "-o", "/dev/full").code == 1
    assert not [path for path in home.path.iterdir() if path.name.startswith(".bitsq-reply")]


def test_a_binary_reply_is_not_written_to_a_terminal(home, replying):
    home.daemon()
    server, _ = replying(reply=BINARY)
    job = str(home.bitsq("add", "-w", "--reply", home.file(size=10), f"{server.url}/x").ids[0])
    for words, code in ([], 1), (["-o", "-"], 0):
        master, slave = pty.openpty()
        process = subprocess.Popen([BITSQ, "reply", job, *words], env=home.env, stdin=subprocess.DEVNULL, stdout=slave,
                                   stderr=subprocess.PIPE, text=True)
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
        except OSError:
            pass  # the command has ended
        errors = process.communicate(timeout=60)[1]
        os.close(master)
        assert process.returncode == code and bool(seen) == (code == 0), (seen[:80], errors)
        assert ("-o FILE" in errors) == (code == 1), errors


def test_a_missing_reply_says_why(home, serve):
    home.daemon()
    source = home.file(size=10)
    plain = home.bitsq("add", "-w", source, f"{serve().url}/plain")
    assert plain.code == 0
    told = home.bitsq("reply", str(plain.ids[0]))
    assert told.code == 1 and "--reply" in told.err, told
    paused = home.bitsq("add", "--hold", "--reply", source, f"{CLOSED}x").ids[0]
    told = home.bitsq("reply", str(paused), "--json")
    assert told.code == 1 and json.loads(told.err)["error"] == "InvalidState" and "bitsq resume" in told.err, told
    home.bitsq("cancel", str(paused))
    poll(lambda: job_of(home, paused)["state"] == "cancelled", "cancelled")
    assert home.bitsq("reply", str(paused)).code == 5
    failed = home.bitsq("add", "-w", "--reply", "--no-progress-timeout", "0", source, f"{CLOSED}y").ids[0]
    told = home.bitsq("reply", str(failed))
    assert told.code == 4 and "failed before" in told.err, told
    assert home.bitsq("reply", "4711").code == 3
    assert home.bitsq("reply").code == 2


# ---- show ----


def test_show_says_where_an_error_arose_and_lists_the_attempts(home, serve):
    home.daemon(RetryDelay="50ms")
    server = serve("--fault", "create#1-3: status 503", "--fault", "create#4-: status 403")
    job = home.bitsq("add", "-w", home.file(size=10), f"{server.url}/x")
    assert job.code == 4
    shown = job_of(home, job.ids[0])
    host = server.url.split("//")[1]
    assert shown["error"]["http_status"] == 403 and shown["error"]["host"] == host
    assert "127.0.0.1" in shown["error"]["address"] and shown["error"]["context"] and shown["error"]["phase"]
    assert [attempt["http_status"] for attempt in shown["attempt_log"]] == [503, 503, 503, 403]
    assert all(attempt["address"] for attempt in shown["attempt_log"])
    text = home.bitsq("show", str(job.ids[0])).out
    assert f"0x{shown['error']['code']:08X}, HTTP 403, during {shown['error']['phase']}, at {host} (127.0.0.1" in text
    rows = text[text.index("attempts"):].splitlines()[:4]
    assert [row.count(" 503 ") for row in rows] == [1, 1, 1, 0] and "127.0.0.1" in rows[0], text
