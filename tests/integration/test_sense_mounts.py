# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is mounted and unmounted is told of."""
import pytest

from support.sense import Namespace, Watch


@pytest.fixture
def machine():
    made = Namespace("mount")
    yield made
    made.stop()


def test_what_is_mounted_and_unmounted_is_told_of(home, machine):
    place = home.path / "place"
    place.mkdir()
    watch = Watch(home, "mounts", prefix=machine.prefix)
    assert watch.ask("anything") == "what?"
    assert not watch.events
    for _ in range(3):
        before = len(watch.events)
        machine.run("mount", "-t", "tmpfs", "none", str(place))
        watch.told(before + 1)
        before = len(watch.events)
        machine.run("umount", str(place))
        watch.told(before + 1)
    assert len(watch.events) <= 12  # and it is told of once, not over and over
    watch.stop()
