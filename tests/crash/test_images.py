# SPDX-License-Identifier: LGPL-2.1-or-later
"""Power cuts at every place: images.py says what it does, and looks at all images by hand; here is a sample of them."""
import subprocess
import sys

import pytest

from crash import disk
from support import tree


def images(*options):
    done = subprocess.run([sys.executable, tree.ROOT / "tests" / "crash" / "images.py", "--jobs", "3", "--crowd", "40", *options],
                          capture_output=True, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.first
def test_what_a_power_cut_leaves_holds_all_that_was_promised():
    images("--sample", "400", "--daemons", "4")


@pytest.mark.first
def test_a_disk_that_lies_about_its_syncs_is_found_out():
    images("--sample", "60", "--daemons", "0", "--late-syncs")


class Log:
    """A log without a daemon: folder 1 is the state folder."""

    def __init__(self):
        self.replay = disk.Replay(1)
        self.take(disk.CREATE, inode=7, folder=1, name="file")

    def take(self, kind, flags=0, inode=0, folder=0, other_folder=0, offset=0, name="", other_name="", data=b""):
        self.replay.take(disk.Record(0, kind, flags, 0, inode, folder, other_folder, offset, name, other_name, data))

    def write(self, offset, data, flags=0):
        self.take(disk.WRITE, flags, inode=7, offset=offset, data=data)

    def loose(self):
        return [piece.data for piece in self.replay.loose if isinstance(piece, disk.Page)]

    def names(self):
        return self.replay.firm.folders[0]


def test_a_write_is_loose_until_its_file_is_synced():
    log = Log()
    log.write(0, b"abc")
    assert log.loose() == [b"abc"] and log.replay.firm.files[1] == b""
    log.take(disk.SYNC, inode=7)
    assert log.loose() == [] and log.replay.firm.files[1] == b"abc"


def test_a_write_through_o_dsync_is_firm_and_nothing_else_is():
    log = Log()
    log.write(disk.PAGE, b"abc")
    log.write(0, b"head", disk.DURABLE)
    assert log.loose() == [b"abc"] and log.replay.firm.files[1] == b"head"


def test_a_name_is_loose_until_its_folder_is_synced():
    log = Log()
    log.take(disk.SYNC, inode=7)
    assert log.names() == {}
    log.take(disk.SYNC, inode=1)
    assert log.names() == {"file": 1}


def test_a_rename_moves_both_names_or_none():
    log = Log()
    log.take(disk.SYNC, inode=1)
    log.take(disk.RENAME, folder=1, other_folder=1, name="file", other_name="other")
    assert log.names() == {"file": 1}
    assert log.replay.firm.with_pieces(log.replay.loose).folders[0] == {"other": 1}


def test_a_write_of_several_pages_may_arrive_in_part():
    log = Log()
    log.write(0, bytes(3 * disk.PAGE))
    pieces = log.replay.loose
    assert [piece.offset for piece in pieces if isinstance(piece, disk.Page)] == [0, disk.PAGE, 2 * disk.PAGE]


def test_a_page_is_torn_at_each_sector():
    page = disk.Page(1, disk.PAGE, bytes(disk.PAGE))
    ends = [(torn.offset - disk.PAGE, len(torn.data)) for torn in page.torn()]
    assert ends == [end for cut in range(512, 4096, 512) for end in ((0, cut), (cut, 4096 - cut))]


def test_a_piece_that_came_late_leaves_a_hole_before_it():
    log = Log()
    log.write(0, b"a" * disk.PAGE)
    log.write(disk.PAGE, b"b")
    state = log.replay.firm.with_pieces([log.replay.loose[-1]])
    assert state.files[1] == bytes(disk.PAGE) + b"b"
