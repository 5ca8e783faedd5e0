# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to the queue on disk: kills, damage, a full file system. Nothing is lost silently."""
import os
import re
import resource
import signal
import subprocess

import pytest

from support.bus import BusError
from support.home import BITSQD
from support.preload import preload
from support.preload import preload
from support.wait import poll

URL = "http://127.0.0.1:9/x"


def queue_file(home):
    return home.state / "queue" / "data.mdb"


def held_jobs(home, bus, count):
    source = home.file(size=1000)
    return [bus.add(source, f"{URL}{i}", hold=True) for i in range(count)]


def listed(bus):
    return [row["Id"] for row in bus.query(all=True)[0]]


def test_an_id_that_was_returned_is_on_disk(home):
    """SIGKILL the moment that each id comes back: all of them are there afterwards, with what was said about them."""
    daemon = home.daemon()
    source, ids = home.file(size=1000), []
    for i in range(10):
        ids.append(daemon.bus.add(source, f"{URL}{i}", hold=True, key=f"key {i}", name=f"name {i}", priority="high"))
        daemon.kill()
        daemon.restart()
    assert listed(daemon.bus) == ids
    for i, job_id in enumerate(ids):
        job = daemon.bus.job(job_id)
        assert (job["Key"], job["Name"], job["Priority"], job["State"]) == (f"key {i}", f"name {i}", "high", "paused")
        assert job["Source"] == bytes(source) and job["Url"] == f"{URL}{i}"


def test_what_was_promised_about_a_job_is_on_disk(home):
    daemon = home.daemon()
    paused, cancelled, removed = held_jobs(home, daemon.bus, 3)
    daemon.bus.verb(cancelled, "Cancel")
    daemon.kill()
    daemon.restart()
    daemon.bus.wait(cancelled, "cancelled")
    daemon.bus.verb(removed, "Cancel")
    daemon.bus.wait(removed, "cancelled")
    daemon.bus.verb(removed, "Remove")
    daemon.kill()
    daemon.restart()
    assert listed(daemon.bus) == [paused, cancelled]


def test_ids_are_never_used_again(home):
    daemon = home.daemon()
    first = held_jobs(home, daemon.bus, 3)
    for job in first:
        daemon.bus.verb(job, "Cancel")
        daemon.bus.wait(job, "cancelled")
        daemon.bus.verb(job, "Remove")
    daemon.kill()
    daemon.restart()
    assert held_jobs(home, daemon.bus, 1)[0] > max(first)


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_a_kill_cannot_tear_a_command_for_many_jobs(home, verb):
    """2,500 jobs, more than one transaction touches; killed the moment that the command was answered."""
    daemon = home.daemon(RetryDelay="1h", RetryDelayMax="1h", MaxActive=64, MaxActivePerHost=64)
    daemon.bus.add_many(home.file(size=10), URL, 2500, hold=True)
    assert daemon.bus.counts() == {"paused": 2500}
    matched, failed, _ = daemon.bus.control(verb, all=True)
    assert (matched, failed) == (2500, 0)
    daemon.kill()
    daemon.restart()
    counts = poll(lambda: "paused" not in (counts := daemon.bus.counts()) and counts, "every job has heard the command")
    assert sum(counts.values()) == 2500 and (verb != "cancel" or set(counts) <= {"cancelling", "cancelled"})


