# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: the server's offset is the truth about bytes, and no answer about it makes a loop."""
import pytest

from support.uploads import FS, INVALID_SERVER_RESPONSE, SECOND, Case, http_error

GIB4 = 1 << 32


def no_error(job):
    return job["Attempts"] == 0 and job["AttemptLog"] == [] and job["Error"] == ("", 0, "")


def test_assertion_09_an_ack_within_the_fragment_is_where_the_next_begins(case: Case):
    """After 0-4095 the server wants 2048 next: the following Fragment begins there."""
    job = case("fragment#1: seek 2048").done()
    assert case.starts()[:2] == [0, 2048] and no_error(job)


def test_assertion_10_an_ack_beyond_the_fragment_is_where_the_next_begins(case: Case):
    """After 0-4095 the server wants 6000 next: the following Fragment begins there."""
    case("fragment#1: seek 6000").wait("done")
    assert case.starts() == [0, 6000]


def test_assertion_11_a_416_with_an_offset_is_no_error(case: Case):
    """The second Fragment is answered by 416 and 1000: it goes on from 1000, and nothing counts as an error."""
    job = case("fragment#2: seek 1000; status 416").done()
    assert case.starts()[:3] == [0, FS, 1000] and no_error(job)
    assert case.packets().count("create") == 1


def test_assertion_12_a_misspelt_offset_header_counts(case: Case):
    """As before, with the header spelt as one server spells it."""
    job = case("fragment#2: seek 1000; status 416; no-header BITS-Received-Content-Range; "
               "header BITS-Recieved-Content-Range 1000").done()
    assert case.starts()[:3] == [0, FS, 1000] and no_error(job)


def test_assertion_13_a_416_without_an_offset_begins_a_new_session(case: Case):
    """Without an offset the old session cannot go on: Create-Session again, and from 0."""
    case("fragment#2: status 416; no-header BITS-Received-Content-Range").done()
    fragments = case.fragments()
    assert case.packets().count("create") == 2
    assert [f.first for f in fragments] == [0, FS, 0, FS, 2 * FS]
    assert len({f.session for f in fragments[:2]}) == 1 and fragments[2].session != fragments[0].session


def test_assertion_14_an_endless_416_ends(case: Case):
    """Every Fragment is answered by 416 and 4096: each session gives up after a few, with a wait between them, and
    three such sessions fail the job."""
    job = case("fragment: status 416; next 4096").failed()
    assert 2 <= len(job["AttemptLog"]) <= 4
    assert case.packets().count("create") == 3 and len(case.fragments()) <= 3 * 6
    assert "close" not in case.packets()


@pytest.mark.parametrize("answer", ["20000", "abc", "-1", "18446744073709551616", ""])
def test_assertion_15_an_offset_that_cannot_be_is_an_invalid_response(case: Case, answer):
    """An offset beyond the file, or no number: no Close-Session, and an error that names the server's answer."""
    job = case(f"fragment: next {answer}" if answer else "fragment: no-header BITS-Received-Content-Range",
               no_progress_timeout=0).failed(INVALID_SERVER_RESPONSE)
    assert "close" not in case.packets() and job["Acknowledged"] == 0


def test_assertion_15_the_next_attempt_begins_a_new_session(case: Case):
    """After an offset that cannot be, the job waits and starts anew."""
    job = case("fragment#1: next 20000").done()
    assert case.packets().count("create") == 2 and job["AttemptLog"] != []


def test_an_offset_in_the_form_of_a_range_is_understood(case: Case):
    """A lab server writes 0-4095/10000."""
    job = case("fragment#1: next 0-4095/10000").done()
    assert case.starts() == [0, FS, 2 * FS] and no_error(job)


