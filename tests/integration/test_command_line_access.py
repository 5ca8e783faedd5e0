# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line says how a server is reached: options, the proxy of the environment, credentials."""
import json
import os
import pty
import re
import stat
import subprocess

import pytest

from support import tree
from support.home import BITSQ
from support.wait import poll

CLOSED = "http://127.0.0.1:9/"
SECRET = "hunter2 = correct # horse"


@pytest.fixture
def queue(home):
    home.daemon()
    return home


def add(home, *options, url=CLOSED + "x", **keywords):
    added = home.bitsq("add", "--hold", *options, home.file(size=10), url, **keywords)
    assert added.code == 0, added
    return added


def options_of(home, job):
    return home.bitsq("show", "--json", str(job)).json["jobs"][0]["options"]


def access_keys():
    """(option, is a flag) of each row of the daemon's table."""
    table = tree.read("daemon/core/access.c").split("access_keys[] = {")[1].split("\n};")[0]
    rows = [(name, False) for name in re.findall(r'(?:PATH|WORD)\("(\w+)"|\.option = "(\w+)"', table)]
    rows = [(a or b, flag) for (a, b), flag in rows] + [(name, True) for name in re.findall(r'FLAG\("(\w+)"', table)]
    assert len(rows) >= 20
    return rows


def test_the_command_knows_every_option_that_the_daemon_has(home):
    helps = home.bitsq("help", "add").out, home.bitsq("help", "probe").out
    for option, _ in access_keys():
        for text in helps:
            assert re.search(rf"^ +--{option.replace('_', '-')}[ \[]", text, re.M), option
    known = set(re.findall(r'X\("([a-z-]+)"', tree.read("cli/setting.h")))
    assert known == {option.replace("_", "-") for option, _ in access_keys()}


@pytest.mark.parametrize("file", ["packaging/man/bitsq.1", "packaging/completions/bitsq.bash",
                                  "packaging/completions/_bitsq", "packaging/completions/bitsq.fish"])
def test_the_manual_and_the_completions_know_every_option_that_the_daemon_has(file):
    text = tree.read(file).replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
    missing = [option for option, _ in access_keys()
               if not re.search(rf"(--|-l ){option.replace('_', '-')}(?![\w-])", text)]
    assert not missing


