# SPDX-License-Identifier: LGPL-2.1-or-later
"""One test for each way to misbehave that the table in README.md lists, by its number there."""
import http.client
import socket
import time

import pytest

from server.client import DEADLINE, Client
from server.scripted import ScriptedServer, ack, hold_open

DROPPED = (ConnectionError, http.client.BadStatusLine)
DATA = b"0123456789"


def faulty(serve, *rules, options=()):
    return serve(*options, *[word for rule in rules for word in ("--fault", rule)])


def names(answer):
    return [name for name, _ in answer.headers.items()]


@pytest.mark.parametrize("case, name", [("lower", "bits-packet-type"), ("upper", "BITS-PACKET-TYPE"),
                                        ("mixed", "bItS-PaCkEt-tYpE")])
def test_mode_01_header_names_in_other_cases(serve, case, name):
    answer = faulty(serve, f"*: header-case {case}").client().create()
    assert name in names(answer) and "BITS-Packet-Type" not in names(answer)


@pytest.mark.parametrize("value", ["ACK", "ack", "aCK"])
def test_mode_02_the_value_ack_in_other_cases(serve, value):
    assert faulty(serve, f"*: header BITS-Packet-Type {value}").client().send("Ping").headers[
        "BITS-Packet-Type"] == value


@pytest.mark.parametrize("option, code, error", [("none", None, None), ("error", None, "0x8020001F"),
                                                 ("code", "0x8020001F", None), ("both", "0x8020001F", "0x8020001F")])
def test_mode_03_the_header_of_the_error_code(serve, option, code, error):
    answer = serve("--error-header", option).client().close_session("{none}")
    assert (answer.headers["BITS-Error-Code"], answer.headers["BITS-Error"]) == (code, error)


def test_mode_03_error_headers_that_differ(serve):
    rule = "close: error 0x80070005; header BITS-Error 0x80070070"
    answer = faulty(serve, rule, options=["--error-header", "code"]).client().close_session("{none}")
    assert (answer.headers["BITS-Error-Code"], answer.headers["BITS-Error"]) == ("0x80070005", "0x80070070")


@pytest.mark.parametrize("spelling", ["0x8020001f", "0X8020001F", "x8020001F", "8020001F", "0x80200020L", "1", "0"])
def test_mode_04_error_codes_in_other_spellings(serve, spelling):
    assert faulty(serve, f"close: error {spelling}").client().close_session("{none}").error == spelling


def test_mode_04_an_empty_error_code():
    with ScriptedServer() as server:
        server.script["Close-Session"] = ack(500, BITS_Error_Code="", BITS_Error_Context="")
        assert Client(server.port).close_session("{none}").error == ""


@pytest.mark.parametrize("form, length", [("upper", 38), ("lower", 38), ("bare", 36), ("long", 100), ("{AbC-x}", 7)])
def test_mode_05_session_ids_of_other_forms(serve, form, length):
    client = faulty(serve, f"create: session-id {form}").client()
    session = client.session()
    assert len(session) == length
    assert client.fragment(session, 0, DATA, len(DATA)).status == 200


@pytest.mark.parametrize("form, sign", [("decimal", ""), ("negative", "-")])
def test_mode_05_session_ids_that_are_numbers(serve, form, sign):
    session = faulty(serve, f"create: session-id {form}").client().session()
    assert session.removeprefix("-").isdigit() and session.startswith(sign)


def test_mode_06_acks_without_the_session_id(serve):
    client = faulty(serve, "create#2: no-header BITS-Session-Id", options=["--mode", "spec"]).client()
    session = client.session()
    assert client.fragment(session, 0, b"0", 10).headers["BITS-Session-Id"] == session
    assert client.create("/other").headers["BITS-Session-Id"] is None


def test_mode_06_iis_says_the_session_id_once_only(serve):
    client = serve("--mode", "msdn").client()
    session = client.session()
    assert client.fragment(session, 0, b"0", 10).headers["BITS-Session-Id"] is None
    assert client.close_session(session).headers["BITS-Session-Id"] is None


