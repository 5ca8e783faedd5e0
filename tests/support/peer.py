# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus client on a bare socket: it can flood, stop reading, and send what no library would."""
import os
import socket
import struct

from support.bus import socket_path


def aligned(data, size):
    return data + bytes(-len(data) % size)


def method_call(serial, path, interface, member, signature="", body=b""):
    """A method call as bytes, little endian."""
    fields = b""
    for code, kind, value in ((1, b"o", path), (2, b"s", interface), (3, b"s", member), (8, b"g", signature)):
        if code == 8 and not signature:
            continue
        fields = aligned(fields, 8) + struct.pack("<BB", code, 1) + kind + b"\0"
        if kind == b"g":
            fields += struct.pack("<B", len(value)) + value.encode() + b"\0"
        else:
            fields = aligned(fields, 4) + struct.pack("<I", len(value)) + value.encode() + b"\0"
    return aligned(struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(fields)) + fields, 8) + body


class Peer:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(socket_path(address))
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.socket.recv(4096).startswith(b"OK ")
        self.socket.sendall(b"BEGIN\r\n")
        self.serial = 0

    def _read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            assert piece, "the daemon hung up"
            data += piece
        return data

    def call(self, interface, member, signature="", body=b""):
        """Calls a method of the manager, and returns the messages that came before its answer."""
        self.serial += 1
        self.socket.sendall(method_call(self.serial, "/org/bitsq1", interface, member, signature, body))
        before = []
        while True:
            head = self._read(16)
            body_bytes, _, fields_bytes = struct.unpack("<III", head[4:])
            rest = self._read(fields_bytes + -fields_bytes % 8 + body_bytes)
            assert head[1] != 3, rest
            if head[1] == 2:
                return before
            before.append(head + rest)

    def flood(self, message, count):
        """Sends MESSAGE up to COUNT times without reading; returns how often it went out before nothing moved."""
        self.socket.settimeout(1)
        for sent in range(count):
            try:
                self.socket.sendall(message)
            except OSError:  # full for a second, or closed by the daemon: both are its right
                return sent
        return count

    def close(self):
        self.socket.close()
