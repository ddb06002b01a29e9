"""Benchmarks as an unprivileged user, with the real tools: no capability, exact counts, and nothing else listens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, assert_measured
from counts import by_thread_name
from namespaces import Host, Pair, finish, run, wait_until
from record_files import documents_of

NOBODY = "65534"
MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"


def iperf3(pair: Pair, seconds: int = 3, **asked: Any) -> dict[str, list[dict[str, Any]]]:
    common = {"run_id": "run0", "protocol": "tcp", "port": 5201, "stop": "exits", "traced": False, "user": "nobody",
              "limit_seconds": seconds + 30, "ready_seconds": 25, **asked}
    port = str(common["port"])
    return {
        "server": [{"argv": ["iperf3", "-s", "-1", "-J", "-B", pair.server.address, "-p", port], **common}],
        "client": [{"argv": ["iperf3", "-c", pair.server.address, "-J", "-t", str(seconds), "-p", port], **common}],
    }


def sockperf(pair: Pair, seconds: int = 2, tcp: bool = False, **asked: Any) -> dict[str, list[dict[str, Any]]]:
    common = {"run_id": "run0", "protocol": "tcp" if tcp else "udp", "port": 11111, "stop": "interrupt", "traced": False,
              "user": "nobody", "limit_seconds": seconds + 30, "ready_seconds": 25, **asked}
    more = ["--tcp"] if tcp else []
    return {
        "server": [{"argv": ["sockperf", "server", "-i", pair.server.address, *more], **common}],
        "client": [{"argv": ["sockperf", "ping-pong", "-i", pair.server.address, "-t", str(seconds), *more], **common}],
    }


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status by field; empty when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


def benchmark(host: Host, tool: str) -> dict[str, str]:
    """The status of the benchmark in a namespace, once it is that (setpriv has become it)."""
    found: dict[str, str] = {}

    def there() -> bool:
        for line in host.processes():
            pid, comm = line.split(maxsplit=1)
            if comm == tool:
                found.update(status_of(int(pid)))
        return bool(found)

    wait_until(there, 60, f"{tool} in {host.name}")
    return found


def calls_of(end: dict[str, Any], tool: str) -> dict[int, int]:
    return {number: count for (name, number), count in by_thread_name(end["trace"]["output"]).items() if name == tool}


@pytest.mark.parametrize("tool", ["iperf3", "sockperf"])
@pytest.mark.parametrize("traced", [True, False], ids=["traced", "untraced"])
@pytest.mark.parametrize("cpus", ["", "0"], ids=["anywhere", "pinned"])
def test_the_benchmark_is_nobodys_and_has_no_capability(
    pair: Pair, tracer: dict[str, Any], tool: str, traced: bool, cpus: str
) -> None:
    runs = (iperf3 if tool == "iperf3" else sockperf)(pair, traced=traced, cpus=cpus)
    ends = {role: pair.start_end(role, runs[role], tracer=tracer, rendezvous_seconds=60) for role in ("server", "client")}
    seen = [benchmark(host, tool) for host in (pair.client, pair.server)]
    results = {role: finish(child) for role, child in ends.items()}
    for status in seen:
        assert status["Uid"].split() == [NOBODY] * 4
        assert set(status["Gid"].split()) != {"0"} and status["Groups"] == ""
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
    for result in results.values():
        end = result["ends"]["run0"]
        assert end["problem"] is None and not end["timed_out"], end
        assert end["settings"]["user"] == "nobody" and end["settings"]["cpus"] == (cpus or None)
    assert_exact(results, tool, traced)


def assert_exact(results: dict[str, Any], tool: str, traced: bool) -> None:
    """What was measured is whole, and every call of the benchmark between exec and exit was counted."""
    client, server = (results[role]["ends"]["run0"] for role in ("client", "server"))
    if tool == "iperf3":
        assert json.loads(client["stdout"])["end"]["sum_received"]["bytes"] > 0
    else:
        sent = int(re.search(r"SentMessages=(\d+)", client["stdout"])[1])  # type: ignore[index]
        handled = int(re.search(r"Total (\d+) messages received", server["stdout"])[1])  # type: ignore[index]
        assert handled == sent > 100
    if not traced:
        return
    sendto, exit_group, execve = (44, 231, 59) if os.uname().machine == "x86_64" else (206, 94, 221)
    for end in (client, server):
        calls = calls_of(end, tool)
        assert calls[exit_group] == 1 and execve not in calls
        names = {name for name, _number in by_thread_name(end["trace"]["output"])}
        assert names <= {"bpftrace", "taskset", "setpriv", tool}
    if tool == "sockperf":
        assert calls_of(client, tool)[sendto] == sent


def test_counts_behind_setpriv_differ_in_nothing_that_the_benchmark_does(tracer: dict[str, Any], tmp_path: Path) -> None:
    """dd makes the same calls as root and as nobody."""
    from ansible_collections.pairbench.lab.plugins.module_utils._host.benchmark_user import become
    from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer

    dd = "/usr/bin/dd"
    prefix, who = become("nobody", [], dd)
    assert who == "nobody"
    found = []
    for before in ([], prefix):
        output = tmp_path / "trace.json"
        argv = _tracer.command(tracer["path"], "count", tracer["probe"],
                               [*before, dd, "if=/dev/zero", "of=/dev/null", "bs=1", "count=4321"], str(output),
                               str(tmp_path / "trace.bt"))
        run(*argv, env=_tracer.environment())
        calls = by_thread_name(output.read_text())
        found.append({number: count for (name, number), count in calls.items() if name == "dd"})
    assert found[0] == found[1]
    assert min(found[0][0], found[0][1]) > 4320 or os.uname().machine != "x86_64"


def test_a_port_of_the_privileged_is_served_with_that_one_capability(pair: Pair) -> None:
    runs = iperf3(pair, port=80)
    ends = {role: pair.start_end(role, runs[role]) for role in ("server", "client")}
    status = benchmark(pair.server, "iperf3")
    results = {role: finish(child) for role, child in ends.items()}
    assert status["Uid"].split() == [NOBODY] * 4 and int(status["CapEff"], 16) == 1 << 10
    end = results["server"]["ends"]["run0"]
    assert end["problem"] is None and end["returncode"] == 0
    assert end["settings"]["user"] == "nobody +net_bind_service"


def test_an_algorithm_that_the_kernel_keeps_for_the_privileged_is_used_all_the_same(pair: Pair) -> None:
    """Which those are is the machine's to say, in every namespace alike; where there is none, nothing is kept."""
    settings = Path("/proc/sys/net/ipv4")
    allowed = (settings / "tcp_allowed_congestion_control").read_text().split()
    available = (settings / "tcp_available_congestion_control").read_text().split()
    algorithm, who = next(((name, "nobody +net_admin") for name in available if name not in allowed), ("reno", "nobody"))
    runs = iperf3(pair, seconds=1, congestion=algorithm)
    runs["client"][0]["argv"] += ["-C", algorithm]
    results = pair.session(runs)
    for role in ("server", "client"):
        end = results[role]["ends"]["run0"]
        assert end["problem"] is None and end["settings"]["user"] == who, end
    report = json.loads(results["client"]["ends"]["run0"]["stdout"])
    assert "error" not in report and report["end"]["sender_tcp_congestion"] == algorithm


