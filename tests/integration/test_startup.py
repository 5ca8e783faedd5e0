# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon, one queue, however it was started."""
import os
import shutil
import signal
import subprocess

import pytest

from support.bus import Bus
from support.home import BITSQD
from support.session_bus import SessionBus
from support.wait import poll

URL = "http://127.0.0.1:9/x"


def add(home, *options):
    added = home.bitsq("add", "--hold", *options, home.file(size=100), URL)
    assert added.code == 0, added
    return added.ids[0]


def jobs(home):
    listed = home.bitsq("list", "--json")
    assert listed.code == 0, listed
    return [job["id"] for job in listed.json["jobs"]]


def daemons(home):
    """Pids of the bitsqd processes of this user."""
    return [pid for pid in home.processes() if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "bitsqd"]


def started_by(home):
    return Bus((home.state / "address").read_text().strip()).get("StartedBy")


def stop(home):
    assert home.bitsq("daemon", "stop").code == 0
    poll(lambda: not daemons(home), "the daemon is gone")


def test_add_starts_a_daemon_where_there_is_no_bus(home):
    """A container, an ssh session, cron: nothing but the programs."""
    job = add(home)
    assert started_by(home) == "client"
    assert jobs(home) == [job] and len(daemons(home)) >= 1


def test_a_daemon_that_a_client_started_is_nobodys_child_and_holds_nothing(home):
    add(home)
    pid = max(daemons(home), key=lambda pid: os.getsid(pid) == pid)
    assert os.getsid(pid) == pid or os.getpgid(pid) != os.getpgid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0,)} == {"/dev/null"}


def test_the_session_bus_starts_the_daemon(home, session_bus):
    job = add(home)
    bus = Bus(session_bus.address, "org.bitsq1")
    assert bus.get("StartedBy") == "bus" and bus.job(job)["State"] == "paused"
    bus.close()
    assert jobs(home) == [job]


def test_two_clients_at_once_start_one_daemon(home):
    source = home.file(size=100)
    clients = [home.start_bitsq("add", "--hold", str(source), f"{URL}{i}") for i in range(4)]
    ids = []
    for client in clients:
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
        ids.append(int(out))
    assert sorted(jobs(home)) == sorted(ids) and len(set(ids)) == 4


def test_the_same_jobs_are_seen_however_the_daemon_was_started(home):
    """By hand, by the library, and by a session bus, in turn."""
    daemon = home.daemon()
    ids = [add(home)]
    assert jobs(home) == ids and started_by(home) == "command"
    assert daemon.stop() == []
    ids.append(add(home))
    assert jobs(home) == ids and started_by(home) == "client"
    stop(home)
    bus = SessionBus(home)
    try:
        ids.append(add(home))
        assert jobs(home) == ids and started_by(home) == "bus"
        stop(home)
    finally:
        bus.stop()


def test_a_daemon_that_runs_joins_a_bus_that_comes_later(home):
    """The queue is held by a daemon without a bus; a desktop's bus starts a second one: it brings the first onto the
    bus instead of opening the queue again."""
    daemon = home.daemon()
    job = daemon.bus.add(home.file(size=100), URL, hold=True)
    bus = SessionBus(home)
    try:
        caller = Bus(bus.address, "org.bitsq1")
        assert caller.job(job)["State"] == "paused"
        caller.close()
        assert daemons(home) == [daemon.pid] or daemon.pid in daemons(home)
    finally:
        bus.stop()
    assert daemon.bus.job(job)["State"] == "paused", "the daemon outlives the bus"


def test_a_second_daemon_leaves_the_queue_to_the_first(home):
    daemon = home.daemon()
    second = subprocess.run([BITSQD], env=home.env, capture_output=True, text=True, timeout=60,
                            stdin=subprocess.DEVNULL)
    assert second.returncode == 0 and str(daemon.pid) in second.stderr or "already" in second.stderr, second
    assert daemon.bus.get("Version")


