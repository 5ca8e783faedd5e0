# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: pause, cancel, a killed daemon, a changed file, and the end of an upload."""
import os

import pytest

from support.uploads import FS, LOCAL_FILE, LOCAL_FILE_CHANGED, SMALL, Case, one_at_a_time


def test_assertion_33_pause_sends_nothing_and_resume_pings_first(case: Case):
    """Paused after the first Ack: silence. Resumed: Ping, then the Fragment at 4096, in the same session."""
    case("fragment#2: stall")
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Pause")
    case.wait("paused")
    case.silent()
    before = len(case.packets())
    case.daemon.bus.verb(case.id, "Resume")
    case.done()
    assert case.packets()[before:] == ["ping", "fragment", "fragment", "close"]
    assert case.starts() == [0, FS, FS, 2 * FS] and case.packets().count("create") == 1
    assert len({f.session for f in case.fragments()}) == 1


def test_assertion_33_a_pause_outlives_the_daemon(case: Case):
    """A paused job is still paused after a restart, keeps its session, and goes on where it was."""
    case("fragment#2: stall")
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Pause")
    case.daemon.kill()
    case.daemon.restart()
    assert case.job["State"] == "paused"
    case.silent()
    case.daemon.bus.verb(case.id, "Resume")
    case.done()
    assert case.packets().count("create") == 1 and set(case.starts()) == {0, FS, 2 * FS}


def test_assertion_34_a_killed_daemon_goes_on_with_its_session_and_offset(case: Case):
    """SIGKILL after the second Ack: after the restart the stored session goes on at the stored offset, and no byte
    before it is sent."""
    case("fragment#3: stall")
    case.wait_for("fragment", 3)
    case.settle()
    case.daemon.kill()
    case.daemon.restart()
    case.done()
    assert case.packets().count("create") == 1
    assert case.starts() == [0, FS, 2 * FS, 2 * FS]
    assert len({f.session for f in case.fragments()}) == 1


def test_assertion_34_a_stop_and_a_start_lose_nothing_either(case: Case):
    """The same with SIGTERM, which waits for no server."""
    case("fragment#3: stall")
    case.wait_for("fragment", 3)
    assert case.daemon.stop() == []
    case.daemon.restart()
    case.done()
    assert case.starts() == [0, FS, 2 * FS, 2 * FS]


def touch(path):
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000_000))


def grow(path):
    with open(path, "ab") as file:
        file.write(b"more")


def shrink(path):
    os.truncate(path, 300_000)


def replace(path):
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.rename(path)


def delete(path):
    path.unlink()


@pytest.mark.parametrize("change", [touch, grow, shrink, replace, delete], ids=lambda change: change.__name__)
def test_assertion_35_a_file_that_changes_fails_the_job(case: Case, change):
    """The source changes between two Fragments: BG_E_LOCAL_FILE_CHANGED in the context of the local file,
    Cancel-Session, and never a Close-Session."""
    case("fragment: ack-delay 30ms", size=100 * FS)
    case.wait_for("fragment", 3)
    change(case.source)
    case.failed(LOCAL_FILE_CHANGED, LOCAL_FILE)
    case.wait_for("cancel")
    assert "close" not in case.packets() and len(case.fragments()) < 100
    assert not (case.server.root / "target").exists()


def test_a_file_that_changed_before_the_first_fragment_fails_too(case: Case):
    case("create: ack-delay 2s", size=10_000)
    case.wait("connecting")
    touch(case.source)
    case.failed(LOCAL_FILE_CHANGED)
    assert "fragment" not in case.packets() and "close" not in case.packets()


def test_retry_after_a_change_uploads_what_is_there_now(case: Case):
    case("fragment: ack-delay 30ms", size=100 * FS)
    case.wait_for("fragment", 3)
    grow(case.source)
    case.failed(LOCAL_FILE_CHANGED)
    case.daemon.bus.verb(case.id, "Retry")
    case.done()


@pytest.mark.parametrize("answers, count", [("cancel#1-2: status 500", 3), ("cancel: status 404", 1),
                                            ("cancel: forget-session", 1), ("cancel: drop after-store", 2)],
                         ids=["500 twice", "404", "session not found", "lost Ack"])