def test_the_manual_explains_every_option_of_add_and_every_command():
    manual = tree.read("packaging/man/bitsq.1").replace("\\-", "-")
    done = subprocess.run([BITSQ, "help", "add"], capture_output=True, text=True, timeout=60, check=True)
    assert not [name for name in re.findall(r"--([a-z-]+)", done.stdout) if f"--{name}" not in manual]
    overview = subprocess.run([BITSQ, "help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert not [verb for verb in re.findall(r"^  (\w+) ", overview, re.M) if f"\\fB{verb}" not in manual
                and f"bitsq {verb}" not in manual]


def test_every_access_option_reaches_the_job(queue):
    values = {"auth": "basic", "credential": "work", "pinned_key": "sha256//AAAA", "proxy": "http://proxy:3128",
              "proxy_credential": "proxy", "noproxy": ".example.org", "user_agent": "me/1", "method_override": "post",
              "protocol_guid": "{7df0354d-249b-430f-820d-3d2a9bef4931}"}
    paths = {name: str(queue.file(name + ".pem", size=1)) for name in ("cert", "key_file", "cacert", "header_file")}
    expected = {**values, **paths, **{option: True for option, flag in access_keys() if flag}}
    assert set(expected) == {option for option, _ in access_keys()}
    words = [f"--{option.replace('_', '-')}" + ("" if value is True else f"={value}")
             for option, value in expected.items()]
    assert options_of(queue, add(queue, *words).ids[0]) == expected


def test_a_flag_can_be_switched_off_against_the_configuration(queue):
    assert options_of(queue, add(queue, "--netrc=no", "--lenient-ack=yes").ids[0]) == {"netrc": False,
                                                                                       "lenient_ack": True}


def test_relative_paths_are_those_of_the_caller(queue):
    queue.file("here.pem", size=1)
    (queue.path / "issuers").mkdir()
    options = options_of(queue, add(queue, "--cert", "here.pem", "--cacert", "issuers/", "--reply=out.bin").ids[0])
    assert options == {"cert": f"{queue.path}/here.pem", "cacert": f"{queue.path}/issuers",
                       "reply": f"{queue.path}/out.bin"}


@pytest.mark.parametrize("words, told", [
    (["--auth", "kerberos"], "negotiate"), (["--method-override", "put"], "post-only"),
    (["--credential", "../x"], "letters"), (["--proxy", "proxy:3128"], "http://HOST:PORT"),
    (["--proxy", "http://me:pw@proxy:3128"], "credential set"), (["--empty", "maybe"], "refuse"),
    (["--pinned-key", "/etc/key.pem"], "sha256//BASE64"), (["--netrc=perhaps"], "yes"),
    (["--user-agent", ""], "empty"), (["--reply=x", "--from-file", "-"], "one file")])
def test_a_bad_value_is_a_usage_error_that_says_what_is_right(home, words, told):
    files = home.file("a", size=1), home.file("b", size=1)
    stdin = "".join(f"{file}\n" for file in files)
    operands = [CLOSED] if "--from-file" in words else [files[0], CLOSED + "x"]
    refused = home.bitsq("add", *words, *operands, stdin=stdin)
    assert refused.code == 2 and told in refused.err and len(refused.err.splitlines()) == 1 and not refused.out, refused


def test_a_file_that_is_missing_is_told_at_once(home):
    refused = home.bitsq("add", "--cert", "missing.pem", home.file(size=1), CLOSED)
    assert refused.code == 1 and "missing.pem" in refused.err and "No such file" in refused.err, refused


def test_a_credential_that_is_not_there_yet_is_said(home):
    words = ["add", "--dry-run", "--credential", "work", home.file(size=1), CLOSED]
    planned = home.bitsq(*words)
    assert planned.code == 0 and "no credential work yet" in planned.err, planned
    home.bitsq("credential", "set", "work", "--token", stdin="x")
    assert "no credential" not in home.bitsq(*words).err


def test_a_password_in_a_url_is_refused_with_the_remedy(home):
    refused = home.bitsq("add", home.file(size=1), "https://me:hunter2@up.example.org/x")
    assert refused.code == 2 and "bitsq credential set" in refused.err and "hunter2" not in refused.err, refused


def test_an_empty_file_can_be_refused(home):
    refused = home.bitsq("add", "--empty", "refuse", home.file(size=0), CLOSED)
    assert refused.code == 11 and "empty" in refused.err, refused
    assert home.bitsq("add", "--dry-run", "--empty", "send", home.file(size=0), CLOSED).code == 0


def test_the_reply_never_takes_the_place_of_the_source(home):
    home.file("a", size=1)
    refused = home.bitsq("add", "--reply=a", "a", CLOSED)
    assert refused.code == 2 and "name another" in refused.err, refused


def test_a_url_can_come_from_standard_input(queue):
    added = queue.bitsq("add", "--hold", "--url-file", "-", queue.file(size=1), stdin=CLOSED + "x?sig=abc\n")
    assert added.code == 0 and "sig=…" in queue.bitsq("show", str(added.ids[0])).out
    both = queue.bitsq("add", "--url-file", "-", "--from-file", "-", stdin="x")
    assert both.code == 2 and "both" in both.err, both


# ---- the proxy of the environment ----


@pytest.mark.parametrize("environment, url, expected", [
    ({"http_proxy": "http://p:3128/"}, "http://h/x", {"proxy": "http://p:3128"}),
    ({"http_proxy": "p:3128"}, "http://h/x", {"proxy": "http://p:3128"}),
    ({"HTTP_PROXY": "http://p:3128"}, "http://h/x", {}),  # a header "Proxy:" may have set it
    ({"http_proxy": "http://p:3128"}, "https://h/x", {}),
    ({"HTTPS_PROXY": "https://p:3128", "https_proxy": "http://q:1"}, "https://h/x", {"proxy": "http://q:1"}),
    ({"ALL_PROXY": "http://a:1"}, "http://h/x", {"proxy": "http://a:1"}),
    ({"http_proxy": "", "all_proxy": "http://a:1"}, "http://h/x", {}),
    ({"http_proxy": "http://p:1", "no_proxy": ".a,b"}, "http://h/x", {"proxy": "http://p:1", "noproxy": ".a,b"}),
    ({"no_proxy": "b"}, "http://h/x", {}),
])
def test_the_proxy_of_the_environment_is_recorded(home, environment, url, expected):
    planned = home.bitsq("add", "--dry-run", "--json", home.file(size=1), url, env=environment)
    assert planned.json["jobs"][0]["options"] == expected, planned
    assert "proxy" not in planned.err


def test_the_proxy_is_that_of_each_job_s_scheme(queue):
    listing = "".join(f"{queue.file(str(i), size=1)}\t{scheme}://h/{i}\n" for i, scheme in enumerate(["http", "https"]))
    added = queue.bitsq("add", "--hold", "--from-file", "-", stdin=listing,
                        env={"http_proxy": "http://p:1", "no_proxy": "h"})
    assert [options_of(queue, job) for job in added.ids] == [{"proxy": "http://p:1", "noproxy": "h"}, {}]


def test_a_proxy_that_is_said_counts_alone(home):
    environment = {"http_proxy": "http://me:pw@p:1", "no_proxy": "h"}
    for said, kept in (("http://q:1", "http://q:1"), ("none", "")):
        planned = home.bitsq("add", "--dry-run", "--json", "--proxy", said, home.file(size=1), CLOSED, env=environment)
        assert planned.json["jobs"][0]["options"] == {"proxy": kept} and "left out" not in planned.err, planned


def test_a_password_in_the_environment_is_left_out_and_said(queue):
    environment = {"http_proxy": "http://me:hunter2@p:3128"}
    added = add(queue, env=environment)
    assert "bitsq credential set" in added.err and "--proxy-credential" in added.err and "http_proxy" in added.err
    assert options_of(queue, added.ids[0]) == {"proxy": "http://p:3128"} and "hunter2" not in added.err
    assert "left out" not in add(queue, "--proxy-credential", "px", env=environment).err
    assert b"hunter2" not in b"".join(path.read_bytes() for path in queue.state.iterdir() if path.is_file())


def test_a_socks_proxy_is_said_to_be_unused(home):
    planned = home.bitsq("add", "--dry-run", "--json", home.file(size=1), CLOSED, env={"all_proxy": "socks5://p:1"})
    assert planned.json["jobs"][0]["options"] == {} and "not supported" in planned.err and "all_proxy" in planned.err


# ---- credentials ----


def folder(home):
    return home.path / "config" / "bitsq" / "credentials"


def test_a_password_goes_from_standard_input_into_a_file_that_nobody_else_reads(home):
    stored = home.bitsq("credential", "set", "work", "--user", "alice", "--hosts", "up.example.org *.example.com",
                        stdin=SECRET + "\n", env={"BITSQ_DAEMON": "/nonexistent"})
    assert stored.code == 0 and stored.out == "" and "hunter2" not in stored.err, stored
    file = folder(home) / "work"
    assert file.read_text() == ("# bitsq credential\nuser=alice\n" f"password={SECRET}\n"
                                "hosts=up.example.org *.example.com\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(folder(home).stat().st_mode) == 0o700
    assert [path.name for path in folder(home).iterdir()] == ["work"]


@pytest.mark.parametrize("umask", [0, 0o777])
def test_the_umask_changes_nothing(home, umask):
    folder(home).mkdir(mode=0o755)
    stored = home.bitsq("credential", "set", "a", "--token", stdin="t", preexec_fn=lambda: os.umask(umask))
    assert stored.code == 0, stored
    assert stat.S_IMODE((folder(home) / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder(home).stat().st_mode) == 0o700


@pytest.mark.parametrize("options, stdin, lines", [
    (["--token"], "eyJ.x-y_z\r\n", ["token=eyJ.x-y_z"]),
    (["--token-file", "t"], None, ["token_file={home}/t"]),
    (["--token-command", "/usr/bin/get --for up"], None, ["token_command=/usr/bin/get --for up"]),
    (["--auth", "negotiate"], None, ["scheme=negotiate"]),
    (["--user", "a", "--auth", "digest"], "p", ["user=a", "password=p", "scheme=digest"]),
])
def test_each_kind_of_credential_is_written(home, options, stdin, lines):
    assert home.bitsq("credential", "set", "c", *options, stdin=stdin).code == 0
    text = (folder(home) / "c").read_text().splitlines()
    assert text == ["# bitsq credential", *(line.format(home=home.path) for line in lines)]


@pytest.mark.parametrize("options, stdin, told", [
    (["--user", "a"], "two\nlines\n", "more than one line"), (["--user", "a"], "nu\0l", "NUL"),
    (["--user", "a"], "", "no secret"), (["--token"], "with blank", "blank"), (["--user", "a"], "x" * 20000, "more than"),
    (["--token"], "t" * 16384, "more than"), ([], "x", "--user"), (["--user", "a", "--token"], "x", "only one"),
    (["--token", "--auth", "basic"], "x", "bearer"), (["--user", "a", "--auth", "bearer"], "x", "--token"),
    (["--user", "a\nb"], "x", "control"), (["--token-command", "get"], None, "whole path"),
    (["--user", "a", "--hosts", "https://x/"], "x", "URL"), (["secret"], None, "standard input"),
    (["--user", "a", "--auth", "kerberos"], "x", "negotiate")])
def test_what_cannot_be_stored_is_refused_with_the_reason(home, options, stdin, told):
    refused = home.bitsq("credential", "set", "c", *options, stdin=stdin)
    assert refused.code == 2 and told in refused.err and len(refused.err.splitlines()) == 1, refused
    assert not folder(home).exists() or not list(folder(home).iterdir())


@pytest.mark.parametrize("name", ["", ".x", "a/b", "../x", "ä", "a b", "x" * 256])
def test_a_name_leads_nowhere_else(home, name):
    for command in (["set", name, "--token"], ["remove", name]):
        refused = home.bitsq("credential", *command, stdin="x")
        assert refused.code == 2 and "letters" in refused.err, refused


def test_a_failed_set_leaves_the_old_secret(home):
    assert home.bitsq("credential", "set", "c", "--token", stdin="old").code == 0
    assert home.bitsq("credential", "set", "c", "--token", stdin="new\nlines").code == 2
    assert (folder(home) / "c").read_text().endswith("token=old\n")


def test_a_list_tells_everything_but_secrets_and_warns_of_modes(home):
    empty = home.bitsq("credential", "list")
    assert empty.code == 0 and empty.out == "" and "credential set" in empty.err
    home.bitsq("credential", "set", "work", "--user", "alice", "--hosts", "*.example.com", stdin=SECRET)
    home.bitsq("credential", "set", "ci", "--token", stdin="sesame")
    home.bitsq("credential", "set", "cloud", "--token-command", "/bin/get x")
    (folder(home) / "ci").chmod(0o644)
    listed, told = home.bitsq("credential", "list"), home.bitsq("credential", "list", "--json")
    assert [line.split()[:2] for line in listed.out.splitlines()] == [
        ["ci", "token"], ["cloud", "token-command"], ["work", "password"]]
    assert "alice" in listed.out and "*.example.com" in listed.out and "/bin/get x" in listed.out
    assert "0644" in listed.err and "chmod 600" in listed.err and len(listed.err.splitlines()) == 1
    rows = told.json["credentials"]
    assert told.json["schema"] == "bitsq.credentials/1"
    assert [(row["name"], row["kind"], row["user"], row["hosts"], bool(row["problem"])) for row in rows] == [
        ("ci", "token", None, None, True), ("cloud", "token-command", None, None, False),
        ("work", "password", "alice", "*.example.com", False)]
    assert not re.search("hunter2|sesame", listed.out + listed.err + told.out + told.err)


def test_a_list_says_what_is_no_credential(home):
    folder(home).mkdir(mode=0o700)
    (folder(home) / "odd").write_text("pasword=hunter2\n")
    (folder(home) / "odd").chmod(0o600)
    (folder(home) / "link").symlink_to("odd")
    (folder(home) / "dir").mkdir()
    listed = home.bitsq("credential", "list")
    assert [line.split() for line in listed.out.splitlines()] == [[name, "unusable"] for name in ("dir", "link", "odd")]
    assert len(listed.err.splitlines()) == 3 and "hunter2" not in listed.err, listed


def test_credentials_are_removed_one_by_one(home):
    for name in "ab":
        home.bitsq("credential", "set", name, "--token", stdin="x")
    some = home.bitsq("credential", "remove", "a", "missing")
    assert some.code == 10 and "missing" in some.err and [path.name for path in folder(home).iterdir()] == ["b"]
    gone = home.bitsq("credential", "remove", "missing", "--json")
    assert gone.code == 1 and json.loads(gone.err)["error"] == "NoSuchCredential"
    assert home.bitsq("credential", "remove", "b", "--json").json == {"schema": "bitsq.credentials.removed/1",
                                                                      "names": ["b"]}


@pytest.fixture
def terminal(home):
    """terminal(*words) runs the command on a terminal of its own; returns the process and the terminal's other end."""
    ends, processes = [], []

    def start(*words):
        master, slave = pty.openpty()
        process = subprocess.Popen([BITSQ, *words], env=home.env, cwd=home.path, stdin=slave, stdout=slave,
                                   stderr=slave, start_new_session=True,
                                   preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        os.close(slave)
        ends.append(master)
        processes.append(process)
        return process, master

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    for end in ends:
        os.close(end)


def read_until(end, text):
    seen = b""
    while text not in seen:
        try:
            seen += os.read(end, 4096)
        except OSError:  # the other end is closed
            break
    return seen


def echoes(end):
    import termios
    return bool(termios.tcgetattr(end)[3] & termios.ECHO)


def test_a_terminal_is_asked_without_echo(home, terminal):
    process, end = terminal("credential", "set", "work", "--user", "alice")
    assert b"Password for work" in read_until(end, b"shown): ") and not echoes(end)
    os.write(end, b"hunter2\n")
    seen = read_until(end, b"bitsq retry")
    assert process.wait(60) == 0 and b"hunter2" not in seen and echoes(end)
    assert "password=hunter2\n" in (folder(home) / "work").read_text()


def test_an_interrupted_question_leaves_the_terminal_as_it_was(home, terminal):
    process, end = terminal("credential", "set", "work", "--token")
    read_until(end, b"shown): ")
    poll(lambda: not echoes(end), "the echo is off")
    os.write(end, b"hun\x03")
    seen = read_until(end, b"interrupted")
    assert process.wait(60) == 130 and echoes(end) and b"hun" not in seen.replace(b"nothing", b"")
    assert not folder(home).exists() or not list(folder(home).iterdir())
