# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probe of org.bitsq1.Manager: what it finds out about servers, and that it leaves nothing behind."""
import threading

import dbus
import dbus.lowlevel
import pytest

from server.scripted import BitsSession, ScriptedServer, ack
from support.bus import MANAGER, ROOT, BusError, options
from support.session_bus import SessionBus
from support.wait import poll


def probe(bus, url, **choices):
    """The reply, with its findings by name."""
    found = bus.manager("Probe", "sa{sv}", url, options(choices))
    found["findings"] = {name: (verdict, text, remedy) for name, verdict, text, remedy in found["findings"]}
    return found


def problems(found):
    return {name for name, finding in found["findings"].items() if finding[0] == "problem"}


def assert_nothing_left(server):
    """Each session that was created was cancelled, none was closed, and no file appeared."""
    packets = [entry["packet"] for entry in server.requests()]
    created = [entry for entry in server.requests("create") if entry["status"] in (200, 201)]
    assert len(created) == packets.count("cancel") > 0 and packets[-1] == "cancel", packets
    assert "close" not in packets and not (server.root / "target").exists()


@pytest.mark.parametrize("mode", ["msdn", "spec"])
def test_a_healthy_server_is_usable_and_keeps_no_session(bus, serve, mode):
    server = serve("--mode", mode)
    found = probe(bus, server.url + "/target")
    assert found["usable"] and not problems(found), found
    assert found["findings"]["size"][0] == "ok" and found["latency"] > 0
    assert found["address"] == f"127.0.0.1:{server.port}"
    assert_nothing_left(server)
    assert bus.query()[0] == []


def test_a_blocked_verb_names_the_override_and_with_it_all_is_well(bus, serve):
    server = serve("--fault", "* if no-header X-HTTP-Method-Override: early; status 405; "
                              "no-header BITS-Packet-Type")
    found = probe(bus, server.url + "/target")
    assert not found["usable"] and "--method-override post" in found["findings"]["verb"][2]
    assert probe(bus, server.url + "/target", method_override="post")["usable"]
    assert_nothing_left(server)


def test_answers_without_the_packet_type_call_for_leniency_which_the_configuration_gives(home, serve):
    server = serve("--fault", "*: no-header BITS-Packet-Type")
    bus = home.daemon().bus
    found = probe(bus, server.url + "/target")
    assert not found["usable"] and "--lenient-ack" in found["findings"]["ack"][2]
    home.config("[Host 127.0.0.1]\nLenientAck=yes\n")
    bus.manager("Reload")
    assert probe(bus, server.url + "/target")["usable"]
    assert_nothing_left(server)


@pytest.mark.parametrize("status, name, words", [
    (404, "session", "BITS uploads are not enabled"),
    (401, "authentication", "bitsq credential set NAME"),
    (200, "session", "login page"),
])
def test_what_takes_no_uploads_is_not_usable_and_says_what_to_do(bus, web, status, name, words):
    more = {"WWW_Authenticate": "Basic realm=x"} if status == 401 else {}
    found = probe(bus, f"{web(status=status, body='<html>', **more)}/target")
    assert not found["usable"]
    assert found["findings"][name][0] == "problem" and words in found["findings"][name][2], found


def test_a_dead_port_is_a_finding_without_address(bus, closed_port):
    found = probe(bus, f"http://127.0.0.1:{closed_port}/target")
    assert not found["usable"] and problems(found) == {"connection"}
    assert found["latency"] == 0


def test_a_server_that_counts_in_32_bits_is_found_out(bus):
    def wrapped(request, normal):
        first, last, _ = request.range
        return normal() if first < 2**32 else ack(next=(last + 1) % 2**32)
    handler = BitsSession()
    handler.script["Fragment"] = wrapped
    with ScriptedServer(handler) as server:
        found = probe(bus, f"{server.url}target")
        assert "too few bits" in found["findings"]["offsets"][1]
        assert found["usable"] and problems(found) == {"offsets", "size"}
        assert not handler.sessions and not handler.files


