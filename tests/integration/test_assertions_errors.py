# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conformance: what a server refuses, forgets or never answers."""
import select
import socket

import pytest

from server.scripted import ack, hold_open
from support.uploads import (ACCESS_DENIED, FS, INVALID_SERVER_RESPONSE, PROTOCOL, REMOTE_FILE, SMALL, TIMEOUT, Case,
                             http_error)
from support.wait import poll


def restarted(case):
    """The session was dropped at the third Fragment, and a new one began at 0."""
    fragments = case.fragments()
    assert [f.first for f in fragments] == [0, FS, 2 * FS, 0, FS, 2 * FS]
    assert len({f.session for f in fragments[:3]}) == len({f.session for f in fragments[3:]}) == 1
    assert fragments[0].session != fragments[3].session
    assert case.packets().count("create") == 2


def test_assertion_16_a_session_that_the_server_lost_begins_anew(case: Case):
    """500 with BG_E_SESSION_NOT_FOUND to the third Fragment: Create-Session, then from 0 under the new id."""
    case("fragment#3: forget-session").done()
    restarted(case)


@pytest.mark.parametrize("header", ["BITS-Error x8020001F", "BITS-Error 0X8020001f", "BITS-Error-Code 8020001F",
                                    "BITS-Error-Code 0x8020001FL"])
def test_assertion_17_the_code_is_understood_in_every_spelling(case: Case, header):
    """The same under the other header's name and in other spellings of the number."""
    case(f"fragment#3: forget-session; status 500; header {header}", options=["--error-header", "none"]).done()
    restarted(case)


def test_assertion_20_access_denied_fails_at_once(case: Case):
    """403 to Create-Session: no second try; the error has the code, its context and the URL."""
    job = case("create: status 403; error 0x80070005 0x5").failed(ACCESS_DENIED, REMOTE_FILE)
    assert case.packets() == ["create"]
    assert job["ErrorDetails"]["http_status"] == 403 and job["Error"][0] == "E_ACCESSDENIED"
    shown = case.home.bitsq("show", str(case.id)).out
    assert "0x80070005" in shown and "E_ACCESSDENIED" in shown and f"{case.server.url}/target" in shown, shown


def test_assertion_21_uploads_that_are_not_enabled_are_named(case: Case):
    """501 to Create-Session says that the server takes no uploads; so does the error."""
    job = case(options=["--uploads", "off"]).failed(ACCESS_DENIED)
    assert "not enabled" in job["Error"][2] and case.packets() == ["create"]


def test_assertion_22_a_503_waits_pings_and_goes_on_in_the_same_session(case: Case):
    """After the delay: Ping, then the Fragment from the last acknowledged offset, with the session that was."""
    job = case("fragment#2: status 503").done()
    assert case.packets() == ["create", "fragment", "fragment", "ping", "fragment", "fragment", "close"]
    assert case.starts() == [0, FS, FS, 2 * FS]
    assert len({f.session for f in case.fragments()}) == 1
    assert "bits-session-id" not in case.server.requests("ping")[0]["headers"]
    assert [attempt[2] for attempt in job["AttemptLog"]] == [503]


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_assertion_23_a_lost_ack_is_answered_by_the_servers_offset(case: Case, mode):
    """The server stored the Fragment and cut the connection instead of acknowledging: the same bytes are offered
    again, the server says 8192, and the upload goes on there. The file is the same."""
    case("fragment#2: drop after-store", options=["--mode", mode]).done()
    assert case.starts() == [0, FS, FS, 2 * FS]
    assert case.fragments()[2].next == 2 * FS
    assert case.packets()[3] == "ping"


def test_assertion_23_a_fragment_is_never_sent_again_behind_the_sessions_back(case: Case):
    """A server that reads a Fragment and cuts the connection sees it once, then a Ping: the transport does not repeat
    it by itself on a fresh connection."""
    case("fragment#2: drop before-store").done()
    assert case.packets()[:5] == ["create", "fragment", "fragment", "ping", "fragment"]


@pytest.mark.parametrize("packet", ["create", "fragment", "close"])
def test_assertion_24_a_server_that_never_answers_is_given_up(case: Case, packet):
    """The response timer ends the request: a timeout, and another attempt later."""
    job = case(f"{packet}#1: stall", config={**SMALL, "ResponseTimeout": "1s"}).done()
    assert [attempt[1] for attempt in job["AttemptLog"]] == ["ERROR_TIMEOUT"], job["AttemptLog"]


def test_assertion_24_a_timeout_is_reported_with_its_code(case: Case):
    """The same where every error is final: the code is the timeout's."""
    case("fragment: stall", config={**SMALL, "ResponseTimeout": "1s"}, no_progress_timeout=0).failed(TIMEOUT)


def test_assertion_25_an_ack_that_ends_with_the_connection_is_accepted(case: Case):
    """No Content-Length, but Connection: close and the end of the connection: an Ack as any other."""
    case("fragment#1: no-length").done()
    assert case.starts() == [0, FS, 2 * FS]


