"""Real pairs of hosts in network namespaces of their own, and sessions executed on them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control import inside

END_SCRIPT = Path(__file__).parent / "session_end.py"
STATE = Path("/run/pairbench")
PATIENT_SECONDS = 300.0
"""For what another process does: a machine with ten times the work it can do takes long, and a fact is worth it."""
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h
NUMBERS: set[str] = set()
"""Numbers of the namespaces that were made here, by which a host's state files are named."""


def run(*argv: str, timeout: float = 300, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, fail the test with its output when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **options)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def kill(pid: int) -> None:
    """Kill a process, which may have ended by itself since it was looked up."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass
class Host:
    """One namespace of a pair."""

    name: str
    address: str

    @property
    def enter(self) -> list[str]:
        """Argument list that runs what follows in this namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def add(self) -> None:
        """Make the namespace."""
        run("ip", "netns", "add", self.name)
        NUMBERS.update(self.numbers())

    def remove(self) -> None:
        """End everything that runs in the namespace, and remove it with what it keeps, as a machine takes its /run along."""
        wait_until(lambda: self.kill() == 0, 30, f"the end of everything in {self.name}")
        for number in self.numbers():
            for name in (f"{number}.lock", f"{number}.claim", f"mtu-{number}.json"):
                (STATE / name).unlink(missing_ok=True)
        NUMBERS.discard(self.inode())  # the next namespace, of anybody, may have it
        run("ip", "netns", "del", self.name)

    def exists(self) -> bool:
        return Path(f"/run/netns/{self.name}").exists()

    def inode(self) -> str:
        return str(Path(f"/run/netns/{self.name}").stat().st_ino)

    def numbers(self) -> set[str]:
        """The kernel's two numbers of this namespace: that of its file, and the cookie where there are cookies."""
        found = {self.inode()}
        with inside(self.name, socket.socket) as one, contextlib.suppress(OSError):  # kernels before 5.14
            found.add(str(struct.unpack("=Q", one.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]))
        return found

    def processes(self) -> list[str]:
        """``pid comm`` of everything that runs in this namespace."""
        wanted = Path(f"/run/netns/{self.name}").stat().st_ino
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "ns/net").stat().st_ino == wanted:
                    found.append(f"{entry.name} {(entry / 'comm').read_text().strip()}")
            except OSError:
                continue
        return found

    def kill(self, name: str = "") -> int:
        """Kill everything that runs in this namespace, or what bears that name; how many there were."""
        pids = [int(line.split()[0]) for line in self.processes() if name in ("", line.split()[1])]
        for pid in pids:
            kill(pid)
        return len(pids)

    def listening(self) -> str:
        """Sockets that listen in this namespace."""
        return run(*self.enter, "ss", "-H", "-lntu").stdout


class Mesh:
    """Several hosts on one switch, each a namespace of its own."""

    def __init__(self, number: int, count: int) -> None:
        prefix = f"pbmesh{os.getpid()}n{number}"
        self.switch = f"{prefix}sw"
        self.hosts = tuple(Host(f"{prefix}h{index}", f"10.10.78.{index}") for index in range(1, count + 1))

    def up(self) -> None:
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "sw", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "sw", "up")
        for index, host in enumerate(self.hosts):
            host.add()
            run("ip", "-n", self.switch, "link", "add", f"p{index}", "type", "veth", "peer", "name", "d0", "netns",
                host.name)
            run("ip", "-n", self.switch, "link", "set", f"p{index}", "master", "sw", "up")
            run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", "d0")
            run("ip", "-n", host.name, "link", "set", "d0", "up")
            run("ip", "-n", host.name, "link", "set", "lo", "up")

    def cut(self, index: int, state: str = "down") -> None:
        """Take the link of one host down at the switch, or up again."""
        run("ip", "-n", self.switch, "link", "set", f"p{index}", state)

    def down(self) -> None:
        for host in (*self.hosts, Host(self.switch, "")):
            if host.exists():
                host.remove()


class Pair:
    """Two hosts joined by a veth pair, and sessions executed on them with the real module code."""

    def __init__(self, number: int) -> None:
        self.server = Host(f"pbtest{os.getpid()}s{number}", "10.10.77.1")
        self.client = Host(f"pbtest{os.getpid()}c{number}", "10.10.77.2")

    @property
    def hosts(self) -> tuple[Host, Host]:
        return self.server, self.client

    def up(self) -> None:
        for host in self.hosts:
            host.add()
        run("ip", "-n", self.server.name, "link", "add", "d0", "type", "veth", "peer", "name", "d0", "netns",
            self.client.name)
        for host in self.hosts:
            run("ip", "-n", host.name, "addr", "add", f"{host.address}/24", "dev", "d0")
            run("ip", "-n", host.name, "link", "set", "d0", "up")
            run("ip", "-n", host.name, "link", "set", "lo", "up")

    def down(self) -> None:
        for host in self.hosts:
            if host.exists():
                host.remove()

    def start_end(
        self, role: str, runs: list[dict[str, Any]], under: Sequence[str] = (), **changes: Any
    ) -> subprocess.Popen[str]:
        """Start one end of a session in its namespace, by the command ``under`` where it is given."""
        host = self.server if role == "server" else self.client
        peer = self.client if role == "server" else self.server
        spec = {
            "role": role, "host": host.name, "address": host.address, "peer_address": peer.address,
            "control_port": 5200, "token": "a token", "owner": "a test", "rendezvous_seconds": 20,
            "tool_version": "", "trace_mode": "count", "tracer": {"available": False, "reason": "not asked"},
            "runs": runs,
        } | changes
        child = subprocess.Popen(
            [*host.enter, *under, sys.executable, str(END_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps(spec))
        child.stdin.close()
        return child

    def received(self) -> int:
        """Packets that reached the server's interface."""
        [link] = json.loads(run("ip", "-n", self.server.name, "-s", "-j", "link", "show", "d0").stdout)
        return int(link["stats64"]["rx"]["packets"])

    def await_traffic(self, packets: int = 500, seconds: float = PATIENT_SECONDS) -> None:
        """A run is under way: its packets, not those of the control connection alone, come by."""
        start = self.received()
        wait_until(lambda: self.received() > start + packets, seconds, "traffic")

    def session(self, runs: dict[str, list[dict[str, Any]]], **changes: Any) -> dict[str, Any]:
        """Execute a whole session; what both ends returned, by role."""
        started = {role: self.start_end(role, runs[role], **changes) for role in ("server", "client")}
        return {role: finish(child) for role, child in started.items()}


def finish(child: subprocess.Popen[str], timeout: float = 300) -> dict[str, Any]:
    """What one end returned."""
    assert child.stdout is not None and child.stderr is not None
    output, errors = child.stdout.read(), child.stderr.read()
    child.wait(timeout)
    assert child.returncode == 0, errors
    result: dict[str, Any] = json.loads(output)
    return result


def wait_until(condition: Any, seconds: float = PATIENT_SECONDS, what: str = "the condition") -> None:
    """Wait for something that another process does; never less than that long, whatever is expected of a free machine."""
    limit = time.monotonic() + max(seconds, PATIENT_SECONDS)
    while not condition():
        assert time.monotonic() < limit, f"{what} did not come within {max(seconds, PATIENT_SECONDS):g} s"
        time.sleep(0.05)
