# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scripted server whose application answers an upload with a file."""
import re

from server.scripted import Answer, BitsSession


class ReplySession(BitsSession):
    """Names the reply with the Ack to the last byte, and serves it by ranges; "GET" in the script replaces an answer."""

    def __init__(self, data, url=None, **more):
        super().__init__(**more)
        self.data, self.reply_url = data, url
        self.modified = "Mon, 23 Nov 2026 10:00:00 GMT"
        self.gets = 0

    def scripted(self, request):
        if request.method == "GET":
            return self.script.get(("GET", request.packet_number), self.script.get("GET"))
        return super().scripted(request)

    def carry_out(self, request):
        if request.method == "GET":
            return self._get(request)
        answer = super().carry_out(request)
        if request.packet == "Fragment" and answer.status == 200 and request.range[1] + 1 == request.range[2]:
            answer = answer.but(BITS_Reply_URL=self.reply_url)
        return answer

    def _get(self, request):
        text = request.header("Range")
        if text is None:
            return Answer(200, [("Last-Modified", self.modified)], self.data)
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", text).groups())
        last = min(last, len(self.data) - 1)
        if first > last:
            return Answer(416, [("Content-Range", f"bytes */{len(self.data)}")])
        return Answer(206, [("Last-Modified", self.modified),
                            ("Content-Range", f"bytes {first}-{last}/{len(self.data)}")], self.data[first:last + 1])
