# SPDX-License-Identifier: LGPL-2.1-or-later
"""The protocol side of bits-server, with no fault asked for."""
import os
import resource
import socket
import subprocess

import pytest

from server.client import BINARY, DEADLINE, PROTOCOL

DATA = bytes(range(256)) * 40  # 10,240 bytes


def test_an_upload_in_three_fragments_ends_as_the_same_file(serve):
    server = serve()
    client = server.client()
    session = client.session("/a%20b.bin")
    assert session[0] == "{" and session[-1] == "}" and len(session) == 38 and session == session.upper()
    for first in range(0, len(DATA), 4096):
        piece = DATA[first : first + 4096]
        answer = client.fragment(session, first, piece, len(DATA), "/a%20b.bin")
        assert (answer.status, answer.next) == (200, first + len(piece))
        assert answer.headers["BITS-Packet-Type"] == "Ack" and answer.headers["Content-Length"] == "0"
    assert client.close_session(session, "/a%20b.bin").status == 200
    assert (server.root / "a b.bin").read_bytes() == DATA


def test_create_session_answers_as_iis_does(serve):
    answer = serve().client().create()
    assert answer.headers["BITS-Protocol"] == PROTOCOL
    assert answer.headers["Accept-encoding"] == "identity"
    assert answer.body == b""


@pytest.mark.parametrize("mode, after_last_fragment", [("msdn", True), ("spec", False)])
def test_the_file_appears_with_the_last_fragment_or_at_close(serve, mode, after_last_fragment):
    server = serve("--mode", mode)
    client = server.client()
    session = client.session()
    client.fragment(session, 0, DATA, len(DATA))
    assert (server.root / "file").exists() == after_last_fragment
    assert client.close_session(session).status == 200
    assert (server.root / "file").read_bytes() == DATA


def test_msdn_mode_takes_only_what_is_new_in_an_overlapping_fragment(serve):
    server = serve("--mode", "msdn")
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"A" * 100, 200)
    answer = client.fragment(session, 50, b"B" * 150, 200)
    assert (answer.status, answer.next) == (200, 200)
    client.close_session(session)
    assert (server.root / "file").read_bytes() == b"A" * 100 + b"B" * 100


def test_msdn_mode_acknowledges_a_fragment_that_is_wholly_old(serve):
    client = serve("--mode", "msdn").client()
    session = client.session()
    client.fragment(session, 0, b"A" * 100, 200)
    answer = client.fragment(session, 0, b"B" * 50, 200)
    assert (answer.status, answer.next) == (200, 100)


def test_spec_mode_answers_416_to_any_start_but_the_next_offset(serve):
    client = serve("--mode", "spec").client()
    session = client.session()
    client.fragment(session, 0, b"A" * 100, 300)
    for first in (0, 50, 150):
        answer = client.fragment(session, first, b"B" * 100, 300)
        assert (answer.status, answer.next) == (416, 100)


def test_msdn_mode_answers_416_to_a_gap(serve):
    client = serve("--mode", "msdn").client()
    answer = client.fragment(client.session(), 10, b"B" * 10, 300)
    assert (answer.status, answer.next) == (416, 0)


@pytest.mark.parametrize("mode, status, code", [("msdn", 409, None), ("spec", 403, "0x80070005")])
def test_an_existing_target_is_refused_as_the_mode_says(serve, mode, status, code):
    server = serve("--mode", mode)
    (server.root / "file").write_bytes(b"old")
    answer = server.client().create()
    assert answer.status == status
    assert answer.headers["BITS-Error"] == code
    assert (server.root / "file").read_bytes() == b"old"