def test_mode_07_201_for_create_and_close(serve):
    client = faulty(serve, "create: status 201", "close: status 201").client()
    answer = client.create()
    session = answer.headers["BITS-Session-Id"]
    client.fragment(session, 0, DATA, len(DATA))
    assert (answer.status, client.close_session(session).status) == (201, 201)


def test_mode_08_create_acks_without_protocol_and_encoding(serve):
    answer = faulty(serve, "create: no-header BITS-Protocol; no-header Accept-encoding").client().create()
    assert answer.status == 200 and answer.headers["BITS-Session-Id"]
    assert answer.headers["BITS-Protocol"] is None and answer.headers["Accept-Encoding"] is None


@pytest.mark.parametrize("rule, stored", [("drop before-store", 0), ("drop after-store", 10), ("drop head", 0)])
def test_mode_09_connections_dropped_around_storing(serve, rule, stored):
    client = faulty(serve, f"fragment#1: {rule}", options=["--mode", "spec"]).client()
    session = client.session()
    with pytest.raises(DROPPED):
        client.fragment(session, 0, DATA, 20)
    client.disconnect()
    assert client.fragment(session, 15, b"x", 20).next == stored


def test_mode_09_a_connection_dropped_after_the_ack(serve):
    server = faulty(serve, "fragment#1: drop after-ack")
    client = server.client()
    session = client.session()
    answer = client.fragment(session, 0, DATA, 20)
    assert answer.next == 10 and answer.headers["Connection"] is None
    client.disconnect()
    assert client.fragment(session, 10, DATA, 20).next == 20
    assert [entry["connection"] for entry in server.log()] == [1, 1, 2]


def test_mode_10_part_of_a_fragment_is_stored_and_the_connection_dropped(serve):
    client = faulty(serve, "fragment#1: store 3; drop", options=["--mode", "spec"]).client()
    session = client.session()
    with pytest.raises(DROPPED):
        client.fragment(session, 0, DATA, 20)
    client.disconnect()
    assert client.fragment(session, 15, b"x", 20).next == 3


@pytest.mark.parametrize("rule, name, value", [
    ("status 416", "BITS-Received-Content-Range", "4"),
    ("status 416; next 9999", "BITS-Received-Content-Range", "9999"),
    ("status 416; next-by -3", "BITS-Received-Content-Range", "1"),
    ("status 416; next-by 3", "BITS-Received-Content-Range", "7"),
    ("status 416; no-header BITS-Received-Content-Range", "BITS-Received-Content-Range", None),
    ("status 416; misspell", "BITS-Recieved-Content-Range", "4"),
])
def test_mode_11_416_with_every_kind_of_offset(serve, rule, name, value):
    client = faulty(serve, f"fragment#2: {rule}").client()
    session = client.session()
    client.fragment(session, 0, DATA[:4], 20)
    answer = client.fragment(session, 4, DATA[4:], 20)
    assert (answer.status, answer.headers[name]) == (416, value)
    other = {"BITS-Received-Content-Range", "BITS-Recieved-Content-Range"} - {name}
    assert not other & set(names(answer))
    assert client.fragment(session, 4, DATA[4:], 20).next == 10


@pytest.mark.parametrize("rule, said", [("store 4", "4"), ("next-by -6", "4"), ("next-by 3", "13"), ("next-by 99", "19"),
                                        ("next-by -99", "0"), ("next 2000", "2000"), ("next abc", "abc")])
def test_mode_12_acks_that_say_less_more_too_much_or_nonsense(serve, rule, said):
    client = faulty(serve, f"fragment#1: {rule}").client()
    answer = client.fragment(client.session(), 0, DATA, 20)
    assert (answer.status, answer.headers["BITS-Received-Content-Range"]) == (200, said)


