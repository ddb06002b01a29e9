"""What a round costs the controller, and what it adds to the time that is measured.

Usage, as root: ``.venv/bin/python benchmarks/controller_cost.py [--hosts 4 8 16]``. Makes a lab of that many
namespaces, runs a full mesh of one-second untraced iperf3 runs on it, and prints

- CPU seconds of the controller (``ansible-playbook`` and its workers, not the modules, which run on hosts) for each
  host and round, summed by the kernel as each process ends;
- seconds from the end of the last client of a round to the start of the first client of the next one.

In a lab of namespaces the hosts' own part (starting Python, the module, the tools) runs on the same processors, so the
seconds between rounds are an upper bound of what separate hosts see.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import yaml

BIN = Path(sys.executable).parent
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
    "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"
}
SCRIPT = """
tracepoint:sched:sched_process_exit /comm == "ansible-playboo"/ {
  @ns = sum(((struct task_struct *)curtask)->utime + ((struct task_struct *)curtask)->stime);
}
"""


def inventory(hosts: int) -> str:
    """A lab of that many namespaces, as short as it goes."""
    names = {
        f"vm{number}": {"ansible_netns": f"pbcost-vm{number}", "pairbench_address": f"10.10.80.{number}"}
        for number in range(1, hosts + 1)
    }
    variables = {
        "ansible_connection": "pairbench.lab.netns", "ansible_python_interpreter": "/usr/bin/python3",
        "netns_lab_switch": "pbcost-switch", "iperf3_seconds": 1, "pairbench_blocks": 1, "pairbench_trace": False,
        "pairbench_benchmarks": ["iperf3"],
    }  # fmt: skip
    return yaml.safe_dump({"netns_lab": {"hosts": names, "vars": variables}})


def play(folder: Path, playbook: str, *arguments: str) -> None:
    """Run a playbook of the collection on the lab; its output when it fails."""
    argv = [str(BIN / "ansible-playbook"), playbook, "-i", "lab.yml", *arguments]
    done = subprocess.run(argv, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout[-4000:] + done.stderr)


def measured(hosts: int) -> tuple[float, float, int]:
    """(controller CPU seconds of the rounds, median seconds between two rounds, number of rounds)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lab.yml").write_text(inventory(hosts))
        try:
            # Preparing is not part of a round: the same lab with one round less is taken off.
            warm = ("--limit", "vm1,vm2", "-e", "pairbench_sweep=warm")
            play(folder, "pairbench.lab.bench", "--forks", str(2 * hosts), *warm)
            full = traced(folder, "--forks", str(2 * hosts))
            bare = traced(folder, "--forks", str(2 * hosts), "-e", "pairbench_sweep=bare", "-e", "pairbench_sample=1")
            between = gaps(folder / "results" / "default" / "runs.csv")
        finally:
            play(folder, "pairbench.lab.netns_lab", "-e", "netns_lab_state=absent")
    rounds = hosts - 1 if hosts % 2 == 0 else hosts
    return full - bare, median(between), rounds - 1


def traced(folder: Path, *arguments: str) -> float:
    """CPU seconds of the controller's processes during one pass."""
    tracer = subprocess.Popen(["bpftrace", "-e", SCRIPT], stdout=subprocess.PIPE, text=True)
    time.sleep(3)
    play(folder, "pairbench.lab.bench", *arguments)
    tracer.send_signal(signal.SIGINT)
    output, _errors = tracer.communicate(timeout=60)
    found = re.search(r"@ns: (\d+)", output)
    if found is None:
        sys.exit(f"the tracer counted nothing: {output}")
    return int(found.group(1)) / 1e9


def gaps(table: Path) -> list[float]:
    """Seconds between the rounds, from the times that the hosts took."""
    spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            start = datetime.fromisoformat(row["started_at"].replace("Z", "+00:00"))
            spans[row["round"]].append((start, start + timedelta(seconds=float(row["seconds"]))))
    rounds = sorted((min(start for start, _ in items), max(end for _, end in items)) for items in spans.values())
    return [(after[0] - before[1]).total_seconds() for before, after in pairwise(rounds)]


def main() -> None:
    """Print one line for each size of the lab."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[4, 8, 16])
    for hosts in parser.parse_args().hosts:
        cpu, between, rounds = measured(hosts)
        print(
            f"{hosts} hosts: {cpu / rounds / hosts:.3f} s of controller CPU a host and round, "
            f"{between:.2f} s between two rounds (median of {rounds})",
            flush=True,
        )


if __name__ == "__main__":
    main()
