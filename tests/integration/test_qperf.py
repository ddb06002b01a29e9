"""qperf with the real program: its four tests through the main job, and what becomes of runs that something disturbs."""

from __future__ import annotations

import contextlib
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS, build_cases
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import planned_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import end_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Judgement, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from bench import Bench, is_measured, running
from namespaces import Pair, finish, kill, wait_until

PORT = 19765
STRANGERS_PORT = 29765
SLICES = 5
"""Of how many tests a run of udp_lat of as many seconds is made."""
CASES: list[dict[str, Any]] = [
    {"test": "tcp_lat", "seconds": 1},
    {"test": "udp_lat", "seconds": SLICES},
    {"test": "tcp_bw", "seconds": 1, "message_bytes": 65536},
    {"test": "udp_bw", "seconds": 1, "message_bytes": 1400},
]
DEFAULTS: dict[str, Any] = {"seconds": 1, "message_bytes": 64, "test": "tcp_lat", "mtu": 0, "pin": False, "extra_args": []}


def all_valid(bench: Bench, tries: int = 3) -> str:
    """Measure until no run was squeezed or held up by a busy machine; what was printed."""
    for number in range(1, tries + 1):
        done = bench.run("-e", f"pairbench_sweep=try{number}")
        rows = bench.table("runs", f"try{number}")
        bench.variables["seen"] = number
        if done.returncode == 0:
            break
        # A slice that a busy machine holds up looks like one that has lost a message.
        assert rows and all(is_measured(row) or row["reason"] == "message_lost" for row in rows), done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figures(bench: Bench, sweep: str) -> Mapping[str, Mapping[str, float]]:
    """Metrics of each run."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in bench.table("samples", sweep):
        found[row["run_id"]][row["metric"]] = float(row["value"])
    return found


def calls(bench: Bench, sweep: str, run_id: str, side: str) -> Mapping[str, int]:
    """How often one end of a run made each system call."""
    found: defaultdict[str, int] = defaultdict(int)
    for row in bench.table("syscalls", sweep):
        if (row["run_id"], row["side"]) == (run_id, side):
            assert row["comm"] == "qperf"
            found[row["syscall"].removeprefix("sys_enter_")] += int(row["calls"])
    return found


@pytest.mark.slow
def test_its_tests_are_measured_and_counted_at_both_ends(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    bench.variables |= {"pairbench_benchmarks": ["qperf"], "qperf_cases": CASES}
    shown = all_valid(bench)
    sweep = f"try{bench.variables['seen']}"
    rows = bench.table("runs", sweep)
    assert len(rows) == 2 * len(CASES)
    assert [row["checks"] for row in rows] == [""] * len(rows)
    measured = figures(bench, sweep)
    for row in rows:
        run = measured[row["run_id"]]
        test = row["case"].split("_m")[0]
        assert ("latency_mean" in run, "throughput_received" in run) == (test.endswith("lat"), test.endswith("bw"))
        per = {metric for metric in run if metric.startswith("syscalls_per_")}
        if row["traced"] == "false":
            assert not per
            continue
        unit = "gib" if test.endswith("bw") else "message"
        assert per == {f"syscalls_per_{unit}_{side}" for side in ("server", "client")}
        assert_exact(test, run, *(calls(bench, sweep, row["run_id"], side) for side in ("server", "client")))
    for words in ("latency mean", "throughput", "message rate", "calls per message, server", "calls per GiB, client"):
        assert words in shown, words
    assert not running(pair)


def assert_exact(test: str, run: Mapping[str, float], server: Mapping[str, int], client: Mapping[str, int]) -> None:
    """The client makes one write a message; the server, whose work is done by processes of its own, one receive at least."""
    tests = SLICES if test == "udp_lat" else 1
    assert run["messages_sent"] <= client["write"] <= run["messages_sent"] + 10 * (tests + 1)
    received = run["messages_received"]
    if test == "tcp_lat":
        assert received <= server["read"] <= run["messages_sent"] + 20 and client["read"] >= received
    elif test == "tcp_bw":
        assert server["read"] >= received
    else:
        assert received <= server["recvfrom"] <= received + 5 * tests
    assert server["clone"] + server["clone3"] + server["fork"] == tests + 1  # a process for each test, and one for `quit`


# ---- Disturbed runs, in sessions without Ansible ----


class Measured:
    """One untraced run of a case on a pair, as the plan has it."""

    def __init__(self, pair: Pair, **case: Any) -> None:
        self.pair = pair
        cases = [
            CaseSpec("qperf", found.name, found.parameters, BENCHMARKS["qperf"].expected_seconds(found.parameters))
            for found in build_cases(BENCHMARKS["qperf"], DEFAULTS | case, [])
        ]
        self.plan: Plan = make_plan(
            sweep="s", configuration="c", hosts={host.name: host.address for host in pair.hosts}, cases={"qperf": cases},
            directions={"qperf": "first_serves"}, blocks=1, seed=1, trace=False,
        )  # fmt: skip
        [step] = self.plan.steps
        [self.session] = step.sessions
        self.runs = {role: self._runs(host.name) for role, host in zip(("server", "client"), pair.hosts, strict=True)}

    def _runs(self, host: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = end_of(self.plan, self.session, host, {"qperf": PORT}, 15.0)["runs"]
        return runs

    def start(self) -> dict[str, subprocess.Popen[str]]:
        """Both ends; they do not wait long for a server that nobody has told to quit."""
        return {role: self.pair.start_end(role, runs, patience_seconds=3) for role, runs in self.runs.items()}

    def judged(self, started: Mapping[str, subprocess.Popen[str]]) -> Judgement:
        """What the gate says of the record that comes of it; nothing is left in the namespaces."""
        [run] = self.session.runs
        ends: dict[Any, Any] = {role: finish(child)["ends"][run.run_id] for role, child in started.items()}
        for host in self.pair.hosts:
            wait_until(lambda host=host: not running(self.pair), 20, f"the end of {host.processes()}")
        return judge(planned_record(self.plan, run, ends, None))


@contextlib.contextmanager
def somebody(pair: Pair, *argv: str, port: int) -> Iterator[int]:
    """Another program that listens on the server's host; its process."""
    process = subprocess.Popen([*pair.server.enter, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port} " in pair.server.listening(), what="a listening port")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_figures_that_a_strangers_server_gave_are_not_believed(pair: Pair) -> None:
    """It answers as the own one does, and the client's figures look as they should."""
    measured = Measured(pair)
    [run] = measured.runs["client"]
    run["argv"][run["argv"].index(str(PORT))] = str(STRANGERS_PORT)
    with somebody(pair, "qperf", "-lp", str(STRANGERS_PORT), port=STRANGERS_PORT):
        started = measured.start()
        judgement = measured.judged(started)
    assert judgement.status != "valid" and judgement.samples == (), judgement
    assert judgement.reason in ("server_unconfirmed", "no_output", "no_data"), judgement


@pytest.mark.parametrize("killed", ["all of it", "what serves the test"])
def test_a_server_that_is_killed_in_the_test_costs_the_run(killed: str, pair: Pair) -> None:
    measured = Measured(pair, seconds=8)
    started = measured.start()
    pair.await_traffic()
    pids = sorted(int(line.split()[0]) for line in pair.server.processes() if line.split()[1] == "qperf")
    assert len(pids) == 2
    for pid in pids if killed == "all of it" else pids[1:]:
        kill(pid)
    judgement = measured.judged(started)
    assert judgement.status == "failed" and judgement.samples == (), judgement


@pytest.mark.parametrize("taken", [PORT, PORT + 1])
def test_both_of_its_ports_must_be_free(taken: int, pair: Pair) -> None:
    """The second one is opened only when a client asks for it."""
    measured = Measured(pair)
    with somebody(pair, "iperf3", "-s", "-p", str(taken), port=taken) as pid:
        started = measured.start()
        results = {role: finish(child)["ends"] for role, child in started.items()}
    [end] = results["server"].values()
    assert end["problem"]["reason"] == "port_taken"
    assert end["problem"]["detail"].startswith(f"tcp port {taken} is taken by iperf3 (pid {pid})")
    [end] = results["client"].values()
    assert end["problem"]["reason"] == "server_not_ready"
