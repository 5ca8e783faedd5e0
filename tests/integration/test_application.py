# SPDX-License-Identifier: LGPL-2.1-or-later
"""Upload-reply against a BITS server with an application behind it, from the file to the reply on disk."""
import os

import pytest

from server.application import Application
from support.uploads import FS, SMALL

REPLY = os.urandom(3 * FS + 5)


@pytest.fixture
def ask(home, serve):
    """ask(application, "2") uploads and returns the job at its end, the server and the file."""

    def start(application, kind, **config):
        server = serve("--notify-type", kind, "--notify-url", application.url)
        bus = home.daemon(**{**SMALL, "RetryDelay": "50ms", **config}).bus
        source = home.file(size=10_000)
        target = home.path / "reply"
        job = bus.add(source, server.url + "/target", reply=bytes(target))
        return bus.wait(job, "done", "failed"), server, source, target
    return start


@pytest.mark.parametrize("kind", ["1", "2"], ids=["by reference", "by value"])
def test_the_reply_of_the_application_is_fetched_and_kept(ask, kind):
    with Application(reply=REPLY) as application:
        job, server, _, target = ask(application, kind)
        assert job["State"] == "done", job
        assert target.read_bytes() == REPLY and len(application.calls) == 1
        assert [entry["packet"] for entry in server.requests()][-1] == "close"


def test_trouble_of_the_application_is_waited_out_with_its_context(ask):
    with Application(reply=REPLY, failures=[503, 500]) as application:
        job, _, _, target = ask(application, "2")
        assert job["State"] == "done", job
        assert target.read_bytes() == REPLY and len(application.calls) == 3
        assert [(attempt[2], attempt[3]) for attempt in job["AttemptLog"]] == [(503, "Fragment"), (500, "Fragment")]


def test_a_refusal_of_the_application_is_final_and_named(ask):
    with Application(reply=REPLY, failures=[403]) as application:
        job, _, _, target = ask(application, "2")
        assert job["State"] == "failed" and "application" in job["Error"][2]
        assert job["ErrorDetails"]["context"] == 7 and not target.exists()


def test_an_application_that_thinks_longer_than_other_acks_may_is_waited_for(ask):
    with Application(reply=REPLY, delay=3) as application:
        job, _, _, target = ask(application, "2", ResponseTimeout="1s")
        assert job["State"] == "done" and job["AttemptLog"] == [] and target.read_bytes() == REPLY


def test_without_notification_the_reply_is_empty(home, serve):
    server = serve()
    bus = home.daemon(**SMALL).bus
    source = home.file(size=10_000)
    job = bus.add(source, server.url + "/target", reply=b"")
    assert bus.wait(job, "done", "failed")["State"] == "done"
    assert (server.root / "target").read_bytes() == source.read_bytes()
