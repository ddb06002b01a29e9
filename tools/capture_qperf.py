#!/usr/bin/env python3
"""Make the captures of tests/captures/qperf by running the real program between two network namespaces.

    tools/capture_qperf.py [NAME …]

Root is needed, and qperf, bpftrace and iptables on the PATH. Both namespaces are made here, joined by a veth pair, and
removed whatever happens; no traffic leaves them. Each capture is a folder: what the client and the server wrote on
their standard outputs and errors where there was anything, and in the traced ones what bpftrace counted at each end. Without
names all captures are made.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

CAPTURES = Path(__file__).resolve().parent.parent / "tests" / "captures" / "qperf"
SERVER, CLIENT = "qperf-capture-server", "qperf-capture-client"
ADDRESS = {SERVER: "10.91.7.1", CLIENT: "10.91.7.2"}
LINK = {SERVER: "qpc-server", CLIENT: "qpc-client"}
PORT, DATA_PORT = 19765, 19766
REPORT = ("-vv", "-uu", "-un", "-e", "12")
PORTS = ("-lp", str(PORT), "-ip", str(DATA_PORT))
SLICES = ("-t", "1", *["udp_lat"] * 6)
ONLY = frozenset(sys.argv[1:])
# The server makes a process for each request, so its children are counted too.
COUNT = """\
tracepoint:sched:sched_process_fork /pid == cpid || @family[pid]/ { @family[args->child_pid] = 1; }
tracepoint:sched:sched_process_exit /@family[tid]/ { delete(@family[tid]); }
tracepoint:raw_syscalls:sys_enter /pid == cpid || @family[pid]/ { @calls[tid, comm, args->id] = count(); }
END { clear(@family); }
"""


def run(*words: str, check: bool = True) -> None:
    """A command whose output nobody needs."""
    subprocess.run(words, check=check, stdout=subprocess.DEVNULL, stderr=None if check else subprocess.DEVNULL)


def inside(namespace: str, words: Sequence[str]) -> list[str]:
    """The command in a network namespace; the mounts stay, because bpftrace needs those of tracing."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *words]


@contextlib.contextmanager
def namespaces() -> Iterator[None]:
    """Two network namespaces with one link between them."""
    try:
        for name in (SERVER, CLIENT):
            run("ip", "netns", "add", name)
        peer = ("peer", "name", LINK[CLIENT], "netns", CLIENT)
        run("ip", "link", "add", LINK[SERVER], "netns", SERVER, "type", "veth", *peer)
        for name in (SERVER, CLIENT):
            run("ip", "-n", name, "address", "add", f"{ADDRESS[name]}/24", "dev", LINK[name])
            run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", name, "link", "set", LINK[name], "up")
        yield
    finally:
        for name in (SERVER, CLIENT):
            run("ip", "netns", "delete", name, check=False)