def test_assertion_36_cancel_ends_the_session_and_nothing_follows(case: Case, answers, count):
    """Cancelled in the middle: Cancel-Session with the id, repeated after 500, done with by 404 or a session that is
    not found; never a new session."""
    rules = [answers] if count == 1 or "#" in answers else ["cancel#1: drop after-store"]
    case("fragment#2: stall", *rules)
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Cancel")
    case.wait("cancelled")
    packets = [packet for packet in case.packets() if packet != "ping"]
    assert packets == ["create", "fragment", "fragment"] + ["cancel"] * count
    session = case.fragments()[0].session
    assert {entry["headers"]["bits-session-id"] for entry in case.server.requests("cancel")} == {session}
    assert not (case.server.root / "target").exists()


def test_a_cancel_that_is_under_way_outlives_the_daemon(case: Case):
    case("fragment#2: stall", "cancel#1: stall")
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Cancel")
    case.wait_for("cancel")
    case.daemon.kill()
    case.daemon.restart()
    case.wait("cancelled")
    assert case.packets().count("create") == 1 and case.packets().count("cancel") == 2


def test_a_job_without_a_session_is_cancelled_without_a_word(case: Case):
    case(hold=True)
    case.daemon.bus.verb(case.id, "Cancel")
    case.wait("cancelled")
    assert case.packets() == []


def test_assertion_37_close_is_repeated_not_the_fragments(case: Case):
    """Close-Session is answered by 500 twice: it goes again, the Fragments do not, and the job is done only after
    the 200."""
    job = case("close#1-2: status 500").done()
    assert [packet for packet in case.packets() if packet != "ping"] == ["create"] + 3 * ["fragment"] + 3 * ["close"]
    assert case.starts() == [0, FS, 2 * FS] and job["Confirmed"]
    entries = case.server.requests("close")
    assert [entry["status"] for entry in entries] == [500, 500, 200]


def test_assertion_37_a_job_is_not_done_before_its_close_is_acknowledged(case: Case):
    case("close#1: stall")
    case.wait_for("close")
    assert case.job["State"] == "transferring" and case.job["Acknowledged"] == 10_000


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_assertion_37_a_lost_ack_to_close_is_a_success_without_confirmation(case: Case, mode):
    """The server published the file and cut the connection; the next Close-Session finds no session: done, but the
    server itself did not say so."""
    job = case("close#1: drop after-store", options=["--mode", mode]).done()
    assert not job["Confirmed"] and case.packets().count("close") == 2 and case.starts() == [0, FS, 2 * FS]


def test_assertion_37_close_attempted_outlives_a_kill(case: Case):
    """Killed while Close-Session was under way: after the restart a session that is not found means success."""
    case("close#1: process; stall")
    case.wait_for("close")
    case.daemon.kill()
    case.daemon.restart()
    job = case.done()
    assert not job["Confirmed"] and case.starts() == [0, FS, 2 * FS]


def test_a_first_close_that_finds_no_session_uploads_again(case: Case):
    """Nobody knows whether the server published anything: the upload starts over."""
    case("close#1: forget-session", options=["--overwrite", "yes"]).done()
    assert case.packets().count("create") == 2 and case.starts() == 2 * [0, FS, 2 * FS]


def test_a_first_close_that_is_refused_fails_and_says_that_all_was_acknowledged(case: Case):
    job = case("close: status 403").failed()
    assert job["Acknowledged"] == 10_000 and "acknowledged" in job["Error"][2]


def test_a_job_that_failed_can_be_retried_by_hand(case: Case):
    case("create#1: status 403").failed()
    case.daemon.bus.verb(case.id, "Retry")
    case.done()


def test_no_progress_ends_a_job_that_keeps_meeting_trouble(case: Case):
    case("create: status 503", config={**SMALL, "RetryDelay": "50ms", "RetryDelayMax": "100ms"},
         no_progress_timeout=1_000_000).failed(0x80200024)
    assert case.packets().count("create") >= 2


def test_jobs_side_by_side_share_neither_a_session_nor_a_connection(case: Case):
    """Some servers keep the session with the connection: the messages of two jobs do not mix on one, and within a
    session one request follows the other."""
    case.start("--bind-sessions", "--fault", "fragment: ack-delay 5ms")
    jobs = [case.add(case.home.file(f"{i}.bin", size=20 * FS), f"{case.server.url}/{i}") for i in range(4)]
    for job in jobs:
        assert case.daemon.bus.wait(job, "done", "failed")["AttemptLog"] == []
    entries = case.server.requests()
    assert len([entry for entry in entries if entry["packet"] == "create"]) == 4
    for i in range(4):
        own = [entry for entry in entries if entry["target"] == f"/{i}"]
        assert one_at_a_time(own) and len({entry["session"] for entry in own}) == 1
        assert (case.server.root / str(i)).stat().st_size == 20 * FS