def test_an_existing_target_is_replaced_where_that_is_allowed(serve):
    server = serve("--overwrite", "yes")
    (server.root / "file").write_bytes(b"old")
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"new!", 4)
    client.close_session(session)
    assert (server.root / "file").read_bytes() == b"new!"


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_a_file_that_came_between_is_not_replaced(serve, mode):
    server = serve("--mode", mode)
    client = server.client()
    session = client.session()
    (server.root / "file").write_bytes(b"old")
    fragment = client.fragment(session, 0, b"new!", 4)
    close = client.close_session(session)
    assert (fragment.status, close.status) == ((409, 409) if mode == "msdn" else (200, 403))
    assert (server.root / "file").read_bytes() == b"old"


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_create_and_close_alone_make_an_empty_file(serve, mode):
    server = serve("--mode", mode)
    client = server.client()
    assert client.close_session(client.session()).status == 200
    assert (server.root / "file").read_bytes() == b""


def test_closing_an_incomplete_upload_discards_it(serve):
    server = serve()
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"half", 8)
    assert client.close_session(session).status == 200
    assert not (server.root / "file").exists()
    assert list((server.root / ".bits-sessions").iterdir()) == []


def test_cancel_removes_the_data_and_the_session(serve):
    server = serve()
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"half", 8)
    assert client.cancel_session(session).status == 200
    assert list((server.root / ".bits-sessions").iterdir()) == []
    answer = client.cancel_session(session)
    assert (answer.status, answer.error) == (500, "0x8020001F")


def test_a_second_close_finds_no_session(serve):
    client = serve().client()
    session = client.session()
    client.close_session(session)
    answer = client.close_session(session)
    assert (answer.status, answer.error, answer.headers["BITS-Error-Context"]) == (500, "0x8020001F", "0x5")


def test_a_session_is_known_only_for_the_url_that_created_it(serve):
    client = serve().client()
    session = client.session("/one")
    assert client.fragment(session, 0, b"x", 1, "/two").error == "0x8020001F"
    assert client.fragment(session, 0, b"x", 1, "/one").status == 200


def test_a_session_is_forgotten_after_its_timeout(serve):
    client = serve("--session-timeout", "0").client()
    session = client.session()
    assert client.fragment(session, 0, b"x", 1).error == "0x8020001F"


def test_close_says_404_if_the_data_has_vanished(serve):
    server = serve("--mode", "spec")
    client = server.client()
    session = client.session()
    client.fragment(session, 0, b"data", 4)
    for path in (server.root / ".bits-sessions").iterdir():
        path.unlink()
    assert client.close_session(session).status == 404


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/5", "bytes 9-0/20", "bytes 0-8/20", "bytes */0", "0-9/20", "bytes 0-9/x",
     "bytes 0-9/99999999999999999999", ""],
)  # fmt: skip
def test_a_bad_content_range_is_refused(serve, content_range):
    client = serve().client()
    answer = client.fragment(client.session(), 0, b"0123456789", 20, Content_Range=content_range)
    assert (answer.status, answer.error) == (400, "0x80070057")


def test_a_changed_total_is_refused(serve):
    client = serve().client()
    session = client.session()
    client.fragment(session, 0, b"0123", 20)
    assert client.fragment(session, 4, b"4567", 21).status == 400


def test_the_range_unit_may_be_written_as_msdn_writes_it(serve):
    client = serve().client()
    assert client.fragment(client.session(), 0, b"0123", 20, Content_Range="Bytes 0-3/20").next == 4


@pytest.mark.parametrize("mode, status", [("msdn", 400), ("spec", 411)])
def test_a_missing_content_length_is_refused(serve, mode, status):
    server = serve("--mode", mode, "--error-header", "both")
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Ping\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"BITS-Error-Code: 0x80070057\r\n" in answer and b"BITS-Error: 0x80070057\r\n" in answer


def test_an_unknown_packet_type_and_a_body_where_none_belongs_are_refused(serve):
    client = serve().client()
    assert client.send("Fragments").status == 400
    assert client.send(None).status == 400
    assert client.send("Ping", body=b"x").status == 400


def test_a_header_value_over_4096_bytes_is_refused(serve):
    client = serve().client()
    assert client.create(Content_Name="x" * 4096).status == 200
    answer = client.create("/other", Content_Name="x" * 4097)
    assert (answer.status, answer.error) == (400, "0x80070057")


