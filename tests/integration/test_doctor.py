# SPDX-License-Identifier: LGPL-2.1-or-later
"""bitsq doctor: what on this machine would stop a job, found by looking, with nothing started and nothing changed."""
import os
import pty
import shutil
import subprocess

import pytest

from support.clock import Clock
from support.home import BITSQ, BITSQD
from support.preload import preload
from support.session_bus import SessionBus

URL = "http://127.0.0.1:9/x"
NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a file system")


def doctor(home, **popen):
    """The findings by their names, as JSON has them, which the text must have as well."""
    told = home.bitsq("doctor", "--json", **popen)
    answer = told.json
    assert answer["schema"] == "bitsq.doctor/1" and told.err == "", told
    verdicts = [finding["verdict"] for finding in answer["findings"]]
    assert set(verdicts) <= {"ok", "note", "problem"}
    assert (answer["problems"], answer["notes"]) == (verdicts.count("problem"), verdicts.count("note"))
    assert answer["ok"] == (answer["problems"] == 0) and told.code == (0 if answer["ok"] else 1), told
    shown = home.bitsq("doctor", **popen)
    assert shown.code == told.code and shown.err == "", shown
    rows = {}
    for finding in answer["findings"]:
        assert f"{finding['verdict']:7}  {finding['name']:14}  " in shown.out, (finding, shown)
        assert finding["verdict"] != "ok" or finding["remedy"] == ""
        assert finding["remedy"] == "" or f"to do: {finding['remedy']}\n" in shown.out
        rows.setdefault(finding["name"], []).append(finding)
    return rows


def one(rows, name, verdict, words, remedy=""):
    """The only finding of NAME."""
    assert [finding["verdict"] for finding in rows[name]] == [verdict], rows[name]
    assert words in rows[name][0]["text"] and remedy in rows[name][0]["remedy"], rows[name]


def problems(rows):
    return {name for name, findings in rows.items() if any(finding["verdict"] == "problem" for finding in findings)}


def running(home):
    return [pid for pid in home.processes() if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "bitsqd"]


