# SPDX-License-Identifier: LGPL-2.1-or-later
"""bitsq probe: what it prints, in words and in JSON, and its exit codes."""
import json
import os
import pty
import re
import subprocess

import pytest

from support import tree
from support.home import BITSQ


@pytest.fixture
def queue(home):
    home.daemon()
    return home


def test_a_server_that_takes_uploads_is_usable(queue, serve):
    server = serve()
    probed = queue.bitsq("probe", f"{server.url}/x")
    assert probed.code == 0 and probed.err == "" and "uploads can work" in probed.out.splitlines()[-1], probed
    assert re.search(r"^ok +verb +.*BITS_POST", probed.out, re.M) and "127.0.0.1" in probed.out
    assert re.search(r"answers within [0-9.]+ ms", probed.out)
    assert not list(server.root.glob("[!.]*"))


def test_the_json_of_a_probe_has_every_finding(queue, serve):
    server = serve()
    told = queue.bitsq("probe", f"{server.url}/x?sig=hunter2", "--json")
    answer = told.json
    assert answer["schema"] == "bitsq.probe/1" and answer["usable"] is True and answer["latency"] > 0
    assert answer["url"] == f"{server.url}/x?sig=…" and answer["address"].startswith("127.0.0.1")
    assert {"verb", "session"} <= {finding["name"] for finding in answer["findings"]}
    assert all(set(finding) == {"name", "verdict", "text", "remedy"} for finding in answer["findings"])
    assert all(finding["verdict"] in ("ok", "note", "problem") for finding in answer["findings"])
    assert "hunter2" not in told.out + told.err + queue.logs()


def test_a_folder_is_probed_with_a_name_in_it(queue, serve):
    server = serve()
    assert queue.bitsq("probe", f"{server.url}/").code == 0
    assert {entry["target"] for entry in server.requests("create")} == {"/bitsq-probe"}
    assert not list(server.root.glob("[!.]*"))


def test_a_server_that_cannot_be_reached_is_exit_code_4_with_the_remedy(queue, closed_port):
    probed = queue.bitsq("probe", f"http://127.0.0.1:{closed_port}/x")
    assert probed.code == 4 and "problem  connection" in probed.out and "to do: " in probed.out, probed
    assert probed.out.splitlines()[-1].endswith("uploads cannot work as it is")


def test_a_web_server_is_told_apart_and_the_option_that_helps_is_named(queue, web):
    probed = queue.bitsq("probe", web(body="<html>Please log in</html>", content_type="text/html") + "/x")
    assert probed.code == 4 and "login page" in probed.out, probed
    blocked = queue.bitsq("probe", web(status=405) + "/x")
    assert blocked.code == 4 and "BITS_POST" in blocked.out, blocked


def test_options_and_credentials_reach_the_server(queue, serve):
    server = serve("--auth", "basic", "--user", "alice", "--password", "hunter2")
    refused = queue.bitsq("probe", f"{server.url}/x")
    assert refused.code == 4 and "problem  authentication" in refused.out, refused
    assert "bitsq credential set" in refused.out and "--credential" in refused.out
    queue.bitsq("credential", "set", "work", "--user", "alice", stdin="hunter2")
    probed = queue.bitsq("probe", "--credential", "work", "--user-agent", "me/1", f"{server.url}/x")
    assert probed.code == 0, probed
    assert {entry["headers"]["user-agent"] for entry in server.requests("cancel")} == {"me/1"}


def test_an_upload_goes_on_when_its_credential_was_set(home, serve):
    home.daemon()
    server = serve("--auth", "basic", "--user", "alice", "--password", "hunter2")
    home.bitsq("credential", "set", "work", "--user", "alice", stdin="wrong")
    failed = home.bitsq("add", "-w", "--credential", "work", home.file(size=5000), f"{server.url}/x")
    job = str(failed.ids[0])
    shown = home.bitsq("show", job).out
    assert failed.code == 4 and "bitsq credential set work, " in shown and f"bitsq retry {job}\n" in shown, shown
    assert f"bitsq set {job} credential=work" in shown and " ID" not in shown
    assert home.bitsq("credential", "set", "work", "--user", "alice", stdin="hunter2").code == 0
    assert home.bitsq("retry", job).code == 0 and home.bitsq("wait", job).code == 0
    assert (server.root / "x").stat().st_size == 5000


@pytest.mark.parametrize("words, told", [
    ([], "no URL"), (["http://h/x", "http://h/y"], "one URL"), (["ftp://h/x"], "https://"), (["h"], "https://HOST/PATH"),
    (["--timeout", "5", "http://h/x"], "90s"), (["http://me:hunter2@h/x"], "credential set"),
    (["--auth", "x", "http://h/x"], "negotiate")])
def test_a_bad_call_is_a_usage_error(home, words, told):
    refused = home.bitsq("probe", *words)
    assert refused.code == 2 and told in refused.err and refused.out == "" and "hunter2" not in refused.err, refused


def test_a_probe_gives_up_in_time(queue, serve):
    server = serve("--fault", "ping: stall")
    late = queue.bitsq("probe", "--timeout", "1s", f"{server.url}/x", "--json")
    assert late.code == 6 and json.loads(late.err)["error"] == "TimedOut" and "--timeout" in late.err, late


def test_a_terminal_sees_that_the_probe_is_under_way(queue, serve):
    server = serve("--fault", "ping: ack-delay 300ms")
    master, slave = pty.openpty()
    process = subprocess.Popen([BITSQ, "probe", f"{server.url}/x"], env={**queue.env, "TERM": "xterm"}, stdout=slave,
                               stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass  # the command has ended
    os.close(master)
    assert process.wait(60) == 0 and b"speaking with http://127.0.0.1" in seen and b"\r\x1b[K" in seen
    assert seen.index(b"speaking") < seen.index(b"uploads can work")


def test_the_manual_explains_every_finding():
    code = tree.read("daemon/core/probe.c")
    names = set(re.findall(r'\badd\(probe, "([a-z-]+)"', code)) | set(re.findall(r'\bname = "([a-z-]+)"', code))
    section = tree.read("packaging/man/bitsq.1").split(".SH PROBE")[1].split(".SH ")[0].replace("\\-", "-")
    assert len(names) > 10 and not [name for name in names if not re.search(rf"\b{name}\b", section)]