def test_packet_types_and_protocol_ids_compare_in_any_case(serve):
    client = serve().client()
    assert client.send("CREATE-SESSION", BITS_Supported_Protocols="{x}, " + PROTOCOL.upper()).status == 200
    assert client.send("create-session", BITS_Supported_Protocols="{x}").status == 400
    assert client.send("PING").status == 200


def test_post_with_the_override_header_is_as_good_as_bits_post(serve):
    client = serve().client()
    assert client.send("Ping", method="POST", X_Http_Method_Override="BITS_POST").status == 200
    assert client.send("Ping", method="POST").status == 405


def test_a_file_over_the_upload_limit_is_refused_with_its_first_fragment(serve):
    client = serve("--max-upload-size", "100").client()
    answer = client.fragment(client.session(), 0, b"0123", 101)
    assert (answer.status, answer.error) == (500, "0x80200020")


def test_a_body_over_the_request_limit_draws_413_and_a_smaller_one_succeeds(serve):
    client = serve("--max-request-size", "6000").client()
    session = client.session()
    assert client.fragment(session, 0, DATA[:6001], len(DATA)).status == 413
    assert client.fragment(session, 0, DATA[:6000], len(DATA)).next == 6000


def test_uploads_switched_off_draw_501(serve):
    answer = serve("--uploads", "off").client().create()
    assert (answer.status, answer.error) == (501, "0x80070005")


def test_targets_outside_the_root_and_folders_are_refused(serve):
    server = serve()
    (server.root / "folder").mkdir()
    client = server.client()
    assert client.create("/../etc/x").status == 403
    assert client.create("/%2e%2e/x").status == 403
    assert client.create("/.bits-sessions/x").status == 403
    assert client.create("/folder").status == 400
    assert client.create("/").status == 400
    assert client.create("/a%00b").status == 400
    assert client.create("/missing/x").status == 404


def test_missing_folders_are_made_on_request(serve):
    server = serve("--make-parents")
    client = server.client()
    client.close_session(client.session("/a/b/c"), "/a/b/c")
    assert (server.root / "a/b/c").exists()


def test_a_full_disk_is_said_and_what_was_stored_counts(serve, tmp_path):
    server = serve()
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (65536, 65536))
    client = server.client()
    session = client.session()
    assert client.fragment(session, 0, b"x" * 60000, 100000).next == 60000
    answer = client.fragment(session, 60000, b"x" * 40000, 100000)
    assert (answer.status, answer.error) == (500, "0x80070070")


@pytest.mark.parametrize("partial, expected", [("keep", 1000), ("discard", 0)])
def test_a_torn_fragment_counts_as_far_as_it_came_or_not_at_all(serve, partial, expected):
    server = serve("--partial", partial, "--mode", "spec")
    client = server.client()
    session = client.session()
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(
            b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Fragment\r\nBITS-Session-Id: %s\r\n"
            b"Content-Range: bytes 0-9999/10000\r\nContent-Length: 10000\r\n\r\n" % session.encode() + b"x" * 1000
        )
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    answer = client.fragment(session, 5000, b"x" * 5000, 10000)
    assert (answer.status, answer.next) == (416, expected)
    torn = server.log()[1]
    assert (torn["packet"], torn["body_received"], torn["completed"], torn["status"]) == ("fragment", 1000, False, None)


def test_a_new_fragment_takes_the_session_over_from_one_that_hangs(serve):
    server = serve()
    client = server.client()
    session = client.session()
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(
            b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Fragment\r\nBITS-Session-Id: %s\r\n"
            b"Content-Range: bytes 0-9999/10000\r\nContent-Length: 10000\r\n\r\n" % session.encode() + b"x" * 1000
        )
        server.wait_until_stored(1000)
        assert client.fragment(session, 0, b"y" * 10000, 10000).status == 200
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 9000)
            if connection.recv(1) == b"":
                raise ConnectionError
    client.close_session(session)
    data = (server.root / "file").read_bytes()
    assert len(data) == 10000 and data[1000:] == b"y" * 9000


