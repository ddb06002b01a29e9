"""The whole bench with a hypervisor: rows of the process under each guest, over the same runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, running, words
from namespaces import Pair
from record_files import document_in, record_file

BUSY = """
import threading, time
def work(name):
    open("/proc/thread-self/comm", "w").write(name)
    while True:
        time.sleep(0.002)
for name in ("CPU 0/KVM", "CPU 1/KVM"):
    threading.Thread(target=work, args=(name,), daemon=True).start()
time.sleep(600)
"""


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Two processes in place of two VMMs, with threads named as QEMU names them."""
    made = {name: subprocess.Popen([sys.executable, "-c", BUSY]) for name in ("one", "two")}
    for name, process in made.items():
        (tmp_path / f"{name}.pid").write_text(str(process.pid), encoding="ascii")
    yield made
    for process in made.values():
        process.kill()
        process.wait()


@pytest.fixture
def bench(pair: Pair, tmp_path: Path, guests: dict[str, subprocess.Popen[bytes]]) -> Bench:
    made = Bench(pair, tmp_path)
    for name in ("one", "two"):
        made.hosts[name] |= {"pairbench_hypervisor": "hv", "pairbench_vmm_pid_file": str(tmp_path / f"{name}.pid")}
    # Both guests share the hypervisor; its network is that of the pair, as a bridge with an address would give it.
    made.children = {"hypervisors": {"hosts": {
        "hv": {"ansible_connection": "ansible.builtin.local", "pairbench_observer_netns": pair.client.name}}}}
    return made


def window_seconds(bench: Bench, row: dict[str, str]) -> float:
    """How long the process under one guest was counted in a run; that is longer than the run of the benchmark."""
    record = document_in(record_file(bench.sweep, row["run_id"]))
    return float(record["server"]["vmm"][row["side"]]["seconds"])


@pytest.mark.slow
def test_the_processes_under_both_guests_are_counted_over_the_same_runs(bench: Bench) -> None:
    done = bench.measure()
    assert done.returncode == 0, done.stdout + done.stderr
    runs = bench.table("runs")
    assert len(runs) == 4 and {row["status"] for row in runs} == {"valid"} and not any(row["checks"] for row in runs), runs
    traced = {row["run_id"] for row in runs if row["traced"] == "true"}
    rows = [row for row in bench.table("syscalls") if row["target"] == "vmm"]
    assert {(row["run_id"], row["side"]) for row in rows} == {(run, side) for run in traced for side in ("server", "client")}
    assert {row["comm"] for row in rows} >= {"CPU 0/KVM", "CPU 1/KVM"}
    sleep = "sys_enter_clock_nanosleep"
    for row in [row for row in rows if row["syscall"] == sleep]:
        # One sleep takes 2 ms at least. A busy machine hears a while after its begin that the tracer counts.
        assert 0 < int(row["calls"]) <= (window_seconds(bench, row) + 1) * 500
    metrics = {row["metric"] for row in bench.table("samples")}
    assert {f"vmm_syscalls_per_{unit}_{side}" for unit in ("gib", "message") for side in ("server", "client")} <= metrics
    assert "system calls of the process under the server a run" in done.stdout
    assert "VMM calls per message, client" in done.stdout
    assert {row["host"] for row in bench.table("hosts")} == {"one", "two", "hv"}
    assert not running(bench.lab)
    again = bench.run()
    assert again.returncode == 0 and "nothing to do" in again.stdout


@pytest.mark.slow
def test_what_cannot_be_counted_costs_its_rows_only(bench: Bench, guests: dict[str, subprocess.Popen[bytes]]) -> None:
    bench.variables["pairbench_benchmarks"] = ["iperf3"]
    guests["one"].kill()
    guests["one"].wait()
    done = bench.measure("-e", '{"bpftrace_mode": "time"}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["side"] for row in bench.table("syscalls") if row["target"] == "vmm"} == {"client"}, (
        bench.table("runs")
    )
    assert any(int(row["time_ns"] or 0) > 0 for row in bench.table("syscalls") if row["target"] == "vmm")
    traced = [row for row in bench.table("runs") if row["traced"] == "true"]
    assert [row["status"] for row in traced] == ["valid"] and traced[0]["checks"].startswith("vmm_untraced: server:")
    assert "is the guest up" in words(done.stdout)


@pytest.mark.slow
def test_a_hypervisor_that_is_away_costs_its_counts_only(bench: Bench) -> None:
    bench.variables |= {"pairbench_benchmarks": ["iperf3"]}
    done = bench.measure("--limit", "one,two")
    assert done.returncode == 0, done.stdout + done.stderr
    (traced,) = [row for row in bench.table("runs") if row["traced"] == "true"]
    assert traced["status"] == "valid" and "vmm_untraced" in traced["checks"]
    record = document_in(record_file(bench.sweep, traced["run_id"]))
    assert "not among the hosts of this play" in record["server"]["vmm"]["server"]["problem"]["detail"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pairbench_hypervisor": ""}, "pairbench_hypervisor is not"),
        ({"pairbench_hypervisor": "nobody"}, "the inventory has no host nobody"),
        ({"pairbench_hypervisor": "two"}, "its hypervisor two is measured itself"),
        ({"pairbench_vmm_match": "qemu"}, "one of them says which process it is"),
    ],
)
def test_variables_that_do_not_go_together_are_named(bench: Bench, changes: dict[str, str], named: str) -> None:
    bench.hosts["one"] |= changes
    done = bench.run("--check")
    assert done.returncode != 0 and named in words(done.stdout + done.stderr), done.stdout + done.stderr
    assert not (bench.directory / "results").exists()
