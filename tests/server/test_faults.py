# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault rules of bits-server."""
import http.client
import socket
import subprocess
import time

import pytest

from server.client import BINARY, DEADLINE

DROPPED = (ConnectionError, http.client.BadStatusLine)


def fragment_dropped(client, *arguments):
    with pytest.raises(DROPPED):
        client.fragment(*arguments)
    client.disconnect()


def test_a_status_other_than_2xx_leaves_the_request_undone(serve):
    client = serve("--fault", "close#1-2: status 500", "--fault", "fragment#2: status 503; retry-after 7").client()
    session = client.session()
    assert client.fragment(session, 0, b"0123", 8).status == 200
    answer = client.fragment(session, 4, b"4567", 8)
    assert (answer.status, answer.headers["Retry-After"], answer.next) == (503, "7", None)
    assert client.fragment(session, 4, b"4567", 8).next == 8
    assert [client.close_session(session).status for _ in range(3)] == [500, 500, 200]


def test_process_carries_out_what_the_answer_denies(serve):
    server = serve("--fault", "close#1: process; status 500")
    client = server.client()
    session = client.session()
    assert client.close_session(session).status == 500
    assert client.close_session(session).error == "0x8020001F"
    assert (server.root / "file").exists()


def test_another_2xx_keeps_what_the_answer_says(serve):
    answer = serve("--fault", "create: status 201").client().create()
    assert answer.status == 201 and answer.headers["BITS-Session-Id"]


@pytest.mark.parametrize(
    "rule, stored", [("drop before-store", 4), ("drop", 4), ("drop head", 4), ("drop after-store", 10),
                     ("store 3; drop", 7), ("drop 2", 6)]
)  # fmt: skip
def test_a_dropped_fragment_is_stored_as_the_rule_says(serve, rule, stored):
    server = serve("--mode", "spec", "--fault", "fragment#2: " + rule)
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"0123", 20)
    fragment_dropped(client, session, 4, b"456789", 20)
    answer = client.fragment(session, 15, b"x", 20)
    assert (answer.status, answer.next) == (416, stored)
    entry = server.log()[2]
    assert entry["fault"] == "fragment#2: " + rule and not entry["completed"]
    assert entry["body_received"] == (0 if "head" in rule else 6)


@pytest.mark.parametrize("mode, status", [("msdn", 200), ("spec", 416)])
def test_the_final_fragment_may_come_again_if_its_ack_was_lost(serve, mode, status):
    server = serve("--mode", mode, "--fault", "fragment#2: drop after-store", "--fault", "close#1: drop after-store")
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"0123", 8)
    fragment_dropped(client, session, 4, b"4567", 8)
    answer = client.fragment(session, 4, b"4567", 8)
    assert (answer.status, answer.next) == (status, 8)
    with pytest.raises(DROPPED):
        client.close_session(session)
    client.disconnect()
    assert client.close_session(session).error or mode == "spec"
    assert (server.root / "file").read_bytes() == b"01234567"


def test_a_connection_dropped_after_the_ack_gives_the_whole_ack_first(serve):
    server = serve("--fault", "fragment#1: drop after-ack")
    client = server.client()
    session = client.session()
    client.http.connect()
    raw = client.http.sock
    assert client.fragment(session, 0, b"0123", 8).next == 4
    raw.settimeout(DEADLINE)
    assert raw.recv(1) == b""


def test_part_of_a_fragment_can_be_stored_and_acknowledged(serve):
    client = serve("--fault", "fragment#1: store 3").client()
    session = client.session()
    assert client.fragment(session, 0, b"0123456789", 10).next == 3
    assert client.fragment(session, 3, b"3456789", 10).next == 10


def test_next_changes_only_the_words_and_seek_the_truth(serve):
    client = serve(
        "--mode", "spec", "--fault", "fragment#1: next 6000", "--fault", "fragment#3: seek 2; status 416",
        "--fault", "fragment#5: next abc", "--fault", "fragment#6: no-header BITS-Received-Content-Range",
    ).client()  # fmt: skip
    session = client.session()
    assert client.fragment(session, 0, b"0123", 10000).next == 6000
    assert client.fragment(session, 4, b"4567", 10000).next == 8
    answer = client.fragment(session, 8, b"89", 10000)
    assert (answer.status, answer.next) == (416, 2)
    assert client.fragment(session, 2, b"2345", 10000).next == 6
    answer = client.fragment(session, 6, b"6", 10000)
    assert answer.headers["BITS-Received-Content-Range"] == "abc"
    assert client.fragment(session, 7, b"7", 10000).next is None