def test_a_second_daemon_of_a_notify_unit_says_ready(home, tmp_path):
    """A unit of Type=notify that ends without READY=1 counts as failed."""
    import socket
    daemon = home.daemon()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = str(home.runtime / "notify")
        notify.bind(path)
        notify.settimeout(60)
        done = subprocess.run([BITSQD], env={**home.env, "NOTIFY_SOCKET": path}, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        said = notify.recv(4096).decode()
    assert done.returncode == 0 and "READY=1" in said and "STATUS=" in said, (done, said)
    assert daemon.bus.get("Version")


def test_a_daemon_of_a_notify_unit_says_when_it_is_ready_and_when_it_leaves(home):
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = str(home.runtime / "notify")
        notify.bind(path)
        notify.settimeout(60)
        home.env["NOTIFY_SOCKET"] = path
        home.daemon()
        said = notify.recv(4096).decode()
        while "READY=1" not in said:
            said += notify.recv(4096).decode()
        assert "STATUS=" in said
        assert home.daemons[0].stop() == []
        while "STOPPING=1" not in said:
            said += notify.recv(4096).decode()


def test_print_address_names_the_holder_or_says_that_there_is_none(home):
    none = subprocess.run([BITSQD, "--print-address"], env=home.env, capture_output=True, text=True, timeout=60)
    assert none.returncode == 3 and none.stdout == "", none
    home.daemon()
    one = subprocess.run([BITSQD, "--print-address"], env=home.env, capture_output=True, text=True, timeout=60)
    assert one.returncode == 0 and one.stdout.strip() == (home.state / "address").read_text().strip()


def test_an_address_of_a_killed_daemon_is_not_believed(home):
    home.daemon().kill()
    none = subprocess.run([BITSQD, "--print-address"], env=home.env, capture_output=True, text=True, timeout=60)
    assert none.returncode == 3 and none.stdout == "", none
    add(home)


def test_a_state_folder_with_a_long_path_works(home):
    """A socket's path has 107 bytes; folders may be longer."""
    home.env["XDG_STATE_HOME"] = str(home.path / "state" / ("d" * 60) / ("e" * 60))
    home.state = home.path / "state" / ("d" * 60) / ("e" * 60) / "bitsq"
    add(home)
    assert len(jobs(home)) == 1


def test_the_state_directory_of_the_configuration_counts_for_clients_too(home):
    other = home.path / "elsewhere"
    home.config(StateDirectory=other)
    job = add(home)
    assert (other / "address").exists() and not (home.state / "queue").exists()
    assert jobs(home) == [job]


def test_sigterm_in_the_middle_of_an_upload_ends_well_and_at_once(home, serve):
    server = serve("--fault", "fragment: stall")
    daemon = home.daemon(FragmentMin=5120, FragmentMax=8192)
    daemon.bus.add(home.file(size=100_000), f"{server.url}/x")
    poll(lambda: server.requests("fragment"), "an upload is under way")
    assert daemon.stop() == []


def test_sighup_reads_the_configuration_again_and_keeps_the_old_one_where_it_is_bad(home):
    daemon = home.daemon()
    home.config(MaxActive="many")
    os.kill(daemon.pid, signal.SIGHUP)
    poll(lambda: "MaxActive" in home.logs(), "the bad value is reported")
    assert "bitsqd.conf" in home.logs() and daemon.bus.get("Version")


@pytest.mark.parametrize("text, words", [("[bitsqd]\nMaxActive=many\n", ["MaxActive", "2"]),
                                         ("[bitsqd]\nRetryDelay=soon\n", ["RetryDelay", "2"]),
                                         ("no section\n", ["1"])], ids=["number", "duration", "syntax"])
def test_a_bad_configuration_is_refused_with_file_and_line(home, text, words):
    home.config(text=text)
    done = subprocess.run([BITSQD], env=home.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode != 0 and "bitsqd.conf" in done.stderr and all(word in done.stderr for word in words), done


def test_an_unknown_key_is_a_warning_with_file_and_line(home):
    home.config(text="[bitsqd]\nFrobnicate=1\n")
    home.daemon()
    assert "Frobnicate" in home.logs() and "bitsqd.conf" in home.logs()


def test_a_daemon_that_nothing_keeps_alive_is_mentioned_once(home):
    """Where neither a bus nor systemd started it, add says on standard error what a logout will do."""
    source = home.file(size=100)
    first = home.bitsq("add", "--hold", source, URL)
    second = home.bitsq("add", "--hold", source, URL)
    assert first.code == second.code == 0 and first.err.strip() and not second.err.strip(), (first, second)


def systemd_user_manager():
    return shutil.which("systemctl") and subprocess.run(["systemctl", "--user", "is-system-running"],
                                                        capture_output=True).returncode in (0, 1) \
        and os.path.exists(f"/run/user/{os.getuid()}/systemd/private")


@pytest.mark.skipif(not systemd_user_manager(), reason="no systemd user manager runs here")
def test_a_systemd_user_unit_starts_the_daemon(home):
    unit = f"bitsq-test-{os.getpid()}"
    setenv = [f"--setenv={name}={home.env[name]}" for name in home.env if name.startswith(("XDG_S", "XDG_C", "HOME"))]
    subprocess.run(["systemd-run", "--user", f"--unit={unit}", "--property=Type=notify", *setenv, BITSQD], check=True)
    try:
        assert started_by(home) == "systemd"
        job = add(home)
        assert jobs(home) == [job]
    finally:
        subprocess.run(["systemctl", "--user", "stop", unit], check=True)