def test_mode_12_the_end_is_never_said_of_a_file_that_is_not_whole_by_next_by(serve):
    client = faulty(serve, "fragment: next-by 5").client()
    session = client.session()
    assert client.fragment(session, 0, DATA[:9], 10).next == 9
    assert client.fragment(session, 9, DATA[9:], 10).next == 10


def test_mode_13_413_over_a_threshold_or_always(serve):
    client = faulty(serve, "fragment if body > 5: status 413", "fragment#4-: status 413").client()
    session = client.session()
    sizes = [10, 6, 5, 1, 1]
    assert [client.fragment(session, 0, DATA[:size], 20).status for size in sizes] == [413, 413, 200, 413, 413]


def test_mode_14_a_session_forgotten_at_a_fragment_or_at_close(serve):
    client = faulty(serve, "fragment#2: forget-session", "close#1: forget-session").client()
    for send in (lambda session: client.fragment(session, 4, DATA[4:], 10), client.close_session):
        session = client.session()
        if send == client.close_session:
            assert send(session).error == "0x8020001F"
        else:
            client.fragment(session, 0, DATA[:4], 10)
            assert send(session).error == "0x8020001F"
        assert client.cancel_session(session).error == "0x8020001F"


@pytest.mark.parametrize("host, timeout", [("127.0.0.2", "3"), ("::1", None), ("[::1]:81", "0")])
def test_mode_15_host_ids_with_and_without_a_timeout(serve, host, timeout):
    options = ["--host-id", host] + (["--host-id-timeout", timeout] if timeout else [])
    headers = serve(*options).client().create().headers
    assert (headers["BITS-Host-Id"], headers["BITS-Host-Id-Fallback-Timeout"]) == (host, timeout)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_mode_16_redirects(serve, status):
    answer = faulty(serve, f"create: status {status}; header Location http://127.0.0.1:9/x").client().create()
    assert (answer.status, answer.headers["Location"]) == (status, "http://127.0.0.1:9/x")


@pytest.mark.parametrize("packet", ["create", "ping", "fragment", "close", "cancel"])
@pytest.mark.parametrize("challenge", ['Basic realm="x"', "Negotiate", 'Digest realm="x", nonce="y", qop="auth"'])
def test_mode_17_401_to_each_message(serve, packet, challenge):
    client = faulty(serve, f"{packet}#1: status 401; header WWW-Authenticate {challenge}").client()
    send = {"create": client.create, "ping": lambda: client.send("Ping"),
            "fragment": lambda: client.fragment(session, 0, DATA, 10), "close": lambda: client.close_session(session),
            "cancel": lambda: client.cancel_session(session)}[packet]
    session = client.session() if packet != "create" else None
    first, second = send(), send()
    assert (first.status, first.headers["WWW-Authenticate"], second.status) == (401, challenge, 200)


def test_mode_18_only_the_final_ack_is_slow(serve):
    server = faulty(serve, "fragment if final: ack-delay 300ms")
    client = server.client()
    session = client.session()
    start = time.monotonic()
    client.fragment(session, 0, DATA[:5], 10)
    client.fragment(session, 5, DATA[5:], 10)
    assert time.monotonic() - start >= 0.3
    assert [entry["fault"] is not None for entry in server.log()] == [False, False, True]


@pytest.mark.parametrize("rule, url", [
    ("header BITS-Reply-URL http://127.0.0.1:9/reply", "http://127.0.0.1:9/reply"),
    ("header BITS-Reply-URL a/b", "a/b"),
    (r"header BITS-Reply-URL BITS-Sessions\Replies\{x}\responsefile.bin", r"BITS-Sessions\Replies\{x}\responsefile.bin"),
    ("no-header BITS-Reply-URL", None),
])
def test_mode_19_reply_urls_of_every_form_also_to_a_plain_upload(serve, rule, url):
    client = faulty(serve, f"fragment if final: {rule}").client()
    assert client.fragment(client.session(), 0, DATA, 10).headers["BITS-Reply-URL"] == url