def test_a_tool_that_only_root_can_reach_stays_roots_and_says_why(pair: Pair, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    tool = tmp_path / "iperf3"
    tool.write_bytes(Path(run("which", "iperf3").stdout.strip()).resolve().read_bytes())
    tool.chmod(0o755)
    runs = iperf3(pair, seconds=1)
    for role in runs:
        runs[role][0]["argv"][0] = str(tool)
    results = pair.session(runs)
    for result in results.values():
        end = result["ends"]["run0"]
        assert end["problem"] is None and end["returncode"] == 0
        assert end["settings"]["user"] == f"root (that user may not execute {tool})"


def test_in_a_user_namespace_of_one_user_it_stays_who_it_is_and_says_why() -> None:
    code = (
        "from ansible_collections.pairbench.lab.plugins.module_utils._host.benchmark_user import become; "
        "print(become('nobody', [], '/usr/bin/iperf3'))"
    )
    told = run("unshare", "--user", "--map-root-user", sys.executable, "-c", code).stdout
    assert "root (the uid 65534 of nobody is not mapped in this user namespace)" in told


@pytest.fixture
def readable_code() -> Iterator[Path]:
    """The module code where every user can read it."""
    with tempfile.TemporaryDirectory(prefix="pairbench-test-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        shutil.copytree(MODULE_UTILS, path / "ansible_collections/pairbench/lab/plugins/module_utils")
        yield path


@pytest.mark.parametrize("namespace", [[], ["unshare", "--user", "--map-root-user"]], ids=["user", "root of their own"])
def test_somebody_without_root_locks_and_claims_in_a_folder_of_their_own(readable_code: Path, namespace: list[str]) -> None:
    """Users in user namespaces of their own are all number 0 there: the folder has the number they have outside."""
    user = 70_000 + os.getpid() % 10_000
    folder = Path(f"/tmp/pairbench-{user}")
    code = (
        "from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import Claim, HostLock, state_folder\n"
        "with HostLock('me'): Claim('one', 'me').take(60, 0); Claim('one', 'me').release()\n"
        "print(state_folder())"
    )
    try:
        done = run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env", "-u", "XDG_RUNTIME_DIR",
                   f"PYTHONPATH={readable_code}", *namespace, "/usr/bin/python3", "-c", code)
        assert done.stdout.strip() == str(folder)
        assert folder.stat().st_uid == user and folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_private_folder_for_temporary_files_does_not_stop_iperf3(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for result in pair.session(iperf3(pair, seconds=1)).values():
        end = result["ends"]["run0"]
        assert end["problem"] is None and end["returncode"] == 0 and end["settings"]["user"] == "nobody", end
    assert list(tmp_path.iterdir()) == []


def test_nobodys_benchmark_does_not_outlive_a_killed_module(pair: Pair) -> None:
    runs = iperf3(pair, seconds=40)
    ends = {role: pair.start_end(role, runs[role]) for role in ("server", "client")}
    benchmark(pair.client, "iperf3")
    ends["client"].kill()
    finish(ends["server"])
    for host in pair.hosts:
        wait_until(lambda host=host: not [line for line in host.processes() if "iperf3" in line], 30, "the end of iperf3")
    ends["client"].wait()


# What listens


def listening(host: Host) -> set[str]:
    """Local addresses with ports of whatever listens (TCP) or is bound (UDP) in a namespace."""
    lines = run(*host.enter, "ss", "-H", "-lntu").stdout.splitlines()
    return {line.split()[4] for line in lines}


@pytest.mark.parametrize("what", ["iperf3", "sockperf-udp", "sockperf-tcp"])
def test_only_the_measured_address_listens_and_only_while_something_is_measured(pair: Pair, what: str) -> None:
    runs = iperf3(pair) if what == "iperf3" else sockperf(pair, tcp=what.endswith("tcp"))
    tool, port = what.split("-")[0], runs["server"][0]["port"]
    assert listening(pair.server) == set()
    server = pair.start_end("server", runs["server"])
    wait_until(lambda: f"{pair.server.address}:5200" in listening(pair.server), 30, "the control port")
    assert listening(pair.server) == {f"{pair.server.address}:5200"}
    client = pair.start_end("client", runs["client"])
    benchmark(pair.client, tool)
    during = listening(pair.server)
    results = [finish(child) for child in (server, client)]
    assert [result["ends"]["run0"]["problem"] for result in results] == [None, None]
    # iperf3 -1 may have taken its one connection, and listens no more; the control port is closed once both ends met.
    assert during <= {f"{pair.server.address}:{port}", f"{pair.server.address}:5200"}
    assert tool == "iperf3" or f"{pair.server.address}:{port}" in during
    for host in pair.hosts:
        assert listening(host) == set()


# What is kept of outputs




def runaway(pair: Pair, command: list[str]) -> dict[str, list[dict[str, Any]]]:
    runs = iperf3(pair, seconds=1)
    runs["client"][0]["argv"] = command
    return runs


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The largest resident size of a process so far, in bytes."""
    return int(status_of(process.pid).get("VmHWM", "0 kB").split()[0]) * 1024


def test_an_output_that_is_too_long_costs_no_memory_and_says_what_is_missing(pair: Pair, tmp_path: Path) -> None:
    command = ["dd", "if=/dev/zero", "bs=1M", "count=300", "status=none"]
    runs = runaway(pair, command)
    server, client = pair.start_end("server", runs["server"]), pair.start_end("client", runs["client"])
    peak = 0
    while client.poll() is None and not peak_is_read(client):
        peak = max(peak, peak_memory(client))
    peak = max(peak, peak_memory(client))
    end = finish(client)["ends"]["run0"]
    finish(server)
    assert end["problem"]["reason"] == "output_too_large" and "stdout has 314572800 bytes" in end["problem"]["detail"]
    assert end["output_bytes"] == {"stdout": 300 << 20, "stderr": 0, "trace": 0}
    assert len(end["stdout"]) < (2 << 20) + 100 and f"{298 << 20} bytes are missing" in end["stdout"]
    assert 0 < peak < 150 << 20


def peak_is_read(process: subprocess.Popen[str]) -> bool:
    """Whether the result has begun to arrive: the pipe is full then, and the process waits."""
    import select

    return bool(select.select([process.stdout], [], [], 0.05)[0])


@pytest.mark.slow
def test_a_program_that_never_stops_printing_is_ended_by_the_size_of_its_file(pair: Pair) -> None:
    runs = runaway(pair, ["yes", "a line that is long enough to be written fast" * 100])
    server, client = pair.start_end("server", runs["server"]), pair.start_end("client", runs["client"])
    end = finish(client)["ends"]["run0"]
    finish(server)
    assert end["problem"]["reason"] == "output_too_large", end["problem"]
    assert end["output_bytes"]["stdout"] == 1 << 30
    assert not end["timed_out"]


# A whole sweep


def state_of(pair: Pair) -> set[str]:
    """What this program has noted of the namespaces of a pair; each is asked for its own number."""
    code = "from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import network_namespace as n; print(n())"
    numbers = {run(*host.enter, sys.executable, "-c", code).stdout.strip() for host in pair.hosts}
    inodes = {str(Path(f"/run/netns/{host.name}").stat().st_ino) for host in pair.hosts}
    names = {path.name for path in Path("/run/pairbench").iterdir()}
    return {name for name in names if name.split(".")[0] in numbers or name in {f"mtu-{number}.json" for number in inodes}}


@pytest.mark.slow
def test_a_sweep_is_measured_as_nobody_and_leaves_nothing_on_its_hosts(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    spool = tmp_path / "spool"
    done = bench.run("-e", "pairbench_blocks=1", "-e", '{"iperf3_mtu": 1400}')
    assert_measured(bench.table("runs"), 4, done.returncode, done.stdout + done.stderr)
    records = documents_of(bench.sweep)
    users = {record[side]["settings"]["user"] for record in records for side in ("server", "client")}
    assert len(records) == 4 and users == {"nobody"}
    assert state_of(pair) == set()
    assert not spool.exists() or list(spool.iterdir()) == []


@pytest.mark.slow
def test_root_is_kept_where_it_is_asked_for_and_no_user_of_strange_name(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    settings = {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False}
    refused = bench.run("-e", json.dumps(settings | {"pairbench_user": "no body"}))
    assert refused.returncode != 0 and "pairbench_user is 'no body'" in refused.stdout + refused.stderr
    done = bench.run("-e", json.dumps(settings | {"pairbench_user": "root"}))
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = documents_of(bench.sweep)
    assert record["server"]["settings"]["user"] == record["client"]["settings"]["user"] == "root"
