"""The main job as a user runs it: ``ansible-playbook pairbench.lab.bench`` in a folder of its own."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.cells import plain_cell
from namespaces import Mesh, Pair

ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")

TOOLS = (*BENCHMARKS, "bpftrace")
SQUEEZED = frozenset({("invalid", "short_run"), ("invalid", "long_run")})
"""What is said of a run of a second that a busy machine squeezed: it was measured, and marked as it should be."""
PROGRAMS = """
tracepoint:sched:sched_process_fork /pid == cpid || @family[pid]/ { @family[args->child_pid] = 1; }
tracepoint:sched:sched_process_exec /pid == cpid || @family[pid]/ { @programs[pid, comm] = count(); }
END { clear(@family); }
"""
"""By process and by name, because a key that two processes add at the same moment loses one of them."""
HOST_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight")


class Bench:
    """One inventory of some namespaces, and a folder to run in."""

    def __init__(self, lab: Pair | Mesh, directory: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.playbook = "pairbench.lab.bench"
        self.variables: dict[str, Any] = {
            "iperf3_seconds": 1, "sockperf_seconds": 1, "qperf_seconds": 1, "pairbench_blocks": 1,
            "ansible_python_interpreter": "/usr/bin/python3", "ansible_connection": "pairbench.lab.netns",
            "pairbench_spool": str(directory / "spool"),
        }
        self.children: dict[str, Any] = {}
        self.hosts: dict[str, dict[str, Any]] = {
            name: {"ansible_netns": host.name, "pairbench_address": host.address}
            for name, host in zip(HOST_NAMES, lab.hosts, strict=False)
        }

    @property
    def pair(self) -> Pair:
        """The pair, where the lab is one."""
        assert isinstance(self.lab, Pair)
        return self.lab

    @property
    def sweep(self) -> Path:
        return self.directory / "results" / "default"

    def kept_on_hosts(self) -> list[Path]:
        """Records of runs that no controller has collected yet."""
        return list((self.directory / "spool").rglob("*.json"))

    def command(self, *arguments: str) -> list[str]:
        """Write the inventory; the argument list of the playbook."""
        inventory = self.directory / "lab.yml"
        inventory.write_text(yaml.safe_dump(
            {"all": {"hosts": self.hosts, "vars": self.variables, "children": self.children}}
        ))
        return [ANSIBLE_PLAYBOOK, self.playbook, "-i", str(inventory), *arguments]

    def environment(self, **changes: str) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return environment | {"ANSIBLE_NOCOLOR": "1"} | (changes or {"ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"})

    def run(self, *arguments: str, timeout: float = 900, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), cwd=self.directory, env=self.environment(**changes),
                              capture_output=True, text=True, timeout=timeout, check=False)

    def run_counted(self, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Counter[str]]:
        """Run it, and count the programs that it and all that descends from it execute, by the name of the thread that does.

        The kernel counts, so nothing is missed however busy the machine is, and nothing counts that is not of this command.
        """
        status, counts = self.directory / "status", self.directory / "programs.json"
        script = self.directory / "command.sh"
        script.write_text(f"{shlex.join(self.command(*arguments))}\necho $? >{shlex.quote(str(status))}\n")
        done = subprocess.run(
            ["bpftrace", "-q", "-f", "json", "-o", str(counts), "-c", f"/bin/sh {script}", "-e", PROGRAMS],
            cwd=self.directory, env=self.environment(), capture_output=True, text=True, timeout=900, check=True,
        )
        done.returncode = int(status.read_text())
        return done, programs_in(counts.read_text(encoding="utf-8"))

    def measure(self, *arguments: str, tries: int = 3) -> subprocess.CompletedProcess[str]:
        """Run it where every figure is needed: from the beginning again when nothing but squeezed runs is wrong."""
        for _try in range(tries - 1):
            done = self.run(*arguments)
            results = self.directory / "results"
            rows = [row for sweep in results.glob("*") for row in self.table("runs", sweep.name)]
            if done.returncode == 0 or not only_squeezed(rows):
                return done
            shutil.rmtree(results)
        return self.run(*arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it as a terminal does, in a process group of its own."""
        return subprocess.Popen(self.command(*arguments), cwd=self.directory, env=self.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def table(self, name: str, sweep: str = "default") -> list[dict[str, str]]:
        """A table of a sweep; nothing where the play ended before there was one."""
        path = self.sweep.parent / sweep / f"{name}.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as handle:
            return [{name: plain_cell(text) for name, text in row.items()} for row in csv.DictReader(handle)]


def programs_in(output: str) -> Counter[str]:
    """How often each program was executed, by its name, from what the tracer of `PROGRAMS` wrote."""
    found: Counter[str] = Counter()
    for document in map(json.loads, filter(str.strip, output.splitlines())):
        if document["type"] == "map":
            for key, count in document["data"].get("@programs", {}).items():
                found[key.partition(",")[2]] += count
    return found


def is_measured(row: dict[str, str]) -> bool:
    """Whether a run took place as planned, its figures believed or not."""
    return row["status"] == "valid" or (row["status"], row["reason"]) in SQUEEZED


def only_squeezed(rows: list[dict[str, str]]) -> bool:
    """Whether there are runs and all of them were measured."""
    return bool(rows) and all(map(is_measured, rows))


def assert_measured(rows: list[dict[str, str]], planned: int, status: int, told: str, incomplete: int = 2) -> None:
    """Each planned run was measured once, and the exit status says whether all of them may be believed.

    Some runs may have been squeezed, one and a tenth of the others. ``incomplete`` is the status where any was.
    """
    assert len({row["run_id"] for row in rows}) == len(rows) == planned, told
    outcomes = Counter((row["status"], row["reason"]) for row in rows)
    assert only_squeezed(rows), f"{outcomes}: {told}"
    squeezed = planned - outcomes["valid", ""]
    assert squeezed <= 1 + planned // 10, f"{outcomes}: {told}"
    assert status == (incomplete if squeezed else 0), told


def running(lab: Pair | Mesh) -> list[str]:
    """``pid comm`` of the tools that run in the namespaces of a lab."""
    return [line for host in lab.hosts for line in host.processes() if line.split()[1] in TOOLS]


def measuring(lab: Pair | Mesh) -> list[str]:
    """The same without the tracer, which tests itself, and without tools that are only asked for their version."""
    return [line for line in running(lab) if "bpftrace" not in line and not asked_for_its_version(line.split()[0])]


def asked_for_its_version(pid: str) -> bool:
    """Whether a tool does nothing else, or has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True
    return b"--version" in words or words == [b""]


@contextlib.contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """A controller that does not go on before this is over, and holds meanwhile what it holds."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def changed_total(output: str) -> int:
    """The sum of ``changed=`` over the recap."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


def words(output: str) -> str:
    """Output with its line breaks and indentation folded, for looking for a sentence in it."""
    return re.sub(r"\s+", " ", output.replace("\\n", " "))