def test_a_416_can_misspell_its_offset(serve):
    client = serve(
        "--fault",
        "fragment: status 416; no-header BITS-Received-Content-Range; header BITS-Recieved-Content-Range 1000",
    ).client()  # fmt: skip
    answer = client.fragment(client.session(), 0, b"x", 2)
    assert (answer.status, answer.next, answer.headers["BITS-Recieved-Content-Range"]) == (416, None, "1000")


def test_a_session_can_be_forgotten_at_any_packet(serve):
    client = serve("--fault", "fragment#2: forget-session", "--fault", "close#1: forget-session").client()
    session = client.session()
    client.fragment(session, 0, b"0", 3)
    assert client.fragment(session, 1, b"1", 3).error == "0x8020001F"
    assert client.close_session(client.session()).error == "0x8020001F"


@pytest.mark.parametrize(
    "form, fits",
    [
        ("lower", lambda s: s == s.lower() and s[0] == "{"),
        ("bare", lambda s: len(s) == 36),
        ("decimal", str.isdigit),
        ("negative", lambda s: s[0] == "-" and s[1:].isdigit()),
        ("long", lambda s: len(s) == 100),
        ("{AbC-x}", lambda s: s == "{AbC-x}"),
    ],
)
def test_session_ids_come_in_every_form(serve, form, fits):
    client = serve("--fault", "create: session-id " + form).client()
    session = client.session()
    assert fits(session)
    assert client.fragment(session, 0, b"x", 1).status == 200
    assert client.close_session(session).status == 200


def test_header_names_and_values_can_change_their_case(serve):
    client = serve(
        "--fault", "ping#1: header-case lower; header BITS-Packet-Type ack", "--fault", "ping#2: header-case upper"
    ).client()
    first, second = client.send("Ping"), client.send("Ping")
    assert ("bits-packet-type", "ack") in first.headers.items()
    assert ("BITS-PACKET-TYPE", "Ack") in second.headers.items()


def test_conditions_choose_by_size_offset_target_header_and_connection(serve):
    client = serve(
        "--fault", "fragment if body > 5 and target /big: status 413",
        "--fault", "fragment if offset >= 8: status 503",
        "--fault", "ping if header X-Bad: status 400",
        "--fault", "ping if connection 2: status 404",
    ).client()  # fmt: skip
    session, big = client.session(), client.session("/big")
    assert client.fragment(session, 0, b"012345", 10).status == 200
    assert client.fragment(big, 0, b"012345", 10, "/big").status == 413
    assert client.fragment(big, 0, b"01234", 10, "/big").status == 200
    assert client.fragment(session, 8, b"89", 10).status == 503
    assert client.send("Ping", X_Bad="1").status == 400
    assert client.send("Ping").status == 200
    client.disconnect()
    assert client.send("Ping").status == 404


def test_error_codes_are_written_as_the_rule_says(serve):
    client = serve(
        "--fault", "ping#1: status 500; error x8020001F", "--fault", "ping#2: status 408; error 0x80070112 0x7"
    ).client()
    assert client.send("Ping").error == "x8020001F"
    answer = client.send("Ping")
    assert (answer.error, answer.headers["BITS-Error-Context"]) == ("0x80070112", "0x7")


def test_an_ack_can_wait_and_a_body_can_be_read_slowly(serve):
    client = serve("--fault", "ping: ack-delay 300ms", "--fault", "fragment: rate 100K").client()
    start = time.monotonic()
    client.send("Ping")
    assert time.monotonic() - start >= 0.3
    start = time.monotonic()
    assert client.fragment(client.session(), 0, b"x" * 30000, 30000).status == 200
    assert time.monotonic() - start >= 0.3


def test_a_stalled_request_gets_no_answer_and_is_logged_at_once(serve):
    server = serve("--fault", "fragment#1: stall", "--fault", "fragment#2: stall 2")
    client = server.client()
    session = client.session()
    client.http.timeout = 0.2
    for _ in range(2):
        client.disconnect()  # the next packet connects anew, with the timeout
        with pytest.raises(TimeoutError):
            client.fragment(session, 0, b"0123", 8)
    client.disconnect()
    client.http.timeout = DEADLINE
    assert client.fragment(session, 2, b"23", 8).next == 4
    stalled = [entry for entry in server.log() if entry["fault"]]
    assert [entry["status"] for entry in stalled] == [None, None]


