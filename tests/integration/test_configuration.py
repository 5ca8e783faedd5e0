# SPDX-License-Identifier: LGPL-2.1-or-later
"""How servers are reached, as the configuration says it: for all hosts, for some, and read again."""
import os
import signal

import pytest

from server.scripted import ScriptedServer
from support.auth import keep
from support.bus import BusError
from support.wait import poll


def configure(home, *sections):
    home.config("[bitsqd]\nRetryDelay=100ms\nRetryDelayMax=1s\n" + "".join(sections))


@pytest.fixture
def demanding(serve):
    """Refuses the verb BITS_POST, and its Acks lack the header that makes them one."""
    return serve("--fault", "* if no-header X-HTTP-Method-Override: early; status 405",
                 "--fault", "*: no-header BITS-Packet-Type")


def test_a_host_section_counts_for_its_host_from_the_next_attempt_on(home, demanding):
    configure(home, "[Host 127.0.0.2]\nMethodOverride=post\nLenientAck=yes\n")
    daemon = home.daemon()
    source = home.file(size=10_000)
    job = daemon.bus.add(source, demanding.url + "/target")
    assert daemon.bus.wait(job, "retrying", "failed")["Error"][0] != ""
    assert {entry["method"] for entry in demanding.requests()} == {"BITS_POST"}
    configure(home, "[Host 127.0.0.1]\nMethodOverride=post\nLenientAck=yes\n")
    daemon.bus.manager("Reload")
    if daemon.bus.job(job)["State"] == "failed":
        daemon.bus.verb(job, "Retry")
    assert daemon.bus.wait(job, "done", "failed")["State"] == "done"
    assert (demanding.root / "target").read_bytes() == source.read_bytes()
    last = demanding.requests()[-1]
    assert (last["method"], last["headers"]["x-http-method-override"]) == ("POST", "BITS_POST")


def test_what_a_job_was_given_wins_over_its_host_section_and_that_over_the_rest(home):
    with ScriptedServer() as server:
        configure(home, "UserAgent=all\n", f"[Host 127.0.0.1:{server.port}]\nUserAgent=host\n")
        bus = home.daemon().bus
        seen = {}
        for name, options in (("own", {"user_agent": "own"}), ("host", {})):
            job = bus.add(home.file(size=10), f"{server.url}{name}", **options)
            assert bus.wait(job, "done", "failed")["State"] == "done"
            seen[name] = {request.header("User-Agent") for request in server.requests
                          if request.target == f"/{name}"}
        assert seen == {"own": {"own"}, "host": {"host"}}


def test_credentials_are_read_from_the_folder_of_the_configuration(home):
    folder = home.path / "elsewhere"
    folder.mkdir(mode=0o700)
    secret = folder / "work"
    secret.touch(mode=0o600)
    secret.write_text("token=abc123\n", encoding="ascii")
    configure(home, "CredentialDirectory=~/elsewhere\nCredential=work\nCredentialsOverHttp=yes\n")
    with ScriptedServer() as server:
        bus = home.daemon().bus
        job = bus.add(home.file(size=10), f"{server.url}target")
        assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
        assert {request.header("Authorization") for request in server.requests} == {"Bearer abc123"}


def test_a_bad_value_leaves_the_old_configuration_in_force(home):
    with ScriptedServer() as server:
        configure(home, "UserAgent=before\n")
        bus = home.daemon().bus
        configure(home, "UserAgent=after\n", "[Host 127.0.0.1]\nAuth=magic\n")
        with pytest.raises(BusError) as caught:
            bus.manager("Reload")
        assert caught.value.name == "InvalidArgument"
        assert caught.value.message == (f"{home.config_file}:6: the value of Auth= cannot be used: it takes basic, "
                                        "digest, ntlm, negotiate or bearer")
        job = bus.add(home.file(size=10), f"{server.url}target")
        assert bus.wait(job, "done", "failed")["State"] == "done"
        assert {request.header("User-Agent") for request in server.requests} == {"before"}
        assert "the old configuration stays in force" in home.logs()


def test_sighup_reads_the_configuration_like_reload(home):
    with ScriptedServer() as server:
        configure(home, "UserAgent=before\n")
        daemon = home.daemon()
        configure(home, "UserAgent=after\n")
        os.kill(daemon.pid, signal.SIGHUP)
        poll(lambda: "the configuration was read again" in home.logs(), "the daemon has read it")
        job = daemon.bus.add(home.file(size=10), f"{server.url}target")
        assert daemon.bus.wait(job, "done", "failed")["State"] == "done"
        assert {request.header("User-Agent") for request in server.requests} == {"after"}


def test_an_unknown_key_of_a_host_section_is_told(home):
    configure(home, "[Host *]\nMethodOveride=post\n")
    home.daemon()
    poll(lambda: f"{home.config_file}:5: there is no key MethodOveride in [Host *]" in home.logs(), "the warning")


def connections(server, *names):
    return [{request.connection for request in server.requests if request.target == f"/{name}"} for name in names]


def test_jobs_that_go_the_same_way_share_a_connection_and_others_do_not(home):
    keep(home, "alice", user="alice", password="a")
    keep(home, "bob", user="bob", password="b")
    configure(home, "MaxActivePerHost=1\nUserAgent=tests\nCredentialsOverHttp=yes\n")
    with ScriptedServer() as server:
        bus = home.daemon().bus
        jobs = [bus.add(home.file(name, size=10), f"{server.url}{name}", hold=True, **options) for name, options in (
            ("a", {"credential": "alice"}), ("b", {"credential": "alice"}), ("c", {"credential": "bob"}), ("d", {}))]
        bus.control("resume", all=True)
        for job in jobs:
            assert bus.wait(job, "done", "failed")["State"] == "done", bus.job(job)
        first, second, third, fourth = connections(server, "a", "b", "c", "d")
        assert first == second and len(first | third | fourth) == 3
