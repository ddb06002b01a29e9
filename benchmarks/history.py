"""What a long history costs: tables, summary, disk, and a pass with nothing to do, on sweeps of many finished runs.

Usage: ``.venv/bin/python benchmarks/history.py [--runs 2000 20000] [--quick] [--keep FOLDER]``. Makes for each size a
sweep of that many finished runs (at least; whole blocks) between eight hosts: a real plan (iperf3 -P 4 and sockperf for
30 s, traced and untraced, in rounds), and records as large as those of real runs, written and judged by the code that a pass
writes and judges them with. Then it measures, each in a process of its own, whose processor time and largest resident memory
the kernel gives:

- ``tables, from the store``: all tables from what is stored of the runs, where none has been written yet;
- ``nothing to do``: ``ansible-playbook pairbench.lab.bench`` once more, which has nothing left to measure (no host is
  needed: none is touched);
- ``tables, records alone``: ``pairbench tables`` where nothing but plan, records and facts of hosts is left;
- ``tables, nothing new``: what the end of a pass makes of the store when nothing is new;
- ``summary``: the rows of summary.csv from data that is in memory, and beside it reading samples.csv with pandas, in turn;

and counts bytes on disk, as programs see them and as the file system gives them. The last column is what a million runs
would take if everything were in proportion, start-up included, so that only large sweeps tell something of it. Nothing has
to be installed on hosts, and no root is needed. 2,000 runs take about 130 MB of disk before compression and a minute or two,
20,000 ten times that; ``--quick`` is two blocks for CI.
No measurement takes longer than ``--limit-seconds``: it is then stopped and said to take longer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.keeping import Keeper
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import LivePass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.opening import Asked, Opening, open_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.play import Play
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.summary import summarise
from long_records import RecordMaker

BIN = Path(sys.executable).parent
ROLES = Path(__file__).parent.parent / "roles"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
    "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary", "ANSIBLE_NOCOLOR": "1",
}  # fmt: skip
HOSTS = {f"vm{number}": f"10.10.84.{number}" for number in range(1, 9)}
RUNS_A_BLOCK = 112
"""28 pairs, two benchmarks with a case each, traced and untraced."""
UPDATE = (
    "import pathlib, sys; from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import update_tables; "
    "update_tables(pathlib.Path(sys.argv[1]))"
)
MANY = 1_000_000
REPEATS = 7
FACTS: Mapping[str, Any] = {
    "fingerprint": {
        "kind": "vm", "kernel": "6.1.0-32-amd64", "distribution": "Debian GNU/Linux 12 (bookworm)", "cpu": "AMD EPYC 7763",
        "cpus": 4, "memory_bytes": 8_331_436_032, "interface": "eth0", "mtu_bytes": 1500, "driver": "virtio_net",
        "tcp_congestion": "cubic", "clocksource": "tsc",
    },
    "tools": {"iperf3": {"version": "iperf 3.12 (cJSON 1.7.15)"}, "sockperf": {"version": "sockperf, version 3.7-no.git"}},
    "tracer": {"path": "/usr/bin/bpftrace", "probe": "tracepoint:raw_syscalls:sys_enter", "version": "bpftrace v0.17.0"},
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What one process took; ``seconds`` is None where it was stopped because it took too long."""

    seconds: float | None
    cpu_seconds: float
    peak_bytes: int
    output: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--quick", action="store_true", help=f"{2 * RUNS_A_BLOCK} runs instead of --runs")
    parser.add_argument("--keep", type=Path, help="make the sweeps in this folder and leave them there")
    parser.add_argument("--limit-seconds", type=float, default=900, help="the longest that one measurement may take")
    parser.add_argument("--summary-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.summary_of:
        print(json.dumps(summary_and_reading(arguments.summary_of)))
        return
    for runs in [2 * RUNS_A_BLOCK] if arguments.quick else arguments.runs:
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="history-", dir=arguments.keep))
        try:
            measure(folder, runs, arguments.limit_seconds)
        finally:
            if not arguments.keep:
                shutil.rmtree(folder)


