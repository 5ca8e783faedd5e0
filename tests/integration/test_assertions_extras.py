# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: what the list of assertions names without a number."""
import pytest

from support.uploads import FS, INVALID_SERVER_RESPONSE, Case, http_error

REMOTE_APPLICATION = 7
HELD_BACK = {"create": [], "fragment#2": [FS], "close": [10_000]}


@pytest.mark.parametrize("packet", ["create", "fragment#2", "close"])
def test_a_page_without_an_ack_records_no_progress(case: Case, packet):
    """A page of HTML with 200, as a captive portal sends to everything: only what was acknowledged before counts."""
    job = case(f"{packet}: portal", no_progress_timeout=0).failed(INVALID_SERVER_RESPONSE)
    assert job["Acknowledged"] == sum(HELD_BACK[packet]) and not job["Confirmed"]


@pytest.mark.parametrize("packet, repeated", [("create#1", "create"), ("fragment#2", "fragment"), ("close#1", "close")])
def test_a_page_without_an_ack_is_waited_out_in_the_same_session(case: Case, packet, repeated):
    """Once the portal is gone, the message that met it is sent again, and nothing else."""
    job = case(f"{packet}: portal").done()
    assert [attempt[1] for attempt in job["AttemptLog"]] == ["BG_E_INVALID_SERVER_RESPONSE"]
    seen = [name for name in case.packets() if name != "ping"]
    healthy = {"create": 1, "fragment": 3, "close": 1}
    assert {name: seen.count(name) for name in healthy} == {**healthy, repeated: healthy[repeated] + 1}


def test_a_page_instead_of_the_ack_to_ping_sends_no_fragment(case: Case):
    """The portal is met by the Ping after a break: the Fragment waits until a Ping is answered as it should be."""
    case("fragment#2: status 503", "ping#1: portal").done()
    assert case.packets() == ["create", "fragment", "fragment", "ping", "ping", "fragment", "fragment", "close"]


def test_a_page_instead_of_the_ack_to_cancel_ends_the_job_too(case: Case):
    """Any 200 ends a cancellation; nothing is counted as received, and nothing follows."""
    case("fragment#2: stall", "cancel: portal")
    case.wait_for("fragment", 2)
    case.daemon.bus.verb(case.id, "Cancel")
    job = case.wait("cancelled")
    assert case.packets() == ["create", "fragment", "fragment", "cancel"] and job["Acknowledged"] <= FS
    assert not job["Confirmed"] and not (case.server.root / "target").exists()


def test_a_ping_with_an_error_code_beside_200_is_a_success(case: Case):
    """One family of servers sends BITS-Error-Code: 1 with the Ack to Ping."""
    job = case("fragment#2: status 503", "ping: error 1").done()
    assert [entry["status"] for entry in case.server.requests("ping")] == [200]
    assert case.packets() == ["create", "fragment", "fragment", "ping", "fragment", "fragment", "close"]
    assert len(job["AttemptLog"]) == 1


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_a_file_of_no_bytes_arrives(case: Case, mode):
    case(size=0, options=["--mode", mode]).done()
    assert case.packets() == ["create", "close"]


def test_a_refusal_by_the_servers_application_fails_with_its_context(case: Case):
    """400 in the context of the application: final, and the error says whose it is."""
    job = case("fragment#3: status 400; error 0x80070057 0x7").failed(0x80070057, REMOTE_APPLICATION)
    assert case.starts() == [0, FS, 2 * FS] and job["ErrorDetails"]["http_status"] == 400


@pytest.mark.parametrize("status, code", [(408, "0x80070112"), (409, "0x80070050")])
def test_trouble_of_the_servers_application_is_waited_out(case: Case, status, code):
    """408 and 409 in the context of the application pass: the same Fragment again, in the same session."""
    job = case(f"fragment#3: status {status}; error {code} 0x7").done()
    assert [attempt[2] for attempt in job["AttemptLog"]] == [status]
    assert case.starts() == [0, FS, 2 * FS, 2 * FS] and case.packets().count("create") == 1


def test_a_413_of_the_servers_application_shrinks_nothing(case: Case):
    """The application refuses the file, not the length of one request."""
    config = {"FragmentMin": 5120, "FragmentMax": 16384}
    case("fragment: status 413; error 0x80070057 0x7", size=100_000, config=config).failed(
        context=REMOTE_APPLICATION)
    assert [fragment.length for fragment in case.fragments()] == [16384]


def test_the_session_of_a_create_that_was_refused_is_not_used(case: Case):
    """One server answers 409 with a session id and a protocol: they do not count."""
    case("create: status 409; header BITS-Session-Id {wrong}; header BITS-Protocol "
         "{7df0354d-249b-430f-820d-3d2a9bef4931}").failed(http_error(409))
    assert set(case.packets()) == {"create"}
