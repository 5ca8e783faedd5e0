# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon senses of its machine, in machines that a test can make: namespaces, and services that are mocks."""
import os
import signal
import subprocess
import sys
import threading

import dbus
import dbus.bus
import pytest

from support import tree
from support.session_bus import SessionBus
from support.wait import DEADLINE_S, poll

WATCH = tree.BUILD / "tests" / "support" / "sense-watch"
MOCK = "org.freedesktop.DBus.Mock"


# Makes a tunnel, and is its other end.
TUNNEL = """
import fcntl, os, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), 0x1001))
print("ready", flush=True)
sys.stdin.read()
"""


class Namespace:
    """Namespaces of KINDS ("net", "mount") where the test is root, with the same users as BESIDE: links may go there."""

    def __init__(self, *kinds, beside=None):
        self.flags = [f"--{kind}" for kind in kinds]
        begin = ["unshare", "--map-root-user"]
        if beside:
            begin = ["nsenter", f"--target={beside.holder.pid}", "--user", "--preserve-credentials", "unshare"]
        self.holder = subprocess.Popen([*begin, *self.flags, "sh", "-c", "echo ready; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes = []
        self._started(self.holder, "namespaces")

    def _started(self, process, what):
        self.processes.append(process)
        if process.stdout.readline() != "ready\n":
            why = process.communicate()[1]
            pytest.skip(f"{what} cannot be made here: {why.strip()}")

    @property
    def prefix(self):
        """A command behind it runs there, as the same process."""
        return ["nsenter", f"--target={self.holder.pid}", "--user", "--preserve-credentials", *self.flags]

    def run(self, *command, text=None):
        done = subprocess.run([*self.prefix, *command], input=text, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def ip(self, *lines):
        """Each line is a command of ip(8); all are run by one."""
        self.run("ip", "-batch", "-", text="\n".join(lines))

    def link(self, name, *addresses):
        """A link that is up, with a carrier: its other end is NAME-peer, without an address."""
        self.ip(f"link add {name} type veth peer name {name}-peer", f"link set {name}-peer up",
                *(f"addr add {address} dev {name} {'nodad' if ':' in address else ''}" for address in addresses),
                f"link set {name} up")

    def tunnel(self, name):
        """A tunnel with somebody at its other end."""
        self._started(subprocess.Popen([*self.prefix, sys.executable, "-c", TUNNEL, name], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), "tunnels")

    def stop(self):
        for process in reversed(self.processes):
            process.communicate("")


class Watch:
    """A sense-watch: what it is asked it answers, and what happens it tells."""

    def __init__(self, home, *arguments, prefix=(), env=None):
        self.errors = home.path / "sense-watch.stderr"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*prefix, WATCH, *arguments], env={**home.env, **(env or {})}, text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.events, self.answers, self.asked = [], [], 1
        threading.Thread(target=self._read, daemon=True).start()
        assert self._answer(0) == "ready"

    def _read(self):
        for line in self.process.stdout:
            (self.answers if line[0] == "=" else self.events).append(line[2:].rstrip("\n"))

    def _answer(self, number):
        poll(lambda: len(self.answers) > number, lambda: f"an answer; {self.errors.read_text()}")
        return self.answers[number]

    def ask(self, *words):
        """The answer to a command; of several lines, which arrive together, the answer to the last."""
        command = " ".join(words) + "\n"
        self.asked += command.count("\n")
        self.process.stdin.write(command)
        self.process.stdin.flush()
        return self._answer(self.asked - 1)

    def until(self, answer, *words):
        """Asks until the answer is ANSWER."""
        seen = []

        def right():
            seen[:] = [self.ask(*words)]
            return seen[0] == answer
        poll(right, lambda: f"{' '.join(words)} is {answer!r}, but {seen[0]!r}")

    def told(self, count, event="changed"):
        """Waits until EVENT was told COUNT times."""
        poll(lambda: self.events.count(event) >= count, lambda: f"{count} times {event}, but {self.events}")

    def paused(self):
        """With it: nothing is read by it meanwhile."""
        return Paused(self.process)

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(DEADLINE_S)
        assert code == 0, self.errors.read_text()


class Paused:
    def __init__(self, process):
        self.process = process

    def __enter__(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)


class SystemBus:
    """A bus on which mocks are what the services of a system are."""

    def __init__(self, home):
        self.home, self.mocks = home, {}
        self.address = f"unix:path={home.runtime / 'bus'}"
        self.daemon = self.connection = None

    def start(self):
        self.daemon = SessionBus(self.home, activation=False)
        self.connection = dbus.bus.BusConnection(self.address)
        self.connection.set_exit_on_disconnect(False)
        return self

    def mock(self, name, template, **parameters):
        """Starts the mock of NAME; it is there when this returns."""
        words = [sys.executable, "-m", "dbusmock", "--system", "--template", template]
        if parameters:
            words += ["--parameters", str(parameters).replace("'", '"').replace("True", "true")]
        with open(self.home.path / f"{template}.log", "ab") as log:
            self.mocks[name] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env={**self.home.env, "DBUS_SYSTEM_BUS_ADDRESS": self.address})
        poll(lambda: self.connection.name_has_owner(name), f"{name} is on the bus")

    def object(self, name, path):
        return self.connection.get_object(name, path, introspect=False)

    def set(self, name, path, interface, **values):
        """Sets properties, which the mock tells of."""
        mock = self.object(name, path)
        mock.UpdateProperties(interface, dbus.Dictionary(values, signature="sv"), dbus_interface=MOCK)

    def end_mock(self, name):
        process = self.mocks.pop(name)
        process.terminate()
        process.wait(DEADLINE_S)

    def stop(self):
        """The bus goes first and at once: nothing is heard of what goes with it."""
        if self.daemon:
            self.connection.close()
            self.daemon.process.kill()
            self.daemon.stop()
        self.daemon = None
        for name in list(self.mocks):
            self.end_mock(name)


class NetworkManager:
    """The mock of the service of that name, and devices for it."""
    NAME = "org.freedesktop.NetworkManager"
    PATH = "/org/freedesktop/NetworkManager"
    DEVICE = f"{NAME}.Device"
    UPLINK = f"{PATH}/Devices/uplink"

    def __init__(self, bus):
        self.bus, self.devices = bus, []

    def start(self):
        self.devices = []
        self.bus.mock(self.NAME, "networkmanager")
        self.bus.object(self.NAME, self.PATH).AddProperties(self.NAME, {"Metered": dbus.UInt32(0)},
                                                            dbus_interface=MOCK)

    def add(self, device, interface, **values):
        """A device, which the manager then tells of."""
        path = f"{self.PATH}/Devices/{device}"
        values = dbus.Dictionary({"Interface": interface, **values}, signature="sv")
        methods = dbus.Array([], signature="(ssss)")
        self.bus.object(self.NAME, self.PATH).AddObject(path, self.DEVICE, values, methods, dbus_interface=MOCK)
        self.devices.append(dbus.ObjectPath(path))
        self.set(Devices=dbus.Array(self.devices, signature="o"))

    def set(self, **values):
        self.bus.set(self.NAME, self.PATH, self.NAME, **values)

    def set_device(self, path=UPLINK, **values):
        self.bus.set(self.NAME, path, self.DEVICE, **values)

    @staticmethod
    def states(metered=0, ipv4=0, ipv6=0):
        return {"Metered": dbus.UInt32(metered), "Ip4Connectivity": dbus.UInt32(ipv4),
                "Ip6Connectivity": dbus.UInt32(ipv6)}
