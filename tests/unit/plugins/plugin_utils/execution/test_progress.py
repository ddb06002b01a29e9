"""How far a pass is and how long it takes still, as it is said after each session."""

from __future__ import annotations

import re

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.progress import Progress
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Judgement, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import step_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import new_record


@pytest.fixture
def plan() -> Plan:
    """Six steps of two pairs, each with one run of 58.5 s: a minute a step."""
    return make_plan(
        sweep="s", configuration="c", hosts={f"h{number}": f"10.0.0.{number}" for number in range(4)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 58.5)]}, directions={"iperf3": "first_serves"}, blocks=2, seed=1,
        trace=False,
    )


def run_all(progress: Progress, plan: Plan, begin: int, took: float, overhead: float = 0.0) -> list[str]:
    """Lines of the steps from ``begin`` on, each of which takes so long; the second session ends a second later."""
    lines, now = [], 1000.0
    for step in plan.steps[begin:]:
        progress.begin_step(step, now)
        for session, end in zip(step.sessions, (took - 1, took), strict=True):
            record = new_record("s", "c", vars(session.runs[0]), {})
            lines += progress.advance(record, Judgement("valid"), now + end)
        now += took + overhead
    return lines


def left_of(line: str) -> str:
    found = re.search(r"%, (.*?)\]", line)
    assert found
    return found.group(1)


def test_time_left_falls_steadily_at_the_pace_of_what_is_done(plan: Plan) -> None:
    assert {step_seconds(step) for step in plan.steps} == {60.0}
    lines = run_all(Progress(plan, what_remains(plan)), plan, 0, took=90.0)
    assert lines[0].startswith("[1/12 runs, 8 %,") and lines[-1].startswith("[12/12 runs, 100 %, done]")
    # Whoever is first in a step is told the same as the one after it: the step under way is not counted as lost time.
    assert [left_of(line) for line in lines[1:9]] == [
        "7 min 30 s left", "6 min 1 s left", "6 min 0 s left", "4 min 31 s left", "4 min 30 s left", "3 min 1 s left",
        "3 min 0 s left", "1 min 31 s left",
    ]


def test_what_was_collected_from_the_hosts_is_not_to_be_done_any_more(plan: Plan) -> None:
    progress = Progress(plan, what_remains(plan))
    done = {run.run_id for session in plan.steps[0].sessions for run in session.runs}
    progress.replan(what_remains(plan, done))
    lines = run_all(progress, plan, 1, took=60.0)
    assert lines[0].startswith("[1/10 runs, 10 %,") and lines[-1].startswith("[10/10 runs, 100 %, done]")
    assert left_of(lines[1]) == "4 min 0 s left"


def test_what_is_collected_in_the_middle_counts_from_there(plan: Plan) -> None:
    progress = Progress(plan, what_remains(plan))
    ids = [[run.run_id for session in step.sessions for run in session.runs] for step in plan.steps]
    run_all(progress, Plan(**vars(plan) | {"steps": plan.steps[:2]}), 0, took=60.0)
    progress.replan(what_remains(plan, {*ids[0], *ids[1], *ids[5]}))
    lines = run_all(progress, Plan(**vars(plan) | {"steps": plan.steps[2:5]}), 0, took=60.0)
    assert lines[0].startswith("[5/10 runs, 50 %,") and lines[-1].startswith("[10/10 runs, 100 %, done]")
