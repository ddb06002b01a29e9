from __future__ import annotations

from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import Kept, records_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan

PLAN = make_plan(
    sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"}, blocks=2, seed=1,
    cases={"iperf3": [CaseSpec("iperf3", "P1", {}, 1.0)]}, directions={"iperf3": "first_serves"},
)
RUN, OTHER = PLAN.runs[0], PLAN.runs[1]


def kept(role: str, execution: str = "e1", run: Any = RUN) -> Kept:
    host = run.server if role == "server" else run.client
    end = {"host": host, "execution": execution, "stdout": f"{role} {execution}"}
    return Kept(host, f"{run.run_id}.{execution}.{role}.json", run.run_id, role, execution, end)


def test_two_halves_of_one_execution_become_a_record() -> None:
    [record] = records_of(PLAN, [kept("client"), kept("server")], set(), {})
    assert (record["run"]["run_id"], record["error"]) == (RUN.run_id, None)
    assert record["server"]["stdout"] == "server e1" and record["client"]["stdout"] == "client e1"
    assert record["collected"] == ["client", "server"]


def test_halves_of_different_executions_are_never_put_together() -> None:
    records = list(records_of(PLAN, [kept("client", "e1"), kept("server", "e2")], set(), {}))
    assert len(records) == 2
    assert all(record["error"]["reason"] == "no_end" for record in records)
    assert [(record["server"] is None, record["client"] is None) for record in records] == [(True, False), (False, True)]


def test_a_half_joins_the_end_that_came_back_then() -> None:
    before = {"server": {"execution": "e1", "stdout": "came back"}, "client": None, "run": {"run_id": RUN.run_id}}
    [record] = records_of(PLAN, [kept("client")], set(), {RUN.run_id: before})
    assert record["error"] is None and record["server"]["stdout"] == "came back" and record["collected"] == ["client"]


def test_what_is_done_or_written_already_or_of_another_plan_gives_nothing() -> None:
    both = [kept("client"), kept("server")]
    assert not list(records_of(PLAN, both, {RUN.run_id}, {}))
    written = {RUN.run_id: {"server": dict(both[1].end), "client": dict(both[0].end)}}
    assert not list(records_of(PLAN, both, set(), written))
    stranger = Kept("a", "x", "no such run", "server", "e1", {})
    assert not list(records_of(PLAN, [stranger], set(), {}))


def test_of_two_whole_executions_of_a_run_one_becomes_its_record() -> None:
    done: set[str] = set()
    collected = []
    for record in records_of(PLAN, [kept(role, name) for name in ("e1", "e2") for role in ("server", "client")], done, {}):
        collected.append(record)
        done.add(record["run"]["run_id"])  # as the caller does with a run that was measured
    assert len(collected) == 1


def test_an_end_of_a_written_record_that_is_no_end_joins_nothing() -> None:
    before = {"server": ["e1"], "client": "e1", "run": {"run_id": RUN.run_id}}
    [record] = records_of(PLAN, [kept("client")], set(), {RUN.run_id: before})
    assert record["server"] is None and record["error"]["reason"] == "no_end"


def test_several_runs_are_kept_apart() -> None:
    both = [kept(role, run=run) for run in (RUN, OTHER) for role in ("server", "client")]
    assert {record["run"]["run_id"] for record in records_of(PLAN, both, set(), {})} == {RUN.run_id, OTHER.run_id}