class Process:
    """One end in a process group of its own, its outputs in files of a folder."""

    def __init__(self, folder: Path, side: str, namespace: str, words: Sequence[str], traced: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if traced:
            script = folder / "count.bt"
            script.write_text(COUNT, encoding="utf-8")
            words = ["bpftrace", "-f", "json", "-o", str(folder / f"{side}.trace.json"), str(script), "-c", " ".join(words)]
        with (folder / f"{side}-stdout.txt").open("wb") as out, (folder / f"{side}-stderr.txt").open("wb") as err:
            self.popen = subprocess.Popen(inside(namespace, words), stdout=out, stderr=err, start_new_session=True)

    def members(self) -> list[int]:
        """Pids of qperf in the group."""
        words = ["pgrep", "-x", "qperf", "-g", str(self.popen.pid)]
        return [int(pid) for pid in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()]

    def stop(self) -> None:
        """Interrupt what is left of qperf, then wait."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        try:
            self.popen.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


def wait_until_listening() -> None:
    """Until the server's port is in the kernel's table; a connection would be a request."""
    for _ in range(200):
        if any(f":{PORT:04X} " in line and " 0A " in line for line in _sockets()):
            return
        time.sleep(0.05)
    raise TimeoutError("the server does not listen")


def _sockets() -> list[str]:
    words = inside(SERVER, ["cat", "/proc/net/tcp6", "/proc/net/tcp"])
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


Fault = Callable[[Process, Process], None]


def capture(
    name: str, *words: str, fault: Fault | None = None, serve: bool = True, traced: bool = False, seconds: float = 20
) -> None:
    """One client against one server; ``fault`` happens while the client runs."""
    if ONLY and name not in ONLY:
        return
    folder = CAPTURES / "0.4.11-debian12" / name
    shutil.rmtree(folder, ignore_errors=True)
    qperf = str(shutil.which("qperf"))
    server = None
    if serve:
        server = Process(folder, "server", SERVER, [qperf, "-lp", str(PORT), "-D"], traced)
        wait_until_listening()
    client = Process(folder, "client", CLIENT, [qperf, ADDRESS[SERVER], *PORTS, *words], traced)
    try:
        if fault and server:
            time.sleep(1.5)
            fault(client, server)
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.popen.wait(timeout=seconds)
    finally:
        client.stop()
        if server:
            time.sleep(0.3)
            server.stop()
    for path in folder.iterdir():
        if path.name == "count.bt" or not path.stat().st_size:
            path.unlink()
    told = f"client {client.popen.returncode}, server {server.popen.returncode if server else 'none'}"
    (folder / "argv").write_text(" ".join(["qperf", ADDRESS[SERVER], *PORTS, *words]) + f"\n{told}\n", encoding="utf-8")
    print(f"{name}: {told}")


def rule(namespace: str, *match: str, target: Sequence[str] = ("DROP",)) -> Callable[[], None]:
    """Add a rule for what comes in; what comes back takes it away."""
    words = ("INPUT", *match, "-j", *target)
    run(*inside(namespace, ["iptables", "-A", *words]))
    return lambda: run(*inside(namespace, ["iptables", "-D", *words]))


def lose_requests(_client: Process, _server: Process) -> None:
    """Datagrams to the server, for a moment."""
    undo = rule(SERVER, "-p", "udp")
    time.sleep(0.02)
    undo()


def lose_replies(_client: Process, _server: Process) -> None:
    """Datagrams to the client, for a moment."""
    undo = rule(CLIENT, "-p", "udp")
    time.sleep(0.02)
    undo()


def outage(seconds: float) -> Fault:
    """The link goes down and comes back."""

    def cut(_client: Process, _server: Process) -> None:
        run("ip", "-n", CLIENT, "link", "set", LINK[CLIENT], "down")
        time.sleep(seconds)
        run("ip", "-n", CLIENT, "link", "set", LINK[CLIENT], "up")

    return cut


def signal_server_children(number: int) -> Fault:
    """A signal for the processes that serve the test, not for the one that listens."""
    return lambda _client, server: [os.kill(pid, number) for pid in server.members() if pid != server.popen.pid] and None


def signal_client(number: int) -> Fault:
    return lambda client, _server: [os.kill(pid, number) for pid in client.members()] and None


def hold_client(client: Process, _server: Process) -> None:
    """Stopped for longer than the test has left."""
    signal_client(signal.SIGSTOP)(client, _server)
    time.sleep(2.5)
    signal_client(signal.SIGCONT)(client, _server)


def valid_captures() -> None:
    """What a sweep runs, and what else qperf prints."""
    for test, size in (("tcp_lat", "64"), ("tcp_bw", "65536"), ("udp_bw", "1400")):
        capture(test, "-m", size, *REPORT, "-t", "2", test, "quit")
        capture(f"{test}-traced", "-m", size, *REPORT, "-t", "2", test, "quit", traced=True)
    capture("udp_lat", "-m", "64", *REPORT, *SLICES, "quit")
    capture("udp_lat-traced", "-m", "64", *REPORT, *SLICES, "quit", traced=True)
    capture("tcp_lat-large", "-m", "100000", *REPORT, "-t", "1", "tcp_lat", "quit")
    capture("without-quit", "-m", "64", *REPORT, "-t", "1", "tcp_lat")
    capture("two-tests", "-m", "64", *REPORT, "-t", "1", "tcp_lat", "tcp_bw", "quit")
    capture("one-udp_lat", "-m", "64", *REPORT, "-t", "1", "udp_lat", "quit")
    capture("short-report", "-m", "64", "-t", "1", "tcp_lat", "udp_bw")
    capture("units-of-its-own", "-m", "64", "-vv", "-t", "1", "tcp_lat", "tcp_bw")
    capture("conf", "conf")


def failed_captures() -> None:
    """Everything that can be provoked."""
    lat = ("-m", "64", *REPORT, "-t", "3", "tcp_lat", "quit")
    udp = ("-m", "64", *REPORT, *SLICES, "quit")
    capture("lost-request", *udp, fault=lose_requests)
    capture("lost-reply", *udp, fault=lose_replies)
    capture("outage-udp_lat", *udp, fault=outage(0.3))
    capture("outage-udp_bw", "-m", "1400", *REPORT, "-t", "2", "udp_bw", "quit", fault=outage(0.3))
    capture("outage-tcp_bw", "-m", "1400", *REPORT, "-t", "2", "tcp_bw", "quit", fault=outage(9), seconds=30)
    capture("refused", *lat, serve=False)
    capture("too-large", "-m", "70000", *REPORT, "-t", "1", *["udp_lat"] * 5, "quit")
    capture("empty-messages", "-m", "0", *REPORT, "-t", "1", "tcp_lat", "quit")
    capture("bad-option", "--no-such-option", *lat)
    capture("bad-test", "-m", "64", "no_such_test")
    capture("bad-size", "-m", "many", "tcp_lat")
    capture("no-test", "-m", "64")
    capture("server-killed", *lat, fault=signal_server_children(signal.SIGKILL))
    capture("server-killed-udp", *udp, fault=signal_server_children(signal.SIGKILL))
    capture("interrupted", *lat, fault=signal_client(signal.SIGINT))
    capture("client-held", *lat, fault=hold_client)
    refused = rule(SERVER, "-p", "tcp", "--dport", str(DATA_PORT), target=("REJECT", "--reject-with", "tcp-reset"))
    capture("data-port-refused", *lat)
    refused()
    dropped = rule(SERVER, "-p", "tcp", "--dport", str(DATA_PORT))
    capture("data-port-dropped", *lat, seconds=12)
    dropped()
    dropped = rule(SERVER, "-p", "udp", "--dport", str(DATA_PORT))
    capture("data-port-dropped-udp_lat", *udp)
    capture("data-port-dropped-udp_bw", "-m", "64", *REPORT, "-t", "1", "udp_bw", "quit")
    dropped()
    with _port_taken():
        capture("data-port-taken", *lat)
        capture("data-port-taken-udp", *udp)
    busy = Process(CAPTURES / "busy", "server", SERVER, [str(shutil.which("qperf")), "-lp", str(PORT)])
    wait_until_listening()
    capture("port-taken", "-m", "64", *REPORT, "-t", "1", "tcp_lat", "quit")
    busy.stop()
    shutil.rmtree(CAPTURES / "busy")


@contextlib.contextmanager
def _port_taken() -> Iterator[None]:
    """Somebody else has the port of the test."""
    program = (
        "import socket, time\n"
        f"stream = socket.create_server(('', {DATA_PORT}))\n"
        "datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"datagrams.bind(('', {DATA_PORT}))\n"
        "time.sleep(120)\n"
    )
    other = subprocess.Popen(inside(SERVER, [sys.executable, "-c", program]))
    try:
        time.sleep(0.5)
        yield
    finally:
        other.kill()
        other.wait()


def without_names() -> None:
    """The name and the processors of this machine are nobody's business."""
    for path in CAPTURES.rglob("*-stdout.txt"):
        text = path.read_text(encoding="utf-8")
        changed = re.sub(r"(_(?:node|cpu|os) += +).*", r"\1somebody's", text)
        if changed != text:
            path.write_text(changed, encoding="utf-8")


def main() -> int:
    """All captures, in one pair of namespaces."""
    with namespaces():
        valid_captures()
        failed_captures()
    without_names()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
