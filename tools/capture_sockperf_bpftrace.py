#!/usr/bin/env python3
"""Make the captures of tests/captures/sockperf and tests/captures/bpftrace by running the real tools.

    tools/capture_sockperf_bpftrace.py host                      the tools that are installed here
    tools/capture_sockperf_bpftrace.py bullseye:/scratch/bullseye …   those of Debian releases in chroots

A chroot is made beforehand, outside the repository, and needs about 1 GB:

    debootstrap --variant=minbase bullseye /scratch/bullseye
    chroot /scratch/bullseye apt-get install -y --no-install-recommends sockperf bpftrace

(sid needs ``-o Acquire::Check-Valid-Until=false``, bullseye's bpftrace also linux-libc-dev.) Root is needed.
Traffic stays on 127.0.0.1. The file systems that a chroot needs are mounted for the time of the captures and
unmounted whatever happens.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

CAPTURES = Path(__file__).resolve().parent.parent / "tests" / "captures"
# Old versions look for the tracing files below debugfs only, which a machine need not have mounted.
MOUNTS = ("proc", "sysfs sys", "debugfs sys/kernel/debug", "tracefs sys/kernel/tracing", "dev")
PORT = 21311
RELAY_PORT = 21312

COUNT = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @calls[comm, args->id] = count(); }"
TIME = (
    "tracepoint:raw_syscalls:sys_enter /pid == cpid/ "
    "{ @calls[comm, args->id] = count(); @start[tid] = nsecs; } "
    "tracepoint:raw_syscalls:sys_exit /@start[tid]/ "
    "{ @time[comm, args->id] = sum(nsecs - @start[tid]); delete(@start[tid]); } "
    "END { clear(@start); }"
)
TOTAL = (
    ",".join(
        f"tracepoint:syscalls:sys_enter_{name}"
        for name in ("read", "write", "openat", "close", "newfstat", "mmap")
    )
    + " /pid == cpid/ { @total[comm, probe] = count(); @interval[comm, probe] = count(); } "
    "interval:ms:20 { print(@interval); clear(@interval); }"
)
NOBODY = "tracepoint:raw_syscalls:sys_enter /pid == 99999999/ { @calls[comm, args->id] = count(); }"
NAMED = (
    "tracepoint:raw_syscalls:sys_enter /pid == PID/ "
    "{ @calls[comm, args->id] = count(); @by[pid, args->id, comm] = count(); } interval:s:1 { exit(); }"
)
HIST = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @sizes[comm] = hist(args->id); }"
STATS = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @sizes[comm] = stats(args->id); }"
WRONG = "tracepoint:raw_syscalls:no_such_event { @calls = count(); }"
DD = "/bin/dd if=/dev/zero of=/dev/null bs=1 count=1000"
FEW_KEYS = {"BPFTRACE_MAP_KEYS_MAX": "4", "BPFTRACE_MAX_MAP_KEYS": "4"}


class Place:
    """Where the tools run: here, or in a chroot."""

    def __init__(self, name: str, root: str) -> None:
        self.name = name
        self.root = root

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs a program there."""
        return [*(["chroot", self.root] if self.root else []), *arguments]

    def path(self, inside: str) -> Path:
        """A file of the place as this program sees it."""
        return Path(self.root + inside)

    def run(self, *arguments: str, env: dict[str, str] | None = None, seconds: float = 60) -> str:
        """Standard output and error of a program, in the order they came."""
        done = subprocess.run(
            self.argv(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            timeout=seconds,
            check=False,
        )
        return done.stdout.decode(errors="replace")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A program in the background; its output comes from ``stop``."""
        return subprocess.Popen(self.argv(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> str:
    """End a background program and give back what it printed."""
    process.send_signal(number)
    try:
        output, _ = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return output.decode(errors="replace")


@contextlib.contextmanager
def mounted(root: str) -> Iterator[None]:
    """The file systems of this machine inside a chroot."""
    done: list[str] = []
    try:
        for mount in MOUNTS if root else ():
            kind, _, name = mount.rpartition(" ")
            source = ["-t", kind, kind] if kind else ["--bind", f"/{name}"]
            subprocess.run(["mount", *source, f"{root}/{name}"], check=True)
            done.append(f"{root}/{name}")
        yield
    finally:
        for target in reversed(done):
            subprocess.run(["umount", target], check=True)


def lossy_relay(target: int, lost: int, stopped: threading.Event) -> None:
    """Pass datagrams to and fro and lose one reply, as a network may."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind(("127.0.0.1", RELAY_PORT))
        relay.settimeout(0.2)
        client, replies = None, 0
        while not stopped.is_set():
            try:
                data, sender = relay.recvfrom(65536)
            except TimeoutError:
                continue
            if sender[1] != target:
                client = sender
                relay.sendto(data, ("127.0.0.1", target))
                continue
            replies += 1
            if client is not None and replies != lost:
                relay.sendto(data, client)


def sockperf_captures(place: Place) -> None:
    """Every mode and every failure that can be provoked."""
    folder = CAPTURES / "sockperf" / f"{sockperf_version(place)}-{place.name}"
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, text: str) -> None:
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")

    address = ("-i", "127.0.0.1", "-p", str(PORT))
    server = place.start("sockperf", "server", *address)
    time.sleep(0.5)
    save("ping-pong", place.run("sockperf", "ping-pong", *address, "-m", "64", "-t", "2", "--mps", "1000"))
    save(
        "ping-pong-full-rtt",
        place.run("sockperf", "pp", *address, "-m", "64", "-t", "2", "--mps", "1000", "--full-rtt"),
    )
    save("under-load", place.run("sockperf", "ul", *address, "-t", "2", "--mps", "500", "--reply-every", "5"))
    save("throughput", place.run("sockperf", "tp", *address, "-t", "1", "-m", "1400", "--mps", "1000"))
    save(
        "throughput-fragments", place.run("sockperf", "tp", *address, "-t", "1", "-m", "4000", "--mps", "500")
    )
    save("throughput-giga", place.run("sockperf", "tp", *address, "-t", "1", "-m", "9000", "--giga-size"))
    log = "/root/pairbench-full.log"
    save(
        "ping-pong-logged",
        place.run("sockperf", "pp", *address, "-t", "2", "--mps", "200", "--full-log", log, "--full-rtt"),
    )
    save("full-log-rtt", place.path(log).read_text(encoding="utf-8"))
    place.run("sockperf", "pp", *address, "-t", "2", "--mps", "200", "--full-log", log)
    save("full-log-latency", place.path(log).read_text(encoding="utf-8"))
    place.path("/root/pairbench-playback.txt").write_text(
        "".join(f"{i * 0.01:.6f}, 64\n" for i in range(1, 150)), encoding="utf-8"
    )
    save(
        "playback",
        place.run("sockperf", "pb", *address, "--reply-every", "1", "--data-file", "/root/pairbench-playback.txt"),
    )
    client = place.start("sockperf", "ping-pong", *address, "-t", "5", "--mps", "500")
    time.sleep(4)
    save("interrupted", stop(client))
    save("port-in-use-udp", place.run("sockperf", "server", *address))
    stopped = threading.Event()
    relay = threading.Thread(target=lossy_relay, args=(PORT, 900, stopped))
    relay.start()
    save(
        "lost-datagram",
        place.run("sockperf", "pp", "-i", "127.0.0.1", "-p", str(RELAY_PORT), "-t", "3", "--mps", "500"),
    )
    stopped.set()
    relay.join()
    save("server", stop(server))

    server = place.start("sockperf", "server", *address, "--tcp")
    time.sleep(0.5)
    save(
        "ping-pong-tcp",
        place.run("sockperf", "pp", *address, "--tcp", "-m", "64", "-t", "2", "--mps", "1000"),
    )
    save("throughput-1472-tcp", place.run("sockperf", "tp", *address, "--tcp", "-t", "1", "-m", "1472"))
    save("port-in-use-tcp", place.run("sockperf", "server", *address, "--tcp"))
    save("server-killed", stop(server, signal.SIGTERM))
    save("refused", place.run("sockperf", "pp", *address, "--tcp", "-t", "1"))
    save("no-server", place.run("sockperf", "pp", *address, "-t", "1", "--mps", "100"))
    save("too-small", place.run("sockperf", "pp", *address, "-t", "1", "-m", "4"))
    save("unknown-option", place.run("sockperf", "pp", *address, "--no-such-option"))
    save(
        "no-route",
        place.run("sockperf", "pp", "-i", "255.255.255.255", "-p", str(PORT), "-t", "1", "--mps", "100"),
    )
    threads = place.start("sockperf", "server", "-f", _feed(place), "--threads-num", "2", "-F", "e")
    time.sleep(0.5)
    place.run("sockperf", "pp", *address, "-t", "1", "--mps", "100")
    save("server-threads", stop(threads))


