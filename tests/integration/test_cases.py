"""What cases ask of their hosts, with the real tools: MTU set and always put back, exact counts when pinned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer
from bench import Bench, words
from counts import by_thread_name
from namespaces import Host, Pair, finish, run, wait_until
from record_files import documents_of


def runs_of(pair: Pair, seconds: int = 1, traced: bool = False, **asked: Any) -> dict[str, list[dict[str, Any]]]:
    common = {"run_id": "run0", "protocol": "tcp", "port": 5201, "stop": "exits", "traced": traced,
              "limit_seconds": seconds + 12, "ready_seconds": 15, **asked}
    return {
        "server": [{"argv": ["iperf3", "-s", "-1", "-J", "-B", pair.server.address], **common}],
        "client": [{"argv": ["iperf3", "-c", pair.server.address, "-J", "-t", str(seconds)], **common}],
    }


def mtu(host: Host) -> int:
    shown = json.loads(run("ip", "-n", host.name, "-json", "link", "show", "d0").stdout)
    return int(shown[0]["mtu"])


def mtus(pair: Pair) -> tuple[int, ...]:
    return tuple(mtu(host) for host in pair.hosts)


def pids(host: Host, name: str) -> list[int]:
    return [int(line.split()[0]) for line in host.processes() if line.split()[1] == name]


def started(pair: Pair, runs: dict[str, list[dict[str, Any]]], **changes: Any) -> dict[str, subprocess.Popen[str]]:
    """Both ends of a session whose client has been started."""
    ends = {role: pair.start_end(role, runs[role], **changes) for role in ("server", "client")}
    wait_until(lambda: pids(pair.client, "iperf3") and pids(pair.server, "iperf3"), 15)
    return ends


def test_the_mtu_is_that_of_the_run_and_the_old_one_afterwards(pair: Pair) -> None:
    ends = started(pair, runs_of(pair, seconds=2, mtu=1300))
    assert mtus(pair) == (1300, 1300)
    results = {role: finish(child) for role, child in ends.items()}
    for result in results.values():
        end = result["ends"]["run0"]
        assert end["problem"] is None and end["returncode"] == 0
        assert end["settings"] == {"cpus": None, "interface": "d0", "mtu_bytes": 1300, "user": None}
    # The largest segment follows from the MTU: 40 bytes of headers, 12 of time stamps that iperf3 does not subtract.
    start = json.loads(results["client"]["ends"]["run0"]["stdout"])["start"]
    assert start["tcp_mss_default"] <= 1300 - 40
    assert mtus(pair) == (1500, 1500)


def test_an_mtu_that_the_interface_refuses_is_a_problem_of_the_run(pair: Pair) -> None:
    runs = runs_of(pair)
    runs["client"][0]["mtu"] = 65535 + 1
    result = pair.session(runs)
    problem = result["client"]["ends"]["run0"]["problem"]
    assert problem["reason"] == "mtu_not_set" and "the MTU of d0 cannot be set to 65536" in problem["detail"]
    runs = runs_of(pair)
    runs["server"][0]["mtu"] = 67
    result = pair.session(runs)
    assert result["server"]["ends"]["run0"]["problem"]["reason"] == "mtu_not_set"
    assert result["client"]["ends"]["run0"]["problem"]["reason"] == "server_not_ready"
    assert mtus(pair) == (1500, 1500)


def test_an_mtu_that_would_cost_an_ipv6_address_is_refused(pair: Pair) -> None:
    run("ip", "-n", pair.client.name, "addr", "add", "fd00:77::2/64", "dev", "d0", "nodad")
    runs = runs_of(pair)
    runs["client"][0]["mtu"] = 1000
    problem = pair.session(runs)["client"]["ends"]["run0"]["problem"]
    assert problem["reason"] == "mtu_not_set" and "fd00:77::2" in problem["detail"]
    assert "fd00:77::2" in run("ip", "-n", pair.client.name, "addr", "show", "d0").stdout


def test_the_mtu_of_an_ipv6_data_address_is_set(pair: Pair) -> None:
    for number, host in enumerate(pair.hosts, start=1):
        run("ip", "-n", host.name, "addr", "add", f"fd00:77::{number}/64", "dev", "d0", "nodad")
        host.address = f"fd00:77::{number}"
    result = pair.session(runs_of(pair, mtu=1400))
    for role in ("server", "client"):
        assert result[role]["ends"]["run0"]["settings"]["mtu_bytes"] == 1400
        assert result[role]["ends"]["run0"]["problem"] is None
    assert mtus(pair) == (1500, 1500)


def test_the_mtu_is_put_back_after_an_error_and_after_an_interrupt(pair: Pair) -> None:
    runs = runs_of(pair, mtu=1300)
    runs["client"][0]["argv"] = ["iperf3", "-c", pair.server.address, "--no-such-option"]
    assert pair.session(runs)["client"]["ends"]["run0"]["returncode"] != 0
    assert mtus(pair) == (1500, 1500)
    ends = started(pair, runs_of(pair, seconds=20, mtu=1300))
    ends["client"].send_signal(signal.SIGTERM)
    assert finish(ends["client"])["problem"]["reason"] == "interrupted"
    assert finish(ends["server"])["problem"]["reason"] == "peer_lost"
    assert mtus(pair) == (1500, 1500)


def test_the_mtu_that_a_killed_end_left_is_put_back_by_the_next_session(pair: Pair) -> None:
    ends = started(pair, runs_of(pair, seconds=20, mtu=1300))
    os.kill(ends["client"].pid, signal.SIGKILL)
    finish(ends["server"])
    ends["client"].wait(300)
    wait_until(lambda: not pids(pair.client, "iperf3"))
    assert mtus(pair) == (1500, 1300)
    seen = pair.session(runs_of(pair))
    assert seen["client"]["ends"]["run0"]["settings"] is None
    assert seen["client"]["ends"]["run0"]["problem"] is None
    assert mtus(pair) == (1500, 1500)


RESTORE = """
from ansible_collections.pairbench.lab.plugins.module_utils._host.settings import restore_leftovers
print(restore_leftovers())
"""


def restore_on(host: Host) -> str:
    return run(*host.enter, sys.executable, "-c", RESTORE).stdout.strip()


def test_what_a_living_session_has_set_is_left_alone_and_what_a_dead_one_has_set_is_not(pair: Pair) -> None:
    assert restore_on(pair.client) == "None"
    ends = started(pair, runs_of(pair, seconds=20, mtu=1300))
    assert restore_on(pair.client) == "None" and mtus(pair) == (1300, 1300)
    for child in ends.values():
        child.kill()
        child.wait(300)
    assert restore_on(pair.client) == "the MTU of d0 was put back to 1500, which a killed session left at 1300"
    assert restore_on(pair.client) == "None" and mtus(pair) == (1300, 1500)
    # An interface of the same name that is another one, and one that somebody has mended, are not touched.
    run("ip", "-n", pair.server.name, "link", "set", "d0", "mtu", "1450")
    assert restore_on(pair.server) == "None" and mtu(pair.server) == 1450


def allowed_cpus(pid: int) -> str:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Cpus_allowed_list"))


def test_a_pinned_benchmark_runs_on_its_cpus_and_the_tracer_on_others(pair: Pair, tracer: dict[str, Any]) -> None:
    last = max(os.sched_getaffinity(0))
    ends = started(pair, runs_of(pair, seconds=2, traced=True, cpus=str(last)), tracer=tracer)
    for host in pair.hosts:
        assert {allowed_cpus(pid) for pid in pids(host, "iperf3")} == {str(last)}
    if len(os.sched_getaffinity(0)) > 1:
        assert str(last) not in {allowed_cpus(pid) for pid in pids(pair.client, "bpftrace")}
    for child in ends.values():
        end = finish(child)["ends"]["run0"]
        assert end["problem"] is None and end["settings"]["cpus"] == str(last)
        calls = by_thread_name(end["trace"]["output"])
        assert {name for name, _number in calls} == {"bpftrace", "taskset", "iperf3"}
        exit_group = 231 if os.uname().machine == "x86_64" else 94
        assert calls["iperf3", exit_group] == 1


def test_cpus_that_a_host_has_not_are_named(pair: Pair) -> None:
    runs = runs_of(pair)
    runs["client"][0]["cpus"] = "0,4000"
    problem = pair.session(runs)["client"]["ends"]["run0"]["problem"]
    assert problem["reason"] == "cpus_not_set" and "has no CPU 4000 online" in problem["detail"]


def test_counts_are_the_same_with_and_without_pinning(tracer: dict[str, Any], tmp_path: Path) -> None:
    counted = []
    for prefix in ([], ["/usr/bin/taskset", "-c", "0"]):
        output = tmp_path / "calls.json"
        dd = [*prefix, "/usr/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=7000"]
        argv = _tracer.command(tracer["path"], "count", tracer["probe"], dd, str(output), str(tmp_path / "calls.bt"))
        run(*argv, env=_tracer.environment())
        calls = by_thread_name(output.read_text(encoding="utf-8"))
        counted.append({number: value for (name, number), value in calls.items() if name == "dd"})
    assert counted[0] == counted[1]
    assert sum(counted[0].values()) > 14000


@pytest.mark.slow
def test_a_matrix_through_the_whole_bench(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    last = max(os.sched_getaffinity(0))
    bench.hosts["one"]["pairbench_cpus"] = [last]
    bench.hosts["two"]["pairbench_cpus"] = str(last)
    bench.variables |= {
        "iperf3_cases": [
            {"name": "both", "bidirectional": True, "parallel": 1},
            {"protocol": "udp", "packets_per_second": 1000, "length": 1400, "parallel": 1},
        ],
        "sockperf_matrix": {"message_bytes": [64, 256], "mtu": [0, 1400], "pin": [False, True]},
        "pairbench_trace": False,
    }
    done = bench.measure()
    assert done.returncode == 0, done.stdout + done.stderr
    runs = bench.table("runs")
    assert len(runs) == 3 + 8 and {row["status"] for row in runs} == {"valid"}, [row["reason"] for row in runs]
    assert {row["case"] for row in runs} >= {
        "both_forward", "both_reverse", "udp_P1_t1_pps1000_l1400", "ping-pong_udp_m256_t1_mtu1400_pinned"
    }
    cases = {row["run_id"]: row["case"] for row in runs}
    packets = [float(row["value"]) for row in bench.table("samples")
               if row["metric"] == "packets_per_second" and "pps1000" in cases[row["run_id"]]]
    assert len(packets) == 1 and 900 < packets[0] < 1100  # what was asked for, not how long it took
    for record in documents_of(bench.sweep):
        name = record["run"]["case"]
        for side in ("server", "client"):
            settings = record[side]["settings"]
            assert (settings or {}).get("mtu_bytes") == (1400 if "mtu1400" in name else None), name
            assert (settings or {}).get("cpus") == (str(last) if "pinned" in name else None), name
    assert mtus(pair) == (1500, 1500)


def test_a_pinned_case_without_cpus_measures_nothing_and_names_the_hosts(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    done = bench.run("-e", "iperf3_pin=true")
    assert done.returncode != 0
    assert "one, two: no pairbench_cpus" in words(done.stdout + done.stderr)
    assert not (bench.sweep / "records").exists()