def in_mounts(home, script, *arguments, **env):
    """Runs SCRIPT, then bitsq, where mounts are its own; skips where nobody may mount."""
    if subprocess.run(["unshare", "-m", "sh", "-ec", script], env=home.env, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    return home.bitsq("-m", "sh", "-ec", f'{script}\nexec "$0" "$@"', BITSQ, *arguments, program="unshare", env=env)


def test_where_all_is_well_nothing_stops_jobs(home):
    daemon = home.daemon()
    rows = doctor(home)
    assert problems(rows) == set()
    one(rows, "daemon", "ok", f"process {daemon.pid}, started by command")
    one(rows, "configuration", "ok", "it can be read")
    one(rows, "queue", "ok", str(home.state))
    one(rows, "disk", rows["disk"][0]["verdict"], "free for the queue")
    one(rows, "proxy", "ok", "names none")
    one(rows, "locale", "ok", "UTF-8")
    assert {"bus", "start", "clock"} <= set(rows)
    assert home.bitsq("doctor").out.splitlines()[-1] == "nothing here stops jobs"


def test_without_a_daemon_it_starts_none_and_says_so(home):
    rows = doctor(home)
    one(rows, "daemon", "note", "none runs", "bitsq daemon start")
    assert "queue" not in rows and problems(rows) == set()
    one(rows, "disk", rows["disk"][0]["verdict"], str(home.state))
    assert running(home) == [] and not home.state.exists()


def test_a_daemon_that_is_not_installed_is_a_problem(home):
    home.env["BITSQ_DAEMON"] = str(home.path / "gone")
    rows = doctor(home)
    assert problems(rows) == {"daemon", "configuration"}
    assert "gone is not installed" in rows["daemon"][0]["text"]


def test_a_bad_configuration_is_a_problem_with_file_and_line(home):
    home.config(text="[bitsqd]\nMaxActive=many\n")
    rows = doctor(home)
    one(rows, "configuration", "problem", "no daemon starts with it", "bitsqd --check")
    assert "bitsqd.conf:2:" in rows["configuration"][0]["text"] and "MaxActive" in rows["configuration"][0]["text"]


def test_a_daemon_that_runs_with_the_configuration_of_before_is_told(home):
    daemon = home.daemon()
    home.config(text="[bitsqd]\nMaxActive=many\n")
    one(doctor(home), "configuration", "problem", "the daemon goes on with the old one")
    assert daemon.bus.get("Version")


def test_an_unknown_key_is_a_note(home):
    home.config(text="[bitsqd]\nFrobnicate=1\nOther=2\n")
    rows = doctor(home)
    assert [finding["verdict"] for finding in rows["configuration"]] == ["note", "note"]
    assert "Frobnicate" in rows["configuration"][0]["text"] and problems(rows) == set()


def check(home):
    return subprocess.run([BITSQD, "--check"], env=home.env, capture_output=True, text=True, timeout=60)


def test_bitsqd_check_reads_the_configuration_and_nothing_else(home):
    good = check(home)
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{home.state}\n", "")
    other = home.path / "elsewhere"
    home.config(text=f"[bitsqd]\nStateDirectory={other}\nMaxActive=many\n")
    bad = check(home)
    assert bad.returncode == 1 and bad.stdout == f"{other}\n"
    assert bad.stderr.startswith("bitsqd: ") and "bitsqd.conf:3:" in bad.stderr and len(bad.stderr.splitlines()) == 1, bad
    assert not other.exists() and not home.state.exists()


def test_the_state_folder_of_the_configuration_is_the_one_that_is_looked_at(home):
    home.config(StateDirectory=home.path / "elsewhere")
    assert str(home.path / "elsewhere") in doctor(home)["disk"][0]["text"]


@NEEDS_ROOT
@pytest.mark.parametrize("size, verdict, words", [("64m", "problem", "only 6"), ("512m", "note", "which is not much")])
def test_a_disk_that_is_nearly_full_is_told(home, size, verdict, words):
    script = f'mkdir -p "$XDG_STATE_HOME/bitsq"; mount -t tmpfs -o size={size},mode=700 small "$XDG_STATE_HOME/bitsq"'
    told = in_mounts(home, script, "doctor", "--json")
    rows = {finding["name"]: [finding] for finding in told.json["findings"]}
    one(rows, "disk", verdict, words, "StateDirectory=")
    assert told.code == (1 if verdict == "problem" else 0), told


@NEEDS_ROOT
def test_a_disk_without_inodes_is_a_problem(home):
    script = ('mkdir -p "$XDG_STATE_HOME/bitsq"; mount -t tmpfs -o nr_inodes=2,size=2g,mode=700 small "$XDG_STATE_HOME/bitsq"; '
              ': >"$XDG_STATE_HOME/bitsq/file"')
    told = in_mounts(home, script, "doctor", "--json")
    texts = [finding["text"] for finding in told.json["findings"] if finding["verdict"] == "problem"]
    assert told.code == 1 and any("inodes" in text for text in texts), told


def test_a_network_file_system_is_a_problem(home):
    """Nothing but the type is made up. The daemon refuses the folder, and doctor says so as well."""
    home.env.update(preload("networkfs"))
    rows = doctor(home)
    assert any("(NFS)" in finding["text"] and "StateDirectory=" in finding["remedy"] for finding in rows["disk"])


def test_a_state_folder_that_cannot_be_used_is_a_problem(home):
    home.state.write_text("a file in the place of the folder")
    rows = doctor(home)
    assert "daemon" in problems(rows) and "cannot be reached" in rows["daemon"][0]["text"], rows


def test_a_session_bus_is_seen_and_one_that_has_gone_is_not(home):
    one(doctor(home), "bus", "note", "no session bus")
    bus = SessionBus(home)
    try:
        one(doctor(home), "bus", "ok", "session bus")
    finally:
        bus.stop()
    home.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={home.runtime}/gone"
    one(doctor(home), "bus", "note", "no session bus")


SYSTEMD = ('mount -t tmpfs none /run/systemd; mkdir /run/systemd/system; mkdir -p /var/lib/systemd; '
           'mount -t tmpfs none /var/lib/systemd; mkdir /var/lib/systemd/linger; ')


@NEEDS_ROOT
@pytest.mark.parametrize("says, verdict, words, remedy", [
    ("echo enabled", "ok", "is enabled", ""),
    ("echo disabled; exit 1", "note", "bitsqd.service is disabled", "systemctl --user enable bitsqd"),
    ("echo no bus >&2; exit 1", "note", "does not say", "loginctl enable-linger"),
])
def test_what_systemd_says_of_the_unit_is_told(home, says, verdict, words, remedy):
    """A systemctl that answers as the real one does: its user manager runs in few places where tests do."""
    tool = home.file("bin/systemctl", data=f'#!/bin/sh\n[ "$*" = "--user is-enabled bitsqd.service" ] || exit 2\n{says}\n'.encode())
    tool.chmod(0o700)
    told = in_mounts(home, SYSTEMD, "doctor", "--json", PATH=f"{tool.parent}:{home.env['PATH']}")
    rows = {finding["name"]: [finding] for finding in told.json["findings"]}
    one(rows, "start", verdict, words, remedy)
    assert told.code == 0, told


@NEEDS_ROOT
@pytest.mark.parametrize("lingers", [True, False])
def test_whether_uploads_outlive_a_logout_is_told(home, lingers):
    script = SYSTEMD + (': >"/var/lib/systemd/linger/$(id -un)"' if lingers else "")
    told = in_mounts(home, script, "doctor", "--json")
    rows = {finding["name"]: [finding] for finding in told.json["findings"]}
    one(rows, "linger", "ok" if lingers else "note", "logs out", "" if lingers else "loginctl enable-linger")


def test_a_clock_that_is_years_slow_is_a_problem(home):
    clock = Clock(home)
    clock.step(-365 * 30)
    one(doctor(home), "clock", "problem", "years slow", "set the clock")


@pytest.mark.parametrize("variable, value, verdict, words", [
    ("https_proxy", "http://proxy.example.org:3128", "ok", "http://proxy.example.org:3128 (https_proxy)"),
    ("https_proxy", "http://user:hunter2@proxy.example.org:3128", "note", "left out"),
    ("all_proxy", "socks5://proxy.example.org", "note", "not supported"),
])
def test_the_proxy_of_the_environment_is_told_without_its_secret(home, variable, value, verdict, words):
    home.env[variable] = value
    one(doctor(home), "proxy", verdict, words, "" if verdict == "ok" else "proxy")
    assert "hunter2" not in home.bitsq("doctor").out


def test_a_locale_without_utf_8_and_an_unknown_time_zone_are_notes(home):
    home.env.update(LANG="C", TZ="Atlantis/Poseidonis")
    rows = doctor(home)
    one(rows, "locale", "note", "ANSI", "C.UTF-8")
    one(rows, "timezone", "note", "Atlantis/Poseidonis", "TZ")
    for zone in ("CET-1CEST", "UTC", ""):
        home.env["TZ"] = zone
        assert "timezone" not in doctor(home)


def test_what_is_wrong_with_the_queue_is_a_problem(home):
    daemon = home.daemon()
    daemon.bus.add(home.file(size=10), URL, hold=True)
    assert daemon.stop() == []
    os.truncate(home.state / "queue" / "data.mdb", 100)
    daemon.restart()
    rows = doctor(home)
    assert problems(rows) == {"queue"} and "damaged" in rows["queue"][0]["text"]


def quarantined(home):
    """A daemon with five jobs, of which the record of the third cannot be read; returns it and the ids."""
    daemon = home.daemon()
    source = home.file(size=1000)
    ids = [daemon.bus.add(source, f"{URL}{i}", hold=True, name=f"unmistakable-{i}-" + "n" * 100) for i in range(5)]
    assert daemon.stop() == []
    file = home.state / "queue" / "data.mdb"
    file.write_bytes(file.read_bytes().replace(b"unmistakable-2-", b"unmistakeable2-"))
    daemon.restart()
    assert [row["Id"] for row in daemon.bus.query(all=True)[0]] == [job for job in ids if job != ids[2]]
    return daemon, ids


def test_records_in_quarantine_are_a_problem_until_they_are_dropped(home):
    daemon, ids = quarantined(home)
    rows = doctor(home)
    one(rows, "quarantine", "problem", f"1 record: job {ids[2]} could not be read", "bitsq doctor --drop-quarantine")
    assert problems(rows) == {"quarantine"} and daemon.bus.get("Quarantined") == 1
    dropped = home.bitsq("doctor", "--drop-quarantine", "--yes")
    [saved] = home.state.glob("quarantine-*.dump")
    assert dropped.code == 0 and dropped.out == "", dropped
    assert f"dropped 1 record, after saving it in {saved} " in dropped.err and "add them again" in dropped.err
    assert saved.stat().st_mode & 0o777 == 0o600
    assert b"unmistakeable2-".hex() in saved.read_text() and f"\n {ids[2]:016x}\n" in saved.read_text()
    assert problems(doctor(home)) == set() and daemon.bus.get("Degraded") == []
    daemon.kill()
    daemon.restart()
    assert daemon.bus.get("Quarantined") == 0 and len(daemon.bus.query(all=True)[0]) == 4


@pytest.mark.skipif(not shutil.which("mdb_load"), reason="mdb_load is not installed")
def test_what_was_dropped_can_be_loaded_by_the_tools_of_lmdb(home):
    quarantined(home)
    answer = home.bitsq("doctor", "--drop-quarantine", "-y", "--json").json
    assert answer["schema"] == "bitsq.drop-quarantine/1" and answer["dropped"] == 1
    folder = home.path / "loaded"
    folder.mkdir()
    subprocess.run(["mdb_load", "-f", answer["saved"], "-s", "quarantine", folder], check=True)
    shown = subprocess.run(["mdb_dump", "-s", "quarantine", folder], check=True, capture_output=True, text=True).stdout
    assert b"unmistakeable2-".hex() in shown


def test_the_quarantine_is_not_dropped_unasked(home):
    daemon, _ = quarantined(home)
    refused = home.bitsq("doctor", "--drop-quarantine")
    assert refused.code == 2 and "--yes" in refused.err and refused.out == "", refused
    for answer, code in (("n", 1), ("y", 0)):
        main, terminal = pty.openpty()
        with subprocess.Popen([BITSQ, "doctor", "--drop-quarantine"], env=home.env, stdin=terminal, stderr=terminal,
                              stdout=subprocess.PIPE) as asked:
            os.close(terminal)
            os.write(main, f"{answer}\n".encode())
            assert asked.wait(timeout=60) == code
        said = os.read(main, 4096).decode()
        os.close(main)
        assert "drop 1 record that could not be read?" in said and "added again" in said
        assert daemon.bus.get("Quarantined") == code


def test_where_nothing_is_in_quarantine_nothing_is_dropped(home):
    home.daemon()
    none = home.bitsq("doctor", "--drop-quarantine", "--yes")
    assert none.code == 0 and none.out == "" and "nothing lies in quarantine" in none.err, none
    assert home.bitsq("doctor", "--drop-quarantine", "--yes", "--json").json == \
        {"schema": "bitsq.drop-quarantine/1", "dropped": 0, "saved": None}
    assert not list(home.state.glob("*.dump"))


def test_yes_goes_with_what_it_agrees_to(home):
    refused = home.bitsq("doctor", "--yes")
    assert refused.code == 2 and "--drop-quarantine" in refused.err


def test_nothing_may_follow(home):
    refused = home.bitsq("doctor", "disk")
    assert refused.code == 2 and refused.out == "" and "nothing may follow" in refused.err
