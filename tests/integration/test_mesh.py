"""A full mesh of eight hosts with the real tools: no host is ever in two runs, and a kill in the middle costs nothing."""

from __future__ import annotations

import itertools
import os
import signal
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bench import Bench, assert_measured, measuring, running
from namespaces import Mesh, wait_until
from record_files import files_of_records

pytestmark = pytest.mark.slow

HOSTS, ROUNDS, BENCHMARKS, DIRECTIONS = 8, 7, 2, 2
PLANNED = HOSTS * (HOSTS - 1) // 2 * BENCHMARKS * DIRECTIONS


def spans(rows: list[dict[str, str]]) -> dict[str, list[tuple[datetime, datetime, str]]]:
    """By host, from when to when it was in which run: times taken on the hosts."""
    found = defaultdict(list)
    for row in rows:
        start = datetime.fromisoformat(row["started_at"].replace("Z", "+00:00"))
        for host in (row["server"], row["client"]):
            found[host].append((start, start + timedelta(seconds=float(row["seconds"])), row["run_id"]))
    return found


@pytest.mark.parametrize("mesh", [HOSTS], indirect=True)
def test_a_full_mesh_with_a_kill_in_the_middle(mesh: Mesh, tmp_path: Path) -> None:
    bench = Bench(mesh, tmp_path)
    bench.variables |= {"iperf3_direction": "both", "sockperf_direction": "both", "pairbench_trace": False}
    process = bench.start("--forks", "16")
    wait_until(lambda: len(files_of_records(bench.sweep)) >= PLANNED // 2, 300, "half of the records")
    wait_until(lambda: measuring(mesh), 60, "the next step")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=600)
    kept = {path: path.read_bytes() for path in files_of_records(bench.sweep)}
    assert PLANNED // 2 <= len(kept) < PLANNED

    again = bench.run("--forks", "16", timeout=900)
    assert {path: path.read_bytes() for path in kept} == kept
    rows = bench.table("runs")
    assert_measured(rows, PLANNED, again.returncode, again.stdout + again.stderr)
    assert "that ended while no controller was there" in again.stdout

    for host, runs in spans(rows).items():
        assert len(runs) == (HOSTS - 1) * BENCHMARKS * DIRECTIONS
        for (_start, end, first), (start, _end, second) in itertools.pairwise(sorted(runs)):
            assert end <= start, f"{host} was in {first} and {second} at once"
    steps = defaultdict(set)
    for row in rows:
        direction = row["server"] < row["client"]
        steps[row["benchmark"], direction].add(row["round"])
    assert {key: len(rounds) for key, rounds in steps.items()} == dict.fromkeys(
        itertools.product(("iperf3", "sockperf"), (True, False)), ROUNDS
    )
    assert not running(mesh)
