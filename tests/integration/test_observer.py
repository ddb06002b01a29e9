"""System calls of the process under a guest: counted exactly over the run, and never in the way of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import all_pids
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import guest_process
from counts import by_thread_name
from namespaces import Pair, finish, wait_until

SUPPORT = Path(__file__).parents[1] / "support"
GETPPID = 110 if os.uname().machine == "x86_64" else 173
COMM = Path(sys.executable).name[:15]
CALLS = 5000


class Guest:
    """A process in place of a VMM, and the command that makes it work."""

    def __init__(self, directory: Path) -> None:
        self.requests, self.answers = directory / "requests", directory / "answers"
        for path in (self.requests, self.answers):
            os.mkfifo(path)
        program = f"{sys.executable} {SUPPORT}/guest_process.py {directory}"
        self.process = subprocess.Popen(["sh", "-c", f"exec {program} <> {self.requests}"])
        self.rule = re.escape(f"guest_process.py {directory} ")
        self.pid_file = directory / "guest.pid"
        self.pid_file.write_text(f"{self.process.pid}\n", encoding="ascii")
        script = directory / "work.sh"
        script.write_text(f"echo {self.answers} > {self.requests}; cat {self.answers}\n", encoding="ascii")
        self.work = ["sh", str(script)]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(tmp_path)
    subprocess.run(made.work, check=True, stdout=subprocess.DEVNULL, timeout=20)  # before anybody looks
    yield made
    made.end()


def runs_of(pair: Pair, client: list[str], **changes: Any) -> dict[str, list[dict[str, Any]]]:
    common = {"protocol": "tcp", "port": 5201, "stop": "interrupt", "limit_seconds": 40, "ready_seconds": 15} | changes
    numbered = [{"run_id": f"run{number}", "traced": number > 0} | common for number in range(3)]
    serve = ["iperf3", "-s", "-B", pair.server.address]
    return {"server": [run | {"argv": serve} for run in numbered], "client": [run | {"argv": client} for run in numbered]}


def watch(pair: Pair, tracer: dict[str, Any], side: str, **changes: Any) -> dict[str, Any]:
    return {"guest": f"the {side}", "side": side, "hypervisor": "hv", "address": pair.server.address, "control_port": 5200,
            "namespace": pair.client.name, "token": "a token", "rendezvous_seconds": 10, "limit_seconds": 60,
            "tracer": tracer, "trace_mode": "count"} | changes


def observers(watches: list[dict[str, Any]]) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, str(SUPPORT / "observer_end.py")], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdin is not None
    child.stdin.write(json.dumps(watches))
    child.stdin.close()
    return child


def counted(observation: dict[str, Any], of: str = "@calls") -> dict[tuple[str, int], int]:
    assert observation["problem"] is None, observation
    return by_thread_name(observation["output"], of)


def sessions(pair: Pair, runs: dict[str, list[dict[str, Any]]], expected: dict[str, str]) -> dict[str, Any]:
    ends = {"server": pair.start_end("server", runs["server"], observers=expected),
            "client": pair.start_end("client", runs["client"])}
    return {role: finish(child) for role, child in ends.items()}


def test_calls_are_counted_between_ready_and_done_and_at_no_other_time(
    pair: Pair, guest: Guest, tracer: dict[str, Any]
) -> None:
    selector = {"pid_file": str(guest.pid_file)}
    watching = observers([watch(pair, tracer, side, selector=selector) for side in ("server", "client")])
    result = sessions(pair, runs_of(pair, guest.work), {"server": "", "client": ""})
    assert finish(watching) == {}
    ends = result["server"]["ends"]
    assert ends["run0"]["vmm"] is None  # not traced
    for run_id in ("run1", "run2"):
        assert set(ends[run_id]["vmm"]) == {"server", "client"}
        for observation in ends[run_id]["vmm"].values():
            # The work of the run before, and of the run without a trace, is not in it.
            assert counted(observation)[COMM, GETPPID] == CALLS
            assert observation["pid"] == guest.process.pid and observation["hypervisor"] == "hv"
    assert all(end["vmm"] is None for end in result["client"]["ends"].values())


def test_time_per_call_is_taken_on_request(pair: Pair, guest: Guest, tracer: dict[str, Any]) -> None:
    watching = observers([watch(pair, tracer, "client", selector={"match": guest.rule}, trace_mode="time")])
    result = sessions(pair, runs_of(pair, guest.work), {"client": ""})
    assert finish(watching) == {}
    observation = result["server"]["ends"]["run1"]["vmm"]["client"]
    assert counted(observation)[COMM, GETPPID] == CALLS
    assert 10 < counted(observation, "@time")[COMM, GETPPID] / CALLS < 1e6


def test_a_guest_that_is_not_found_costs_its_counts_and_nothing_else(
    pair: Pair, guest: Guest, tracer: dict[str, Any]
) -> None:
    watching = observers([watch(pair, tracer, "server", selector={"pid_file": "/nowhere/guest.pid"})])
    result = sessions(pair, runs_of(pair, guest.work), {"server": "", "client": "hv2 was not reached"})
    finish(watching)
    end = result["server"]["ends"]["run1"]
    assert end["problem"] is None and result["client"]["ends"]["run1"]["returncode"] == 0
    assert end["vmm"]["server"]["problem"]["reason"] == "vmm_not_traced"
    assert "/nowhere/guest.pid cannot be read" in end["vmm"]["server"]["problem"]["detail"]
    assert end["vmm"]["client"]["problem"]["detail"] == "hv2 was not reached"


def test_an_observer_that_never_comes_is_not_waited_for_for_ever(pair: Pair, guest: Guest) -> None:
    ends = {"server": pair.start_end("server", runs_of(pair, guest.work)["server"], observers={"server": ""},
                                     rendezvous_seconds=4),
            "client": pair.start_end("client", runs_of(pair, guest.work)["client"])}
    result = {role: finish(child) for role, child in ends.items()}
    assert result["client"]["ends"]["run2"]["returncode"] == 0
    assert "in time" in result["server"]["ends"]["run2"]["vmm"]["server"]["problem"]["detail"]


def test_an_observer_that_is_killed_takes_its_tracer_along_and_the_run_goes_on(
    pair: Pair, guest: Guest, tracer: dict[str, Any]
) -> None:
    client = ["sleep", "4"]
    watching = observers([watch(pair, tracer, "server", selector={"pid_file": str(guest.pid_file)})])
    ends = {"server": pair.start_end("server", runs_of(pair, client)["server"][1:2], observers={"server": ""}),
            "client": pair.start_end("client", runs_of(pair, client)["client"][1:2])}

    def tracers() -> list[int]:
        ours = rf"{tempfile.gettempdir()}/.*vmm\.bt"  # others may trace on this machine as well
        found = subprocess.run(["pgrep", "-f", ours], capture_output=True, text=True, check=False).stdout.split()
        return [int(pid) for pid in found]

    wait_until(lambda: len(tracers()) > 0, 20)
    wait_until(lambda: any(line.split()[1] == "sleep" for line in pair.client.processes()), 20)
    watching.send_signal(signal.SIGKILL)
    result = {role: finish(child) for role, child in ends.items()}
    watching.wait(300)
    assert result["client"]["ends"]["run1"]["returncode"] == 0
    assert result["server"]["ends"]["run1"]["vmm"]["server"]["problem"]["reason"] == "vmm_not_traced"
    wait_until(lambda: not tracers(), 10)


def test_the_process_of_a_libvirt_domain_is_found_by_its_name(tmp_path: Path) -> None:
    # As libvirt starts it; the file with its number may be out of sight, as for libvirt in a container.
    name = f"web{os.getpid()}n"
    command = [sys.executable, "-c", "import time; time.sleep(60)", "-name", f"guest={name},debug-threads=on"]
    others = [sys.executable, "-c", "import time; time.sleep(60)", "-name", f"guest={name}2,debug-threads=on"]
    processes = [subprocess.Popen(command), subprocess.Popen(others)]
    try:
        wait_until(lambda: all("guest=" in guest_process.command_line(process.pid) for process in processes))
        assert guest_process.find({"libvirt": name})["pid"] == processes[0].pid
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("command", "rule"), [
    (["--api-sock", "/run/fc/PID/a.sock", "--id", "PIDa"], "--id PIDa "),
    (["--api-socket", "/run/ch/PID/a.sock"], r"--api-socket /run/ch/PID/a\.sock "),
])
def test_the_process_of_other_monitors_is_found_by_a_rule(command: list[str], rule: str) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    command, rule = [item.replace("PID", str(os.getpid())) for item in command], rule.replace("PID", str(os.getpid()))
    similar = [item.replace("a.sock", "ab.sock") if "sock" in item else item + "b" for item in command]
    processes = [subprocess.Popen([*sleep, *command]), subprocess.Popen([*sleep, *similar])]
    try:
        wait_until(lambda: all(command[0] in guest_process.command_line(process.pid) for process in processes))
        assert guest_process.find({"match": rule})["pid"] == processes[0].pid
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_rule_tells_a_monitor_from_what_started_it(tmp_path: Path) -> None:
    monitor = tmp_path / "firecracker"
    shutil.copy("/bin/sleep", monitor)
    # As sudo does, the shell stays, with the whole command in its own command line.
    started = subprocess.Popen(["sh", "-c", f"{monitor} 61; true"])
    try:
        wait_until(lambda: len([pid for pid in all_pids() if str(monitor) in guest_process.command_line(pid)]) == 2)
        with pytest.raises(guest_process.VmmNotFound, match=r"begin it with \^ and the program"):
            guest_process.find({"match": f"{monitor} 61"})
        found = guest_process.find({"match": f"^{monitor} 61"})
        assert found["comm"] == "firecracker" and found["pid"] != started.pid
    finally:
        for pid in [pid for pid in all_pids() if str(monitor) in guest_process.command_line(pid)]:
            os.kill(pid, signal.SIGKILL)
        started.wait()


def test_the_process_of_a_guest_is_found_or_the_mend_is_named(guest: Guest, tmp_path: Path) -> None:
    found = guest_process.find({"match": guest.rule})
    assert found["pid"] == guest.process.pid and guest_process.still_there(found)
    other = tmp_path / "other.pid"
    other.write_text("what", encoding="ascii")
    for selector, named in (
        ({}, "give one of libvirt, pid_file, match"),
        ({"pid_file": str(other)}, "which is no process number"),
        ({"libvirt": "no-such-domain"}, "no running libvirt domain is named no-such-domain"),
        ({"match": "("}, "is no regular expression"),
        ({"match": "no-such-command-line-anywhere"}, "the command line of no process"),
        ({"match": "e"}, "it must fit one"),
    ):
        with pytest.raises(guest_process.VmmNotFound, match=named):
            guest_process.find(selector)
    guest.end()
    with pytest.raises(guest_process.VmmNotFound, match="which does not run: is the guest up"):
        guest_process.find({"pid_file": str(guest.pid_file)})
    assert not guest_process.still_there(found)
