"""Whether measuring through the collection gives the figures that the same commands give by hand.

Usage, as root, with nothing else running: ``.venv/bin/python benchmarks/by_hand.py [--pairs 100] [--seconds 1] [--apart]``.
Makes a lab of two namespaces, each pinned to a CPU of its own, and measures iperf3 with four streams and with one, and
sockperf's ping-pong, untraced, once in each of several ways, in random order, again and again. With four streams some
machines have two paces and take up one of them for a whole run (on the one this was made on, 48 and 64 Gbit/s), so that only
a thousand pairs would tell a difference of 2 %; with buffers of 1 MiB there is one pace, and ten pairs tell it. So four
streams are measured with both. The ways are

- ``hand``: the same commands, as the collection's records have them, by somebody with a terminal for each host, who does
  nothing else meanwhile (two programs of one terminal share one part of the CPUs where the kernel groups tasks by it);
- ``again`` (with ``--again``): the same once more, which shows what differs by chance;
- ``collection``: one more block of ``pairbench.lab.bench``;
- ``playbook`` (with ``--playbook``): what a user writes without the collection (``plain_playbook.yml``).

``--apart`` pins both hosts to CPU 0 and everything of the controller to CPU 1, as if the hosts were other machines.

Prints, for each way and case, the ratio of its figure to that of ``hand`` with its 95 % interval (Hodges-Lehmann on
logarithms, paired by turn) and what that says: the interval lies within ``--within`` (2 %) of 1, it lies outside of 1, or
nothing can be told. Then the seconds and CPU seconds that a turn took, those of the benchmarks included. The exit status is
1 where not every figure of the collection is the same. A hundred turns take about half an hour.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import latest_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.estimates import hodges_lehmann
from machine import machine
from namespaces import Lab

HERE = Path(__file__).resolve().parent
IPERF3_CASES: Any = [{"parallel": 4, "length": "1M"}, {"parallel": 4}, {"parallel": 1}]
METRICS = {"iperf3": "throughput_received", "sockperf": "latency_p50"}
LISTEN_SECONDS = 10.0
"""How long a server started by hand may take until it listens."""


@dataclass(frozen=True)
class Case:
    """One benchmark with its parameters, as the two commands that a run of the collection had."""

    name: str
    metric: str
    server: str
    client: str
    server_argv: tuple[str, ...]
    client_argv: tuple[str, ...]


@dataclass
class Turns:
    """What one way of measuring came to: figures by case, seconds and CPU seconds of each turn, in the order of turns."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)


def cases_of(lab: Lab, cpus: Mapping[str, str]) -> list[Case]:
    """The cases of the sweep as its records of the first block have them, pinned as the collection pins them."""
    found = []
    for run in planned_runs(load_plan(lab.sweep())):
        record = latest_record(lab.sweep(), run.run_id)
        if run.block != 1 or record is None or record.server is None or record.client is None:
            continue
        server = ("taskset", "-c", cpus[run.server], *record.server.argv)
        client = ("taskset", "-c", cpus[run.client], *record.client.argv)
        found.append(Case(run.case, METRICS[run.benchmark], run.server, run.client, server, client))
    return found


def figure_in(text: str, case: Case) -> float:
    """The figure of a case in what a client printed."""
    for finding in scan(text.splitlines(keepends=True)):
        for sample in finding.samples:
            if sample.metric == case.metric and finding.status == "valid":
                return sample.value
    sys.exit(f"no {case.metric} in what the client of {case.name} printed:\n{text[:2000]}")


def by_hand(lab: Lab, cases: list[Case]) -> dict[str, float]:
    """One run of each case, in random order."""
    figures = {}
    for case in random.sample(cases, len(cases)):
        enter = ("nsenter", f"--net=/run/netns/{lab.namespace(case.server)}")
        argv = [*enter, *case.server_argv]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True) as server:
            wait_until_it_listens(server.pid, port_in(case.server_argv))
            enter = ("nsenter", f"--net=/run/netns/{lab.namespace(case.client)}")
            argv = [*enter, *case.client_argv]
            done = subprocess.run(argv, capture_output=True, text=True, check=True, start_new_session=True)
            if "-1" not in case.server_argv:
                server.terminate()
        figures[case.name] = figure_in(done.stdout, case)
    return figures


def port_in(argv: Sequence[str]) -> int:
    """The port that both benchmarks take with ``-p``."""
    return int(argv[argv.index("-p") + 1])


def wait_until_it_listens(pid: int, port: int) -> None:
    """Until a socket of the network namespace of that process is bound to that port."""
    deadline = time.monotonic() + LISTEN_SECONDS
    while not any(f":{port:04X} " in line[:30] for line in sockets_of(pid)):
        if time.monotonic() > deadline:
            sys.exit(f"nothing listens on port {port} after {LISTEN_SECONDS:.0f} s")
        time.sleep(0.01)


def sockets_of(pid: int) -> list[str]:
    """The lines of the kernel's tables of IPv4 sockets, those of TCP that are connected or ended left out."""
    tables = [Path(f"/proc/{pid}/net/{protocol}").read_text(encoding="ascii") for protocol in ("tcp", "udp")]
    listening = [line for line in tables[0].splitlines() if " 0A " in line]
    return listening + tables[1].splitlines()


