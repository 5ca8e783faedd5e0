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
import re
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
sys.path.insert(0, str(ROOT / "tests"))

from support.bus import Bus, query  # noqa: E402, pylint: disable=wrong-import-position

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
    arguments.add_argument("--disk", type=Path, default=Path("/var/tmp"),
                           help="where queues are, so that durable means durable (%(default)s)")
    arguments.add_argument("--trial", action="store_true",
                           help="only see that the bench works: any build as it is, and no network namespace of its own")
    return arguments


def die(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


# ---- the programs ----

class Programs:
    """Builds the programs in Release; their paths."""

    def __init__(self, options):
        build = options.build.resolve()
        if not options.trial:
            self._build(build)
        self.server = build / "tests/server/bits-server"
        self.daemon = build / "daemon/bitsqd"
        self.command = build / "cli/bitsq"
        self.caller = build / "tests/bench/bench-caller"
        self.lmdb = build / "tests/bench/bench-lmdb"
        self.slow_sync = build / "tests/bench/slow-sync.so"
        self.slow_fs = build / "tests/bench/slow-fs"  # only where libfuse3 was there

    def _build(self, build):
        cache = build / "CMakeCache.txt"
        lines = cache.read_text(encoding="utf-8").splitlines() if cache.exists() else []
        if "BITSQ_BENCH:BOOL=ON" not in lines:
            self._run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                      "-DBITSQ_TESTS=OFF", "-DBITSQ_BENCH=ON", "-DPython3_EXECUTABLE=/usr/bin/python3")
            lines = cache.read_text(encoding="utf-8").splitlines()
        if "CMAKE_BUILD_TYPE:STRING=Release" not in lines or "BITSQ_SANITIZE:BOOL=ON" in lines:
            die(f"{build} is no plain Release build; give another folder with --build")
        self._run("ninja", "-C", build)

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


