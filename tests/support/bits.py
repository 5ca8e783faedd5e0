# SPDX-License-Identifier: LGPL-2.1-or-later
"""The BITS server of this tree, as a process."""
import json
import signal
import subprocess
from pathlib import Path

from support import tree

BITS_SERVER = tree.BUILD / "tests" / "server" / "bits-server"
DEADLINE_S = 60


class BitsServer:
    def __init__(self, folder, *options, port=0, listen="127.0.0.1", prefix=()):
        self.root, self.log_path = Path(folder) / "root", Path(folder) / "server.log"
        self.root.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [*prefix, BITS_SERVER, "--root", self.root, "--log", self.log_path, "--listen", f"{listen}:{port}", *options],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"bits-server said {line!r}"
        self.url = line.split()[-1].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def requests(self, packet=None):
        """What the server wrote about each request, in the order of their ends."""
        if not self.log_path.exists():
            return []
        lines = self.log_path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if packet is None or entry["packet"] == packet]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        return code
