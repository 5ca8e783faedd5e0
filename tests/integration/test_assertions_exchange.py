# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: what a healthy exchange looks like. The numbers are those of the list of conformance assertions."""
import pytest

from support.uploads import FS, PROTOCOL, Case, one_at_a_time


def test_assertion_01_the_first_request_is_create_session(case: Case):
    """A new upload begins with Create-Session: the verb and the packet type letter by letter, the protocol's id in
    lower case and braces, Content-Length 0, and nothing that announces a body."""
    case().done()
    first = case.server.requests()[0]
    headers = first["headers"]
    assert first["method"] == "BITS_POST" and first["target"] == "/target"
    assert headers["bits-packet-type"] == "Create-Session"
    assert headers["bits-supported-protocols"] == PROTOCOL
    assert headers["content-length"] == "0" and first["body_received"] == 0
    assert not {"transfer-encoding", "expect", "content-type", "content-encoding"} & set(headers)


def test_no_request_of_an_upload_asks_for_permission_or_sends_in_chunks(case: Case):
    """Expect stalls servers that ignore it; chunks have no Content-Length, which BITS demands."""
    case().done()
    for entry in case.server.requests():
        assert entry["method"] == "BITS_POST" and "content-length" in entry["headers"]
        assert not {"transfer-encoding", "expect", "content-type", "content-encoding"} & set(entry["headers"])


def test_assertion_02_status_201_creates_a_session_too(case: Case):
    """A Create-Session that is answered by 201 with a session id goes on as after 200."""
    case("create: status 201").done()
    assert case.packets() == ["create", "fragment", "fragment", "fragment", "close"]


def test_assertion_03_header_names_and_the_ack_may_be_lower_case(case: Case):
    """A server may write every header name in lower case, and "ack" too."""
    case("*: header-case lower; header bits-packet-type ack").done()


@pytest.mark.parametrize("session", ["{AbC-x}", "-1234567890", "s" * 100, "{aBcDeF01-2345-6789-ABCD-ef0123456789}"])
def test_assertion_04_the_session_id_comes_back_byte_for_byte(case: Case, session):
    """Whatever the server calls a session, every later Fragment, Close-Session and Cancel-Session says the same."""
    case(f"create: session-id {session}").done()
    later = [entry for entry in case.server.requests() if entry["packet"] in ("fragment", "close", "cancel")]
    assert len(later) == 4
    assert {entry["headers"]["bits-session-id"] for entry in later} == {session}


@pytest.mark.parametrize("session", ["{AbC-x}", "-1234567890", "s" * 100])
def test_assertion_04_a_cancel_says_the_same_session_id(case: Case, session):
    """The same for Cancel-Session."""
    case(f"create: session-id {session}", "fragment: stall")
    case.wait_for("fragment")
    case.daemon.bus.verb(case.id, "Cancel")
    case.wait("cancelled")
    assert [entry["headers"]["bits-session-id"] for entry in case.server.requests("cancel")] == [session]


def test_assertion_05_ranges_follow_each_other_one_request_at_a_time(case: Case):
    """10,000 bytes in fragments of 4,096: three ranges without gap or overlap, each with its length, and never a
    request before the answer to the one before."""
    case().done()
    assert [(f.first, f.last, f.total) for f in case.fragments()] == [
        (0, 4095, 10_000), (4096, 8191, 10_000), (8192, 9999, 10_000)]
    assert all(f.length == f.received for f in case.fragments())
    assert one_at_a_time(case.server.requests())


def test_one_upload_keeps_to_one_connection(case: Case):
    """Some servers keep the session with the TCP connection."""
    case().done()
    assert len({entry["connection"] for entry in case.server.requests()}) == 1


def test_assertion_06_a_size_that_is_a_multiple_of_the_fragment_has_no_empty_tail(case: Case):
    """8,192 bytes in fragments of 4,096: exactly two Fragments, then Close-Session."""
    case(size=2 * FS).done()
    assert case.packets() == ["create", "fragment", "fragment", "close"]
    assert case.starts() == [0, FS]


def test_assertion_07_one_byte_is_one_range(case: Case):
    """A file of one byte goes as bytes 0-0/1."""
    case(size=1).done()
    assert [entry["headers"]["content-range"] for entry in case.server.requests("fragment")] == ["bytes 0-0/1"]


def test_assertion_08_acks_need_no_session_id(case: Case):
    """Only the Ack to Create-Session must name the session."""
    case("fragment: no-header BITS-Session-Id", "close: no-header BITS-Session-Id", options=["--mode", "spec"]).done()


def test_an_empty_file_is_created_and_closed_without_a_fragment(case: Case):
    """The range of an empty Fragment cannot be written; Create-Session and Close-Session alone leave an empty file."""
    job = case(size=0).done()
    assert case.packets() == ["create", "close"] and job["Size"] == 0


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_both_documented_servers_end_up_with_the_file(case: Case, mode):
    """MSDN and MC-BUP describe servers that differ; an upload succeeds with both."""
    job = case(options=["--mode", mode], size=100_000).done()
    assert job["Confirmed"] and job["Acknowledged"] == 100_000 and job["Resent"] == 0


def test_a_body_and_a_length_in_an_ack_are_read_and_dropped(case: Case):
    """Acks have no body; some servers send one all the same."""
    case("*: body-bytes 3000").done()
    assert len({entry["connection"] for entry in case.server.requests()}) == 1


def test_an_ack_in_chunks_is_accepted(case: Case):
    case("fragment: chunked; body-bytes 10").done()
