"""What happens between two rounds of a fleet, with its milliseconds, as the kernel sees it.

Usage, as root, with nothing else running: ``.venv/bin/python benchmarks/between_rounds.py [--hosts 8] [--seconds 2]``.
Makes a lab of that many namespaces, measures rounds of untraced iperf3 runs on it and notes every start and end of a
process. From the last client's end to the first client's start of the next round it prints the median milliseconds of

- the hosts: their ends of the run are written down, and their programs reply and end;
- the workers: Ansible's processes, one a host, read the replies, hand them over and end;
- the controller: judges and writes the records, and gives the next step to the first worker;
- the way to a host: that worker prepares its task and connects, and our program starts there;
- both ends of a run meeting, until the first server starts, and until the first client starts;

and after that how long it takes from the first to the last client of the round, during which some hosts measure already and
others do not yet. It also counts the processes that a host and round take, by the program. All hosts share this machine's
CPUs, so what runs side by side elsewhere queues up here: the figures are upper bounds of what separate hosts see.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from machine import machine
from namespaces import Lab, fleet

SCRIPT = """
tracepoint:syscalls:sys_enter_execve { @first[pid] = str(args->argv[1]); }
tracepoint:sched:sched_process_exec { printf("%lld exec %d %s %s\\n", elapsed, pid, comm, @first[pid]); }
tracepoint:sched:sched_process_fork /comm == "ansible-playboo"/ {
  printf("%lld fork %d %s %d\\n", elapsed, args->child_pid, comm, args->parent_pid);
}
tracepoint:sched:sched_process_exit /pid == tid/ { printf("%lld exit %d %s -\\n", elapsed, pid, comm); delete(@first[pid]); }
END { clear(@first); }
"""
PARTS = ("the hosts", "the workers", "the controller", "the way to a host", "both ends meet", "server to client")


@dataclass(frozen=True)
class Event:
    """A process starts to be a program, is made by Ansible, or ends."""

    milliseconds: float
    kind: str
    pid: int
    program: str
    argument: str
    """The first one of a program that starts; of a process that Ansible makes, which of its processes makes it."""


@dataclass
class Round:
    """The moments of one round that are looked at, in milliseconds."""

    forks: list[float]
    """Workers made, one a host."""
    programs: list[float]
    """Our program on a host started."""
    servers: list[float]
    clients: list[float]
    client_ends: list[float]
    program_ends: list[float]
    worker_ends: list[float]


def events_of(text: str) -> Iterator[Event]:
    """What the tracer printed, in the order of time."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[0].isdigit():
            moment, kind, pid, program = fields[:4]
            found.append(Event(int(moment) / 1e6, kind, int(pid), program, " ".join(fields[4:])))
    yield from sorted(found, key=lambda event: event.milliseconds)


def rounds_of(events: Iterable[Event]) -> Iterator[Round]:
    """The steps in which a client ran: each begins when Ansible makes its first worker after a client has ended."""
    main = ""
    workers: set[int] = set()
    running: dict[int, str] = {}
    now = Round([], [], [], [], [], [], [])
    for event in events:
        if event.kind == "exec" and event.program == "ansible-playboo":
            main = str(event.pid)
        elif event.kind == "fork" and event.argument == main:
            if now.client_ends:
                yield now
                now = Round([], [], [], [], [], [], [])
            workers.add(event.pid)
            now.forks.append(event.milliseconds)
        elif event.kind == "exec" and (role := role_of(event)):
            running[event.pid] = role
            getattr(now, f"{role}s").append(event.milliseconds)
        elif event.kind == "exit":
            ends = {"client": now.client_ends, "program": now.program_ends}.get(running.pop(event.pid, ""))
            if event.pid in workers:
                ends = now.worker_ends
            if ends is not None:
                ends.append(event.milliseconds)


def role_of(event: Event) -> str:
    """What a program that starts is in a round; empty if it is none that is looked at."""
    if event.program == "iperf3":
        return {"-s": "server", "-c": "client"}.get(event.argument, "")
    return "program" if event.program.startswith("python") and event.argument == "-I" else ""


def parts_of(before: Round, after: Round) -> list[float]:
    """The milliseconds of each part between two rounds."""
    moments = [
        max(before.client_ends), max(before.program_ends), max(before.worker_ends),
        min(after.forks), min(after.programs), min(after.servers), min(after.clients),
    ]  # fmt: skip
    return [later - earlier for earlier, later in pairwise(moments)]


def traced(lab: Lab, script: Path) -> str:
    """What the tracer prints while the lab is measured."""
    script.write_text(SCRIPT)
    output = lab.folder / "events.txt"
    with subprocess.Popen(["bpftrace", "-o", str(output), str(script)], stderr=subprocess.DEVNULL) as tracer:
        while not output.exists() or not output.read_text(encoding="utf-8").strip():
            time.sleep(0.1)
        lab.play("pairbench.lab.bench")
        tracer.send_signal(signal.SIGINT)
    return output.read_text(encoding="utf-8")


def report(events: list[Event], hosts: int) -> None:
    """Print the parts with their medians, and the processes of the rounds."""
    rounds = list(rounds_of(events))
    found = [parts_of(before, after) for before, after in pairwise(rounds)]
    for name, milliseconds in zip(PARTS, zip(*found, strict=True), strict=True):
        print(f"  {name:<20} {median(milliseconds):7.1f} ms")
    print(f"  {'altogether':<20} {median(map(sum, found)):7.1f} ms, median of {len(found)}")
    print(f"  first to last client {median(max(one.clients) - min(one.clients) for one in rounds):7.1f} ms")
    # The first round begins where preparing ends, which no fork says.
    first, last = min(rounds[1].forks), max(rounds[-1].program_ends)
    inside = Counter(event.program for event in events if event.kind == "exec" and first <= event.milliseconds <= last)
    inside["ansible-playbook (forked)"] = sum(len(one.forks) for one in rounds[1:])
    for program, count in inside.most_common():
        if count >= len(rounds):
            print(f"  {program:<26} {count / hosts / (len(rounds) - 1):5.2f} processes a host and round")


def main() -> None:
    """Measure and report one lab."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=2, help="length of a run")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="pairbench-rounds-") as name:
        lab = fleet(Path(name), options.hosts, 81, options.seconds)
        try:
            lab.play("pairbench.lab.bench", "--limit", "vm1,vm2", "-e", "pairbench_sweep=warm")
            text = traced(lab, lab.folder / "events.bt")
        finally:
            lab.remove()
    print(f"{options.hosts} hosts, between two rounds:")
    report(list(events_of(text)), options.hosts)


if __name__ == "__main__":
    main()
