"""One plan, two controllers at once: each planned run once, and no host in two runs at the same time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from bench import Bench, assert_measured, measuring, stopped, words
from namespaces import Mesh, wait_until
from record_files import document_in, record_file

pytestmark = pytest.mark.slow

PAIRBENCH = str(Path(sys.executable).parent / "pairbench")


@pytest.fixture
def bench(mesh: Mesh, tmp_path: Path) -> Bench:
    """Four hosts, throughput only."""
    made = Bench(mesh, tmp_path)
    made.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False}
    return made


def pairbench(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PAIRBENCH, *arguments], cwd=bench.directory, capture_output=True, text=True, check=False)


def work(bench: Bench, worker: int, hosts: list[str], *more: str) -> subprocess.Popen[str]:
    return bench.start("--limit", ",".join(hosts), "--forks", "4", "-e", f"pairbench_results=worker{worker}",
                       "-e", f"pairbench_shard={worker}", *more)


def overlapping(rows: list[dict[str, str]], bench: Bench) -> list[tuple[str, str]]:
    """Pairs of runs that were on one host at the same time, by the clocks of the hosts."""
    spans = []
    for row in rows:
        record = document_in(record_file(bench.sweep, row["run_id"]))
        spans += [(row[side], record[side]["started_at"], record[side]["ended_at"], row["run_id"])
                  for side in ("server", "client")]
    return [(one[3], two[3]) for one, two in combinations(spans, 2)
            if one[0] == two[0] and one[1] < two[2] and two[1] < one[2]]


def test_two_controllers_share_one_plan(bench: Bench) -> None:
    planned = bench.run("--forks", "8", "-e", "pairbench_plan_only=true")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert (bench.sweep / "plan.json").exists() and not (bench.sweep / "records").exists()
    asked = pairbench(bench, "shards", "results/default", "--workers", "2", "--json")
    stages = json.loads(asked.stdout)["stages"]
    assert [len(stage) for stage in stages] == [2, 2, 2], asked.stdout
    for worker in (1, 2):
        shutil.copytree(bench.sweep, bench.directory / f"worker{worker}" / "default")
    folders = [str(bench.directory / f"worker{worker}" / "default") for worker in (1, 2)]
    for stage in stages:
        workers = [work(bench, job["worker"], job["hosts"]) for job in stage]
        for process in workers:
            output, _nothing = process.communicate(timeout=600)
            assert process.returncode in (0, 2), output  # what became of the runs is seen below
        merged = pairbench(bench, "merge", "results/default", *folders)
        assert merged.returncode in (0, 1), merged.stderr
        for folder in folders:  # each worker knows what the others have done before it goes on
            pairbench(bench, "merge", folder, "results/default")
    rows = bench.table("runs")
    assert "of 6 planned runs are valid" in merged.stdout
    assert_measured(rows, 6, merged.returncode, merged.stdout, incomplete=1)
    assert overlapping(rows, bench) == []
    assert {row["round"] for row in rows} == {"1", "2", "3"}  # as with one controller: the rounds are those of the stages


def test_a_worker_that_jumps_the_barrier_is_refused_by_the_hosts(bench: Bench) -> None:
    assert bench.run("--forks", "8", "-e", "pairbench_plan_only=true", "-e", "iperf3_seconds=4").returncode == 0
    for worker in (1, 2):
        shutil.copytree(bench.sweep, bench.directory / f"worker{worker}" / "default")
    first = work(bench, 1, ["one", "two"], "-e", "iperf3_seconds=4")
    wait_until(lambda: measuring(bench.lab), 60)
    with stopped(first):
        second = work(bench, 2, ["two", "three"], "-e", "iperf3_seconds=4")
        output, _nothing = second.communicate(timeout=600)
    assert second.returncode != 0
    assert "(shard 1)" in words(output) and "two:" in words(output), output
    output, _nothing = first.communicate(timeout=600)
    rows = bench.table("runs", "../worker1/default")
    assert_measured([row for row in rows if {row["server"], row["client"]} == {"one", "two"}], 1, first.returncode, output)
