# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's second process, which runs helpers: what it holds, and when it ends."""
import os
import signal
from pathlib import Path

from support.wait import poll


def spawners(home):
    found = []
    for pid in home.processes():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "bitsq-spawner\n":
                found.append(pid)
        except OSError:
            continue
    return found


def spawner_of(home, daemon):
    """The one of DAEMON, once it has its name and has let go of what it was born with."""
    poll(lambda: len(spawners(home)) == 1, "the spawner has its name")
    pid = spawners(home)[0]
    assert int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) == daemon.pid
    poll(lambda: len(os.listdir(f"/proc/{pid}/fd")) == 5, "the spawner holds what it needs")
    return pid


def test_the_spawner_holds_nothing_of_the_daemons(home):
    daemon = home.daemon()
    pid = spawner_of(home, daemon)
    held = sorted(os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd"))
    assert held == ["/dev/null"] * 3 + ["anon_inode", "socket"]
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "data.mdb" not in maps and os.readlink(f"/proc/{pid}/cwd") == "/"


def test_the_spawner_ends_with_its_daemon(home):
    daemon = home.daemon()
    spawner_of(home, daemon)
    assert daemon.stop() == []
    assert not spawners(home), "the daemon waits for it"


def test_the_spawner_of_a_killed_daemon_ends_and_the_next_daemon_gets_the_queue(home):
    daemon = home.daemon()
    spawner_of(home, daemon)
    daemon.kill()
    poll(lambda: not spawners(home), "the spawner is gone")
    assert home.daemon().bus.get("Version")


def test_the_daemon_goes_on_without_its_spawner_and_says_so(home):
    daemon = home.daemon()
    os.kill(spawner_of(home, daemon), signal.SIGKILL)
    poll(lambda: "the process that runs helpers has died" in home.logs(), "the log says it")
    assert daemon.bus.get("Version")
    assert not spawners(home)


def test_signals_to_the_whole_group_leave_the_spawner_to_its_daemon(home):
    daemon = home.daemon()
    pid = spawner_of(home, daemon)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert daemon.bus.get("Version") and spawners(home) == [pid]


def test_a_daemon_that_a_client_started_has_one_too(home):
    added = home.bitsq("add", "--hold", home.file(size=100), "http://127.0.0.1:9/x")
    assert added.code == 0, added
    poll(lambda: len(spawners(home)) == 1, "the spawner has its name")
    assert home.bitsq("daemon", "stop").code == 0
    poll(lambda: not list(home.processes()), "both are gone")
