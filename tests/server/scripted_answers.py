# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a ScriptedServer can do with a request: answers, byte for byte, and actions on the connection."""


class Answer:
    """A response: status, headers in order, body. Content-Length is added unless headers name it (None: leave out)."""

    def __init__(self, status=200, headers=(), body=b"", reason="Scripted"):
        self.status, self.headers, self.body, self.reason = status, list(headers), body, reason

    def but(self, status=None, body=None, **headers):
        """A copy with changes: headers as Content_Length="5"; None removes one."""
        changed = Answer(self.status if status is None else status, self.headers,
                         self.body if body is None else body, self.reason)
        for name, value in headers.items():
            name = name.replace("_", "-")
            changed.headers = [pair for pair in changed.headers if pair[0].lower() != name.lower()]
            changed.headers.append((name, value))
        return changed

    def __bytes__(self):
        headers = list(self.headers)
        if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            headers.append(("Content-Length", len(self.body)))
        lines = [f"HTTP/1.1 {self.status} {self.reason}"] + [f"{n}: {v}" for n, v in headers if v is not None]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body

    @property
    def closes(self):
        return any(n.lower() == "connection" and str(v).lower() == "close" for n, v in self.headers)


def ack(status=200, next=None, session=None, body=b"", **headers):  # pylint: disable=redefined-builtin
    """An Ack. ack(200, next=4096), ack(500, BITS_Error_Code="0x8020001F"), ack(200, Content_Length=None)."""
    answer = Answer(status, [("BITS-Packet-Type", "Ack")], body)
    if session is not None:
        answer.headers.append(("BITS-Session-Id", session))
    if next is not None:
        answer.headers.append(("BITS-Received-Content-Range", next))
    return answer.but(**headers)


class Action:
    """What happens to a connection, where an answer alone does not say it. Use the functions below."""

    def __init__(self, kind, data=b"", after_bytes=None, seconds=0.0):
        self.kind, self.data, self.after_bytes, self.seconds = kind, data, after_bytes, seconds

    @property
    def at_head(self):
        return self.after_bytes is not None or self.kind == "early"


def drop():
    """Reset the connection instead of answering."""
    return Action("drop")


def drop_after_bytes(count):
    """Reset the connection once so many bytes of the body were read; 0: with the head."""
    return Action("drop", after_bytes=count)


def stall():
    """Never answer; the connection stays open until the client or the server ends."""
    return Action("stall")


def stall_after_bytes(count):
    """Stop reading the body there, for ever."""
    return Action("stall", after_bytes=count)


def close():
    """End the connection in order, without an answer."""
    return Action("close")


def hold_open(data):
    """Send this (an Answer or bytes), then nothing more, on a connection that stays open."""
    return Action("hold", data)


def send_and_close(data):
    """Send this, then end the connection in order."""
    return Action("send-close", data)


def send_and_drop(data):
    """Send this, then reset the connection."""
    return Action("send-drop", data)


def early(data):
    """Answer before the body is read, then end the connection."""
    return Action("early", data)


def delayed(seconds, data):
    """Answer after a while."""
    return Action("delay", data, seconds=seconds)


def carried_out(action):
    """For scripts: do what a healthy server does, then this instead of its answer."""
    return lambda request, normal: (normal(), action)[1]
