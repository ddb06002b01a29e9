"""What hosts are asked to do, by the pass: ends, observers, claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import LivePass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.tasks import (
    NOTHING_TO_OBSERVE,
    OBSERVE,
    RESTS,
    SESSION,
    HostTask,
    Resident,
    claim_arguments,
    executed,
    step_task,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, make_plan
from conducted import Conducted
from passes import orders

PARAMETERS: dict[str, Any] = {
    "protocol": "tcp", "parallel": 1, "seconds": 1, "bitrate": "", "length": "", "window": "", "omit_seconds": 0,
    "reverse": False, "congestion": "", "zerocopy": False, "extra_args": [],
}  # fmt: skip
PROBE = {"boot_id": "b007", "tools": {"iperf3": {"version": "iperf 3.18"}}, "tracer": {"available": True, "reason": ""}}


def live_pass(**changes: Any) -> LivePass:
    """Three hosts of which one rests, in their first step; of two of them the process is counted on a hypervisor."""
    plan = make_plan(
        sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}, blocks=1, seed=1,
        cases={"iperf3": [CaseSpec("iperf3", "P1", PARAMETERS, 1.0)]}, directions={"iperf3": "first_serves"},
    )  # fmt: skip
    guests = {host: Guest("hv", {"libvirt": host}) for host in plan.hosts}
    live = LivePass(plan, orders(guests=guests, hypervisors=("hv",), **changes), set(), "ada@desk")
    live.prepared = {host: PROBE for host in (*plan.hosts, "hv")}  # noqa: C420 - nobody writes to it
    live.begin_step(0)
    return live


def task(live: LivePass, host: str, namespace: str = "") -> HostTask | str:
    return step_task(live, host, namespace, lambda token: f"name of {token}")


def asked(live: LivePass, host: str) -> dict[str, Any]:
    found = task(live, host)
    assert isinstance(found, HostTask)
    return dict(found.arguments)


def test_both_ends_of_a_session_are_asked_for_the_same_thing() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    server, client = asked(live, session.server), asked(live, session.client)
    assert (server["role"], client["role"]) == ("server", "client")
    for name in ("token", "control_port", "rendezvous_seconds", "sweep", "claim", "trace_mode"):
        assert server[name] == client[name]
    assert (server["address"], server["peer_address"]) == (client["peer_address"], client["address"])
    assert [run["run_id"] for run in server["runs"]] == [run["run_id"] for run in client["runs"]]
    assert (server["observers"], client["observers"]) == ({"server": "", "client": ""}, {})
    assert (server["owner"], server["boot_id"], server["tool_version"]) == ("sweep s of ada@desk", "b007", "iperf 3.18")


def test_a_host_without_a_session_rests() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    [resting] = set(live.plan.hosts) - {session.server, session.client}
    assert task(live, resting) == RESTS
    live.step = None
    assert task(live, session.server) == RESTS


def test_a_session_with_a_host_that_is_away_is_left_out_for_everybody() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    live.lose(session.client, "it is away")
    assert task(live, session.server) == task(live, session.client) == f"{session.client} fell away: it is away"
    assert task(live, "hv") == NOTHING_TO_OBSERVE


def test_a_hypervisor_observes_both_sides_from_where_it_reaches_them() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    found = task(live, "hv", "pairbench-lab")
    assert isinstance(found, HostTask) and found.module == OBSERVE
    watches = found.arguments["watches"]
    assert [(watch["side"], watch["guest"]) for watch in watches] == [("server", session.server), ("client", session.client)]
    assert {watch["namespace"] for watch in watches} == {"pairbench-lab"}
    assert {watch["token"] for watch in watches} == {asked(live, session.server)["token"]}
    assert {watch["address"] for watch in watches} == {live.plan.hosts[session.server]}


def test_a_hypervisor_that_cannot_trace_is_not_waited_for() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    del live.prepared["hv"]
    assert task(live, "hv") == NOTHING_TO_OBSERVE
    whys = asked(live, session.server)["observers"]
    assert set(whys) == {"server", "client"} and all("could not be prepared" in why for why in whys.values())


def test_what_a_module_returned_is_read_by_what_it_was_asked() -> None:
    live = live_pass()
    [session] = live.step.sessions  # type: ignore[union-attr]
    end, observing = task(live, session.server), task(live, "hv")
    assert isinstance(end, HostTask) and isinstance(observing, HostTask) and end.module == SESSION
    failed = {"failed": True, "msg": "no memory"}
    assert end.read(failed)["error"] == {"reason": "module_failed", "detail": "no memory"}
    assert observing.read(failed)["problems"] == {session.server: "no memory", session.client: "no memory"}


def test_no_host_is_asked_for_anything_once_nothing_can_be_kept() -> None:
    live = live_pass()
    live.refusal = "the disk is full"
    for host in ("a", "hv"):
        with pytest.raises(PlanError, match=r"^No further session begins\. the disk is full$"):
            task(live, host)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_claim_says_for_whom_and_what_may_be_forgotten(state: str) -> None:
    live = live_pass(wait_seconds=7)
    live.note_recorded("a", ["two", "one"])
    assert claim_arguments(live, "a", state) == {
        "state": state, "root": state == "present",
        "sweep": live.plan.uid, "claim": "c0ffee", "host": "a", "owner": "sweep s of ada@desk",
        "lease_seconds": 600.0, "wait_seconds": 7, "orphan_seconds": 220.0, "spool": "/run/spool", "forget": ["one", "two"],
    }
    assert claim_arguments(live, "b", state)["forget"] == []


class Executor:
    """An action that only notes how something would be executed."""

    def __init__(self, piped: bool, **done: Any) -> None:
        self.piped, self.done = piped, {"rc": 0, "stdout": "", "stderr": "", **done}
        self.commands: list[tuple[str, Any]] = []
        self.modules: list[str] = []

    def _is_pipelining_enabled(self, module_style: str) -> bool:
        return self.piped and module_style == "new"

    def _compute_environment_string(self) -> str:
        return "LANG=C "

    def _low_level_execute_command(self, cmd: str, *, in_data: bytes) -> dict[str, Any]:
        self.commands.append((cmd, json.loads(in_data)))
        return self.done

    def _execute_module(self, *, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.modules.append(module_name)
        return {"as": "a module"}


def test_the_program_on_a_host_is_asked_on_its_standard_input_and_answers_in_one_line() -> None:
    live = live_pass()
    live.residents["a"] = ("/usr/bin/python3", "/run/pairbench/code-1/start.py")
    asking = task(live, "a")
    assert isinstance(asking, HostTask)
    by = Executor(True, stdout='Welcome\n{"ends": {}}\n')
    assert executed(by, live, "a", asking.module, asking.arguments, {}) == {"ends": {}}
    [(command, asked)] = by.commands
    assert command == "LANG=C  /usr/bin/python3 -I -S /run/pairbench/code-1/start.py" and not by.modules
    assert asked == {"module": "session", "arguments": dict(asking.arguments)}
    assert asking.arguments["token"] not in command


@pytest.mark.parametrize(
    ("by", "known"),
    [(Executor(True), False), (Executor(False), True), (Executor(True, rc=2, stderr="can't open file"), True)],
)
def test_a_module_is_sent_where_there_is_no_program_or_nothing_can_be_piped_to_it(by: Executor, known: bool) -> None:
    live = live_pass()
    if known:
        live.residents["a"] = ("/usr/bin/python3", "/run/pairbench/code-1/start.py")
    assert executed(by, live, "a", SESSION, {}, {}) == {"as": "a module"} and by.modules == [SESSION]
    assert executed(by, None, "a", SESSION, {}, {}) == {"as": "a module"}


@pytest.mark.parametrize("stdout", ["", "Killed", "{nonsense", '["a list"]', "\n"])
def test_a_program_that_ends_without_a_result_has_failed_with_what_it_said(stdout: str) -> None:
    reply = Resident.answer(1, stdout, "Traceback")
    assert reply is not None and reply["failed"] and reply["rc"] == 1
    assert (reply["module_stdout"], reply["module_stderr"]) == (stdout, "Traceback")


def test_a_program_that_is_gone_gives_no_answer_and_one_that_failed_does() -> None:
    assert Resident.answer(2, "", "can't open file") is None
    assert Resident.answer(2, '{"ends": {}}\n', "") == {"ends": {}}


def bytes_asked(it: Conducted) -> list[int]:
    """How much the longest request of each step has, where every host replies and forgets what it is told to."""
    it.begin(step=None)
    it.live.prepared = dict.fromkeys(it.plan.hosts, PROBE)
    longest = []
    for index in range(len(it.plan.steps)):
        it.conductor.begin_step(index)
        tasks = {host: task(it.live, host) for host in it.plan.hosts}
        asked = {host: found for host, found in tasks.items() if isinstance(found, HostTask)}
        longest.append(max(len(Resident.request(found.module, found.arguments)) for found in asked.values()))
        for host, found in asked.items():
            it.reply(host, forgotten=found.arguments["forget"])
    return longest


def test_what_a_host_is_sent_grows_neither_with_the_runs_that_are_done_nor_with_the_fleet(tmp_path: Path) -> None:
    fleet = {name: f"10.77.77.{number}" for number, name in enumerate("abcdefghijkl", 10)}
    few = bytes_asked(Conducted(tmp_path / "few", blocks=6, hosts={name: fleet[name] for name in "abcd"}))
    many = bytes_asked(Conducted(tmp_path / "many", hosts=fleet))
    assert len(few) == 6 * 3 and len(many) == 11
    [usual] = {*few[1:], *many[1:]}  # the first step has nothing to forget yet, each other one the run before
    assert few[0] == many[0] < usual < 1000
