"""What counting one system call costs, and what starting and ending a tracer does, beside the probe that people write.

Usage, as root, with nothing else running: ``.venv/bin/python benchmarks/tracer_cost.py [--repeats 5] [--calls 300000]``.
Every program counts the calls of a ``dd`` of single bytes, in turn, again and again:

- ``counted``: what a traced run has (``count``), with each of its probes that this bpftrace knows;
- ``timed``: the same with the time of each call (``time``);
- ``attached alone``: a probe on every system call whose condition never holds, which is what the kernel itself takes for
  having a probe there and what no program with that probe can be below;
- ``by hand``: a probe on every system call by name, as in notes of people (``tracepoint:syscalls:sys_enter_*``).

Prints nanoseconds that counting adds to a call (the fastest of all repeats, less the fastest without a tracer), seconds from
starting the tracer to its end around a command that does nothing (median), both also as parts of the last program's, and
whether two numbers of blocks differ by exactly the difference in reads and writes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from ansible_collections.pairbench.lab.plugins.module_utils._tracing.tracer import (
    PROBES,
    TIME_PROBE,
    environment,
    script_text,
)

BY_HAND = 'tracepoint:syscalls:sys_enter_* /comm == "dd"/ { @calls[comm, probe] = count(); }\n'
ENVIRONMENT = environment() | {"BPFTRACE_MAX_PROBES": "4096", "BPFTRACE_MAX_BPF_PROGS": "4096"}
ATTACHED_ALONE = f"{TIME_PROBE} /pid == 0/ {{ @calls[pid] = count(); }}\n"
CPU = "1"
CALLS_A_BLOCK = 2


def programs() -> dict[str, str]:
    """The text of each program by its name; the one that people write is the last."""
    known = {probe: script_text("count", probe) for probe in PROBES}
    counted = {f"counted, {probe}": script for probe, script in known.items() if is_known(script)}
    return counted | {
        "timed": script_text("time", TIME_PROBE),
        "attached alone": ATTACHED_ALONE,
        "by hand": BY_HAND,
    }


def is_known(script: str) -> bool:
    """Whether this bpftrace can attach a program. One that cannot may leave the child of ``-c`` behind, waiting for ever."""
    argv = ["bpftrace", "-e", script, "-c", str(shutil.which("true"))]
    nowhere = subprocess.DEVNULL  # a pipe would be held open by that child
    process = subprocess.Popen(argv, env=ENVIRONMENT, stdout=nowhere, stderr=nowhere, start_new_session=True)
    status = process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return status == 0


class Bench:
    """Runs ``dd`` with and without a tracer, pinned to one CPU."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pinned = [str(shutil.which("taskset")), "-c", CPU]

    def plain(self, blocks: int) -> float:
        """Seconds that ``dd`` takes for so many blocks, as it says."""
        return self._seconds([*self._pinned, *self._dd(blocks)])

    def traced(self, script: str, blocks: int) -> tuple[float, str]:
        """The same under a tracer, and what that printed."""
        seconds = self._seconds(self._bpftrace(script, [*self._pinned, *self._dd(blocks)]))
        return seconds, (self._folder / "out").read_text(encoding="utf-8")

    def around_nothing(self, script: str) -> float:
        """Seconds from the start of a tracer to its end, around a command that does nothing."""
        argv = self._bpftrace(script, [str(shutil.which("true"))])
        began = time.monotonic()
        subprocess.run(argv, env=ENVIRONMENT, capture_output=True, check=True)
        return time.monotonic() - began

    def _bpftrace(self, script: str, argv: Sequence[str]) -> list[str]:
        program = self._folder / "script.bt"
        program.write_text(script, encoding="utf-8")
        return ["bpftrace", "-f", "json", "-o", str(self._folder / "out"), str(program), "-c", " ".join(argv)]

    @staticmethod
    def _dd(blocks: int) -> list[str]:
        return [str(shutil.which("dd")), "if=/dev/zero", "of=/dev/null", "bs=1", f"count={blocks}"]

    @staticmethod
    def _seconds(argv: Sequence[str]) -> float:
        done = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        found = re.search(r"copied, ([0-9.e+-]+) s", done.stderr)
        if found is None:
            sys.exit(f"{' '.join(argv)} failed:\n{done.stderr}")
        return float(found.group(1))


def is_exact(bench: Bench, script: str) -> bool:
    """Whether two numbers of blocks differ by exactly the difference, twice: in what was read and in what was written."""
    few, many = (_counts(bench.traced(script, blocks)[1]) for blocks in (2000, 5000))
    differences = sorted(many.get(key, 0) - count for key, count in few.items())
    return differences[-2:] == [3000, 3000] and not any(differences[:-2])


def _counts(output: str) -> dict[str, int]:
    """Calls of ``dd`` by what tells them apart, without the number of its thread; a name that is a probe is one too."""
    maps = [line for line in output.splitlines() if '"@calls"' in line]
    found = re.findall(r'"(?:\d+,)?(dd,[^"]+)": ?(\d+)', "".join(maps))
    return {key: int(count) for key, count in found}


def measured(bench: Bench, texts: Mapping[str, str], repeats: int, blocks: int) -> dict[str, tuple[float, float]]:
    """By program, ns that a call costs and seconds that arming and disarming take."""
    plain: list[float] = []
    traced: dict[str, list[float]] = {name: [] for name in texts}
    around: dict[str, list[float]] = {name: [] for name in texts}
    for _repeat in range(repeats):
        plain.append(bench.plain(blocks))
        for name, script in texts.items():
            traced[name].append(bench.traced(script, blocks)[0])
            around[name].append(bench.around_nothing(script))
    calls = CALLS_A_BLOCK * blocks
    return {name: ((min(traced[name]) - min(plain)) / calls * 1e9, median(around[name])) for name in texts}


def main() -> None:
    """Print a line for each program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--calls", type=int, default=300_000, help="system calls of each measurement")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("tracing needs root")
    with tempfile.TemporaryDirectory(prefix="pairbench-tracer-cost-") as folder:
        bench, texts = Bench(Path(folder)), programs()
        found = measured(bench, texts, options.repeats, options.calls // CALLS_A_BLOCK)
        exact = {name: is_exact(bench, script) for name, script in texts.items() if script != ATTACHED_ALONE}
    reference = found["by hand"]
    said = {True: "exact", False: "NOT EXACT", None: "counts nothing"}
    for name, (cost, seconds) in found.items():
        print(
            f"{name:<45} {cost:7.1f} ns a call ({cost / reference[0]:.2f}), {seconds:6.3f} s to arm and disarm "
            f"({seconds / reference[1]:.3f}), {said[exact.get(name)]}"
        )


if __name__ == "__main__":
    main()
