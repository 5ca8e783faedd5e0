# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benches share: a Release build, a server, a daemon of their own, and how figures are said.

A figure is printed as one line, `name value unit target`, and written with all that belongs to it to a JSON file, from
which a plot can be drawn. A bench judges nothing: its exit code says only whether it could measure.
"""
import argparse
import contextlib
import json
import math
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
NAMESPACE_MARK = "BITSQ_BENCH_NAMESPACE"


def parser(description):
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--build", type=Path, default=ROOT / "build-bench",
                           help="Release build folder, configured and built if need be (%(default)s)")
    arguments.add_argument("--json", type=Path, help="where the figures go (BUILD/figures/NAME.json)")
    arguments.add_argument("--folder", type=Path, default=Path("/dev/shm"),
                           help="where source files and what arrives are (%(default)s)")
    return arguments


def die(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


# ---- the programs ----

class Programs:
    """Builds the programs in Release; their paths."""

    def __init__(self, build):
        cache = build / "CMakeCache.txt"
        if not cache.exists():
            self._run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                      "-DBITSQ_TESTS=OFF", "-DBITSQ_SERVER=ON", "-DPython3_EXECUTABLE=/usr/bin/python3")
        lines = cache.read_text(encoding="utf-8").splitlines()
        if "CMAKE_BUILD_TYPE:STRING=Release" not in lines or "BITSQ_SANITIZE:BOOL=ON" in lines:
            die(f"{build} is no plain Release build; give another folder with --build")
        self._run("ninja", "-C", build)
        self.server = build / "tests/server/bits-server"
        self.daemon = build / "daemon/bitsqd"
        self.command = build / "cli/bitsq"

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            die(f"{command[0]} failed:\n{done.stdout}")


@contextlib.contextmanager
def folder_in(place):
    folder = Path(tempfile.mkdtemp(prefix="bitsq-bench.", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_file(path, size):
    """Random bytes, so that no layer can make fewer of them."""
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(os.urandom(min(size, 4 * MIB)))


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def server(programs, root, *options):
    """A bits-server over ROOT; its URL."""
    root.mkdir(exist_ok=True)
    process = subprocess.Popen([programs.server, "--root", root, *options], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            die("bits-server did not start; its message is above")
        yield line.removeprefix("listening on ").strip(), process.pid
    finally:
        stop(process)


class Daemon:
    """A bitsqd with a queue of its own, out of reach of any bus; bitsq() talks to it."""

    def __init__(self, programs, folder):
        self.programs = programs
        home = folder / "home"
        for name in ("state", "config", "run"):
            (home / name).mkdir(parents=True, mode=0o700)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**kept, "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"),
                            "XDG_RUNTIME_DIR": str(home / "run"), "BITSQ_DAEMON": str(programs.daemon)}
        ready = home / "ready"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(ready))
            notify.settimeout(30)
            with open(home / "log", "wb") as log:
                self.process = subprocess.Popen([programs.daemon], stdout=log, stderr=log,
                                                env={**self.environment, "NOTIFY_SOCKET": str(ready)})
            try:
                while b"READY=1" not in notify.recv(4096).split(b"\n"):
                    pass
            except TimeoutError:
                stop(self.process)
                die("bitsqd did not become ready in 30 seconds:\n" + (home / "log").read_text(errors="replace"))
        self.pid = self.process.pid

    def bitsq(self, *words, **more):
        return subprocess.run([self.programs.command, *words], env=self.environment, text=True, check=True,
                              stdout=subprocess.PIPE, **more).stdout

    def spawn_bitsq(self, *words):
        return subprocess.Popen([self.programs.command, *words], env=self.environment, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


# ---- what the kernel knows of a process ----

def cpu_seconds(pid):
    """User and system time of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def status_fields(path):
    return dict(line.split(":\t", 1) for line in path.read_text(encoding="ascii", errors="replace").splitlines()
                if ":\t" in line)


def rss_anon_bytes(pid):
    return int(status_fields(Path(f"/proc/{pid}/status"))["RssAnon"].split()[0]) * 1024


def wakeups(pid):
    """How often each thread has given up the processor of its own accord, so that something woke it again."""
    return {int(task.name): int(status_fields(task / "status")["voluntary_ctxt_switches"])
            for task in Path(f"/proc/{pid}/task").iterdir()}


def await_child(process):
    """Waits for a child: (exit code, CPU seconds)."""
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    return process.returncode, usage.ru_utime + usage.ru_stime


# ---- the network ----

def enter_namespace():
    """Runs this program again in a network namespace of its own, where loopback is under cubic.

    Under bbr one curl against another scatters from 0.8 to 1.6 of its time.
    """
    if os.environ.get(NAMESPACE_MARK):
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    routes = "".join(
        f"ip route replace local {net} dev lo proto kernel scope host src 127.0.0.1 table local congctl cubic && "
        for net in ("127.0.0.1", "127.0.0.0/8"))
    os.environ[NAMESPACE_MARK] = "1"
    os.execvp(unshare[0], [*unshare, "sh", "-c", f'ip link set lo up && {routes}exec "$@"', "sh", sys.executable,
                           *sys.argv])


# ---- figures ----

def median_interval(values):
    """(median, low, high): the 95 % interval of the median by order statistics, whatever the distribution."""
    ordered = sorted(values)
    count = len(ordered)
    rank, tail = 0, 0.0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2 ** count
        if tail > 0.025:
            break
        rank = k + 1
    low, high = (ordered[rank - 1], ordered[count - rank]) if rank > 0 else (ordered[0], ordered[-1])
    return statistics.median(ordered), low, high


class Figures:
    """Prints each figure as it is known, and writes all of them at the end."""

    def __init__(self, bench, options, **conditions):
        self.path = options.json or options.build / "figures" / f"{bench}.json"
        self.data = {
            "schema": "bitsq.bench/1", "bench": bench,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count(),
                        "load_before": os.getloadavg()[0]},
            "conditions": conditions, "figures": [],
        }

    def say(self, name, value, unit, target, **more):
        interval = more.get("interval")
        said = f" [{interval[0]:.3g} to {interval[1]:.3g}]" if interval else ""
        print(f"{name} {value:.4g} {unit} {target}{said}", flush=True)
        self.data["figures"].append({"name": name, "value": value, "unit": unit, "target": target, **more})

    def say_median(self, name, values, unit, target):
        value, low, high = median_interval(values)
        self.say(name, value, unit, target, interval=[low, high], values=values)

    def write(self):
        self.data["machine"]["load_after"] = os.getloadavg()[0]  # above what the bench itself makes: take it with care
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        print(f"figures in {self.path}", file=sys.stderr)
