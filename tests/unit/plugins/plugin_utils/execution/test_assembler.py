"""Records of the two ends of runs, as they come back and as hosts kept them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import Kept, RecordAssembler, records_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import SIDES, CaseSpec, Side
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import latest_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import Record, Trouble, new_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from captured import all_captured, sweep_of

PLAN = make_plan(
    sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"}, blocks=2, seed=1,
    cases={"iperf3": [CaseSpec("iperf3", "P1", {}, 1.0)]}, directions={"iperf3": "first_serves"},
)
RUN, OTHER = PLAN.runs[0], PLAN.runs[1]


def kept(role: Side, execution: str = "e1", run: Any = RUN) -> Kept:
    host = run.server if role == "server" else run.client
    end = {"host": host, "execution": execution, "stdout": f"{role} {execution}"}
    return Kept(host, f"{run.run_id}.{execution}.{role}.json", run.run_id, role, execution, end)


def written(**ends: Any) -> Record:
    """What a record holds of the first run."""
    return new_record("s", "c", vars(RUN), cast(Any, ends))


def reason(record: Record) -> str | None:
    return None if record.error is None else record.error.reason


def test_two_halves_of_one_execution_become_a_record() -> None:
    [record] = records_of(PLAN, [kept("client"), kept("server")], set(), {})
    assert (record.run_id, record.error) == (RUN.run_id, None)
    assert [end.stdout for end in record.ends] == ["server e1", "client e1"]
    assert record.document["collected"] == ["client", "server"]


def test_halves_of_different_executions_are_never_put_together() -> None:
    records = list(records_of(PLAN, [kept("client", "e1"), kept("server", "e2")], set(), {}))
    assert len(records) == 2
    assert all(reason(record) == "no_end" for record in records)
    assert [(record.server is None, record.client is None) for record in records] == [(True, False), (False, True)]


def test_a_half_joins_the_end_that_came_back_then() -> None:
    before = written(server={"execution": "e1", "stdout": "came back"})
    [record] = records_of(PLAN, [kept("client")], set(), {RUN.run_id: before})
    assert record.error is None and record.server is not None and record.server.stdout == "came back"
    assert record.document["collected"] == ["client"]


def test_what_is_done_or_written_already_or_of_another_plan_gives_nothing() -> None:
    both = [kept("client"), kept("server")]
    assert not list(records_of(PLAN, both, {RUN.run_id}, {}))
    whole = written(server=both[1].end, client=both[0].end)
    assert not list(records_of(PLAN, both, set(), {RUN.run_id: whole}))
    stranger = Kept("a", "x", "no such run", "server", "e1", {})
    assert not list(records_of(PLAN, [stranger], set(), {}))


def test_of_two_whole_executions_of_a_run_one_becomes_its_record() -> None:
    done: set[str] = set()
    collected = []
    for record in records_of(PLAN, [kept(role, name) for name in ("e1", "e2") for role in SIDES], done, {}):
        collected.append(record)
        done.add(record.run_id)  # as the caller does with a run that was measured
    assert len(collected) == 1


def test_an_end_of_a_written_record_that_is_no_end_joins_nothing(tmp_path: Path) -> None:
    path = SweepFolder(tmp_path).record(RUN.run_id, 1)
    path.parent.mkdir()
    document = {**written().document, "attempt": 1, "server": ["e1"], "client": "e1"}
    path.write_text(json.dumps(document), encoding="utf-8")
    before = latest_record(tmp_path, RUN.run_id)
    [record] = records_of(PLAN, [kept("client")], set(), {RUN.run_id: before})
    assert record.server is None and reason(record) == "no_end"


def test_several_runs_are_kept_apart() -> None:
    both = [kept(role, run=run) for run in (RUN, OTHER) for role in SIDES]
    assert {record.run_id for record in records_of(PLAN, both, set(), {})} == {RUN.run_id, OTHER.run_id}


def test_the_two_ends_are_put_together_in_any_order() -> None:
    plan = sweep_of(all_captured())
    assembler = RecordAssembler(plan)
    assembler.expect(plan.runs)
    assert assembler.add_end("run1", "client", {"a": 1}) is None
    done = assembler.add_end("run1", "server", {"b": 2})
    assert done is not None and (done.document["client"], done.document["server"], done.error) == ({"a": 1}, {"b": 2}, None)

    assert assembler.add_error("run2", "server", Trouble("unreachable", "x")) is None
    done = assembler.add_end("run2", "client", {"a": 1})
    assert done is not None and done.error == Trouble("unreachable", "x") and done.server is None

    assert assembler.add_error("run3", "server", Trouble("unreachable", "x")) is None
    assert assembler.add_error("run3", "client", Trouble("unreachable", "y")) is not None

    assembler.add_end("run4", "server", {"b": 2})
    [left] = assembler.flush()
    assert left.run_id == "run4" and left.client is None and left.error is not None and left.error.reason == "no_end"
    assert assembler.flush() == []
    for record in (done, left):
        json.dumps(record.document)
        assert not any(key.startswith("_") for key in record.document)