def garbage(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def cut(path):
    os.truncate(path, 100)


def empty(path):
    os.truncate(path, 0)


def gone(path):
    path.unlink()


def torn(path):
    """Both meta pages are rubbish, the data behind them is whole."""
    with open(path, "r+b") as file:
        file.write(b"\xa5" * 8192)


@pytest.mark.parametrize("damage", [garbage, cut, empty, gone, torn], ids=lambda damage: damage.__name__)
def test_a_damaged_queue_is_set_aside_and_reported(home, damage):
    """The daemon runs on with a new queue, says so wherever one looks, keeps what was there, and gives no id twice."""
    daemon = home.daemon()
    ids = held_jobs(home, daemon.bus, 5)
    assert daemon.stop() == []
    damage(queue_file(home))
    kept = queue_file(home).read_bytes() if queue_file(home).exists() else None
    daemon.restart()
    assert listed(daemon.bus) == []
    degraded = daemon.bus.get("Degraded")
    assert degraded and "queue" in " ".join(degraded), degraded
    assert "queue" in home.logs()
    if kept:
        aside = [path for path in home.state.rglob("*") if path.is_file() and path != queue_file(home)
                 and path.stat().st_size == len(kept) and path.read_bytes() == kept]
        assert aside and any(str(path) in " ".join(degraded) or path.parent.name in " ".join(degraded)
                             or path.name in " ".join(degraded) for path in aside), (aside, degraded)
    status = home.bitsq("daemon", "status")
    assert "queue" in status.out + status.err
    listing = home.bitsq("list")
    assert listing.err, "an empty list without a word would look like an empty queue"
    assert held_jobs(home, daemon.bus, 1)[0] > max(ids)


def test_one_damaged_record_stops_nothing_else(home):
    """A byte of one job's record is flipped: that job goes to quarantine and is reported, the others go on."""
    daemon = home.daemon()
    source = home.file(size=1000)
    ids = [daemon.bus.add(source, f"{URL}{i}", hold=True, name=f"unmistakable-{i}-" + "n" * 100) for i in range(5)]
    assert daemon.stop() == []
    data = bytearray(queue_file(home).read_bytes())
    needle, at, hits = b"unmistakable-2-", 0, 0
    while (at := data.find(needle, at)) >= 0:
        data[at + len(needle)] ^= 0x20
        at, hits = at + 1, hits + 1
    assert hits
    queue_file(home).write_bytes(data)
    daemon.restart()
    left = listed(daemon.bus)
    assert left == [job for job in ids if job != ids[2]]
    sentence = (f"job {ids[2]} could not be read and stands in quarantine; what was stored lies unchanged in "
                f"{home.state}/queue (mdb_dump -s quarantine shows it): add these uploads again, then drop the "
                "records with \"bitsq doctor --drop-quarantine\"")
    assert daemon.bus.get("Degraded") == [sentence]
    assert sentence in home.logs() and sentence in home.bitsq("daemon", "status").out


def test_a_file_that_is_mostly_empty_gives_its_space_back_at_the_start(home):
    daemon = home.daemon()
    ids = held_jobs(home, daemon.bus, 5)
    assert daemon.stop() == []
    os.truncate(queue_file(home), 64 << 20)  # as if a million jobs had stood in it
    daemon.restart()
    assert queue_file(home).stat().st_size < 1 << 20 and listed(daemon.bus) == ids
    assert re.search(r"the queue's file gave back 6[34]\.?\d* MiB to the disk, and takes [\d.]+ KiB now", home.logs())
    assert daemon.bus.get("Degraded") == [] and held_jobs(home, daemon.bus, 1)[0] == ids[-1] + 1


def test_no_child_is_made_once_there_are_threads(home):
    """What looks at the file, and what copies it, would wait for ever for a lock that a thread held just then."""
    home.env.update(preload("forkwatch"))
    daemon = home.daemon()
    ids = held_jobs(home, daemon.bus, 2)
    assert daemon.stop() == []
    os.truncate(queue_file(home), 64 << 20)
    daemon.restart()
    assert "gave back" in home.logs() and "forkwatch" not in home.logs() and listed(daemon.bus) == ids


def test_of_many_damaged_records_the_first_are_named(home):
    daemon = home.daemon()
    source = home.file(size=1000)
    for i in range(8):
        daemon.bus.add(source, f"{URL}{i}", hold=True, name="unmistakable-" + "n" * 100)
    assert daemon.stop() == []
    data = queue_file(home).read_bytes()
    assert data.count(b"unmistakable-") >= 8
    queue_file(home).write_bytes(data.replace(b"unmistakable-", b"unmistakeable"))
    daemon.restart()
    assert listed(daemon.bus) == []
    assert daemon.bus.get("Degraded")[0].startswith("jobs 1, 2, 3, 4, 5 and 3 more could not be read and stand in quarantine; ")


@pytest.fixture
def no_signal():
    """A file size limit stands for a full disk; the signal that it adds does not come from one."""
    return {"preexec_fn": lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)}


def test_no_space_refuses_new_jobs_clearly_and_heals(home, no_signal):
    """Writes to the queue fail: `add` says so and adds nothing; nothing that was there is lost; once there is room
    again it works."""
    daemon = home.daemon()
    assert daemon.stop() == []
    daemon.start(**no_signal)
    before = held_jobs(home, daemon.bus, 2)
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, hard))
    refused = home.bitsq("add", home.file(size=10), URL)
    assert refused.code == 1 and refused.out == "" and len(refused.err.splitlines()) == 1, refused
    assert "space" in refused.err or "disk" in refused.err or "cannot be written" in refused.err, refused
    with pytest.raises(BusError) as error:
        held_jobs(home, daemon.bus, 1)
    assert error.value.name == "Degraded"
    assert daemon.bus.get("Degraded") and listed(daemon.bus) == before
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def heals():
        try:
            return held_jobs(home, daemon.bus, 1)
        except BusError as error:
            assert error.name == "Degraded"
            return None
    added = poll(heals, "the queue can be written again")
    poll(lambda: daemon.bus.get("Degraded") == [], "it has proved that it can be written")
    daemon.kill()
    daemon.restart()
    assert listed(daemon.bus) == before + added


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small file system")
def test_no_space_from_the_beginning_is_a_clear_error(home):
    home.state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "small", home.state], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        (home.state / "filler").write_bytes(bytes(4096))
        done = subprocess.run([BITSQD], env=home.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and "space" in done.stderr, done
        added = home.bitsq("add", home.file(size=10), URL)
        assert added.code == 7 and "space" in added.err and len(added.err.splitlines()) == 1, added
    finally:
        subprocess.run(["umount", home.state], check=True)



def test_a_network_file_system_is_refused_with_the_remedy(home):
    """Nothing but the type is made up; nothing of a queue is left there."""
    done = subprocess.run([BITSQD], env={**home.env, **preload("networkfs")}, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith(
        f"cannot keep the queue in {home.state}: locks and memory maps cannot be trusted on this file system (NFS); "
        "name a folder on a local disk with StateDirectory= in bitsqd.conf"), done
    assert list(home.state.iterdir()) == []


def test_a_state_folder_that_others_may_read_is_closed_or_refused(home):
    home.state.mkdir(mode=0o777)
    home.state.chmod(0o777)
    home.daemon()
    assert home.state.stat().st_mode & 0o777 == 0o700
