# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways in which conformance is proved: how the daemon reaches the server, and how the caller reaches the daemon."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Way:
    scheme: str  # of the URL
    bus: str     # "session", or "private" for the daemon's own socket

    def __str__(self):
        return f"{self.scheme}-{self.bus}"


ALL = [Way(scheme, bus) for scheme in ("http", "https") for bus in ("private", "session")]
