"""``pairbench sweep`` as a person and as a timer run it, over the real bench."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from bench import Bench, assert_measured, measuring, running
from namespaces import Pair, wait_until

PAIRBENCH = str(Path(sys.executable).parent / "pairbench")


@pytest.fixture
def bench(pair: Pair, tmp_path: Path) -> Bench:
    """Throughput only, a second a run."""
    made = Bench(pair, tmp_path)
    made.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False}
    return made


def start(bench: Bench, *arguments: str) -> subprocess.Popen[str]:
    bench.command()  # writes the inventory
    return subprocess.Popen([PAIRBENCH, "sweep", "-i", "lab.yml", *arguments], cwd=bench.directory,
                            env=bench.environment(PATH="/usr/sbin:/usr/bin:/sbin:/bin"), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def sweep(bench: Bench, *arguments: str) -> tuple[int, str]:
    process = start(bench, *arguments)
    output, _nothing = process.communicate(timeout=600)
    return process.returncode, output


def logs(bench: Bench) -> list[Path]:
    return sorted((bench.sweep / "logs").iterdir())


def test_blocks_with_a_period_then_interrupted_then_continued(bench: Bench) -> None:
    status, output = sweep(bench, "--blocks", "2", "--every", "15s")
    assert_measured(bench.table("runs"), 2, status, output, incomplete=1)
    assert [row["block"] for row in bench.table("runs")] == ["1", "2"]
    assert [path.name for path in logs(bench)] == ["pass-001.log", "pass-002.log"]
    assert "Block 1 of 2" in output and re.search(r"Block 2 of 2, .* left in all", output)
    assert output.count("[1/1 runs, 100 %, done]") == 2 and "TASK [" not in output
    assert "TASK [" in logs(bench)[0].read_text(encoding="utf-8")
    starts = [datetime.fromisoformat(path.read_text(encoding="utf-8").split()[0]) for path in logs(bench)]
    # A period is from start to start; how long Ansible takes to its first line differs by a second or two.
    assert (starts[1] - starts[0]).total_seconds() > 12
    assert re.search(r"Block 2 (begins in|is .* late)", output)

    process = start(bench, "--blocks", "3", "-e", "iperf3_seconds=1")
    wait_until(lambda: bool(running(bench.lab)), 60)
    process.send_signal(signal.SIGINT)
    output, _nothing = process.communicate(timeout=600)
    assert process.returncode == 130, output
    assert "the same command continues: pairbench sweep -i lab.yml --blocks 3" in output
    assert [row["block"] for row in bench.table("runs")] == ["1", "2", "3"], "the tables are written at the end"
    wait_until(lambda: not running(bench.lab), 10)

    status, output = sweep(bench, "--blocks", "3")
    rows = bench.table("runs")
    assert_measured(rows, 3, status, output, incomplete=1)
    assert sorted(row["block"] for row in rows) == ["1", "2", "3"]
    again, output = sweep(bench, "--blocks", "3")
    assert again == status and "Block" not in output and "of 3 planned runs are valid" in output


def test_intervals_that_are_too_wide_and_time_that_is_too_short_have_a_status_of_their_own(bench: Bench) -> None:
    assert bench.measure("-e", "pairbench_blocks=6").returncode == 0
    status, output = sweep(bench, "--until-ci", "0.0001%", "--max-blocks", "6")
    assert status == 3 and "NOT CONVERGED after 6 blocks: 1 intervals" in output, output
    assert "iperf3 tcp_P4_t1, one <- two, throughput_received" in output
    status, output = sweep(bench, "--until-ci", "99%", "--max-blocks", "6")
    assert status == 0 and "Converged after 6 blocks" in output, output
    status, output = sweep(bench, "--for", "1s", "--max-blocks", "7")
    assert status == 0 and "No time for block 7" in output, output
    assert len(bench.table("runs")) == 6 and not (bench.sweep / "logs").exists()


def test_what_cannot_work_says_so_with_a_status_for_schedulers(bench: Bench) -> None:
    status, output = sweep(bench, "--every", "soon")
    assert status == 2 and "'soon' is not a duration" in output
    status, output = sweep(bench, "--limit", "nobody")
    assert status == 2 and "--limit nobody leaves no host" in output
    status, output = sweep(bench, "-e", "iperf3_seconds=0")
    assert status == 2 and "iperf3_seconds is 0" in output, output
    assert not (bench.sweep / "records").exists()


def test_a_sweep_that_another_controller_holds_has_a_status_of_its_own(bench: Bench) -> None:
    holder = bench.start("-e", "iperf3_seconds=60")
    wait_until(lambda: measuring(bench.lab), 60)
    status, output = sweep(bench, "--blocks", "1", "-e", "iperf3_seconds=60")
    other, said = sweep(bench, "--blocks", "1", "--sweep", "other")
    holder.send_signal(signal.SIGINT)
    holder.communicate(timeout=600)
    assert status == 4 and "is held by" in output, output
    assert other == 4 and "this host is held by sweep default" in said, "another sweep has the hosts: " + said