def measure(folder: Path, runs: int, limit: float) -> None:
    """Make a sweep and print its table."""
    begin = time.monotonic()
    opening = make_sweep(folder, runs)
    count, sweep = opening.plan.steps.run_count, opening.orders.sweep_dir
    print(f"\n{count} runs of {opening.plan.blocks} blocks, made in {time.monotonic() - begin:.0f} s in {sweep}", flush=True)
    print(f"{'':24}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}{'ms a run':>10}{f'at {MANY:,} runs':>24}", flush=True)
    tables = [str(BIN / "pairbench"), "tables", str(sweep)]
    update = [sys.executable, "-c", UPDATE, str(sweep)]
    show("tables, from the store", run(update, folder, limit), count)
    show("nothing to do", run(bench(opening.plan.blocks), folder, limit, must_say="nothing to do"), count)
    leave_only_what_was_measured(sweep)
    show("tables, records alone", run(tables, folder, limit), count)
    show("tables, nothing new", run(update, folder, limit), count)
    show_summary(run([sys.executable, __file__, "--summary-of", str(sweep)], folder, limit), count)
    show_disk(sweep, count)


# Making a sweep.


def make_sweep(folder: Path, runs: int) -> Opening:
    """A sweep in which everything is measured, as the passes that measured it leave it."""
    variables = {host: {"pairbench_address": address} for host, address in HOSTS.items()}
    (folder / "lab.yml").write_text(yaml.safe_dump({"all": {"hosts": variables}}))
    bench_variables = defaults("bench") | {
        "pairbench_blocks": -(-runs // RUNS_A_BLOCK), "pairbench_results": str(folder / "results")
    }
    tools = {name: defaults(name) for name in BENCHMARKS}
    play = Play(list(HOSTS), {"all": list(HOSTS)}, variables)
    asked = Asked(bench_variables, tools, defaults("bpftrace"))
    opening = open_pass(asked, play, 2 * len(HOSTS), False, print)
    for host in HOSTS:
        write_host(opening.orders.sweep_dir, host, FACTS)
    write_records(opening, {name: tools[name][f"{name}_port"] for name in BENCHMARKS})
    return opening


def write_records(opening: Opening, ports: Mapping[str, int]) -> None:
    """Every record of the plan; stops at the first that is not valid."""
    keeper = Keeper(LivePass(opening.plan, opening.orders, set()), sys.exit)
    maker = RecordMaker(opening.plan, ports)
    for number, planned in enumerate(opening.plan.runs):
        judgement = keeper.keep(maker.record(planned, number))
        if judgement is None or judgement.status != "valid":
            sys.exit(f"{planned.run_id} is no valid run: {judgement}")
        if number % RUNS_A_BLOCK == 0:
            keeper.note_judged()
    keeper.note_judged()


def defaults(role: str) -> dict[str, Any]:
    """The variables of a role as they are where nobody sets them."""
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return found


def leave_only_what_was_measured(sweep: Path) -> None:
    """Remove everything that can be derived."""
    folder = SweepFolder(sweep)
    for path in set(sweep.iterdir()) - {folder.plan, folder.records, folder.hosts, folder.lock}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


# Measuring.


def bench(blocks: int) -> list[str]:
    """The command of one more pass."""
    return [
        str(BIN / "ansible-playbook"), "pairbench.lab.bench", "-i", "lab.yml", "--forks", str(2 * len(HOSTS)),
        "-e", f"pairbench_blocks={blocks}",
    ]  # fmt: skip


def run(argv: Sequence[str], folder: Path, limit: float, must_say: str = "") -> Cost:
    """What a command took. Ends this program where the command fails, or does not say what it must."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        begin = time.monotonic()
        process = subprocess.Popen(argv, cwd=folder, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)
        stopper = threading.Timer(limit, process.send_signal, [signal.SIGTERM])
        stopper.start()
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        stopper.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    stopped = seconds >= limit
    if not stopped and (process.returncode != 0 or must_say not in text):
        sys.exit(f"{' '.join(argv)} ended with {process.returncode}:\n{text[-4000:]}")
    return Cost(None if stopped else seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, text)


def summary_and_reading(sweep: Path) -> dict[str, float]:
    """Seconds of the summary and of reading samples.csv with pandas, medians of several turns."""
    runs, samples, configuration = frames(sweep)
    seconds: dict[str, list[float]] = {"summary": [], "reading": []}
    for _turn in range(REPEATS):
        begin = time.perf_counter()
        pd.read_csv(SweepFolder(sweep).table("samples"))
        between = time.perf_counter()
        summarise(runs, samples, configuration, every_run=False)
        seconds["reading"].append(between - begin)
        seconds["summary"].append(time.perf_counter() - between)
    return {name: median(values) for name, values in seconds.items()}


def frames(sweep: Path) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Runs and samples as the summary takes them, from the tables, and the configuration."""
    runs = pd.read_csv(
        SweepFolder(sweep).table("runs"),
        dtype=dict.fromkeys(("server", "client", "benchmark", "case"), "category") | {"level": "Int64"},
    )
    samples = pd.read_csv(SweepFolder(sweep).table("samples"), dtype={"metric": "category", "unit": "category"})
    samples["run"] = pd.Index(runs["run_id"]).get_indexer(samples["run_id"]).astype("int32")
    return runs, samples.drop(columns="run_id"), str(runs["configuration"].iloc[0])


# Showing.


def show(name: str, cost: Cost, count: int) -> None:
    """One line of the table."""
    if cost.seconds is None:
        print(f"{name:24}{'longer':>9}{cost.cpu_seconds:9.1f}{cost.peak_bytes / 1e6:9.0f}", flush=True)
        return
    many = MANY / count
    print(
        f"{name:24}{cost.seconds:9.2f}{cost.cpu_seconds:9.2f}{cost.peak_bytes / 1e6:9.0f}{1e3 * cost.seconds / count:10.3f}"
        f"{many * cost.seconds / 60:12.1f} min{many * cost.peak_bytes / 1e9:5.1f} GB",
        flush=True,
    )


def show_summary(cost: Cost, count: int) -> None:
    """The summary beside reading the samples."""
    if cost.seconds is None:
        show("summary", cost, count)
        return
    found = json.loads(cost.output)
    ratio = found["summary"] / found["reading"]
    print(
        f"{'summary':24}{found['summary']:9.3f}{'':9}{cost.peak_bytes / 1e6:9.0f}{1e3 * found['summary'] / count:10.3f}   "
        f"{ratio:.1f} x read_csv of samples.csv ({found['reading']:.3f} s)",
        flush=True,
    )


def show_disk(sweep: Path, count: int) -> None:
    """Bytes of records, of tables and of the rest."""
    folder = SweepFolder(sweep)
    files = [path for path in sweep.rglob("*") if path.is_file()]
    kinds = {
        "records": [path for path in files if folder.records in path.parents],
        "tables": [path for path in files if path.suffix == ".csv"],
    }
    kinds["other files"] = [path for path in files if not any(path in kind for kind in map(set, kinds.values()))]
    for name, paths in kinds.items():
        apparent, blocks = sizes(paths)
        print(
            f"disk: {name:18}{apparent / 1e6:9.1f} MB, {blocks / 1e6:.1f} MB of blocks; {apparent / count:.0f} and "
            f"{blocks / count:.0f} B a run; {MANY * blocks / count / 1e9:.2f} GB at {MANY:,} runs",
            flush=True,
        )


def sizes(paths: Iterable[Path]) -> tuple[int, int]:
    """Bytes of files as programs see them, and as the file system gives them."""
    found = [path.stat() for path in paths]
    return sum(item.st_size for item in found), sum(item.st_blocks * 512 for item in found)


if __name__ == "__main__":
    main()
