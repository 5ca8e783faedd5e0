# SPDX-License-Identifier: LGPL-2.1-or-later
"""How bits-server asks for credentials."""
import base64
import hashlib
import re
import subprocess

import pytest

from server.client import BINARY, DEADLINE, PROTOCOL

USER = ["--user", "someone", "--password", "a secret"]
BASIC = "Basic " + base64.b64encode(b"someone:a secret").decode()


def curl(server, *options, packet="Ping", target="/file", user="someone:a secret"):
    """One BITS packet by curl; the last status and the headers of all its answers."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "-X", "BITS_POST", "-u", user, "-H", f"BITS-Packet-Type: {packet}",
         "-H", "Content-Length: 0", "-H", f"BITS-Supported-Protocols: {PROTOCOL}", *options, server.url[:-1] + target],
        capture_output=True, text=True, timeout=DEADLINE, check=True)
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("HTTP/1.1 ")], done.stdout


def test_basic_is_asked_for_and_checked(serve):
    server = serve("--auth", "basic", *USER)
    client = server.client()
    answer = client.create()
    assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith('Basic realm="')
    assert answer.headers["BITS-Packet-Type"] is None
    wrong = "Basic " + base64.b64encode(b"someone:another").decode()
    assert client.create(Authorization=wrong).status == 401
    assert client.create(Authorization="Basic !").status == 401
    assert client.create(Authorization=BASIC).status == 200
    assert client.create("/other", Authorization=BASIC.replace("Basic", "basic")).status == 200


def test_the_log_names_the_scheme_and_never_the_secret(serve):
    server = serve("--auth", "basic", *USER)
    server.client().create(Authorization=BASIC)
    server.client().create()
    assert [entry["headers"].get("authorization") for entry in server.log()] == ["Basic", None]
    text = server.log_path.read_text()
    assert BASIC.split()[1] not in text and "a secret" not in text


def test_the_body_of_a_fragment_without_credentials_is_not_stored(serve):
    client = serve("--auth", "basic", *USER, "--mode", "spec").client()
    session = client.create(Authorization=BASIC).headers["BITS-Session-Id"]
    assert client.fragment(session, 0, b"0123", 8).status == 401
    assert client.fragment(session, 0, b"0123", 8, Authorization=BASIC).next == 4


@pytest.mark.parametrize("scheme", ["digest", "digest-sha256"])
def test_digest_is_checked_with_the_method_of_the_request(serve, scheme):
    server = serve("--auth", scheme, *USER)
    assert curl(server, "--digest", packet="Create-Session", target="/a%20b?x=1,2")[0] == [401, 200]
    assert curl(server, "--digest", user="someone:another")[0] == [401, 401]
    assert curl(server, "--digest", user="other:a secret")[0] == [401, 401]
    assert curl(server, "--basic")[0] == [401]


def test_a_digest_for_another_method_or_target_is_refused(serve):
    server = serve("--auth", "digest", *USER)
    done = subprocess.run(
        ["curl", "-sS", "-v", "-X", "BITS_POST", "-u", "someone:a secret", "--digest", "-H", "BITS-Packet-Type: Ping",
         "-H", "Content-Length: 0", server.url + "file"], capture_output=True, text=True, timeout=DEADLINE, check=True)
    sent = [line.split(": ", 1)[1] for line in done.stderr.splitlines() if line.startswith("> Authorization")][-1]
    client = server.client()
    assert client.send("Ping", Authorization=sent).status == 200
    assert client.send("Ping", "/other", Authorization=sent).status == 401
    assert client.send("Ping", method="POST", Authorization=sent, X_Http_Method_Override="BITS_POST").status == 401


def digest(answer, target="/file", method="BITS_POST"):
    """The Authorization that follows this challenge."""
    nonce = re.search('nonce="([^"]*)"', answer.headers["WWW-Authenticate"]).group(1)
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
    ha1, ha2 = md5("someone:bits-server:a secret"), md5(f"{method}:{target}")
    response = md5(f"{ha1}:{nonce}:00000001:c:auth:{ha2}")
    return (f'Digest username="someone", realm="bits-server", uri="{target}", nonce="{nonce}", nc=00000001, '
            f'cnonce="c", qop=auth, response="{response}"')


def test_a_nonce_counts_until_a_rule_makes_it_stale(serve):
    client = serve("--auth", "digest", *USER, "--fault", "ping#4: stale").client()
    first = digest(client.send("Ping"))
    answers = [client.send("Ping", Authorization=first) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 401]
    assert "stale=true" in answers[2].headers["WWW-Authenticate"]
    assert client.send("Ping", Authorization=digest(answers[2])).status == 200
    forged = first.replace("nonce=\"1.", "nonce=\"9.")
    answer = client.send("Ping", Authorization=forged)
    assert answer.status == 401 and "stale" not in answer.headers["WWW-Authenticate"]


def test_a_bearer_token_is_asked_for_and_checked(serve):
    client = serve("--bearer", "t0ken").client()
    answer = client.create()
    assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert client.create(Authorization="Bearer another").status == 401
    assert client.create(Authorization="Bearer t0ken").status == 200


def test_the_token_changes_in_the_middle_of_an_upload(serve):
    client = serve("--bearer", "old", "--fault", "fragment#2: secret new").client()
    session = client.create(Authorization="Bearer old").headers["BITS-Session-Id"]
    assert client.fragment(session, 0, b"0123", 8, Authorization="Bearer old").status == 200
    assert client.fragment(session, 4, b"4567", 8, Authorization="Bearer old").status == 401
    assert client.fragment(session, 4, b"4567", 8, Authorization="Bearer new").next == 8


def test_500_may_stand_for_401(serve):
    client = serve("--bearer", "t0ken", "--auth-status", "500").client()
    answer = client.create()
    assert answer.status == 500 and answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.error is None
    assert client.create(Authorization="Bearer t0ken").status == 200


def test_get_and_put_need_credentials_too(serve):
    server = serve("--auth", "basic", *USER)
    client = server.client()
    assert client.send(None, method="PUT", body=b"x").status == 401
    assert not (server.root / "file").exists()
    assert client.send(None, method="PUT", body=b"x", Authorization=BASIC).status == 201
    assert client.send(None, method="GET").status == 401
    assert client.send(None, method="GET", Authorization=BASIC).body == b"x"


@pytest.mark.parametrize("options", [["--auth", "basic"], ["--auth", "ntlm", *USER],
                                     ["--auth", "basic", *USER, "--bearer", "x"], ["--auth-status", "200"]])
def test_wrong_options_for_credentials_are_refused(tmp_path, options):
    done = subprocess.run([BINARY, "--root", tmp_path, *options], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and done.stderr.startswith("bits-server: ")
