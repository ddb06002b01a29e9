"""Sessions with the real tools: what both ends return, and that nothing is ever left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from counts import by_thread_name
from namespaces import Host, Pair, finish, run, wait_until

TOOLS = ("iperf3", "sockperf", "bpftrace", "timeout")


def iperf3_runs(pair: Pair, seconds: int = 1, count: int = 1, traced: bool = False) -> dict[str, list[dict[str, Any]]]:
    common = {"protocol": "tcp", "port": 5201, "stop": "exits", "traced": traced, "limit_seconds": seconds + 10,
              "ready_seconds": 15}
    server = ["iperf3", "-s", "-1", "-J", "-B", pair.server.address]
    client = ["iperf3", "-c", pair.server.address, "-J", "-t", str(seconds), "-P", "2"]
    names = [f"run{number}" for number in range(count)]
    return {
        "server": [{"run_id": name, "argv": server, **common} for name in names],
        "client": [{"run_id": name, "argv": client, **common} for name in names],
    }


def sockperf_runs(pair: Pair, seconds: int = 1, traced: bool = False, protocol: str = "udp") -> dict[str, list[Any]]:
    common = {"run_id": "run0", "protocol": protocol, "port": 11111, "stop": "interrupt", "traced": traced,
              "limit_seconds": seconds + 12, "ready_seconds": 15}
    tcp = ["--tcp"] if protocol == "tcp" else []
    return {
        "server": [{"argv": ["sockperf", "server", "-i", pair.server.address, *tcp], **common}],
        "client": [{"argv": ["sockperf", "ping-pong", "-i", pair.server.address, "-t", str(seconds), *tcp], **common}],
    }


def tools_of(host: Host) -> list[str]:
    return [line for line in host.processes() if line.split()[1] in TOOLS]


def assert_nothing_left(pair: Pair, seconds: float = 10) -> None:
    for host in pair.hosts:
        wait_until(lambda host=host: not tools_of(host), seconds, f"the end of {tools_of(host)}")
        assert host.listening() == ""


def counts(end: dict[str, Any]) -> dict[str, int]:
    """Calls by number of the benchmark's own thread name."""
    calls = by_thread_name(end["trace"]["output"])
    return {str(number): value for (name, number), value in calls.items() if name != "bpftrace"}


def test_a_session_of_several_runs_returns_both_ends(pair: Pair) -> None:
    result = pair.session(iperf3_runs(pair, count=2))
    for role in ("server", "client"):
        assert result[role]["problem"] is None
        assert list(result[role]["ends"]) == ["run0", "run1"]
        for end in result[role]["ends"].values():
            assert end["problem"] is None and end["returncode"] == 0
            assert json.loads(end["stdout"])["end"]["sum_received"]["bytes"] > 0
            assert end["figures"]["cpu_jiffies_after"] >= end["figures"]["cpu_jiffies_before"]
    assert_nothing_left(pair)


def test_client_sendto_count_equals_the_messages_sockperf_reports(pair: Pair, tracer: dict[str, Any]) -> None:
    result = pair.session(sockperf_runs(pair, traced=True), tracer=tracer)
    client, server = result["client"]["ends"]["run0"], result["server"]["ends"]["run0"]
    sent = int(re.search(r"SentMessages=(\d+)", client["stdout"]).group(1))  # the first line: the whole run
    handled = int(re.search(r"Total (\d+) messages received", server["stdout"]).group(1))
    sendto, recvfrom = ("44", "45") if os.uname().machine == "x86_64" else ("206", "207")
    assert sent > 100
    assert counts(client)[sendto] == sent
    assert handled == sent
    assert counts(server)[recvfrom] in (sent, sent + 1)  # the last one is interrupted
    assert_nothing_left(pair)


def test_tcp_servers_are_stopped_and_their_port_is_free(pair: Pair) -> None:
    result = pair.session(sockperf_runs(pair, protocol="tcp"))
    assert result["server"]["ends"]["run0"]["problem"] is None
    assert "SentMessages=" in result["client"]["ends"]["run0"]["stdout"]
    assert_nothing_left(pair)


