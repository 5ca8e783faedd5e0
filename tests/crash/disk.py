# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that a machine crashed on: what record.c wrote, and every state that it allows the disk to be in afterwards.

What was synced is there. Of what came since, each piece may be there or not, in any combination: a page of a file, a
file's size, a name in a folder. A write through O_DSYNC is there when it has returned, and the rest of its page with it;
what a folder holds is there once the folder was synced. A page may be torn at any sector.

    log      w1 w2 w3 | sync | w4 w5 ...
    cut                ^ here: w1, w2, w3 are loose, none of them may have arrived, or any
                                     ^ and here: w1, w2, w3 are firm, w4 and w5 are loose
"""
import struct
from dataclasses import dataclass, field

PAGE, SECTOR = 4096, 512
HEADER = struct.Struct("=IIQQQQQIIQ")
WRITE, SYNC, TRUNCATE, CREATE, MKDIR, UNLINK, RENAME, LINK, SEND, SYNC_ALL = range(1, 11)
DURABLE = 1


@dataclass
class Record:
    at: int  # where it begins in the log
    kind: int
    flags: int
    time_usec: int
    inode: int
    folder: int
    other_folder: int
    offset: int
    name: str
    other_name: str
    data: bytes


def read_log(path):
    log, at, records = path.read_bytes(), 0, []
    while at < len(log):
        kind, flags, time_usec, inode, folder, other, offset, names, others, size = HEADER.unpack_from(log, at)
        begin, at = at, at + HEADER.size
        parts = [log[at:at + names], log[at + names:at + names + others], log[at + names + others:at + names + others + size]]
        at += names + others + size
        assert at <= len(log), f"the log ends within the record at {begin}"
        records.append(Record(begin, kind, flags, time_usec, inode, folder, other, offset, parts[0].decode(),
                              parts[1].decode(), parts[2]))
    return records


@dataclass
class Page:
    """Bytes within one page of a file."""
    file: int
    offset: int
    data: bytes

    def apply(self, disk):
        content = disk.files[self.file]
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset:self.offset + len(self.data)] = self.data

    def torn(self):
        """What is left of it where the power fails within: its first sectors, or its last ones."""
        end = self.offset + len(self.data)
        for cut in range(self.offset // SECTOR * SECTOR + SECTOR, end, SECTOR):
            yield Page(self.file, self.offset, self.data[:cut - self.offset])
            yield Page(self.file, cut, self.data[cut - self.offset:])


@dataclass
class Size:
    file: int
    size: int

    def apply(self, disk):
        content = disk.files[self.file]
        content[self.size:] = bytes(max(0, self.size - len(content)))


@dataclass
class Names:
    """What one call changed in folders: (folder, name) -> what the name is for, or None."""
    entries: dict

    def apply(self, disk):
        for (folder, name), target in self.entries.items():
            if target is None:
                disk.folders[folder].pop(name, None)
            else:
                disk.folders[folder][name] = target


@dataclass
class Disk:
    files: dict = field(default_factory=dict)    # number -> bytearray
    folders: dict = field(default_factory=dict)  # number -> {name: number}

    def with_pieces(self, pieces):
        """A copy in which PIECES have arrived, in their order."""
        touched = {piece.file for piece in pieces if not isinstance(piece, Names)}
        folders = {number: dict(names) for number, names in self.folders.items()}
        disk = Disk({number: bytearray(content) if number in touched else content
                     for number, content in self.files.items()}, folders)
        for piece in pieces:
            piece.apply(disk)
        return disk

    def write(self, root, path):
        """Lays the folder ROOT out at PATH."""
        path.mkdir(mode=0o700, exist_ok=True)
        for name, number in self.folders[root].items():
            if number in self.folders:
                self.write(number, path / name)
            else:
                (path / name).write_bytes(self.files[number])


class Replay:
    """Follows a log: `firm` is what must be there, `loose` what may be."""

    def __init__(self, root_inode, late_syncs=False):
        self.numbers = {root_inode: 0}  # inode -> our number: the kernel uses inodes again
        self.root, self.next_number = 0, 1
        self.firm = Disk({}, {0: {}})
        self.now = Disk({}, {0: {}})    # names as the daemon sees them
        self.loose = []
        self.late_syncs = late_syncs    # a sync is kept only when the next one comes: a disk that lies
        self.settled_late = []

    def _new(self, inode, is_folder):
        number, self.next_number = self.next_number, self.next_number + 1
        self.numbers[inode] = number
        for disk in (self.firm, self.now):
            if is_folder:
                disk.folders[number] = {}
            else:
                disk.files[number] = bytearray()
        return number

    def pieces(self, record):
        """What RECORD changes, before it is synced."""
        kind, number = record.kind, self.numbers.get(record.inode)
        if kind == WRITE:
            return list(self._pages(number, record))
        if kind == TRUNCATE:
            return [Size(number, record.offset)]
        folder = self.numbers.get(record.folder)
        if kind in (CREATE, MKDIR):
            return [Names({(folder, record.name): self._new(record.inode, kind == MKDIR)})]
        if kind == LINK:
            return [Names({(folder, record.name): number})]
        if kind == UNLINK:
            return [Names({(folder, record.name): None})]
        if kind == RENAME:
            moved = self.now.folders[folder][record.name]
            return [Names({(folder, record.name): None,
                           (self.numbers[record.other_folder], record.other_name): moved})]
        return []

    @staticmethod
    def _pages(number, record):
        at, end = record.offset, record.offset + len(record.data)
        while at < end:
            until = min(end, at // PAGE * PAGE + PAGE)
            yield Page(number, at, record.data[at - record.offset:until - record.offset])
            at = until

    def is_barrier(self, record):
        return record.kind in (SYNC, SYNC_ALL) or record.kind == WRITE and bool(record.flags & DURABLE)

    def take(self, record):
        """Lets RECORD happen and end."""
        pieces = self.pieces(record)
        for piece in pieces:
            if isinstance(piece, Names):
                piece.apply(self.now)
        self.loose += pieces
        if not self.is_barrier(record):
            return
        if self.late_syncs:
            late, self.settled_late = self.settled_late, list(map(id, self.loose))
            self._settle(lambda piece: id(piece) in late)
            return
        if record.kind == SYNC_ALL:
            self._settle(lambda piece: True)
        elif record.kind == SYNC:
            number = self.numbers.get(record.inode)
            self._settle(lambda piece: any(folder == number for folder, _ in piece.entries) if isinstance(piece, Names)
                         else piece.file == number)
        else:
            pages = {(piece.file, piece.offset // PAGE) for piece in pieces}
            self._settle(lambda piece: isinstance(piece, Page) and (piece.file, piece.offset // PAGE) in pages)

    def _settle(self, is_firm):
        for piece in self.loose:
            if is_firm(piece):
                piece.apply(self.firm)
        self.loose = [piece for piece in self.loose if not is_firm(piece)]
