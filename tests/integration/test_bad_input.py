# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user gets wrong: one line that says what failed, why and what to do, and an exit code that says so too."""
import os
import socket

import pytest

ADD_SOURCE = 11
USAGE = 2
ERROR = 1
NO_SUCH_JOB = 3
JOB_FAILED = 4
NO_DAEMON = 7


def refused(result, code, *words):
    """RESULT is one line on standard error with these words, and nothing on standard output."""
    assert result.code == code, result
    assert result.out == "", result
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bitsq: "), result
    for word in words:
        assert word in result.err, (word, result)


def no_jobs(home):
    return home.bitsq("list", "--json").json["jobs"] == []


@pytest.fixture
def queue(home):
    home.daemon()
    return home


URL = "http://127.0.0.1:9/x"


def test_a_missing_file_is_named(queue):
    refused(queue.bitsq("add", queue.path / "missing.bin", URL), ADD_SOURCE, "missing.bin", "no such file")
    assert no_jobs(queue)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(queue):
    source = queue.file(size=10)
    source.chmod(0)
    refused(queue.bitsq("add", source, URL), ADD_SOURCE, "file.bin", "Permission denied")


def test_a_directory_is_refused_with_the_way_for_trees(queue):
    refused(queue.bitsq("add", queue.path, URL), ADD_SOURCE, "directory", "--from-file")


def test_a_fifo_is_refused_at_once(queue):
    os.mkfifo(queue.path / "pipe")
    refused(queue.bitsq("add", queue.path / "pipe", URL), ADD_SOURCE, "pipe", "regular file")


def test_a_device_is_refused(queue):
    refused(queue.bitsq("add", "/dev/null", URL), ADD_SOURCE, "/dev/null", "regular file")


def test_a_socket_is_refused(queue):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(queue.path / "sock"))
        refused(queue.bitsq("add", queue.path / "sock", URL), ADD_SOURCE, "sock", "regular file")


@pytest.mark.parametrize("url", ["", "not a url", "http://", "http:///x", "http://host:0/x", "http://host:99999/x",
                                 "http://host:port/x", "//host/x", "http://ho st/x", "http://host/a b", "host/x",
                                 "http://host/x#part", "http://[::1/x", "http://host/" + "x" * 2200])
def test_a_malformed_url_is_refused(queue, url):
    result = queue.bitsq("add", queue.file(size=10), url)
    refused(result, USAGE)
    assert no_jobs(queue)


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "sftp://host/x", "ws://host/x"])
def test_another_scheme_is_refused_with_those_that_work(queue, url):
    refused(queue.bitsq("add", queue.file(size=10), url), USAGE, "scheme", "http", "https")


def test_standard_input_as_a_source_is_refused_with_the_remedy(queue):
    refused(queue.bitsq("add", "-", URL, stdin="data"), USAGE, "standard input", "file")


def test_a_password_in_a_url_is_refused_and_never_repeated(queue):
    result = queue.bitsq("add", queue.file(size=10), "http://user:hunter2@127.0.0.1:9/x")
    refused(result, USAGE, "password")
    assert "hunter2" not in result.err + queue.logs()


def test_a_user_in_a_url_is_refused(queue):
    refused(queue.bitsq("add", queue.file(size=10), "http://user@127.0.0.1:9/x"), USAGE)


@pytest.mark.parametrize("arguments", [["add", "--frobnicate", "f", URL], ["add", "--speed", "1M", "f", URL],
                                       ["list", "--frobnicate"], ["frobnicate"], [], ["add"], ["add", URL], ["show"],
                                       ["pause"], ["wait"], ["show", "0"], ["show", "x"], ["show", "-1"],
                                       ["pause", "5-2"], ["pause", "--state", "sleeping"], ["daemon", "explode"],
                                       ["add", "-p", "urgent", "f", URL], ["add", "--fragment-size", "9:1", "f", URL],
                                       ["add", "--retry-delay", "soon", "f", URL], ["wait", "--for", "ever", "1"],
                                       ["wait", "--timeout", "-1s", "1"], ["show", "18446744073709551616"]],
                         ids=lambda arguments: " ".join(arguments) or "nothing")
