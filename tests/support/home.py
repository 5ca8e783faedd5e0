# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user of one's own for each test: folders, configuration, and the programs as that user runs them."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from support import tree
from support.bus import BUS_NAME, Bus, connect_error
from support.wait import DEADLINE_S, POLL_S, poll

BITSQD = tree.BUILD / "daemon" / "bitsqd"
BITSQ = tree.BUILD / "cli" / "bitsq"

REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion .* failed|SUMMARY: \w+Sanitizer")

# Quick where a user would wait, patient where a loaded machine would be late.
DEFAULTS = {"RetryDelay": "100ms", "RetryDelayMax": "1s", "ResponseTimeout": "30s"}
TEST_KEYS = ("FragmentFloor", "HookRetryDelay", "SystemctlPath")


class Result:
    """What a command printed, and how it ended."""

    def __init__(self, arguments, done):
        self.arguments, self.code, self.out, self.err = arguments, done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"bitsq {' '.join(map(str, self.arguments))}: exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def ids(self):
        return [int(line) for line in self.out.split()]


class Home:
    def __init__(self):
        # Short: a socket's path has 107 bytes, and pytest's folders take most of them.
        self.path = Path(tempfile.mkdtemp(prefix="bitsq-test-"))
        self.state = self.path / "state" / "bitsq"
        self.log = self.path / "bitsqd.stderr"
        self.runtime = self.path / "run"
        self.runtime.mkdir(mode=0o700)
        (self.path / "config" / "bitsq").mkdir(parents=True)
        (self.path / "state").mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "USER": os.environ.get("USER", "tester"), "TERM": "dumb",
            "HOME": str(self.path), "XDG_STATE_HOME": str(self.path / "state"),
            "XDG_CONFIG_HOME": str(self.path / "config"), "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CACHE_HOME": str(self.path / "cache"), "XDG_DATA_HOME": str(self.path / "data"),
            "BITSQ_DAEMON": str(BITSQD), **tree.SANITIZERS,
        }
        self.daemons = []
        self.wrapper = []  # what the daemon is started with, as ["ip", "netns", "exec", NAME]
        self.message_bus = None  # the address of the bus that callers of the daemon are to take
        self.config()

    @property
    def config_file(self):
        return self.path / "config" / "bitsq" / "bitsqd.conf"

    def config(self, text=None, **keys):
        """Writes the configuration: DEFAULTS and KEYS; those that only tests may set go into their section."""
        if text is None:
            keys = {**DEFAULTS, **keys}
            loosened = {key: keys.pop(key) for key in TEST_KEYS if key in keys}
            text = "[bitsqd]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())
            if loosened:
                text += "[Test]\n" + "".join(f"{key}={value}\n" for key, value in loosened.items())
        self.config_file.write_text(text, encoding="utf-8")

    def file(self, name="file.bin", data=None, size=None):
        """A source file; with SIZE alone its bytes are a pattern that shows where they belong."""
        path = self.path / name if isinstance(name, str) else Path(os.fsdecode(bytes(self.path) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            unit = b"".join(i.to_bytes(4, "big") for i in range(16384))
            data = (unit * (size // len(unit) + 1))[:size]
        path.write_bytes(data)
        return path

    def bitsq(self, *arguments, timeout=DEADLINE_S, stdin=None, env=None, text=True, program=BITSQ, **popen):
        """Runs the command line to its end; a sanitizer's report fails the test whatever the exit code."""
        done = subprocess.run([program, *arguments], capture_output=True, text=text, timeout=timeout,
                              env={**self.env, **(env or {})}, cwd=self.path,
                              **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}), **popen)
        result = Result(arguments, done)
        errors = done.stderr if text else done.stderr.decode(errors="replace")
        assert not REPORT.search(errors), result
        return result

    def start_bitsq(self, *arguments, **popen):
        """Starts the command line and returns the process."""
        return subprocess.Popen([BITSQ, *arguments], cwd=self.path, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{"env": self.env, **popen})

    def daemon(self, *arguments, **keys):
        """Starts bitsqd as a child, with the configuration KEYS where any are given; returns when it can be called."""
        if keys:
            self.config(**keys)
        daemon = Daemon(self, arguments)
        self.daemons.append(daemon)
        daemon.start()
        return daemon

    def processes(self):
        """Pids of all processes that have this home in their environment."""
        mark = f"HOME={self.path}".encode()
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                        if Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                            yield int(entry)
                except OSError:
                    continue

    def logs(self):
        texts = [path.read_text(errors="replace") for path in (self.log, self.state / "bitsqd.log") if path.exists()]
        return "\n".join(texts)

    def done(self):
        """Ends what runs; whatever ended badly or was left over fails the test."""
        problems = []
        try:
            for daemon in self.daemons:
                if daemon.process is not None:
                    problems += daemon.stop()
            # What the library started belongs to nobody else: ask it to leave, as `bitsq daemon stop` does.
            for pid in list(self.processes()):
                with contextlib.suppress(ProcessLookupError):  # the spawner ends with its daemon
                    os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + DEADLINE_S
            while (left := list(self.processes())) and time.monotonic() < end:
                time.sleep(POLL_S)
            for pid in left:
                problems.append(f"process {pid} did not end on SIGTERM")
                os.kill(pid, signal.SIGKILL)
            if REPORT.search(self.logs()):
                problems.append("a sanitizer or an assert reported")
        finally:
            text = self.logs()
            shutil.rmtree(self.path, ignore_errors=True)
        assert not problems, f"{problems}\n--- log of the daemon\n{text}"


class Daemon:
    def __init__(self, home, arguments=()):
        self.home, self.arguments, self.process = home, arguments, None
        self._bus = None

    def start(self, wait=True, **popen):
        assert self.process is None
        with open(self.home.log, "ab") as log:
            self.process = subprocess.Popen([*self.home.wrapper, BITSQD, *self.arguments], env=self.home.env, cwd="/", stderr=log,
                                            stdin=subprocess.DEVNULL, stdout=log, **popen)
        if wait:
            poll(self.is_ready, lambda: f"the daemon can be called\n{self.home.logs()}")

    def is_ready(self):
        assert self.process.poll() is None, f"bitsqd ended with {self.process.returncode}\n{self.home.logs()}"
        try:
            address = (self.home.state / "address").read_text().strip()
        except FileNotFoundError:
            return False
        if connect_error(address):
            return False
        if self.home.message_bus:
            self._bus = self._bus or Bus(self.home.message_bus, BUS_NAME)
            return self._bus.is_there()
        self._bus = Bus(address)
        return True

    @property
    def bus(self):
        return self._bus

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        """SIGKILL, as a crash or the kernel's out-of-memory killer would."""
        self._forget_bus()
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process = None

    def restart(self):
        self.start()

    def reconnect(self):
        self._forget_bus()
        poll(self.is_ready, lambda: f"the daemon can be called\n{self.home.logs()}")

    def _forget_bus(self):
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def stop(self):
        """SIGTERM; returns what was wrong with the end."""
        self._forget_bus()
        process, self.process = self.process, None
        process.terminate()
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return ["bitsqd did not end on SIGTERM"]
        return [] if code == 0 else [f"bitsqd ended with {code} on SIGTERM"]
