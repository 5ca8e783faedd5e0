# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that does not answer holds no job, nobody who adds one, and no other job."""
import os
import signal
import subprocess
import time

import pytest

from support import tree
from support.bus import BusError
from support.sense import Namespace
from support.uploads import FS, SMALL
from support.wait import DEADLINE_S, poll

SLOW_FS = tree.BUILD / "tests" / "bench" / "slow-fs"


class DeadShare:
    """A folder behind a process, as a server's would be: while that is stopped, nothing of it answers."""

    def __init__(self, home):
        if not SLOW_FS.exists():
            pytest.skip("slow-fs was not built: libfuse3 is not there")
        self.machine = Namespace("mount")
        self.store, self.place = home.path / "store", home.path / "share"
        for folder in (self.store, self.place):
            folder.mkdir()
        self.process, self.home = None, home
        self.mount()
        home.wrapper = self.machine.prefix

    def mount(self, stop_at=None):
        """With STOP_AT it stops itself as soon as somebody reads that far."""
        env = {**os.environ, **({"SLOW_FS_STOP_AT": str(stop_at)} if stop_at else {})}
        self.process = subprocess.Popen([*self.machine.prefix, SLOW_FS, self.store, "0", self.place, "-f",
                                         "-oattr_timeout=0,entry_timeout=0"], env=env, stderr=subprocess.PIPE, text=True)
        mounts = f"/proc/{self.machine.holder.pid}/mounts"

        def is_there():
            if self.process.poll() is not None:
                pytest.skip(f"FUSE cannot be used here: {self.process.stderr.read().strip()}")
            with open(mounts, encoding="utf-8") as lines:
                return f" {self.place} " in lines.read()
        poll(is_there, "it is mounted")

    def unmount(self):
        """It need not answer, nor live."""
        self.machine.run("umount", "--lazy", str(self.place))
        self.die()

    def wait_stopped(self):
        def has_stopped():
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "T"
        poll(has_stopped, "somebody reads it that far")

    def put(self, size, name="file.bin"):
        self.home.file(f"store/{name}", size=size)
        return self.place / name

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        self.process.send_signal(signal.SIGCONT)

    def die(self):
        """As sshfs does when its connection is lost for good."""
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stop(self):
        self.answer()
        self.die()
        self.machine.stop()


@pytest.fixture
def share(home):
    made = DeadShare(home)
    yield made
    made.stop()


def config(home, **keys):
    text = {"RetryDelay": "100ms", "RetryDelayMax": "1s", "ResponseTimeout": "30s", **keys}
    floor = text.pop("FragmentFloor", FS)
    home.config("[bitsqd]\n" + "".join(f"{key}={value}\n" for key, value in text.items()) +
                f"[Test]\nLookTimeout=1s\nFragmentFloor={floor}\n")
    return home.daemon()


def hang_between_fragments(bus, job, server, share):
    """JOB has sent some of its file, and what it does next is to look at it. A read that hangs has the time of a send."""
    poll(lambda: len(server.requests("fragment")) > 2, "it is under way")
    bus.verb(job, "Pause")
    poll(lambda: bus.get("ActiveJobs") == 0, "nothing is under way any more")
    share.hang()
    bus.verb(job, "Resume")


def test_a_job_whose_file_system_hangs_waits_behind_its_source(home, serve, share):
    server = serve("--fault", "fragment: ack-delay 30ms")
    bus = config(home, **SMALL).bus
    job = bus.add(share.put(60 * FS), server.url + "/target")
    hang_between_fragments(bus, job, server, share)
    shown = bus.wait(job, "retrying")
    assert "its file system does not answer" in shown["Error"][2] and shown["ErrorDetails"]["phase"], shown
    bus.verb(bus.add(home.file("other.bin", size=1000), server.url + "/other", hold=True), "Resume")
    poll(lambda: (server.root / "other").exists(), "another job is not held up")
    share.answer()
    assert bus.wait(job, "done", "failed")["State"] == "done"
    assert (server.root / "target").read_bytes() == (share.store / "file.bin").read_bytes()


def test_however_often_it_is_tried_one_thread_hangs(home, serve, share):
    server = serve("--fault", "fragment: ack-delay 30ms")
    daemon = config(home, **{**SMALL, "RetryDelayMax": "100ms"})
    job = daemon.bus.add(share.put(60 * FS), server.url + "/target")

    def threads():
        with open(f"/proc/{daemon.pid}/status", encoding="utf-8") as lines:
            return int(next(line.split()[1] for line in lines if line.startswith("Threads:")))
    hang_between_fragments(daemon.bus, job, server, share)
    poll(lambda: daemon.bus.job(job)["Attempts"] >= 4, "it was tried several times")
    before = threads()
    poll(lambda: daemon.bus.job(job)["Attempts"] >= 10, "and many times")
    assert threads() <= before + 1
    share.answer()
    assert daemon.bus.wait(job, "done", "failed")["State"] == "done"


def test_whoever_adds_a_file_that_cannot_be_looked_at_is_told(home, share):
    bus = config(home).bus
    source = share.put(1000)
    share.hang()
    before = time.monotonic()
    with pytest.raises(BusError) as caught:
        bus.add(source, "http://127.0.0.1:9/target")
    assert caught.value.name == "SourceUnreadable" and "its file system does not answer" in caught.value.message
    assert time.monotonic() - before < DEADLINE_S / 2
    share.answer()
    bus.add(source, "http://127.0.0.1:9/target", hold=True)


def resumes_once_it_is_back(share, server, bus, job):
    poll(lambda: bus.job(job)["State"] == "failed" or "is not mounted" in str(bus.job(job)["Error"]), "it was noticed")
    shown = bus.job(job)
    assert shown["State"] == "retrying" and "is not mounted" in shown["Error"][2], shown
    share.unmount()
    share.mount()
    assert bus.wait(job, "done", "failed")["State"] == "done", shown
    assert (server.root / "target").read_bytes() == (share.store / "file.bin").read_bytes()


def test_a_job_waits_where_what_serves_its_file_system_has_died(home, serve, share):
    server = serve("--fault", "fragment: ack-delay 30ms")
    bus = config(home, **{**SMALL, "RetryDelayMax": "1d"}).bus
    job = bus.add(share.put(60 * FS), server.url + "/target")
    poll(lambda: len(server.requests("fragment")) > 2, "it is under way")
    share.die()
    resumes_once_it_is_back(share, server, bus, job)


def test_a_job_waits_where_what_serves_its_file_system_dies_while_it_is_read(home, serve, share):
    """What was asked before ends with ECONNABORTED, what is asked then with ENOTCONN."""
    server = serve()
    bus = config(home, **SMALL).bus
    share.unmount()
    share.mount(stop_at=20 * FS)
    job = bus.add(share.put(60 * FS), server.url + "/target")
    share.wait_stopped()
    share.die()
    resumes_once_it_is_back(share, server, bus, job)
