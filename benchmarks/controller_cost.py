"""What a round costs the controller, and what it adds to the time that is measured.

Usage, as root, with nothing else running: ``.venv/bin/python benchmarks/controller_cost.py [--hosts 8 16 32 64]
[--seconds 1]``. Makes a lab of that many namespaces, runs a full mesh of untraced iperf3 runs of that length on it (with
more than 16 hosts a sample of its pairs, so that there are about as many rounds as 16 hosts have), and prints

- CPU seconds of the controller (``ansible-playbook`` and its workers, not what runs on hosts) for each host and round,
  as the kernel's scheduler has counted them when each process ends (its user and system time are counted in ticks), beside
  those of the smallest task that there is, ``command: "true"``;
- seconds from the end of the last client of a round to the start of the first client of the next one;
- seconds of the runs, one a round, by those of the whole command, and by those from the first start to the last end.

Of several sizes it fits a line through the seconds between two rounds, and says at how many hosts they are 10 % of a round
with runs of 30 seconds. In a lab of namespaces the hosts' own part (starting Python, the tools) runs on the same processors,
so the seconds between rounds are an upper bound of what separate hosts see.
"""

from __future__ import annotations

import argparse
import csv
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median

from namespaces import Lab, fleet

SCRIPT = """
tracepoint:sched:sched_process_exit /comm == "ansible-playboo"/ {
  @ns = sum(((struct task_struct *)curtask)->se.sum_exec_runtime);
}
"""
SMALLEST_TASKS = 5
TYPICAL_SECONDS = 30.0
SMALLEST = "- hosts: all\n  gather_facts: false\n  tasks:\n"
SMALLEST_TASK = "    - ansible.builtin.command: 'true'\n"


@dataclass(frozen=True)
class Cost:
    """What was found at one size of the lab."""

    hosts: int
    rounds: int
    cpu_seconds: float
    """Of the controller, for each host and round."""
    smallest: float
    """Of the controller, for each host and the smallest task."""
    gap: float
    """Median seconds between two rounds."""
    share: float
    """Of the whole command's seconds, in which something was measured."""
    share_between: float
    """The same from the first start of a client to the last end."""

    def __str__(self) -> str:
        return (
            f"{self.hosts:3d} hosts: {self.cpu_seconds:.3f} s of controller CPU a host and round, "
            f"{self.cpu_seconds / self.smallest:.2f} times the smallest task; {self.gap:.2f} s between two rounds "
            f"(median of {self.rounds - 1}); measuring for {self.share:.2f} of the command and "
            f"{self.share_between:.2f} of the time from first start to last end"
        )


def measured(hosts: int, seconds: int) -> Cost:
    """Everything at one size of the lab."""
    with tempfile.TemporaryDirectory(prefix="pairbench-cost-") as name:
        lab = fleet(Path(name), hosts, 80, seconds)
        try:
            lab.play("pairbench.lab.bench", "--limit", "vm1,vm2", "-e", "pairbench_sweep=warm")
            full, wall = cost_of(lambda: lab.play("pairbench.lab.bench"))
            # Preparing is not part of a round: a pass over all hosts that measures one round is taken off.
            less = ("-e", "pairbench_sweep=bare", "-e", f"pairbench_sample={hosts // 2}")
            bare, _wall = cost_of(lambda: lab.play("pairbench.lab.bench", *less))
            spans = list(spans_of(lab.sweep() / "runs.csv"))
            bare_rounds = len(list(spans_of(lab.sweep("bare") / "runs.csv")))
            smallest = smallest_task(lab)
        finally:
            lab.remove()
    busy = sum((end - start).total_seconds() for start, end in spans)
    between = (spans[-1][1] - spans[0][0]).total_seconds()
    gaps = [(after[0] - before[1]).total_seconds() for before, after in pairwise(spans)]
    cpu = (full - bare) / (len(spans) - bare_rounds) / hosts
    return Cost(hosts, len(spans), cpu, smallest, median(gaps), busy / wall, busy / between)


def smallest_task(lab: Lab) -> float:
    """CPU seconds of the controller for a host and the smallest task, without what starting and ending a play costs."""
    playbook, found = lab.folder / "smallest.yml", []
    for count in (1, 1 + SMALLEST_TASKS):
        playbook.write_text(SMALLEST + count * SMALLEST_TASK)
        found.append(cost_of(lambda: lab.play(str(playbook)))[0])
    return (found[1] - found[0]) / SMALLEST_TASKS / len(lab.addresses)


def cost_of(play: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of the controller's processes while something is played, and how long that takes."""
    tracer = subprocess.Popen(["bpftrace", "-e", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert tracer.stdout is not None
    tracer.stdout.readline()  # it says that it attaches
    time.sleep(1)
    began = time.monotonic()
    play()
    seconds = time.monotonic() - began
    tracer.send_signal(signal.SIGINT)
    output, _errors = tracer.communicate(timeout=60)
    found = re.search(r"@ns: (\d+)", output)
    if found is None:
        sys.exit(f"the tracer counted nothing: {output}")
    return int(found.group(1)) / 1e9, seconds


def spans_of(table: Path) -> Iterator[tuple[datetime, datetime]]:
    """First start and last end of the clients of each round, in order, from the times that the hosts took."""
    spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            start = datetime.fromisoformat(row["started_at"].replace("Z", "+00:00"))
            spans[row["round"]].append((start, start + timedelta(seconds=float(row["seconds"]))))
    yield from sorted((min(start for start, _ in items), max(end for _, end in items)) for items in spans.values())


def main() -> None:
    """Print one line for each size of the lab, and the fitted line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--seconds", type=int, default=1, help="length of a run")
    options = parser.parse_args()
    found = []
    for hosts in options.hosts:
        found.append(measured(hosts, options.seconds))
        print(found[-1], flush=True)
    if len(found) > 1:
        slope, constant = linear_regression([item.hosts for item in found], [item.gap for item in found])
        size = (TYPICAL_SECONDS / 9 - constant) / slope
        print(f"between two rounds: {constant:.2f} s + {1000 * slope:.1f} ms a host, 10 % of a round at {size:.0f} hosts")


if __name__ == "__main__":
    main()