def test_mode_19_an_empty_reply_url():
    with ScriptedServer() as server:
        server.script["Fragment"] = lambda request, normal: normal().but(BITS_Reply_URL="")
        client = Client(server.port)
        assert client.fragment(client.session(), 0, DATA, 10).headers["BITS-Reply-URL"] == ""


def test_mode_20_an_entity_that_changes_between_ranges(serve):
    server = faulty(serve, "get#2: redate", "get#3: replace other")
    (server.root / "file").write_bytes(DATA)
    client = server.client()
    answers = [client.send(None, method="GET", Range="bytes=0-3") for _ in range(3)]
    assert [answer.body for answer in answers] == [b"0123", b"0123", b"othe"]
    assert len({answer.headers["Last-Modified"] for answer in answers}) == 3


@pytest.mark.parametrize("rule, length, chunked", [("body text", "4", None), ("no-length", None, None),
                                                   ("chunked; body text", None, "chunked")])
def test_mode_21_acks_with_bodies_without_length_or_chunked(serve, rule, length, chunked):
    client = faulty(serve, f"ping: {rule}").client()
    answer = client.send("Ping")
    assert (answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]) == (length, chunked)
    assert answer.body == (b"text" if "body" in rule else b"")


def test_mode_22_no_answer_at_all(serve):
    server = faulty(serve, "ping: stall")
    with socket.create_connection((server.host, server.port), DEADLINE) as connection:
        connection.sendall(b"BITS_POST / HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Ping\r\nContent-Length: 0\r\n\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_mode_22_an_answer_that_never_ends():
    with ScriptedServer() as server:
        server.script["Ping"] = hold_open(ack(Content_Length=None))
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
            connection.sendall(b"BITS_POST / HTTP/1.1\r\nBITS-Packet-Type: Ping\r\nContent-Length: 0\r\n\r\n")
            assert connection.recv(65536).endswith(b"\r\n\r\n")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_mode_23_expectations_are_refused(serve):
    server = faulty(serve, "fragment if header Expect: early; status 417")
    session = server.client().session()
    with socket.create_connection((server.host, server.port), DEADLINE) as connection:
        connection.sendall(b"BITS_POST /file HTTP/1.1\r\nHost: x\r\nBITS-Packet-Type: Fragment\r\nContent-Length: 10\r\n"
                           b"BITS-Session-Id: %s\r\nContent-Range: bytes 0-9/10\r\nExpect: 100-continue\r\n\r\n"
                           % session.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 417 ")


def test_mode_24_a_captive_portal(serve):
    answer = faulty(serve, "*: portal").client().create()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html" and b"<html>" in answer.body
    assert answer.headers["BITS-Packet-Type"] is None


def test_mode_25_offsets_wrap_at_32_bits(serve):
    client = faulty(serve, "fragment#1: process; seek 4294967290", "fragment#2-: wrap 32").client()
    session = client.session()
    total = 4294967300
    client.fragment(session, 0, b"x", total)
    assert client.fragment(session, 4294967290, DATA, total).next == 4


def test_mode_26_one_connection_at_a_time(serve):
    server = serve("--max-connections", "1")
    first = server.client()
    first.session()
    with pytest.raises(DROPPED):
        server.client().send("Ping")
    assert first.send("Ping").status == 200


def test_headers_can_be_doubled(serve):
    answer = faulty(serve, "ping: add-header bits-packet-type Ack; add-header X-Other 1; add-header x-other 2").client(
        ).send("Ping")
    assert answer.headers.get_all("BITS-Packet-Type") == ["Ack", "Ack"]
    assert answer.headers.get_all("X-Other") == ["1", "2"]


def test_an_answer_can_be_withheld_for_a_while(serve):
    client = faulty(serve, "fragment#1: ack-delay 300ms; drop after-store", options=["--mode", "spec"]).client()
    session = client.session()
    start = time.monotonic()
    with pytest.raises(DROPPED):
        client.fragment(session, 0, DATA, 20)
    assert time.monotonic() - start >= 0.3
    client.disconnect()
    assert client.fragment(session, 15, b"x", 20).next == 10