def test_assertion_40_ranges_past_4_gib_are_exact(case: Case):
    """A sparse file of 5 GiB and a byte; the server says that it has all up to shortly before 4 GiB. The ranges cross
    the border without a slip, and an Ack of exactly 4294967296 is an offset as any other."""
    size = 5 * (1 << 30) + 1
    mib = 1 << 20
    case("fragment#1: seek 4293918720", "fragment#3: seek 5368705025", size=0,
         config={"FragmentMin": mib, "FragmentMax": mib, "RetryDelay": "1h"}, hold=True)
    case.daemon.bus.verb(case.id, "Cancel")
    with open(case.source, "r+b") as source:
        source.truncate(size)
    case.id = case.add(case.source, case.server.url + "/large")
    job = case.wait("done", "failed", "retrying")
    assert job["State"] == "done" and no_error(job), job
    assert [(f.first, f.last) for f in case.fragments()] == [
        (0, mib - 1), (GIB4 - mib, GIB4 - 1), (GIB4, GIB4 + mib - 1), (size - 4096, size - 1)]
    assert [f.next for f in case.fragments()] == [GIB4 - mib, GIB4, size - 4096, size]
    assert {f.total for f in case.fragments()} == {size} and job["Acknowledged"] == size
    assert (case.server.root / "large").stat().st_size == size


def test_assertion_40_a_server_that_counts_in_32_bits_is_named_not_looped(case: Case):
    """Its Acks start over at 0 behind 4 GiB: the job fails and says so, after a handful of requests."""
    mib = 1 << 20
    case("fragment#1: seek 4294967296; next 4294967296", "fragment#2-: wrap 32", size=0,
         config={"FragmentMin": mib, "FragmentMax": mib}, hold=True)
    case.daemon.bus.verb(case.id, "Cancel")
    with open(case.source, "r+b") as source:
        source.truncate(5 * (1 << 30) + 1)
    case.id = case.add(case.source, case.server.url + "/large")
    job = case.failed()
    assert "32" in job["Error"][2] or "4 GiB" in job["Error"][2], job["Error"]
    assert len(case.fragments()) <= 4 and "close" not in case.packets()


def test_assertion_18_a_413_shrinks_fragments_and_they_stay_small(case: Case):
    """Bodies above 6,000 bytes are refused: the same bytes go again in smaller pieces, never under 5 KiB but for the
    tail, and the size that was refused is not tried again in this session."""
    case("fragment if body > 6000: status 413", size=100_000,
         config={"FragmentMin": 5120, "FragmentMax": 16384}).done()
    fragments = case.fragments()
    refused = [f for f in fragments if f.status == 413]
    accepted = [f for f in fragments if f.status == 200]
    assert [f.length for f in refused] == [16384, 8192] and {f.first for f in refused} == {0}
    assert fragments[:2] == refused
    assert [f.first for f in accepted] == [f.first for f in sorted(accepted, key=lambda f: f.first)]
    assert {f.length for f in accepted[:-1]} == {5120} and accepted[-1].last == 99_999


def test_assertion_19_an_endless_413_fails_at_the_floor(case: Case):
    """Every body is refused: the job fails with the code of 413 once the smallest fragment was refused too."""
    case("fragment: status 413", size=100_000, config={"FragmentMin": 5120, "FragmentMax": 65536}).failed(http_error(413))
    sizes = [f.length for f in case.fragments()]
    assert sizes == [65536, 32768, 16384, 8192, 5120]


def test_fragments_grow_while_the_server_is_quick(case: Case):
    """They begin at 256 KiB and double, up to the configured size."""
    case(size=6 << 20, config={"FragmentMax": 2 << 20}).done()
    sizes = [f.length for f in case.fragments()]
    assert sizes[:3] == [256 << 10, 1 << 20, 2 << 20] and max(sizes) == 2 << 20


def test_a_server_that_always_wants_the_beginning_does_not_spin(case: Case):
    """Acks of 0 to everything: a bounded number of requests, with waits between sessions."""
    case("fragment: next 0; seek 0").failed()
    entries = case.server.requests()
    assert len(entries) <= 60
    assert entries[-1]["time_usec"] - entries[0]["time_usec"] > SECOND // 20
