"""Whether anything grows over a long sweep: memory, files, processes, or the gap between two steps.

Usage, as root: ``.venv/bin/python benchmarks/long_haul.py [--runs 500] [--seconds 1] [--report FILE]``. Makes a lab of two
namespaces and one sweep of that many untraced runs on it, iperf3 and sockperf in turn, one run a step, as one
``ansible-playbook``; 500 runs take about 25 minutes. From outside it looks every few seconds at the main process of the
controller (memory, processor time, descriptors, threads, children), at all processes below it, and at the files that there
are. The gaps come from the times that the hosts took. It has a ``/run`` and temporary folders of its own, so that nothing
else on the machine is counted; the tools have to be installed (``make tools``).

The report has a line for every hundred runs, and compares the first fifth of the sweep with the last: medians of memory and
gaps; of what comes and goes with each run (processes, files) the smallest number seen, because what is never given back
raises it. The exit status is 1 where a figure has grown by more than its bound, or where runs are missing. What belongs to
the result (records, and lines of the index beside them) must be one a run.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked

BIN = Path(sys.executable).parent
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
    "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary", "ANSIBLE_NOCOLOR": "1",
}  # fmt: skip
HOSTS = {"vm1": "10.10.82.1", "vm2": "10.10.82.2"}
LOOK_SECONDS = 5.0
SHARE = 5
"""The first and the last of so many parts of the sweep are compared."""
PRIVATE = "PAIRBENCH_LONG_HAUL_PRIVATE"
OWN_RUN = 'mount -t tmpfs -o mode=755 pairbench /run && mkdir /run/lock && exec "$0" "$@"'


@dataclass(frozen=True)
class Bound:
    """By how much a figure may be larger at the end than at the beginning: a part of it, and so much in any case."""

    part: float
    absolute: float

    def allows(self, first: float, last: float) -> bool:
        return last - first <= max(self.part * abs(first), self.absolute)

    def __str__(self) -> str:
        return f"{100 * self.part:.0f} % or {self.absolute:g}"


BOUNDS = {
    # Ansible keeps each task that a play has included: a few kilobytes a run.
    "rss_mib": Bound(0.10, 4.0),
    "pss_mib": Bound(0.10, 4.0),
    "cpu_s_a_run": Bound(0.25, 0.02),
    "descriptors": Bound(0.0, 1.0),
    "threads": Bound(0.0, 0.0),
    "children": Bound(0.0, 2.0),
    "processes": Bound(0.0, 4.0),
    "spool_files": Bound(0.0, 2.0),
    "run_files": Bound(0.0, 0.0),
    "temp_files": Bound(0.0, 2.0),
    "gap_seconds": Bound(0.10, 0.15),
}
MEMORY = ("rss_mib", "pss_mib")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Look:
    """What there was at one moment, and how many runs had been written."""

    runs: int
    cpu_seconds: float
    """Of the controller's main process, since it started."""
    figures: dict[str, float]


