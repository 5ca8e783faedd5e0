# SPDX-License-Identifier: LGPL-2.1-or-later
"""The BITS server that a ScriptedServer is unless its test gives it another handler."""
import tempfile
import threading
import uuid
from pathlib import Path

from server.scripted_answers import Action, ack

PROTOCOL = "{7df0354d-249b-430f-820d-3d2a9bef4931}"


class Session:
    def __init__(self, ident, target, path):
        self.id, self.target, self.path = ident, target, path
        self.file = open(path, "w+b")  # pylint: disable=consider-using-with
        self.next, self.total = 0, None  # as acknowledged; as the first Fragment said
        self.body_received = 0  # all bytes of Fragment bodies, torn and repeated ones too


class BitsSession:
    """A well-behaved handler for any number of sessions, whose single answers are replaced through `script`.

    script maps ("Fragment", 2) (the second of its type over the server's life) or "Fragment" (every other one) to what
    happens instead: an Answer or bytes are sent and an Action is taken with the request not carried out; a function is
    called as function(request, normal) and returns one of them, where normal() carries the request out and returns
    the ordinary Answer.
    """

    def __init__(self, strict=False, keep_partial=True, session_id=None):
        self.strict = strict  # 416 to any start but the next offset; else overlaps are trimmed
        self.keep_partial = keep_partial  # a torn Fragment counts as far as it came
        self.session_id = session_id or (lambda: "{" + str(uuid.uuid4()).upper() + "}")
        self.script = {}
        self.files = {}  # target -> Path of what Close-Session has published
        self.sessions = {}  # id -> Session, open ones
        self.history = []  # every Session there was
        self._folder = tempfile.TemporaryDirectory(prefix="scripted-")  # pylint: disable=consider-using-with
        self._lock = threading.RLock()

    def close(self):
        for session in self.history:
            session.file.close()
        self._folder.cleanup()

    def scripted(self, request):
        return self.script.get((request.packet, request.packet_number), self.script.get(request.packet))

    def at_head(self, request, _connection):
        outcome = self.scripted(request)
        return outcome if isinstance(outcome, Action) and outcome.at_head else None

    def _refusal(self, request, session):
        """What stands against storing this Fragment, as an Answer, or None."""
        bad = ack(400, BITS_Error_Code="0x80070057", BITS_Error_Context="0x5")
        if request.range is None:
            return bad
        first, last, total = request.range
        if last - first + 1 != request.content_length or last >= total or session.total not in (None, total):
            return bad
        if first > session.next or (self.strict and first != session.next):
            return ack(416, next=session.next)
        return None

    def on_body(self, request, position, data):
        """Stores a piece of a body that is accepted; bytes that were acknowledged before stay as they are."""
        with self._lock:
            session = self.sessions.get(request.session)
            if session is None:
                return
            session.body_received += len(data)
            if position == 0:
                outcome = self.scripted(request)
                carried_out_perhaps = outcome is None or isinstance(outcome, Action) or callable(outcome)
                request.accepted = carried_out_perhaps and self._refusal(request, session) is None
                request.base = session.next
            if not request.accepted:
                return
            start = request.range[0] + position
            skip = max(0, request.base - start)
            if skip < len(data):
                session.file.seek(start + skip)
                session.file.write(data[skip:])

    def on_torn(self, request):
        """The body of this request ended early."""
        with self._lock:
            session = self.sessions.get(request.session)
            if session is not None and self.keep_partial and getattr(request, "accepted", False):
                session.total = request.range[2]
                session.next = max(session.next, request.range[0] + request.body_received)

    def __call__(self, request, connection):
        outcome = self.scripted(request)
        if outcome is None:
            return self.carry_out(request)
        return outcome(request, lambda: self.carry_out(request)) if callable(outcome) else outcome

    def carry_out(self, request):
        """Does what a healthy server does, and returns its Answer."""
        with self._lock:
            if request.packet == "Create-Session":
                return self._create(request)
            if request.packet == "Ping":
                return ack()
            session = self.sessions.get(request.session)
            if session is None or session.target != request.target:
                return ack(500, BITS_Error_Code="0x8020001F", BITS_Error_Context="0x5")
            if request.packet == "Fragment":
                return self._fragment(request, session)
            if request.packet in ("Close-Session", "Cancel-Session"):
                return self._end(request, session)
            return ack(400, BITS_Error_Code="0x80070057", BITS_Error_Context="0x5")

    def _create(self, request):
        path = Path(self._folder.name) / str(len(self.history))
        session = Session(self.session_id(), request.target, path)
        self.sessions[session.id] = session
        self.history.append(session)
        request.session = session.id
        return ack(session=session.id, BITS_Protocol=PROTOCOL, Accept_Encoding="identity")

    def _fragment(self, request, session):
        refusal = self._refusal(request, session)
        if refusal is not None:
            return refusal
        session.total = request.range[2]
        session.next = max(session.next, request.range[1] + 1)
        return ack(next=session.next)

    def _end(self, request, session):
        del self.sessions[session.id]
        session.file.close()
        if request.packet == "Close-Session" and session.total in (None, session.next):
            self.files[session.target] = session.path
        return ack()