def test_assertion_25_an_ack_without_an_end_does_not_block_past_the_timer(case: Case):
    """No Content-Length, and the connection stays open: the response timer ends the wait."""
    with case.scripted() as server:
        server.script["Create-Session"] = hold_open(
            ack(session="{1}", BITS_Protocol=PROTOCOL, Content_Length=None))
        case.start_daemon(**SMALL, ResponseTimeout="1s")
        case.id = case.add(case.home.file(size=10_000), server.url + "x", no_progress_timeout=0)
        case.failed(TIMEOUT)
        assert [request.packet for request in server.requests] == ["Create-Session"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_assertion_29_a_redirect_is_never_followed(case: Case, status):
    """The place that Location names is not even connected to; the job fails."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        case(f"create: status {status}; header Location http://127.0.0.1:{port}/x").failed(http_error(status))
        assert not select.select([elsewhere], [], [], 0)[0]
    assert case.packets() == ["create"]


def test_a_page_instead_of_an_ack_is_no_progress(case: Case):
    """A captive portal answers 200 with a page: nothing is taken for stored, and the session is kept."""
    job = case("fragment#2: portal").done()
    assert case.starts() == [0, FS, FS, 2 * FS] and case.packets().count("create") == 1
    assert job["AttemptLog"][0][1] == "BG_E_INVALID_SERVER_RESPONSE"


def test_a_portal_that_stays_is_named(case: Case):
    case("create: portal", no_progress_timeout=0).failed(INVALID_SERVER_RESPONSE)


@pytest.mark.parametrize("rule", ["ping: error 1", "ping: status 405", "ping: status 400", "ping: status 404",
                                  "ping: status 501"])
def test_a_ping_that_fails_does_not_stop_an_upload(case: Case, rule):
    """Some servers never learnt Ping."""
    case("fragment#2: status 503", rule).done()
    assert case.packets() == ["create", "fragment", "fragment", "ping", "fragment", "fragment", "close"]


def test_an_error_of_the_servers_application_is_final(case: Case):
    job = case("fragment#2: status 400; error 0x80070057 0x7").failed()
    assert job["ErrorDetails"]["context"] == 7


@pytest.mark.parametrize("status", [408, 409, 429, 502, 504])
def test_a_passing_trouble_is_waited_out(case: Case, status):
    job = case(f"fragment#2: status {status}").done()
    assert [attempt[2] for attempt in job["AttemptLog"]] == [status] and case.packets().count("create") == 1


def test_the_session_id_of_a_refused_create_is_not_used(case: Case):
    """One server sends a session id with 409."""
    case("create#1: status 409; header BITS-Session-Id wrong; header BITS-Protocol "
         "{7df0354d-249b-430f-820d-3d2a9bef4931}").done()
    assert case.packets().count("create") == 2
    assert "wrong" not in {f.session for f in case.fragments()}


def test_a_conflict_that_stays_fails_after_three(case: Case):
    case("create: status 409").failed(http_error(409))
    assert 3 <= case.packets().count("create") <= 4


def test_retry_after_is_honoured(case: Case):
    """The server asks for 3 seconds; the configured delay is far shorter."""
    case("fragment#2: status 503; retry-after 3").done()
    entries = case.server.requests()
    assert entries[3]["time_usec"] - entries[2]["end_usec"] >= 2_900_000


def test_another_protocol_is_a_mismatch(case: Case):
    case("create: header BITS-Protocol {00000000-0000-0000-0000-000000000000}").failed(0x80200022)


def test_a_file_over_the_servers_limit_fails_and_says_so(case: Case):
    case(options=["--max-upload-size", "5000"]).failed(0x80200020)
    assert "close" not in case.packets()


def test_a_full_disk_at_the_server_is_waited_out(case: Case):
    job = case("fragment#2: disk-full").done()
    assert len(job["AttemptLog"]) == 1


def test_a_job_that_retries_says_when(case: Case):
    """While it waits, its state, its error and the time of the next attempt can be read."""
    case("create: status 503", config={**SMALL, "RetryDelay": "1h", "RetryDelayMax": "1h"})
    job = case.wait("retrying")
    assert job["NextAttempt"] > job["Created"] and job["Error"][0] and "retry" in job["Gates"]
    assert job["ErrorDetails"]["http_status"] == 503


def test_retry_lifts_the_wait(case: Case):
    case("create#1: status 503", config={**SMALL, "RetryDelay": "1h", "RetryDelayMax": "1h"})
    case.wait("retrying")
    case.daemon.bus.verb(case.id, "Retry")
    case.done()


def test_refused_connections_are_retried_with_delays_that_are_drawn(case: Case, closed_port):
    """Never sooner than RetryDelay, and not all alike: that seven draws stay within a fifth of it happens once in ten
    million runs. How the delays grow is the pure rule's test."""
    case.start_daemon(**SMALL, RetryDelay="50ms", RetryDelayMax="1s")
    case.id = case.add(case.home.file(size=100), f"{case.way.scheme}://127.0.0.1:{closed_port}/x")
    seen = poll(lambda: (now := case.job)["Attempts"] >= 8 and now, "eight attempts")
    times = [attempt[0] for attempt in seen["AttemptLog"]]
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert min(gaps) >= 49_000 and max(gaps) > 60_000
