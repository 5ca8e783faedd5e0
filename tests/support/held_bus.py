# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands between a program and a message bus, and keeps a message back until it is let go."""
import fcntl
import socket
import struct
import termios
import threading

from support.bus import socket_path


def shut_down(*sockets):
    for end in sockets:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class HeldBus:
    """What the program sends waits from TEXT on, until let_go(); `asked` says that it does."""

    def __init__(self, path, address, text):
        self.target, self.text = socket_path(address), text
        self.address = f"unix:path={path}"
        self.asked, self.going = threading.Event(), threading.Event()
        self.sockets = []
        self.heard = b""  # all that the program was sent
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            bus = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            bus.connect(self.target)
            self.sockets += [client, bus]
            threading.Thread(target=self._pump, args=(client, bus, self._hold), daemon=True).start()
            threading.Thread(target=self._pump, args=(bus, client, self._hear), daemon=True).start()

    def _hold(self, data):
        if self.text in data:
            self.asked.set()
            self.going.wait()

    def _hear(self, data):
        self.heard += data

    @staticmethod
    def _pump(source, target, watch):
        try:
            while data := source.recv(1 << 16):
                watch(data)
                target.sendall(data)
        except OSError:
            pass
        finally:
            shut_down(source, target)

    def has_read(self, text, count):
        """Whether the program has read COUNT messages with TEXT in them, and all else that came."""
        unread = struct.unpack("i", fcntl.ioctl(self.sockets[0], termios.TIOCOUTQ, bytes(4)))[0]
        return self.heard.count(text) == count and unread == 0

    def let_go(self):
        self.going.set()

    def stop(self):
        """What was kept back is lost."""
        shut_down(self.listener, *self.sockets)
        self.let_go()
        for end in (self.listener, *self.sockets):
            end.close()
