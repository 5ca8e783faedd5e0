# SPDX-License-Identifier: LGPL-2.1-or-later
"""The authenticating origin and proxy, tried with curl."""
import subprocess

import pytest

from server.auth_proxy import AuthProxy
from server.auth_schemes import Accounts
from server.client import DEADLINE, Client
from server.kerberos import Realm
from server.ntlm import md4
from server.scripted import ScriptedServer, ack

USER = "someone:a secret"


def curl(*options, count=1, environment=None, url, check=True):
    """COUNT Pings over one connection; their statuses, the 401 and 407 before them included."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "-X", "BITS_POST", "-H", "BITS-Packet-Type: Ping", "-H", "Content-Length: 0", *options,
         *[f"{url}{number}" for number in range(count)]],
        capture_output=True, text=True, timeout=DEADLINE, check=check, env=environment)
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("HTTP/1.1 ")]


@pytest.mark.parametrize("scheme, statuses", [("Basic", [200, 200]), ("Digest", [401, 200, 401, 200])])
def test_an_origin_asks_for_credentials_with_each_request(serve, scheme, statuses):
    server = serve()
    with AuthProxy([scheme], upstream=("127.0.0.1", server.port)) as front:
        assert curl("-u", USER, "--" + scheme.lower(), url=front.url, count=2) == statuses
        assert curl("-u", "someone:wrong", "--" + scheme.lower(), url=front.url)[-1] == 401
        assert curl(url=front.url) == [401]
    assert all("authorization" not in entry["headers"] for entry in server.log())
    assert len(server.log()) == 2


def test_ntlm_holds_for_its_connection_only(serve):
    server = serve()
    with AuthProxy(["NTLM"], upstream=("127.0.0.1", server.port)) as front:
        assert curl("-u", USER, "--ntlm", url=front.url, count=3) == [401, 200, 200, 200]
        assert [(entry.connection, entry.scheme, entry.passed) for entry in front.entries] == [
            (1, "NTLM", False), (1, "NTLM", True), (1, None, True), (1, None, True)]
        assert curl(url=front.url) == [401]
        assert curl("-u", "someone:wrong", "--ntlm", url=front.url) == [401, 401]
        assert curl("-u", "other:a secret", "--ntlm", url=front.url) == [401, 401]
        assert front.connections == 4
    assert {entry["connection"] for entry in server.log()} == {1} and len(server.log()) == 3


def test_a_domain_before_the_user_is_part_of_the_proof(serve):
    server = serve()
    with AuthProxy(["NTLM"], upstream=("127.0.0.1", server.port)) as front:
        assert curl("-u", "BITSQ\\" + USER, "--ntlm", url=front.url) == [401, 200]


def test_md4_is_that_of_rfc_1320():
    assert md4(b"").hex() == "31d6cfe0d16ae931b73c59d7e0c089c0"
    assert md4(b"message digest").hex() == "d9130a8164549fe818874806e1c7014b"
    assert md4(b"1234567890" * 8).hex() == "e33b4ddc9c38f2199c3e7b164fcc0536"


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "NTLM"])
def test_a_proxy_asks_for_credentials(serve, scheme):
    server = serve()
    with AuthProxy([scheme], role="proxy") as proxy:
        through = ["-x", proxy.url, "--proxy-" + scheme.lower()]
        assert curl(*through, "-U", USER, url=server.url)[-1] == 200
        assert curl(*through, "-U", "someone:wrong", url=server.url)[-1] == 407
        assert curl(*through, url=server.url) == [407]
        assert proxy.entries[0].proxy_authorization in (scheme, None) and proxy.entries[0].authorization is None
        assert proxy.entries[0].target == server.url + "0"
    [entry] = server.log()
    assert entry["target"] == "/0" and "proxy-authorization" not in entry["headers"]


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "NTLM"])
def test_a_proxy_tunnels_with_connect(serve, scheme):
    server = serve()
    with AuthProxy([scheme], role="proxy") as proxy:
        through = ["-p", "-x", proxy.url, "--proxy-" + scheme.lower()]
        assert curl(*through, "-U", USER, url=server.url, count=2)[-2:] == [200, 200]
        assert {entry.method for entry in proxy.entries} == {"CONNECT"}
        assert proxy.entries[-1].status == 200 and proxy.connections == 1
        assert curl(*through, url=server.url, check=False)[-1] == 407
    assert [entry["packet"] for entry in server.log()] == ["ping", "ping"]


def test_credentials_for_the_server_pass_the_proxy(serve):
    server = serve("--auth", "basic", "--user", "me", "--password", "mine")
    with AuthProxy(["Basic"], role="proxy") as proxy:
        assert curl("-x", proxy.url, "-U", USER, "-u", "me:mine", url=server.url) == [200]
        assert (proxy.entries[0].authorization, proxy.entries[0].proxy_authorization) == ("Basic", "Basic")
    assert server.log()[0]["headers"]["authorization"] == "Basic"


def test_the_body_of_a_refused_request_is_counted_and_not_passed_on(serve, tmp_path):
    server = serve()
    (tmp_path / "data").write_bytes(b"x" * 300000)
    with AuthProxy(["Basic"], upstream=("127.0.0.1", server.port)) as front:
        put = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "-T", tmp_path / "data"]
        for user, status in ([], "401"), (["-u", USER], "201"):
            done = subprocess.run([*put, *user, front.url + "file"], capture_output=True, text=True, timeout=DEADLINE)
            assert done.stdout == status
        assert [entry.body_length for entry in front.entries] == [300000, 300000]
    assert (server.root / "file").stat().st_size == 300000 and len(server.log()) == 1


def test_answers_of_every_framing_come_back_whole(serve):
    rules = ["ping#1: chunked; body one", "ping#2: body two", "ping#3: no-length; body three"]
    server = serve(*[word for rule in rules for word in ("--fault", rule)])
    with AuthProxy([], upstream=("127.0.0.1", server.port)) as front:
        for body in ("one", "two", "three"):
            done = subprocess.run(["curl", "-sS", "-X", "BITS_POST", "-H", "BITS-Packet-Type: Ping", "-H",
                                   "Content-Length: 0", front.url], capture_output=True, text=True, timeout=DEADLINE)
            assert done.stdout == body


def test_a_connection_that_breaks_upstream_breaks_at_the_client():
    with ScriptedServer() as server, AuthProxy([], upstream=("127.0.0.1", server.port)) as front:
        server.script["Ping"] = ack(200, Content_Length=10)
        server.stopping.set()
        server.stop()
        assert curl(url=front.url, check=False) == []


def test_a_connection_may_be_good_for_a_few_requests_only(serve):
    server = serve()
    with AuthProxy(["NTLM"], upstream=("127.0.0.1", server.port), requests_per_connection=2) as front:
        assert curl("-u", USER, "--ntlm", url=front.url, count=3) == [401, 200, 200, 401, 200]
        assert front.connections == 2


def test_several_schemes_are_offered_at_once(serve):
    server = serve()
    with AuthProxy(["NTLM", "Basic"], upstream=("127.0.0.1", server.port)) as front:
        assert curl("-u", USER, "--anyauth", url=front.url) == [401, 401, 200]
        assert [entry.scheme for entry in front.entries] == [None, "NTLM", "NTLM"]


@pytest.mark.parametrize("role", ["origin", "proxy"])
def test_negotiate_takes_a_ticket_of_kerberos(serve, tmp_path, monkeypatch, role):
    server = serve()
    with Realm(tmp_path / "realm") as realm:
        for name, value in realm.environment.items():
            monkeypatch.setenv(name, value)
        accounts = Accounts(keytab=realm.keytab)
        upstream = ("127.0.0.1", server.port)
        with AuthProxy(["Negotiate"], upstream=upstream, role=role, accounts=accounts) as front:
            front_url = f"http://localhost:{front.port}/"
            if role == "origin":
                options, url = ["--negotiate", "-u", ":"], front_url
            else:
                options, url = ["--proxy-negotiate", "-U", ":", "-x", front_url], server.url
            assert curl(*options, url=url, count=2)[-2:] == [200, 200]
            assert front.entries[-1].passed and accounts.principals[0] == "someone@BITSQ.TEST"
            refused = front.status
            assert curl(url=url, *(options[-2:] if role == "proxy" else [])) == [refused]


def test_a_whole_upload_passes_on_one_connection_upstream(serve):
    server = serve()
    with AuthProxy([], upstream=("127.0.0.1", server.port)) as front:
        client = Client(front.port)
        session = client.session()
        client.fragment(session, 0, b"x" * 100000, 100000)
        client.close_session(session)
        assert [entry.packet for entry in front.entries] == ["Create-Session", "Fragment", "Close-Session"]
    assert {entry["connection"] for entry in server.log()} == {1}
    assert (server.root / "file").stat().st_size == 100000
