# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus caller of the daemon, on its private socket or on a message bus."""
import socket

import dbus
import dbus.connection
import dbus.lowlevel

from support.wait import poll

BUS_NAME = "org.bitsq1"
MANAGER = "org.bitsq1.Manager"
JOB = "org.bitsq1.Job"
ROOT = "/org/bitsq1"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
CALL_TIMEOUT_S = 60


def socket_path(address):
    """What connect(2) takes: a path, or an abstract name behind a NUL."""
    fields = dict(field.split("=", 1) for field in address.removeprefix("unix:").split(","))
    if "path" in fields:
        return dbus_unescape(fields["path"])
    return b"\0" + dbus_unescape(fields["abstract"])


def dbus_unescape(value):
    out, rest = b"", value.encode()
    while rest:
        if rest[:1] == b"%":
            out, rest = out + bytes.fromhex(rest[1:3].decode()), rest[3:]
        else:
            out, rest = out + rest[:1], rest[1:]
    return out


def connect_error(address):
    """None where somebody listens at ADDRESS."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(socket_path(address))
        except OSError as error:
            return error
    return None


class BusError(Exception):
    """An error reply: its name without the prefix, and its sentence."""

    def __init__(self, error):
        super().__init__(f"{error.get_dbus_name()}: {error.get_dbus_message()}")
        self.name = error.get_dbus_name().rsplit(".", 1)[-1]
        self.message = error.get_dbus_message()


def plain(value):
    """VALUE without the types of dbus-python."""
    if isinstance(value, (dbus.Boolean, bool)):
        return bool(value)
    if isinstance(value, dbus.ByteArray):
        return bytes(value)
    if isinstance(value, dbus.Dictionary):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, dbus.Array):
        if value.signature == "y":
            return bytes(value)
        return [plain(entry) for entry in value]
    if isinstance(value, (dbus.Struct, tuple)):
        return tuple(plain(entry) for entry in value)
    if isinstance(value, str):
        return str(value)
    return int(value) if isinstance(value, int) else value


def option(value):
    """By its Python type: numbers are t, tuples (tt), lists as, bytes a path."""
    if isinstance(value, bool):
        return dbus.Boolean(value)
    if isinstance(value, int):
        return dbus.UInt64(value)
    if isinstance(value, bytes):
        return dbus.ByteArray(value)
    if isinstance(value, tuple):
        return dbus.Struct(map(dbus.UInt64, value), signature="tt")
    if isinstance(value, list):
        return dbus.Array(value, signature="s")
    return dbus.String(value)


def options(values):
    return dbus.Dictionary({key: option(value) for key, value in values.items()}, signature="sv")


FILTER_TYPES = {
    "ids": lambda ids: dbus.Array(ids, signature="t"), "ranges": lambda pairs: dbus.Array(pairs, signature="(tt)"),
    "state": lambda names: dbus.Array(names, signature="s"), "owner": dbus.UInt32, "all": dbus.Boolean,
    "group": dbus.String, "key": dbus.String,
}


def query(values):
    return dbus.Dictionary({key: FILTER_TYPES[key](value) for key, value in values.items()}, signature="sv")


class Bus:
    """The manager, called over a private socket or (with NAME) over a message bus."""

    def __init__(self, address, name=None):
        self.name = name
        if name is None:
            self.connection = dbus.connection.Connection(address)
        else:
            self.connection = dbus.bus.BusConnection(address)
            self.connection.set_exit_on_disconnect(False)  # else a bus that stops ends the tests

    def close(self):
        self.connection.close()

    def is_there(self):
        """Whether a daemon has the name on the message bus."""
        return bool(self.connection.name_has_owner(self.name))

    def call(self, path, interface, method, signature, *arguments):
        try:
            return plain(self.connection.call_blocking(self.name, path, interface, method, signature, arguments,
                                                       timeout=CALL_TIMEOUT_S, byte_arrays=True))
        except dbus.DBusException as error:
            raise BusError(error) from None

    def manager(self, method, signature="", *arguments):
        return self.call(ROOT, MANAGER, method, signature, *arguments)

    def add(self, source, url, **values):
        """AddJob; returns the id."""
        source = dbus.ByteArray(bytes(source))
        return self.manager("AddJob", "aysa{sv}", source, url, options(values))[0]

    def add_many(self, source, url, count, **values):
        """AddJobs, 1,000 a call, with URL and a number for each; returns the ids."""
        source, chosen, ids = dbus.ByteArray(bytes(source)), options(values), []
        for start in range(0, count, 1000):
            rows = [dbus.Struct((source, f"{url}{number}", chosen), signature="aysa{sv}")
                    for number in range(start, min(start + 1000, count))]
            ids += self.manager("AddJobs", "a(aysa{sv})a{sv}", rows, options({}))
        return ids

    def counts(self):
        """Jobs by state, without the states that have none."""
        counts = self.manager("CountJobs", "a{sv}", query({"all": True}))
        return {state: count for state, count in counts.items() if count > 0}

    def job(self, job_id):
        """All properties of a job."""
        return self.call(f"{ROOT}/jobs/{job_id}", PROPERTIES, "GetAll", "s", JOB)

    def get(self, name):
        return self.call(ROOT, PROPERTIES, "Get", "ss", MANAGER, name)

    def verb(self, job_id, method):
        return self.call(f"{ROOT}/jobs/{job_id}", JOB, method, "")

    def query(self, after=0, limit=1000, **values):
        return self.manager("QueryJobs", "a{sv}tu", query(values), dbus.UInt64(after), dbus.UInt32(limit))

    def control(self, verb, **values):
        return self.manager("ControlJobs", "sa{sv}a{sv}", verb, query(values), options({}))

    def introspect(self, path=ROOT):
        return self.call(path, INTROSPECTABLE, "Introspect", "")

    def wait(self, job_id, *states, deadline_s=60):
        """The job's properties once it is in one of STATES."""
        seen = []

        def reached():
            seen[:] = [self.job(job_id)]
            return seen[0] if seen[0]["State"] in states else None
        return poll(reached, lambda: f"job {job_id} is {' or '.join(states)}, but {seen[0]}", deadline_s)