def test_a_size_limit_is_bracketed(bus, serve):
    server = serve("--max-upload-size", str(2**31))
    found = probe(bus, server.url + "/target")
    assert "between 1 GiB and 4 GiB" in found["findings"]["size"][1], found
    assert found["usable"]
    assert_nothing_left(server)


def test_a_credential_that_is_missing_is_the_only_finding(bus, serve):
    server = serve()
    found = probe(bus, server.url + "/target", credential="nobody")
    assert not found["usable"] and problems(found) == {"access"} and "nobody" in found["findings"]["access"][1]
    assert server.requests() == []


@pytest.mark.parametrize("url, choices, words", [
    ("ftp://127.0.0.1/target", {}, "http"),
    ("http://127.0.0.1/target", {"colour": "red"}, "no such option"),
    ("http://127.0.0.1/target", {"priority": "high"}, "no such option"),
    ("http://127.0.0.1/target", {"auth": "magic"}, "basic, digest"),
])
def test_a_bad_argument_is_refused(bus, url, choices, words):
    with pytest.raises(BusError) as caught:
        probe(bus, url, **choices)
    assert caught.value.name == "InvalidArgument" and words in caught.value.message


def call_unanswered(bus, url):
    """Sends Probe and does not wait for the reply; what comes is appended to the list."""
    message = dbus.lowlevel.MethodCallMessage(bus.name, ROOT, MANAGER, "Probe")
    message.append(url, options({}), signature="sa{sv}")
    bus.connection.send_message(message)
    bus.connection.flush()


def stalling(packet):
    """A server that answers PACKET when it is told to."""
    gate = threading.Event()
    handler = BitsSession()

    def wait(_request, normal):
        assert gate.wait(60)
        return normal()
    handler.script[packet] = wait
    return handler, gate


def packets(server):
    return [request.packet for request in server.requests]


@pytest.fixture(params=["private", "broker"])
def left(request, home):
    """A daemon whose caller can leave."""
    message_bus = None
    if request.param == "broker":
        message_bus = SessionBus(home, activation=False)
        home.message_bus = message_bus.address
    yield home.daemon()
    if message_bus:
        message_bus.stop()


@pytest.mark.parametrize("packet", ["Create-Session", "Fragment"])
def test_when_its_caller_goes_the_session_is_cancelled_and_nothing_else_is_sent(left, packet):
    handler, gate = stalling(packet)
    with ScriptedServer(handler) as server:
        call_unanswered(left.bus, f"{server.url}target")
        server.wait_for(lambda s: packet in packets(s))
        left._forget_bus()  # pylint: disable=protected-access
        if packet == "Create-Session":
            gate.set()
        server.wait_for(lambda s: "Cancel-Session" in packets(s))
        gate.set()
        poll(left.is_ready, "another caller is served")
        poll(lambda: not handler.sessions, "the session is gone")
        assert packets(server).count("Create-Session") == 1


def test_a_fifth_probe_is_refused_until_one_is_through(bus):
    handler, gate = stalling("Ping")
    with ScriptedServer(handler) as server:
        for _ in range(4):
            call_unanswered(bus, f"{server.url}target")
        server.wait_for(lambda s: packets(s).count("Ping") == 4)
        with pytest.raises(BusError) as caught:
            probe(bus, f"{server.url}target")
        assert caught.value.name == "LimitReached"
        gate.set()
        server.wait_for(lambda s: packets(s).count("Cancel-Session") == 4)
        poll(lambda: not handler.sessions, "the sessions are gone")
        assert probe(bus, f"{server.url}target")["usable"]


def test_a_daemon_that_ends_leaves_no_probe_behind(home):
    handler, gate = stalling("Ping")
    with ScriptedServer(handler) as server:
        daemon = home.daemon()
        call_unanswered(daemon.bus, f"{server.url}target")
        server.wait_for(lambda s: "Ping" in packets(s))
        assert daemon.stop() == []
        gate.set()


def test_the_command_line_prints_the_findings(home, serve):
    server = serve()
    home.daemon()
    result = home.bitsq("probe", server.url + "/target", "--json")
    assert result.code == 0 and result.json["usable"], result
    assert {finding["name"] for finding in result.json["findings"]} >= {"verb", "session", "size", "cancel"}