class Lab:
    """Two namespaces, an inventory and a place for results; nothing of it stays."""

    def __init__(self, folder: Path, runs: int, seconds: int) -> None:
        self.folder = folder
        self._prefix = f"pbhaul{os.getpid()}"
        variables = {
            "ansible_connection": "pairbench.lab.netns", "ansible_python_interpreter": "/usr/bin/python3",
            "netns_lab_switch": f"{self._prefix}sw", "iperf3_seconds": seconds, "iperf3_parallel": 1,
            "sockperf_seconds": seconds, "pairbench_blocks": (runs + 1) // 2, "pairbench_trace": False,
            "pairbench_spool": str(folder / "spool"), "pairbench_configuration": "long-haul",
        }  # fmt: skip
        names = {
            name: {"ansible_netns": self._prefix + name, "pairbench_address": address} for name, address in HOSTS.items()
        }
        (folder / "lab.yml").write_text(yaml.safe_dump({"netns_lab": {"hosts": names, "vars": variables}}))

    @property
    def sweep(self) -> Path:
        return self.folder / "results" / "default"

    def command(self, playbook: str, *arguments: str) -> list[str]:
        return [str(BIN / "ansible-playbook"), f"pairbench.lab.{playbook}", "-i", "lab.yml", *arguments]

    @property
    def temporary(self) -> Path:
        """Where everything that this sweep starts has its temporary files."""
        return self.folder / "temporary"

    def environment(self) -> dict[str, str]:
        self.temporary.mkdir(exist_ok=True)
        names = ("TMPDIR", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TMP")
        return ENVIRONMENT | dict.fromkeys(names, str(self.temporary))

    def remove(self) -> None:
        """Take the namespaces away."""
        subprocess.run(self.command("netns_lab", "-e", "netns_lab_state=absent"), cwd=self.folder, env=self.environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def look(controller: int, lab: Lab) -> Look | None:
    """One look at everything; None when the controller has just ended."""
    proc = Path(f"/proc/{controller}")
    try:
        memory = _memory(proc)
        below = _below(controller)
        figures = {
            "rss_mib": memory["Rss"] / 1024,
            "pss_mib": memory["Pss"] / 1024,
            "descriptors": float(sum(1 for _entry in os.scandir(proc / "fd"))),
            "threads": float(sum(1 for _entry in os.scandir(proc / "task"))),
            "children": float(sum(parent == controller for parent in below.values())),
            "processes": float(len(below)),
            "spool_files": float(_files(lab.folder / "spool")),
            "run_files": float(_files(Path("/run"))),
            "temp_files": float(_files(lab.temporary)),
        }
        user, system = _fields(proc)[11:13]
    except (OSError, KeyError, IndexError):
        return None
    return Look(_count(lab.sweep / "records"), (int(user) + int(system)) / TICKS, figures)


def _fields(proc: Path) -> list[bytes]:
    """The fields of a process's ``stat`` behind its name."""
    return (proc / "stat").read_bytes().rsplit(b")", 1)[1].split()


def _memory(proc: Path) -> dict[str, float]:
    text = (proc / "smaps_rollup").read_text(encoding="ascii")
    return {name: float(value) for name, value in re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE)}


def _below(controller: int) -> dict[int, int]:
    """Parent of every process below the controller."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int(_fields(Path(entry.path))[1])
    found = {controller}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: parents[pid] for pid in found - {controller} if pid in parents}


def _files(folder: Path) -> int:
    return sum(len(files) for _folder, _names, files in os.walk(folder))


def _count(folder: Path) -> int:
    try:
        return sum(entry.name.endswith(".json.gz") for entry in os.scandir(folder))
    except OSError:
        return 0


def watched(lab: Lab, say: Callable[[str], None], runs: int) -> tuple[list[Look], int, float]:
    """Run the sweep and look at it: the looks, the exit status, and the seconds from the last record to the end."""
    looks: list[Look] = []
    told, last_record = 0, time.monotonic()
    with (lab.folder / "bench.log").open("w") as log:
        bench = subprocess.Popen(lab.command("bench"), cwd=lab.folder, env=lab.environment(), stdout=log, stderr=log)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    bench.wait(LOOK_SECONDS)
                    break
                seen = look(bench.pid, lab)
                if seen is None:
                    continue
                if not looks or seen.runs > looks[-1].runs:
                    last_record = time.monotonic()
                looks.append(seen)
                if seen.runs // 100 > told:
                    told = seen.runs // 100
                    say(f"{seen.runs} of {runs} runs, {_line(seen.figures)}")
        finally:
            if bench.poll() is None:
                bench.terminate()
                bench.wait()
    return looks, bench.returncode, time.monotonic() - last_record


def gaps(lab: Lab) -> list[float]:
    """Seconds from the end of each client to the start of the next, in order."""
    spans = []
    for path in (lab.sweep / "records").glob("*.json.gz"):
        client = json.loads(gzip.decompress(path.read_bytes()))["client"]
        if client and client.get("started_at") and client.get("ended_at"):
            spans.append(tuple(datetime.fromisoformat(client[name].replace("Z", "+00:00"))
                               for name in ("started_at", "ended_at")))
    spans.sort()
    return [(after[0] - before[1]).total_seconds() for before, after in pairwise(spans)]


def outcomes(lab: Lab) -> str:
    """How many runs of each status there are."""
    with (lab.sweep / "runs.csv").open(newline="", encoding="utf-8") as handle:
        words = [" ".join((row["status"], row["reason"])).strip() for row in csv.DictReader(handle)]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))


def parts(looks: Sequence[Look], between: Sequence[float], runs: int) -> Iterator[tuple[str, dict[str, float]]]:
    """For every hundred runs, the medians of what was seen meanwhile."""
    for start in range(0, runs, 100):
        end = min(start + 100, runs)
        members = [item for item in looks if start <= item.runs < end]
        if members and between[start:end]:
            figures = {name: typical(members, name) for name in members[0].figures}
            more = {"cpu_s_a_run": cpu_a_run(members), "gap_seconds": median(between[start:end])}
            yield f"{start + 1}-{end}", figures | more


def typical(looks: Sequence[Look], name: str) -> float:
    """A figure over some looks: the median of memory, of everything that is counted the smallest number."""
    return (median if name in MEMORY else min)(item.figures[name] for item in looks)


def cpu_a_run(looks: Sequence[Look]) -> float:
    """Seconds of the controller's processor for one run, over some looks."""
    first, last = looks[0], looks[-1]
    return (last.cpu_seconds - first.cpu_seconds) / max(1, last.runs - first.runs)


def first_and_last(looks: Sequence[Look], between: Sequence[float], runs: int) -> dict[str, tuple[float, float]]:
    """Each figure in the first and in the last fifth of the sweep, once it has got going."""
    part = max(1, runs // SHARE)
    early = [item for item in looks if 2 <= item.runs <= part + 1]
    late = [item for item in looks if runs - part <= item.runs < runs]
    found = {
        name: (typical(early, name), typical(late, name)) for name in (early[0].figures if early and late else {})
    }
    if len(early) > 1 and len(late) > 1:
        found["cpu_s_a_run"] = (cpu_a_run(early), cpu_a_run(late))
    if len(between) >= SHARE:
        share = max(1, len(between) // SHARE)
        found["gap_seconds"] = (median(between[:share]), median(between[-share:]))
    return found


def _line(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}".rstrip("0").rstrip(".") for name, value in figures.items())


def report(lab: Lab, looks: Sequence[Look], status: int, tail: float, wanted: int) -> tuple[list[str], bool]:
    """The report's lines, and whether nothing has grown."""
    between, runs = gaps(lab), _count(lab.sweep / "records")
    columns = list(BOUNDS)
    lines = ["", f"{'runs':>9} " + " ".join(f"{name:>11}" for name in columns)]
    for label, figures in parts(looks, between, runs):
        lines.append(f"{label:>9} " + " ".join(f"{figures[name]:11.2f}" for name in columns))
    lines += ["", f"{'figure':<12} {'first fifth':>12} {'last fifth':>12} {'per 100 runs':>13}  may grow by"]
    well = runs == wanted
    compared = first_and_last(looks, between, runs)
    for name, bound in BOUNDS.items():
        if name not in compared:
            lines.append(f"{name:<12} not seen often enough")
            well = False
            continue
        first, last = compared[name]
        good = bound.allows(first, last)
        well = well and good
        slope = (last - first) / max(1, runs * (1 - 1 / SHARE)) * 100
        lines.append(f"{name:<12} {first:12.2f} {last:12.2f} {slope:+13.3f}  {bound}{'' if good else '  GROWS'}")
    judged = asked(lab.sweep, lambda _store, synced: synced.judged)
    lines += ["", f"records: {runs} of {wanted}; of them judged after the pass, and not in it: {judged}",
              f"longest gap: {max(between, default=0.0):.2f} s",
              f"runs: {outcomes(lab)}; exit status of the playbook {status}",
              f"from the last record to the end of the command, tables and summary included: {tail:.1f} s"]  # fmt: skip
    left = _files(lab.folder / "spool") + _files(lab.temporary)
    lines.append(f"files left in the spool and in temporary folders: {left}")
    well = well and judged == 0 and left == 0
    lines.append("NOTHING GROWS" if well else "SOMETHING GROWS OR IS MISSING")
    return lines, well


def main() -> int:
    """Run it all; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="how many; an even number of at least 40")
    parser.add_argument("--seconds", type=int, default=1, help="length of a run")
    parser.add_argument("--report", type=Path, help="a file for everything that is printed")
    parser.add_argument("--keep", type=Path, help="a folder for the results and the log of the playbook")
    options = parser.parse_args()
    if options.runs < 40 or options.runs % 2:
        parser.error("--runs must be even and at least 40")
    if not os.environ.get(PRIVATE):
        os.environ[PRIVATE] = "yes"
        enter = ["unshare", "--mount", "--propagation=private", "sh", "-c", OWN_RUN]
        os.execvp(enter[0], [*enter, sys.executable, *sys.argv])
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(options.report.open("w", encoding="utf-8")) if options.report else None

        def say(line: str) -> None:
            print(line, flush=True)
            if copy:
                print(line, file=copy, flush=True)

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pairbench-haul-")))
        lab = Lab(folder, options.runs, options.seconds)
        began = time.monotonic()
        say(f"{options.runs} runs of {options.seconds} s, one a step; {datetime.now().isoformat(timespec='seconds')}")
        try:
            looks, status, tail = watched(lab, say, options.runs)
        finally:
            lab.remove()
            if options.keep:
                shutil.copytree(folder, options.keep, dirs_exist_ok=True)
        if not (lab.sweep / "runs.csv").exists():
            say((folder / "bench.log").read_text(encoding="utf-8")[-4000:])
            return 1
        lines, well = report(lab, looks, status, tail, options.runs)
        for line in lines:
            say(line)
        say(f"{time.monotonic() - began:.0f} s in all")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
