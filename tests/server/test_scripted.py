# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripted server: what tests rely on when they use it."""
import hashlib
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from server import scripted
from server.client import DEADLINE, Client
from server.scripted import Answer, ScriptedServer, ack

DATA = bytes(range(256)) * 1000
DROPPED = (ConnectionError, http.client.BadStatusLine, http.client.IncompleteRead)


def exchange(port, request):
    """Sends bytes, returns all that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def packet(kind, *headers, body=b"", length=None):
    lines = ["BITS_POST /file HTTP/1.1", f"BITS-Packet-Type: {kind}", *headers,
             f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


def test_unscripted_it_takes_an_upload():
    with ScriptedServer() as server:
        client = Client(server.port)
        session = client.session()
        assert client.send("Ping").status == 200
        assert client.fragment(session, 0, DATA[:100000], len(DATA)).next == 100000
        assert client.fragment(session, 100000, DATA[100000:], len(DATA)).next == len(DATA)
        assert client.close_session(session).status == 200
        assert server.files["/file"].read_bytes() == DATA
        assert server.history[0].body_received == len(DATA)
        assert client.close_session(session).error == "0x8020001F"


def test_an_empty_file_needs_no_fragment_and_an_incomplete_one_is_not_published():
    with ScriptedServer() as server:
        client = Client(server.port)
        client.close_session(client.session("/empty"), "/empty")
        session = client.session("/half")
        client.fragment(session, 0, b"half", 8, "/half")
        client.close_session(session, "/half")
        assert server.files["/empty"].read_bytes() == b""
        assert "/half" not in server.files


def test_gaps_draw_416_and_overlaps_are_trimmed():
    with ScriptedServer() as server:
        client = Client(server.port)
        session = client.session()
        client.fragment(session, 0, b"0123", 10)
        answer = client.fragment(session, 6, b"6789", 10)
        assert (answer.status, answer.next) == (416, 4)
        assert client.fragment(session, 2, b"xx456789", 10).next == 10
        client.close_session(session)
        assert server.files["/file"].read_bytes() == b"0123456789"


def test_strict_it_draws_416_for_an_overlap_too():
    with ScriptedServer(scripted.BitsSession(strict=True)) as server:
        client = Client(server.port)
        session = client.session()
        client.fragment(session, 0, b"0123", 10)
        assert client.fragment(session, 2, b"23", 10).status == 416


def test_requests_are_kept_with_headers_in_their_order_and_case():
    with ScriptedServer() as server:
        client = Client(server.port)
        session = client.session()
        client.fragment(session, 0, DATA, len(DATA), X_MiXed="1")
        create, fragment = server.requests
        assert ("BITS-Packet-Type", "Create-Session") in create.headers
        assert ("X-MiXed", "1") in fragment.headers and fragment.header("x-mixed") == "1"
        assert (fragment.method, fragment.target, fragment.packet) == ("BITS_POST", "/file", "Fragment")
        assert fragment.range == (0, len(DATA) - 1, len(DATA))
        assert (fragment.body, fragment.body_received) == (DATA, len(DATA))
        assert fragment.sha256 == hashlib.sha256(DATA).hexdigest()
        assert (fragment.number, fragment.packet_number, fragment.connection) == (2, 1, 1)
        assert fragment.time >= create.time and fragment.complete and fragment.status == 200


def test_a_script_replaces_single_answers_and_all_others():
    with ScriptedServer() as server:
        server.script["Ping", 2] = ack(503, Retry_After="7")
        server.script["Close-Session"] = ack(500)
        client = Client(server.port)
        assert [client.send("Ping").status for _ in range(3)] == [200, 503, 200]
        session = client.session()
        assert client.close_session(session).status == 500
        assert session in server.sessions


def test_a_script_can_change_what_a_healthy_server_answers():
    with ScriptedServer() as server:
        server.script["Create-Session"] = lambda request, normal: normal().but(201, BITS_Protocol=None)
        answer = Client(server.port).create()
        assert (answer.status, answer.headers["BITS-Protocol"]) == (201, None)
        assert answer.headers["BITS-Session-Id"] in server.sessions


def test_answers_can_be_any_bytes():
    with ScriptedServer() as server:
        server.script["Ping", 1] = scripted.send_and_close(b"nonsense\r\n\r\n")
        server.script["Ping", 2] = ack(Content_Length=None, Connection="close")
        assert exchange(server.port, packet("Ping")) == b"nonsense\r\n\r\n"
        assert exchange(server.port, packet("Ping")) == (
            b"HTTP/1.1 200 Scripted\r\nBITS-Packet-Type: Ack\r\nConnection: close\r\n\r\n")


def test_an_answer_without_a_length_can_be_held_open():
    with ScriptedServer() as server:
        server.script["Ping"] = scripted.hold_open(ack(Content_Length=None))
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
            connection.sendall(packet("Ping"))
            assert connection.recv(4096).endswith(b"\r\n\r\n")
            connection.settimeout(0.1)
            with pytest.raises(socket.timeout):
                connection.recv(1)


@pytest.mark.parametrize("store", [False, True])
def test_a_dropped_fragment_is_stored_if_it_was_carried_out(store):
    with ScriptedServer() as server:
        server.script["Fragment", 1] = scripted.carried_out(scripted.drop()) if store else scripted.drop()
        client = Client(server.port)
        session = client.session()
        with pytest.raises(DROPPED):
            client.fragment(session, 0, b"0123", 10)
        assert server.sessions[session].next == (4 if store else 0)


@pytest.mark.parametrize("keep", [True, False])
def test_a_connection_can_be_dropped_in_the_middle_of_a_body(keep):
    with ScriptedServer(scripted.BitsSession(keep_partial=keep)) as server:
        server.script["Fragment", 1] = scripted.drop_after_bytes(1000)
        client = Client(server.port)
        session = client.session()
        with pytest.raises(DROPPED):
            client.fragment(session, 0, DATA, len(DATA))
        client.disconnect()
        torn = server.requests[-1]
        assert (torn.body_received, torn.complete, torn.answered) == (1000, False, False)
        assert server.sessions[session].next == (1000 if keep else 0)
        first = server.sessions[session].next
        assert client.fragment(session, first, DATA[first:], len(DATA)).next == len(DATA)
        client.close_session(session)
        assert server.files["/file"].read_bytes() == DATA
        assert server.history[0].body_received == 1000 + len(DATA) - first


def test_a_body_cut_off_by_the_client_is_counted():
    with ScriptedServer() as server:
        session = Client(server.port).session()
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
            connection.sendall(packet("Fragment", f"BITS-Session-Id: {session}", "Content-Range: bytes 0-9999/10000",
                                      body=b"x" * 1234, length=10000))
            server.wait_for(lambda s: s.history[0].body_received == 1234)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.wait_for(lambda s: s.sessions[session].next == 1234)


def test_stalls_end_with_the_server():
    with ScriptedServer() as server:
        server.script["Ping"] = scripted.stall()
        server.script["Fragment"] = scripted.stall_after_bytes(0)
        stalled = [socket.create_connection(("127.0.0.1", server.port), DEADLINE) for _ in range(2)]
        stalled[0].sendall(packet("Ping"))
        stalled[1].sendall(packet("Fragment", body=b"x"))
        server.wait_for(lambda s: len(s.requests) == 2)
    for connection in stalled:
        connection.close()


def test_early_and_delayed_answers():
    with ScriptedServer() as server:
        server.script["Fragment"] = scripted.early(ack(413))
        server.script["Ping"] = scripted.delayed(0.1, ack())
        assert b" 413 " in exchange(server.port, packet("Fragment", length=10**12))
        assert Client(server.port).send("Ping").status == 200


def test_callbacks_come_at_the_named_points_in_order():
    points = []

    def note(point):
        return lambda request, *more: points.append((point, *more, request.answered))

    with ScriptedServer() as server:
        server.on_request_head, server.on_body_progress = note("head"), note("body")
        server.before_answer, server.after_answer = note("before"), note("after")
        Client(server.port).fragment("{}", 0, b"0123", 10)
        server.wait_for(lambda s: len(points) == 4)
    assert points == [("head", False), ("body", 4, False), ("before", False), ("after", True)]


def test_an_exception_in_a_callback_fails_the_test():
    with pytest.raises(ZeroDivisionError):
        with ScriptedServer() as server:
            server.on_request_head = lambda request: 1 // 0
            exchange(server.port, packet("Ping"))
            server.wait_for(lambda s: False)


def test_waiting_in_vain_says_what_came():
    with ScriptedServer() as server:
        Client(server.port).send("Ping")
        with pytest.raises(TimeoutError, match="Ping"):
            server.wait_for(lambda s: False, timeout=0.05)


def test_a_handler_can_be_a_plain_function():
    with ScriptedServer(lambda request, connection: Answer(404, body=request.method.encode())) as server:
        answer = Client(server.port).send(None, method="GET")
        assert (answer.status, answer.body) == (404, b"GET")


def test_a_large_body_is_not_kept_in_memory():
    size = scripted.KEPT_BODY_BYTES_MAX + 1
    with ScriptedServer() as server:
        client = Client(server.port)
        client.fragment(client.session(), 0, b"x" * size, size)
        request = server.requests[-1]
        assert (request.body, request.sha256) == (b"", hashlib.sha256(b"x" * size).hexdigest())


def test_it_runs_as_a_command(tmp_path):
    (tmp_path / "answer").write_bytes(b"HTTP/1.1 200 OK\r\n\r\n")
    command = [sys.executable, Path(scripted.__file__), "--answer", f"Ping#1={tmp_path}/answer", "--drop", "Ping#2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().rsplit(":", 1)[1].strip("/\n"))
        assert exchange(port, packet("Ping")) == b"HTTP/1.1 200 OK\r\n\r\n"
        with pytest.raises(ConnectionError):
            exchange(port, packet("Ping"))
        assert json.loads(process.stdout.readline())["packet"] == "Ping"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