def test_a_stall_does_not_keep_the_server_from_ending(serve):
    server = serve("--fault", "ping: stall", "--fault", "fragment: stall head")
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(b"BITS_POST / HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Ping\r\nContent-Length: 0\r\n\r\n")
        while not server.log():
            time.sleep(0.01)
        assert server.stop() == 0


def test_redirects_portals_and_refused_expectations(serve):
    client = serve(
        "--fault", "create#1: status 307; header Location http://127.0.0.1:1/", "--fault", "create#2: portal",
        "--fault", "ping if header Expect: early; status 417",
    ).client()  # fmt: skip
    answer = client.create()
    assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:1/")
    answer = client.create()
    assert (answer.status, answer.headers["BITS-Packet-Type"]) == (200, None)
    assert b"<html>" in answer.body
    assert client.send("Ping", Expect="100-continue").status == 417


def test_an_early_answer_comes_before_the_body(serve):
    server = serve("--fault", "fragment: early; status 413")
    session = server.client().session()
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(
            b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Fragment\r\nBITS-Session-Id: %s\r\n"
            b"Content-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n" % session.encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert server.log()[1]["body_received"] == 0


def test_acks_can_have_a_body_be_chunked_or_end_with_the_connection(serve):
    client = serve(
        "--fault", "ping#1: body hello", "--fault", "ping#2: chunked; body-bytes 10000", "--fault", "ping#3: no-length"
    ).client()
    assert client.send("Ping").body == b"hello"
    answer = client.send("Ping")
    assert (answer.headers["Transfer-Encoding"], len(answer.body)) == ("chunked", 10000)
    answer = client.send("Ping")
    assert (answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]) == (None, None)
    assert answer.headers["BITS-Packet-Type"] == "Ack"


def test_offsets_can_wrap_at_32_bits(serve):
    client = serve("--fault", "fragment: wrap 32", "--fault", "fragment#1: seek 4294967296").client()
    session = client.session()
    assert client.fragment(session, 0, b"x", 5000000000).next == 0
    assert client.fragment(session, 4294967296, b"xyz", 5000000000).next == 3


def test_a_disk_can_be_full_on_demand(serve):
    client = serve("--fault", "fragment#1: disk-full 4", "--mode", "spec", "--error-header", "code").client()
    session = client.session()
    answer = client.fragment(session, 0, b"0123456789", 10)
    assert (answer.status, answer.error) == (500, "0x80070112")
    assert client.fragment(session, 4, b"456789", 10).next == 10


def test_data_can_vanish_on_demand(serve):
    client = serve("--fault", "close: vanish").client()
    assert client.close_session(client.session()).status == 404


def test_sessions_can_be_bound_to_their_connection(serve):
    server = serve("--bind-sessions")
    client, other = server.client(), server.client()
    session = client.session()
    assert other.fragment(session, 0, b"x", 1).error == "0x8020001F"
    assert client.fragment(session, 0, b"x", 1).status == 200


def answered(client):
    try:
        return client.send("Ping").status == 200
    except DROPPED:
        client.disconnect()
        return False


def test_a_single_connection_server_turns_the_second_client_away(serve):
    server = serve("--max-connections", "1")
    client, other = server.client(), server.client()
    assert answered(client)
    assert not answered(other)
    client.disconnect()
    end = time.monotonic() + DEADLINE
    while not answered(other):
        assert time.monotonic() < end


def test_rules_come_from_a_file_too_and_all_that_match_apply(serve, tmp_path):
    (tmp_path / "rules").write_text("# comment\n\nping#2-: status 404\nping: header X-One 1\n")
    server = serve("--fault-file", str(tmp_path / "rules"), "--fault", "*#3: status 503")
    client = server.client()
    answers = [client.send("Ping") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 503]
    assert all(answer.headers["X-One"] == "1" for answer in answers)
    assert server.log()[2]["fault"] == "ping#2-: status 404 | ping: header X-One 1 | *#3: status 503"


@pytest.mark.parametrize(
    "rule", ["", "ping", "ping: ", "png: drop", "ping#0: drop", "ping#3-2: drop", "ping: dropp", "ping: status",
             "ping: status x", "ping: status 100", "ping if: drop", "ping if body 5: drop",
             "ping when body > 5: drop", "ping: header-case x",
             "ping: drop sideways", "ping: header"]
)  # fmt: skip
def test_a_wrong_rule_is_refused_and_named(tmp_path, rule):
    result = subprocess.run(
        [BINARY, "--root", str(tmp_path), "--fault", rule], capture_output=True, text=True, timeout=DEADLINE
    )
    assert result.returncode == 1
    assert f'cannot use the fault rule "{rule}"' in result.stderr