def by_playbook(lab: Lab, cases: list[Case], before: list[str]) -> dict[str, float]:
    """The same by a playbook that knows nothing of the collection."""
    outputs = Path(tempfile.mkdtemp(dir=lab.folder))
    order = [vars(case) for case in random.sample(cases, len(cases))]
    lab.play(str(HERE / "plain_playbook.yml"), "-e", json.dumps({"cases": order, "outputs": str(outputs)}), before=before)
    return {case.name: figure_in((outputs / case.name).read_text(encoding="utf-8"), case) for case in cases}


def by_collection(lab: Lab, cases: list[Case], block: int, before: list[str]) -> dict[str, float]:
    """One block more of the sweep."""
    lab.play("pairbench.lab.bench", "-e", f"pairbench_blocks={block}", before=before)
    figures = {}
    for run in planned_runs(load_plan(lab.sweep())):
        if run.block == block:
            record = latest_record(lab.sweep(), run.run_id)
            case = next(case for case in cases if case.name == run.case)
            assert record is not None and record.client is not None and record.client.stdout is not None
            figures[case.name] = figure_in(record.client.stdout, case)
    return figures


def take_turns(ways: Mapping[str, Callable[[int], dict[str, float]]], turns: int, raw: Path | None) -> dict[str, Turns]:
    """Every way once a turn, in random order. After each turn all figures are in the file ``raw``."""
    found = {name: Turns() for name in ways}
    for turn in range(1, turns + 1):
        for name in random.sample(list(ways), len(ways)):
            before, began = cpu_seconds(), time.monotonic()
            figures = ways[name](turn)
            found[name].seconds.append(time.monotonic() - began)
            found[name].cpu_seconds.append(cpu_seconds() - before)
            for case, figure in figures.items():
                found[name].figures.setdefault(case, []).append(figure)
        if raw:
            raw.write_text(json.dumps({name: vars(way) for name, way in found.items()}), encoding="utf-8")
        if turn % 10 == 0:
            print(f"{turn} of {turns} turns", file=sys.stderr, flush=True)
    return found


def cpu_seconds() -> float:
    """Of all programs that have been started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(found: Mapping[str, Turns], within: float) -> bool:
    """Print everything; whether the collection gives the figures of the same commands by hand."""
    hand, well = found["hand"], True
    for name, turns in found.items():
        for case, figures in turns.figures.items() if name != "hand" else ():
            pairs = zip(figures, hand.figures[case], strict=True)
            ratio = hodges_lehmann([math.log(one / other) for one, other in pairs])
            low, high = (math.exp(end) for end in ratio.interval or (-math.inf, math.inf))
            centre = math.exp(ratio.centre)
            same = 1 - within <= low and high <= 1 + within
            otherwise = "nothing can be told" if low <= 1 <= high else "another figure"
            said = f"the same within {within:.0%}" if same else otherwise
            if name == "collection":
                well = well and same
            print(f"{name:<11} {case:<36} {centre:6.3f} of by hand [{low:.3f} {high:.3f}], n = {len(figures)}: {said}")
    for name, turns in found.items():
        print(f"{name:<11} {median(turns.seconds):6.1f} s a turn, {median(turns.cpu_seconds):6.2f} s of CPU")
    return well


def main() -> int:
    """Measure and report; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100, help="turns; at least 6")
    parser.add_argument("--seconds", type=int, default=1, help="length of a run; sockperf takes 2 at least")
    parser.add_argument("--apart", action="store_true", help="keep the controller off the CPU of the hosts")
    parser.add_argument("--again", action="store_true", help="measure by hand twice a turn, to see what chance does")
    parser.add_argument("--playbook", action="store_true", help="measure a plain playbook too")
    parser.add_argument("--within", type=float, default=0.02, help="how far the interval may reach from 1")
    parser.add_argument("--raw", type=Path, help="a file for all figures, as JSON, written after each turn")
    options = parser.parse_args()
    cpus = {"vm1": "0", "vm2": "0" if options.apart else "1"}
    before = ["taskset", "-c", "1"] if options.apart else []
    if options.apart:
        os.sched_setaffinity(0, {1})
    folder = Path(tempfile.mkdtemp(prefix="pairbench-by-hand-"))
    lab = Lab(
        folder, 2, 83, {host: {"pairbench_cpus": cpu} for host, cpu in cpus.items()}, pairbench_trace=False,
        pairbench_blocks=1, iperf3_pin=True, sockperf_pin=True, iperf3_seconds=options.seconds,
        sockperf_seconds=max(2, options.seconds), iperf3_cases=IPERF3_CASES,
    )  # fmt: skip
    print(machine(), flush=True)
    try:
        lab.play("pairbench.lab.bench", before=before)
        cases = cases_of(lab, cpus)
        ways: dict[str, Callable[[int], dict[str, float]]] = {
            "hand": lambda _turn: by_hand(lab, cases),
            "collection": lambda turn: by_collection(lab, cases, turn + 1, before),
        }
        if options.again:
            ways["again"] = lambda _turn: by_hand(lab, cases)
        if options.playbook:
            ways["playbook"] = lambda _turn: by_playbook(lab, cases, before)
        found = take_turns(ways, options.pairs, options.raw)
    finally:
        lab.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if report(found, options.within) else 1


if __name__ == "__main__":
    sys.exit(main())
