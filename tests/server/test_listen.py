# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the two test servers listen, how they speak TLS, and the host id that bits-server gives."""
import http.client
import socket
import ssl
import subprocess

import pytest

from server.certificates import Certificates
from server.client import BINARY, DEADLINE, Client
from server.scripted import ScriptedServer, tls_context

REFUSED = (ssl.SSLError, ConnectionError, http.client.BadStatusLine)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def trusting(certificates, *own):
    context = ssl.create_default_context(cafile=certificates.ca)
    if own:
        context.load_cert_chain(*own)
    return context


def upload(client):
    session = client.session()
    assert client.fragment(session, 0, b"x" * 100000, 100000).next == 100000
    assert client.close_session(session).status == 200


def test_bits_server_listens_on_ipv6(serve):
    server = serve("--listen", "[::1]:0")
    assert server.url == f"http://[::1]:{server.port}/"
    upload(server.client())


def test_bits_server_listens_on_an_ipv4_address_and_port_in_one(serve):
    server = serve("--listen", "127.0.0.1:0")
    assert server.url == f"http://127.0.0.1:{server.port}/"
    upload(server.client())


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "[::1]:x", "::1]:0", "localhost:0", "[]:0"])
def test_a_bad_address_is_refused_in_one_line(tmp_path, address):
    done = subprocess.run([BINARY, "--root", tmp_path, "--listen", address], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.returncode == 1 and done.stderr.startswith("bits-server: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_bits_server_takes_uploads_over_tls(serve, certificates, listen):
    server = serve("--listen", listen, "--tls-cert", certificates.server, "--tls-key", certificates.server_key)
    assert server.url.startswith("https://")
    upload(server.client(trusting(certificates)))
    assert (server.root / "file").stat().st_size == 100000


@pytest.mark.filterwarnings("ignore:.*TLSv1:DeprecationWarning")
def test_bits_server_refuses_tls_1_1(serve, certificates):
    server = serve("--tls-cert", certificates.server, "--tls-key", certificates.server_key)
    old = trusting(certificates)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(REFUSED):
        server.client(old).create()
    assert server.log() == []


def test_bits_server_wants_a_client_certificate_of_its_issuer(serve, certificates):
    server = serve("--tls-cert", certificates.server, "--tls-key", certificates.server_key,
                   "--tls-client-ca", certificates.ca)
    for own in ((), (certificates.stranger, certificates.stranger_key)):
        with pytest.raises(REFUSED):
            server.client(trusting(certificates, *own)).create()
    upload(server.client(trusting(certificates, certificates.client, certificates.client_key)))
    assert len(server.log()) == 3


def test_faults_happen_over_tls_too(serve, certificates):
    server = serve("--tls-cert", certificates.server, "--tls-key", certificates.server_key, "--mode", "spec",
                   "--fault", "fragment#1: drop 5000")
    client = server.client(trusting(certificates))
    session = client.session()
    with pytest.raises(REFUSED):
        client.fragment(session, 0, b"x" * 10000, 10000)
    client.disconnect()
    answer = client.fragment(session, 0, b"x" * 10000, 10000)
    assert (answer.status, answer.next) == (416, 5000)


def test_a_certificate_without_its_key_is_refused(tmp_path, certificates):
    for options in (["--tls-cert", certificates.server], ["--tls-client-ca", certificates.ca],
                    ["--tls-cert", certificates.server, "--tls-key", tmp_path / "none"]):
        done = subprocess.run([BINARY, "--root", tmp_path, *options], capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 1 and done.stderr.startswith("bits-server: ")


@pytest.mark.parametrize("options, host, timeout", [
    (["--host-id", "other.example"], "other.example", None),
    (["--host-id", "::1", "--host-id-timeout", "3"], "::1", "3"),
    ([], None, None),
])
def test_the_host_id_is_in_the_ack_to_create_session_only(serve, options, host, timeout):
    client = serve(*options).client()
    answer = client.create()
    assert (answer.headers["BITS-Host-Id"], answer.headers["BITS-Host-Id-Fallback-Timeout"]) == (host, timeout)
    answer = client.fragment(answer.headers["BITS-Session-Id"], 0, b"x", 2)
    assert answer.headers["BITS-Host-Id"] is None


def test_the_scripted_server_listens_on_ipv6():
    with ScriptedServer(host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}/"
        upload(Client(server.port, "::1"))


@pytest.mark.parametrize("demand", [False, True])
def test_the_scripted_server_speaks_tls(certificates, demand):
    context = tls_context(certificates.server, certificates.server_key, certificates.ca if demand else None)
    with ScriptedServer(tls=context) as server:
        if demand:
            with pytest.raises(REFUSED):
                Client(server.port, tls=trusting(certificates)).create()
            server.wait_for(lambda s: s.tls_errors)
        upload(Client(server.port, tls=trusting(certificates, certificates.client, certificates.client_key)))
        assert [request.packet for request in server.requests] == ["Create-Session", "Fragment", "Close-Session"]


def test_a_client_that_hangs_in_its_handshake_stops_no_other(certificates):
    with ScriptedServer(tls=tls_context(certificates.server, certificates.server_key)) as server:
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE):
            upload(Client(server.port, tls=trusting(certificates)))