def _feed(place: Place) -> str:
    """A connection list of two ports, for a server of two threads."""
    place.path("/root/pairbench-feed.txt").write_text(f"U:127.0.0.1:{PORT}\nU:127.0.0.1:{PORT + 5}\n", encoding="utf-8")
    return "/root/pairbench-feed.txt"


def sockperf_version(place: Place) -> str:
    """For example ``3.7``."""
    return (
        place.run("sockperf", "--version").split("version")[-1].strip().lstrip("#").split("-")[0].split()[0]
    )


def bpftrace_captures(place: Place) -> None:
    """Our own scripts, the scripts that people write, and what goes wrong."""
    version = place.run("bpftrace", "--version").split()[-1].lstrip("v")
    folder = CAPTURES / "bpftrace" / f"{version}-{place.name}"
    folder.mkdir(parents=True, exist_ok=True)

    def trace(name: str, script: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        for form in ("text", "json"):
            place.path("/root/pairbench-out").unlink(missing_ok=True)
            errors = place.run("bpftrace", "-f", form, "-o", "/root/pairbench-out", *arguments, "-e", script, env=env)
            _save_trace(place, folder / f"{name}.{form}", errors)

    trace("count", COUNT, "-c", DD)
    trace("time", TIME, "-c", DD)
    trace("total-and-interval", TOTAL, "-c", "/bin/dd if=/dev/zero of=/dev/null bs=1 count=40000")
    trace("nothing-matched", NOBODY, "-c", DD)
    trace("histogram", HIST, "-c", DD)
    trace("statistics", STATS, "-c", DD)
    trace("map-full", COUNT, "-c", DD.replace("1000", "10"), env=FEW_KEYS)
    trace("map-full-warned", COUNT, "-k", "-c", DD.replace("1000", "10"), env=FEW_KEYS)
    trace("no-such-probe", WRONG, "-c", DD)
    with _thread_named("CPU 0/KVM, a:b") as pid:
        trace("thread-name", NAMED.replace("PID", str(pid)))
    for form in ("text", "json"):
        place.path("/root/pairbench-out").unlink(missing_ok=True)
        arguments = ("-f", form, "-o", "/root/pairbench-out", "-e", COUNT, "-c", "/bin/sleep 4")
        process = place.start("bpftrace", *arguments)
        time.sleep(3)
        _save_trace(place, folder / f"killed.{form}", stop(process, signal.SIGKILL))


def _save_trace(place: Place, path: Path, errors: str) -> None:
    out = place.path("/root/pairbench-out")
    path.write_text(out.read_text(encoding="utf-8") if out.exists() else "", encoding="utf-8")
    path.with_name(path.name + ".stderr").write_text(errors, encoding="utf-8")


@contextlib.contextmanager
def _thread_named(name: str) -> Iterator[int]:
    """A process under an awkward thread name that makes a few system calls all the time."""
    program = (
        "import ctypes, time\n"
        f"ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"
        "while True:\n    time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        time.sleep(0.5)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def main(arguments: list[str]) -> int:
    """Capture in every place named on the command line."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for argument in arguments:
        name, _, root = argument.partition(":")
        place = Place("debian12" if name == "host" else name, root)
        with mounted(root):
            bpftrace_captures(place)
            sockperf_captures(place)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