def test_offsets_past_4_gib_are_exact(serve):
    server = serve("--fault", "fragment#1: process; seek 4294967290")
    client = server.client()
    session = client.session()
    total = 4294967300
    assert client.fragment(session, 0, b"x", total).next == 4294967290
    answer = client.fragment(session, 4294967290, b"0123456789", total)
    assert answer.next == total
    client.close_session(session)
    with open(server.root / "file", "rb") as file:
        assert os.fstat(file.fileno()).st_size == total
        file.seek(4294967290)
        assert file.read() == b"0123456789"


def test_put_stores_and_get_and_head_return(serve):
    server = serve("--overwrite", "yes")
    client = server.client()
    assert client.send(None, method="PUT", body=DATA).status == 201
    assert client.send(None, method="PUT", body=DATA).status == 204
    answer = client.send(None, method="GET")
    assert (answer.status, answer.body) == (200, DATA)
    answer = client.send(None, method="HEAD")
    assert (answer.headers["Content-Length"], answer.body) == (str(len(DATA)), b"")
    assert client.send(None, "/none", method="GET").status == 404


def test_a_put_that_is_cut_off_leaves_nothing(serve):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(b"PUT /file HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert not (server.root / "file").exists()
    assert server.stop() == 0
    assert list(server.root.iterdir()) == []


def test_the_server_ends_in_the_middle_of_an_upload_and_logs_it(serve):
    server = serve()
    session = server.client().session()
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(
            b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Fragment\r\nBITS-Session-Id: %s\r\n"
            b"Content-Range: bytes 0-9999/10000\r\nContent-Length: 10000\r\n\r\n" % session.encode() + b"x" * 1000
        )
        server.wait_until_stored(1000)
        assert server.stop() == 0
    torn = server.log()[1]
    assert (torn["body_received"], torn["completed"]) == (1000, False)


def test_many_connections_upload_at_a_time(serve):
    server = serve()
    clients = [server.client() for _ in range(50)]
    sessions = [client.session(f"/{i}") for i, client in enumerate(clients)]
    for i, client in enumerate(clients):
        assert client.fragment(sessions[i], 0, b"%d" % i * 10, len("%d" % i) * 10, f"/{i}").status == 200
    for i, client in enumerate(clients):
        assert client.close_session(sessions[i], f"/{i}").status == 200
        assert (server.root / str(i)).read_bytes() == b"%d" % i * 10


def test_the_log_says_what_came_and_what_was_answered(serve):
    server = serve()
    client = server.client()
    session = client.session("/n%20?q")
    client.fragment(session, 0, b"0123", 8, "/n%20?q", X_Odd='a"b\\c\xe4')  # a byte that is not UTF-8
    create, fragment = server.log()
    assert (create["n"], create["connection"], create["method"], create["packet"]) == (1, 1, "BITS_POST", "create")
    assert create["target"] == "/n%20?q"
    assert create["headers"]["bits-packet-type"] == "Create-Session"
    assert fragment["headers"]["x-odd"].encode("utf-8", "surrogateescape") == b'a"b\\c\xe4'
    assert (fragment["body_received"], fragment["next"], fragment["status"]) == (4, 4, 200)
    assert (fragment["completed"], fragment["fault"], fragment["session"]) == (True, None, session)
    assert fragment["time_usec"] >= create["end_usec"] >= create["time_usec"]


def test_the_server_leaves_nothing_behind_and_exits_with_0(serve):
    server = serve()
    client = server.client()
    client.fragment(client.session(), 0, b"half", 8)
    assert server.stop() == 0
    assert list(server.root.iterdir()) == []


def test_wrong_options_are_refused_in_one_line(tmp_path):
    for options in (["--mode", "x"], ["--port", "65536"], ["--fault", "x: y"], ["--root", str(tmp_path / "none")], []):
        root = [] if not options or "--root" in options else ["--root", str(tmp_path)]
        result = subprocess.run([BINARY, *root, *options], capture_output=True, text=True, timeout=DEADLINE)
        assert result.returncode == 1 and result.stderr.startswith("bits-server: ")