def test_every_call_of_iperf3_starts_with_exec_and_ends_with_exit(pair: Pair, tracer: dict[str, Any]) -> None:
    result = pair.session(iperf3_runs(pair, traced=True), tracer=tracer)
    for role in ("server", "client"):
        found = counts(result[role]["ends"]["run0"])
        exit_group, execve = ("231", "59") if os.uname().machine == "x86_64" else ("94", "221")
        assert found[exit_group] == 1
        assert execve not in found  # made by the tracer's child before it became the benchmark


def test_a_host_that_cannot_trace_goes_on_untraced_and_says_so(pair: Pair) -> None:
    result = pair.session(iperf3_runs(pair, traced=True), tracer={"available": False, "reason": "no tracefs"})
    end = result["client"]["ends"]["run0"]
    assert end["trace"] is None and end["trace_unavailable"] == "no tracefs"
    assert json.loads(end["stdout"])["end"]["sum_received"]["bytes"] > 0


def test_a_taken_port_is_named_with_its_holder(pair: Pair) -> None:
    squatter = subprocess.Popen([*pair.server.enter, "iperf3", "-s"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: "5201" in pair.server.listening())
        result = pair.session(iperf3_runs(pair))
        problem = result["server"]["ends"]["run0"]["problem"]
        assert problem["reason"] == "port_taken"
        assert f"iperf3 (pid {squatter.pid})" in problem["detail"]
        assert result["client"]["ends"]["run0"]["problem"]["reason"] == "server_not_ready"
    finally:
        squatter.kill()
        squatter.wait()
    assert_nothing_left(pair)


def test_every_port_of_a_server_must_be_free(pair: Pair) -> None:
    """Some servers take a second port only when a client asks for it."""
    squatter = subprocess.Popen([*pair.server.enter, "iperf3", "-s", "-p", "5301"], stdout=subprocess.DEVNULL)
    runs = iperf3_runs(pair)
    for run_of_an_end in (*runs["server"], *runs["client"]):
        run_of_an_end["other_ports"] = [{"protocol": "tcp", "port": 5301}]
    try:
        wait_until(lambda: "5301" in pair.server.listening())
        problem = pair.session(runs)["server"]["ends"]["run0"]["problem"]
        assert problem["reason"] == "port_taken"
        assert problem["detail"].startswith(f"tcp port 5301 is taken by iperf3 (pid {squatter.pid})")
    finally:
        squatter.kill()
        squatter.wait()
    end = pair.session(runs)["client"]["ends"]["run0"]
    assert json.loads(end["stdout"])["end"]["sum_received"]["bytes"] > 0
    assert_nothing_left(pair)


def test_a_missing_tool_is_a_problem_of_the_run(pair: Pair) -> None:
    runs = iperf3_runs(pair)
    runs["client"][0]["argv"] = ["no-such-tool"]
    result = pair.session(runs)
    assert result["client"]["ends"]["run0"]["problem"]["reason"] == "tool_missing"
    assert_nothing_left(pair)


def test_a_server_that_does_not_start_says_what_it_complained_of(pair: Pair) -> None:
    runs = sockperf_runs(pair)
    runs["server"][0]["argv"] = ["sockperf", "server", "-i", "fd00:77:::1"]
    problem = pair.session(runs)["server"]["ends"]["run0"]["problem"]
    assert problem["reason"] == "server_died" and "Invalid address: fd00:77:::1" in problem["detail"], problem
    assert_nothing_left(pair)


def test_an_end_without_its_peer_gives_up_and_says_so(pair: Pair) -> None:
    for role in ("server", "client"):
        result = finish(pair.start_end(role, iperf3_runs(pair)[role], rendezvous_seconds=1))
        assert result["problem"]["reason"] == "peer_lost"
        assert result["ends"]["run0"]["problem"] == result["problem"]


def test_a_stranger_on_the_control_port_is_turned_away(pair: Pair) -> None:
    runs = iperf3_runs(pair)
    server = pair.start_end("server", runs["server"])
    wait_until(lambda: ":5200" in pair.server.listening())
    stranger = finish(pair.start_end("client", runs["client"], token="another", rendezvous_seconds=2))
    assert stranger["problem"]["reason"] == "peer_lost"
    client = finish(pair.start_end("client", runs["client"]))
    assert client["problem"] is None
    assert finish(server)["problem"] is None


def test_a_host_is_in_one_session_at_a_time(pair: Pair) -> None:
    runs = iperf3_runs(pair, seconds=3)
    server, client = pair.start_end("server", runs["server"]), pair.start_end("client", runs["client"])
    wait_until(lambda: tools_of(pair.client))
    second = finish(pair.start_end("client", runs["client"], owner="sweep other"))
    assert second["problem"]["reason"] == "host_busy"
    assert "a test (pid" in second["problem"]["detail"]
    assert finish(client)["problem"] is None
    assert finish(server)["problem"] is None


def kill_during_run(pair: Pair, role: str, number: int, tracer: dict[str, Any]) -> dict[str, Any]:
    """Kill one end in the middle of a traced run; what the other end returned."""
    runs = iperf3_runs(pair, seconds=20, traced=True)
    ends = {name: pair.start_end(name, runs[name], tracer=tracer) for name in ("server", "client")}
    pair.await_traffic()
    os.kill(ends[role].pid, number)
    other = "client" if role == "server" else "server"
    result = finish(ends[other])
    ends[role].wait(300)
    end = result["ends"]["run0"]
    assert not end["timed_out"], "the other end waited for its limit instead of noticing"
    assert end["problem"]["reason"] == "peer_lost"
    assert end["stdout"] and end["seconds"] > 0, "what there was of the run is kept"
    return result


def test_nothing_is_left_when_the_client_end_is_killed(pair: Pair, tracer: dict[str, Any]) -> None:
    result = kill_during_run(pair, "client", signal.SIGKILL, tracer)
    assert result["problem"]["reason"] == "peer_lost"
    assert_nothing_left(pair)


def test_nothing_is_left_when_the_server_end_is_killed(pair: Pair, tracer: dict[str, Any]) -> None:
    result = kill_during_run(pair, "server", signal.SIGKILL, tracer)
    assert result["problem"]["reason"] == "peer_lost"
    assert_nothing_left(pair)


def test_nothing_is_left_when_an_end_is_interrupted(pair: Pair, tracer: dict[str, Any]) -> None:
    kill_during_run(pair, "client", signal.SIGINT, tracer)
    assert_nothing_left(pair)


def spool_of(directory: Path, host: str) -> list[Path]:
    return sorted((directory / "sweep1" / host).glob("*.json"))


def test_when_the_controller_goes_away_the_run_is_finished_and_kept_and_no_other_begins(
    pair: Pair, tmp_path: Path
) -> None:
    runs = iperf3_runs(pair, seconds=3, count=2)
    given = {"spool": str(tmp_path), "sweep": "sweep1", "lease_seconds": 60}
    ends = {name: pair.start_end(name, runs[name], **given) for name in ("server", "client")}
    pair.await_traffic()
    for child in ends.values():  # what the death of a controller looks like from a host
        child.stdout.close()
    for child in ends.values():
        child.wait(300)
    assert_nothing_left(pair)
    for role, host in (("server", pair.server), ("client", pair.client)):
        [path] = spool_of(tmp_path, host.name)
        entry = json.loads(path.read_text())
        assert (entry["run_id"], entry["role"]) == ("run0", role)
        assert json.loads(entry["end"]["stdout"])["end"]["sum_received"]["seconds"] > 2.5
    executions = {json.loads(path.read_text())["execution"] for path in tmp_path.rglob("*.json")}
    assert len(executions) == 1


def orphan(pair: Pair) -> None:
    """A session whose controller goes away in the middle of its run, to its end."""
    runs = iperf3_runs(pair, seconds=2)
    ends = [pair.start_end(name, runs[name], sweep="sweep1", lease_seconds=60) for name in ("server", "client")]
    pair.await_traffic()
    claim = "from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import Claim\n"
    claim += "Claim('sweep1', 'its next controller').take(60, 0)"
    run(*pair.server.enter, sys.executable, "-c", claim)
    for child in ends:
        child.stdout.close()
    for child in ends:
        child.wait(300)


def test_a_host_whose_controller_went_away_is_free_unless_the_next_one_has_come(pair: Pair) -> None:
    orphan(pair)
    other = pair.session(iperf3_runs(pair), sweep="two", lease_seconds=60, rendezvous_seconds=2)
    assert other["client"]["problem"]["reason"] == "peer_lost"  # it was free: only the server end is held
    assert other["server"]["problem"]["reason"] == "host_busy"
    assert "held by its next controller" in other["server"]["problem"]["detail"]


def test_what_is_kept_is_forgotten_when_it_is_said_to_be_in_records(pair: Pair, tmp_path: Path) -> None:
    given = {"spool": str(tmp_path), "sweep": "sweep1", "lease_seconds": 60}
    first = pair.session(iperf3_runs(pair), **given)
    names = list(first["server"]["kept"].values())
    assert [path.name for path in spool_of(tmp_path, pair.server.name)] == names
    second = pair.session(iperf3_runs(pair), forget=names, token="another", **given)
    assert second["server"]["forgotten"] == names
    assert [path.name for path in spool_of(tmp_path, pair.server.name)] == list(second["server"]["kept"].values())


def test_a_session_of_another_sweep_finds_the_host_claimed_and_says_by_whom(pair: Pair) -> None:
    runs = iperf3_runs(pair)
    assert pair.session(runs, sweep="one", owner="sweep nightly of me", lease_seconds=60)["server"]["problem"] is None
    other = pair.session(runs, sweep="two", owner="sweep other of you", lease_seconds=60, rendezvous_seconds=2)
    for role in ("server", "client"):
        assert other[role]["problem"]["reason"] == "host_busy"
        assert "held by sweep nightly of me since 20" in other[role]["problem"]["detail"]


def test_a_server_that_came_back_with_another_hardware_address_is_met_at_once(pair: Pair) -> None:
    """As a guest that was made anew: the client's kernel takes the old address for reachable for up to a minute."""
    run("ip", "-n", pair.client.name, "neigh", "replace", pair.server.address, "lladdr", "02:00:00:00:00:01", "dev", "d0",
        "nud", "reachable")
    result = pair.session(iperf3_runs(pair), rendezvous_seconds=8)
    assert [result[role]["problem"] for role in ("server", "client")] == [None, None]


def test_the_claim_of_a_dead_sweep_expires(pair: Pair) -> None:
    runs = iperf3_runs(pair)
    assert pair.session(runs, sweep="one", lease_seconds=0.5)["server"]["problem"] is None
    time.sleep(0.6)
    assert pair.session(runs, sweep="two", lease_seconds=1)["server"]["problem"] is None


def test_nothing_is_measured_on_a_host_that_was_restarted_after_it_was_looked_at(pair: Pair) -> None:
    result = pair.session(iperf3_runs(pair), boot_id="the one before", rendezvous_seconds=2)
    assert {result[role]["problem"]["reason"] for role in result} == {"host_rebooted"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0755", "tmpfs", str(folder))
    yield folder
    run("umount", str(folder))


def test_a_host_without_room_says_so_before_the_run(pair: Pair, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small_disk / "filler").write_bytes(b"x" * (12 << 20))
    monkeypatch.setenv("TMPDIR", str(small_disk))
    result = pair.session(iperf3_runs(pair))
    problem = result["server"]["ends"]["run0"]["problem"]
    assert problem["reason"] == "disk_full" and "free some space" in problem["detail"]
    assert result["client"]["ends"]["run0"]["problem"]["reason"] == "server_not_ready"
    assert_nothing_left(pair)


def test_a_full_spool_costs_only_the_second_copy(pair: Pair, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (24 << 20))
    result = pair.session(iperf3_runs(pair), spool=str(small_disk), sweep="sweep1", lease_seconds=60)
    for role in ("server", "client"):
        assert result[role]["ends"]["run0"]["problem"] is None
        assert "No space left" in result[role]["spool_problem"]
        assert not result[role]["kept"]


def test_nothing_is_left_when_the_tracer_is_killed(pair: Pair, tracer: dict[str, Any]) -> None:
    runs = iperf3_runs(pair, seconds=6, traced=True)
    ends = {name: pair.start_end(name, runs[name], tracer=tracer) for name in ("server", "client")}
    pair.await_traffic()
    pair.client.kill("bpftrace")
    results = {name: finish(child) for name, child in ends.items()}
    end = results["client"]["ends"]["run0"]
    assert end["trace"]["output"].count('"map"') == 0
    assert end["problem"]["reason"] == "tracer_killed" and "SIGKILL" in end["problem"]["detail"]
    assert_nothing_left(pair)


def test_a_process_does_not_outlive_its_limit(pair: Pair) -> None:
    runs = iperf3_runs(pair, seconds=60)
    runs["client"][0]["limit_seconds"] = 2
    result = pair.session(runs)
    assert result["client"]["ends"]["run0"]["timed_out"]
    assert_nothing_left(pair)