def test_wrong_usage_is_refused(queue, arguments):
    result = queue.bitsq(*arguments)
    assert result.code == USAGE and result.out == "" and result.err.startswith(("bitsq: ", "Usage: ")), result


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "cancel", "retry", "remove", "wait"])
def test_a_job_that_does_not_exist_is_named(queue, verb):
    yes = ["--yes"] if verb in ("cancel", "remove") else []
    refused(queue.bitsq(verb, *yes, "4711"), NO_SUCH_JOB, "4711")


def test_no_daemon_and_none_can_be_started(home):
    result = home.bitsq("add", home.file(size=10), URL, env={"BITSQ_DAEMON": "/nonexistent/bitsqd"})
    refused(result, NO_DAEMON, "bitsqd")


def failing(home, url, **keys):
    """A job that may not retry: its error is final, and wait shows it."""
    home.daemon(**keys)
    added = home.bitsq("add", "--no-progress-timeout", "0", home.file(size=10), url)
    assert added.code == 0, added
    waited = home.bitsq("wait", str(added.ids[0]))
    assert waited.code == JOB_FAILED, waited
    return home.bitsq("show", str(added.ids[0])), waited


def test_a_plain_web_server_is_told_apart_from_a_bits_server(home, web):
    show, waited = failing(home, web(status=200, body="<h1>It works</h1>", content_type="text/html") + "/x")
    assert "BITS" in waited.err and "BITS" in show.out, (show, waited)


def test_a_login_page_with_status_200_is_no_success(home, web):
    show, waited = failing(home, web(status=200, body="<form>Password</form>", content_type="text/html") + "/login")
    assert "BITS" in waited.err and "done" not in show.out


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_that_refuses_the_verb_fails_the_job_at_once(home, web, status):
    home.daemon()
    added = home.bitsq("add", "-w", home.file(size=10), web(status=status, body="no") + "/x")
    assert added.code == JOB_FAILED and str(status) in added.err, added


def test_a_refused_connection_is_named(home, closed_port):
    _, waited = failing(home, f"http://127.0.0.1:{closed_port}/x")
    assert "refused" in waited.err, waited


def test_a_host_that_does_not_exist_is_named(home):
    _, waited = failing(home, "http://no-such-host.invalid/x")
    assert "no-such-host.invalid" in waited.err, waited


# Names that a shell, a terminal or a D-Bus string would stumble over.
NAMES = {"newlines": b"a\nb\n.bin", "no UTF-8": b"caf\xe9 \xff.bin", "blanks": b"  a  b ", "a dash": b"-w",
         "escapes": b"\x1b[31mred\x07.bin", "long": b"n" * 255, "percent": b"100%25.bin", "utf-8": "ü😀.bin".encode()}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_with_an_odd_name_uploads_well(home, serve, name):
    home.daemon()
    server = serve()
    source = home.file(name, size=100_000)
    added = home.bitsq("add", "-w", "--", os.fsencode(source), f"{server.url}/target")
    assert added.code == 0, added
    assert (server.root / "target").read_bytes() == source.read_bytes()
    listing = home.bitsq("list")
    assert len(listing.out.splitlines()) == 3 and "\x1b" not in listing.out and "\x07" not in listing.out, listing
    shown = home.bitsq("show", "--json", str(added.ids[0]))
    assert shown.json  # valid JSON, whatever the name


@pytest.mark.parametrize("name", [b"caf\xe9.bin", b"a b\n.bin", b"100%.bin", b"a#b?c.bin", "ü.bin".encode()],
                         ids=["no UTF-8", "blank and newline", "percent", "URL marks", "utf-8"])
def test_a_url_that_ends_in_a_slash_keeps_the_name(home, serve, name):
    home.daemon()
    server = serve()
    source = home.file(name, size=1000)
    added = home.bitsq("add", "-w", os.fsencode(source), f"{server.url}/")
    assert added.code == 0, added
    assert os.fsencode(name) in os.listdir(os.fsencode(server.root))