@contextlib.contextmanager
def slow_folder(programs, behind, mountpoint, msec):
    """MOUNTPOINT shows the folder BEHIND, slowly."""
    mountpoint.mkdir()
    process = subprocess.Popen([programs.slow_fs, behind, str(msec), mountpoint, "-f", "-o", "auto_unmount"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not os.path.ismount(mountpoint):
            if process.poll() is not None or time.monotonic() > deadline:
                raise OSError("slow-fs could not mount; it needs /dev/fuse and the right to mount")
            time.sleep(0.02)
        yield mountpoint
    finally:
        subprocess.run(["umount", "--lazy", mountpoint], check=False, stderr=subprocess.DEVNULL)
        stop(process)


def preloaded(program, library):
    """LD_PRELOAD for PROGRAM. A sanitizer's library has to come first."""
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return " ".join([*re.findall(r"=> (\S*/libasan\.so\S*)", libraries), str(library)])


@contextlib.contextmanager
def message_bus(folder):
    """A dbus-daemon of its own; its address."""
    process = subprocess.Popen(["dbus-daemon", "--nofork", "--session", "--print-address", f"--address=unix:path={folder}/bus"],
                               stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    try:
        yield process.stdout.readline().strip()
    finally:
        stop(process)


class Daemon:
    """A bitsqd with a queue of its own, out of reach of any bus but BUS; bitsq() and caller() talk to it."""

    def __init__(self, programs, folder, configuration="", bus=None, **environment):
        self.programs = programs
        self.home = folder / "home"
        for name in ("state", "config", "run"):
            (self.home / name).mkdir(parents=True, mode=0o700)
        if configuration:
            (self.home / "config/bitsq").mkdir()
            (self.home / "config/bitsq/bitsqd.conf").write_text("[bitsqd]\n" + configuration, encoding="utf-8")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**kept, "XDG_STATE_HOME": str(self.home / "state"),
                            "XDG_CONFIG_HOME": str(self.home / "config"), "XDG_RUNTIME_DIR": str(self.home / "run"),
                            "BITSQ_DAEMON": str(programs.daemon)}
        self.own_environment = {**environment, **({"DBUS_SESSION_BUS_ADDRESS": bus} if bus else {})}
        self.start()

    def start(self, timeout_s=60):
        """Returns when the daemon says that it is ready."""
        ready = self.home / "ready"
        ready.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(ready))
            notify.settimeout(timeout_s)
            with open(self.home / "log", "ab") as log:
                self.process = subprocess.Popen(
                    [self.programs.daemon], stdout=log, stderr=log,
                    env={**self.environment, **self.own_environment, "NOTIFY_SOCKET": str(ready)})
            try:
                while b"READY=1" not in notify.recv(4096).split(b"\n"):
                    pass
            except TimeoutError:
                stop(self.process)
                die(f"bitsqd did not become ready in {timeout_s} seconds:\n" +
                    (self.home / "log").read_text(errors="replace"))
        self.pid = self.process.pid

    def stop(self):
        stop(self.process)

    def address(self):
        """Of the private socket."""
        return subprocess.run([self.programs.daemon, "--print-address"], env=self.environment, text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def connect(self):
        """A D-Bus caller in Python, for what need not be quick."""
        return Bus(self.address())

    def states(self):
        """How many jobs are in which state. A caller that stays would have to read every signal in time."""
        bus = self.connect()
        try:
            return bus.manager("CountJobs", "a{sv}", query({"all": True}))
        finally:
            bus.close()

    def bitsq(self, *words, **more):
        return subprocess.run([self.programs.command, *words], env=self.environment, text=True, check=True,
                              stdout=subprocess.PIPE, **more).stdout

    def spawn_bitsq(self, *words):
        return subprocess.Popen([self.programs.command, *words], env=self.environment, stdout=subprocess.DEVNULL)

    def caller_command(self, verb, *words):
        return [str(word) for word in (self.programs.caller, self.address(), verb, *words)]

    def caller(self, verb, *words):
        """What bench-caller prints: a list of numbers."""
        return numbers(subprocess.run(self.caller_command(verb, *words), stdin=subprocess.DEVNULL, text=True, check=True,
                                      stdout=subprocess.PIPE).stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def numbers(text):
    return [float(line) for line in text.split()]


class Pings:
    """Pings a daemon while it is entered; `usec` has how long each took."""

    def __init__(self, daemon, pause_usec=2000):
        self.process = subprocess.Popen(
            daemon.caller_command("ping", "--jobs", 1000000, "--pause", pause_usec), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.usec = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.usec = numbers(self.process.communicate()[0])


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


# ---- what the kernel knows of a process ----

def cpu_seconds(pid):
    """User and system time of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def machine_seconds():
    """What all processors together have spent, on whatever it was."""
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / CLOCK_TICKS  # but idle, and idle while a disk is waited for


def status_fields(path):
    return dict(line.split(":\t", 1) for line in path.read_text(encoding="ascii", errors="replace").splitlines()
                if ":\t" in line)


def rss_anon_bytes(pid):
    return int(status_fields(Path(f"/proc/{pid}/status"))["RssAnon"].split()[0]) * 1024


def most_memory_bytes(pid):
    """The most that it has had in memory at a time."""
    return int(status_fields(Path(f"/proc/{pid}/status"))["VmHWM"].split()[0]) * 1024


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

def enter_namespace(options):
    """Runs this program again in a network namespace of its own, where loopback is under cubic.

    Under bbr one curl against another scatters from 0.8 to 1.6 of its time.
    """
    if options.trial or os.environ.get(NAMESPACE_MARK):
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    routes = "".join(
        f"ip route replace local {net} dev lo proto kernel scope host src 127.0.0.1 table local congctl cubic && "
        for net in ("127.0.0.1", "127.0.0.0/8"))
    os.environ[NAMESPACE_MARK] = "1"
    os.execvp(unshare[0], [*unshare, "sh", "-c", f'ip link set lo up && {routes}exec "$@"', "sh", sys.executable,
                           *sys.argv])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, timeout_s=30):
    """Until somebody listens there."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    die(f"nobody listens on port {port}")


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
            "conditions": {**conditions, "trial": options.trial}, "figures": [],
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
