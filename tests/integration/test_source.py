# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file of a job: what happens when it changes, vanishes, or cannot be read."""
import os

import pytest

from support.uploads import FS, LOCAL_FILE, LOCAL_FILE_CHANGED, SMALL
from support.wait import poll


class Upload:
    """One job of small fragments, to a server that is slow enough for a test to come between two of them."""

    def __init__(self, home, serve, *faults, size=100 * FS, config=None, **job):
        rules = [word for fault in (faults or ("fragment: ack-delay 30ms",)) for word in ("--fault", fault)]
        self.home, self.server = home, serve(*rules)
        self.daemon = home.daemon(**{**SMALL, **(config or {})})
        self.source = home.file(size=size)
        self.id = self.daemon.bus.add(self.source, self.server.url + "/target", **job)

    @property
    def job(self):
        return self.daemon.bus.job(self.id)

    def seen(self, packet):
        return self.server.requests(packet)

    def wait_for(self, packet, count):
        poll(lambda: len(self.seen(packet)) >= count, lambda: f"{count} {packet}; {self.job}\n{self.home.logs()}")

    def within(self, session):
        """Waits until the session of that number, from 1 on, is in the middle of the file."""
        self.wait_for("create", session)
        before = len(self.seen("fragment"))
        self.wait_for("fragment", before + 2)

    def failed(self, code=LOCAL_FILE_CHANGED, context=LOCAL_FILE):
        job = self.daemon.bus.wait(self.id, "done", "failed")
        assert (job["State"], job["Error"][1], job["ErrorDetails"]["context"]) == ("failed", code, context), job
        return job

    def done(self):
        """The server has the file as it is now, whole."""
        job = self.daemon.bus.wait(self.id, "done", "failed")
        assert job["State"] == "done", (job, self.home.logs())
        assert (self.server.root / "target").read_bytes() == self.source.read_bytes()
        return job


def rewrite(path, size, number):
    """Other bytes, in the same file."""
    path.write_bytes(bytes([number]) * size)


def replace(path, size, number):
    """Other bytes, in a file that takes its place."""
    other = path.with_name("other")
    rewrite(other, size, number)
    other.rename(path)


@pytest.mark.parametrize("how, size", [(rewrite, 100 * FS), (rewrite, 90 * FS), (rewrite, 120 * FS + 7),
                                       (replace, 100 * FS)], ids=["as-long", "shorter", "longer", "replaced"])
def test_a_file_that_changes_is_uploaded_anew_where_that_was_chosen(home, serve, how, size):
    upload = Upload(home, serve, source_changed="restart")
    upload.within(1)
    how(upload.source, size, 1)
    job = upload.done()
    assert job["Attempts"] == 0 and job["Error"][2] == "", job
    packets = [entry["packet"] for entry in upload.server.requests()]
    assert packets.count("create") == 2 and packets.count("cancel") == 1 and packets.count("close") == 1
    sessions = [entry["headers"]["bits-session-id"] for entry in upload.seen("fragment")]
    second = [entry for entry in upload.seen("fragment") if entry["headers"]["bits-session-id"] == sessions[-1]]
    assert second[0]["headers"]["content-range"] == f"bytes 0-{FS - 1}/{size}"
    assert "it is uploaded anew, 1 of 3 times" in home.logs()


def test_the_fourth_change_fails_the_job_until_it_is_retried(home, serve):
    upload = Upload(home, serve, size=400 * FS, source_changed="restart")
    for change in range(1, 5):
        upload.within(change)
        rewrite(upload.source, 400 * FS, change)
    text = upload.failed()["Error"][2]
    assert "it was begun anew 3 times before" in text and "bitsq retry" in text
    assert len(upload.seen("create")) == 4 and not upload.seen("close")
    upload.wait_for("cancel", 4)
    upload.daemon.bus.verb(upload.id, "Retry")
    upload.within(5)
    rewrite(upload.source, 50 * FS, 5)
    upload.done()


def test_how_often_it_was_begun_anew_outlives_the_daemon(home, serve):
    upload = Upload(home, serve, size=400 * FS, source_changed="restart")
    for change in range(1, 4):
        upload.within(change)
        rewrite(upload.source, 400 * FS, change)
    upload.within(4)
    upload.daemon.kill()
    rewrite(upload.source, 400 * FS, 4)
    upload.daemon.restart()
    assert "it was begun anew 3 times before" in upload.failed()["Error"][2]


def test_the_choice_counts_for_a_job_that_is_under_way(home, serve):
    upload = Upload(home, serve)
    upload.within(1)
    assert home.bitsq("set", str(upload.id), "source-changed=restart").code == 0
    rewrite(upload.source, 80 * FS, 1)
    upload.done()


def test_a_file_that_is_gone_fails_also_where_a_change_would_not(home, serve):
    upload = Upload(home, serve, source_changed="restart")
    upload.within(1)
    os.unlink(upload.source)
    assert "gone" in upload.failed()["Error"][2]


def test_a_file_that_changes_while_the_job_is_paused_is_seen_when_it_goes_on(home, serve):
    upload = Upload(home, serve, source_changed="restart")
    upload.within(1)
    upload.daemon.bus.verb(upload.id, "Pause")
    upload.daemon.bus.wait(upload.id, "paused")
    rewrite(upload.source, 100 * FS, 1)
    upload.daemon.bus.verb(upload.id, "Resume")
    upload.done()


def test_a_file_that_is_cut_while_it_is_read_is_never_padded(home, serve):
    size = 16 << 20
    server = serve()
    bus = home.daemon(FragmentMin="16MiB", FragmentMax="16MiB").bus
    source = home.file(size=size)
    job = bus.add(source, server.url + "/target", rate=1 << 20)
    bus.wait(job, "transferring")
    os.truncate(source, 100_000)
    seen = bus.wait(job, "failed", "done")
    assert (seen["State"], seen["Error"][1]) == ("failed", LOCAL_FILE_CHANGED), seen
    assert "the size changed" in seen["Error"][2]
    poll(lambda: server.requests("cancel"), "the server is told")
    assert not server.requests("close") and not (server.root / "target").exists()


def test_a_file_that_was_written_just_now_is_looked_at_again_before_its_first_byte(home, serve):
    """A write in the same tick of the clock as the first look is uploaded, not taken for a change."""
    server = serve()
    bus = home.daemon().bus
    source = home.file(data=b"first")
    job = bus.add(source, server.url + "/target", hold=True)
    stamp = source.stat().st_mtime_ns
    source.write_bytes(b"other")
    os.utime(source, ns=(stamp, stamp))
    bus.verb(job, "Resume")
    assert bus.wait(job, "done", "failed")["State"] == "done"
    assert (server.root / "target").read_bytes() == b"other"
