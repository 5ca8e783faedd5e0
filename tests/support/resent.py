# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes that were sent more than once, counted at the server, and laid to the kill that made it necessary.

A life of the daemon ends with a kill. Each byte of a target remembers the life in which it arrived last; when it arrives
again, the kill that ended that life is to blame:

    life 0          |=====A=====|==B==        <- killed in the middle of B, the Ack of A not yet on disk
    life 1                |p|   |==B====|...  <- p, the small first fragment, tells the daemon where the server stands
                           ^         ^
                           p and the part of B that came again are laid to the first kill

A server may refuse p as a whole, by 416 with an offset of its own: what it asks for again in the same life is laid to
that kill, too. When a later life sends p once more, the kill that ended the life in between is to blame for that.
"""
import bisect
import re


class Overlaps:
    """Who is to blame where a byte of one target arrives again: the number of a life that ended, or the one that runs."""

    def __init__(self):
        self.pieces = []  # (first, end, life in which it arrived last, whether it was refused), without overlap

    def receive(self, first, end, life, refused):
        """Notes the arrival of [first, end) and returns blamed -> bytes that had arrived before."""
        again, kept = {}, []
        for piece_first, piece_end, piece_life, piece_refused in self.pieces:
            low, high = max(first, piece_first), min(end, piece_end)
            if low >= high:
                kept.append((piece_first, piece_end, piece_life, piece_refused))
                continue
            blamed = life - 1 if piece_refused and piece_life == life else piece_life
            again[blamed] = again.get(blamed, 0) + high - low
            if piece_first < low:
                kept.append((piece_first, low, piece_life, piece_refused))
            if high < piece_end:
                kept.append((high, piece_end, piece_life, piece_refused))
        self.pieces = [*kept, (first, end, life, refused)]
        return again


class Account:
    """What one server's log says, for kills at these times (microseconds of CLOCK_MONOTONIC, ascending).

    The time of a kill is the last moment before the next daemon was started: until then the server may still read what
    the dead one left in its socket. So does it even later where it is slow: a connection stays with the life of its
    first request."""

    def __init__(self, requests, kills, fragment_min):
        self.kills = kills
        self.resent = {}      # (kill, target) -> bytes
        self.bound = {}       # (kill, target) -> bytes that the kill may cost: the fragment in force + FragmentMin
        self.unprovoked = 0   # bytes that came again within one life
        overlaps, lives = {}, {}
        for entry in sorted(requests, key=lambda entry: entry["time_usec"]):
            life = lives.setdefault(entry["connection"], bisect.bisect(kills, entry["time_usec"]))
            if entry["packet"] != "fragment":
                continue
            target = entry["target"]
            first = int(re.fullmatch(r"bytes (\d+)-\d+/\d+", entry["headers"]["content-range"]).group(1))
            refused = entry["status"] == 416 and life > 0
            again = overlaps.setdefault(target, Overlaps()).receive(first, first + entry["body_received"], life, refused)
            for blamed, count in again.items():
                if blamed == life:
                    self.unprovoked += count
                else:
                    self.resent[blamed, target] = self.resent.get((blamed, target), 0) + count
            if refused:  # it counts as the fragment that was in force then, where none was seen before
                self.bound.setdefault((life - 1, target), int(entry["headers"]["content-length"]) + fragment_min)
            for kill in range(life, len(kills)):  # in force until another one begins
                self.bound[kill, target] = int(entry["headers"]["content-length"]) + fragment_min

    def over(self):
        """(kill, target), bytes and bound of each kill that cost more than it may."""
        return [(key, count, self.bound[key]) for key, count in self.resent.items() if count > self.bound[key]]

    def per_kill(self):
        """The most that one upload had to send again, for each kill."""
        return [max((count for (kill, _), count in self.resent.items() if kill == number), default=0)
                for number in range(len(self.kills))]
