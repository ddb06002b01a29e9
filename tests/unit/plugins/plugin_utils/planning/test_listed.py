"""Steps that are written down answer the same questions as those that are made from a design."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Session, Step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps, step_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import (
    cases_of,
    directed_pairs,
    longest_step_seconds,
    make_plan,
    run_count,
    widest_step,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from clone import ROOT

CASES = {
    "iperf3": [CaseSpec("iperf3", "P1", {"parallel": 1}, 5.0), CaseSpec("iperf3", "P4", {"parallel": 4}, 2.0)],
    "sockperf": [CaseSpec("sockperf", "pp", {}, 7.0)],
}


def planned(**changes: Any) -> Plan:
    hosts = {f"h{number}": f"10.0.0.{number}" for number in range(1, 6)}
    given = {"sweep": "s", "configuration": "c", "hosts": hosts, "cases": CASES, "blocks": 2, "seed": 7,
             "directions": {"iperf3": "both", "sockperf": "second_serves"}}
    return make_plan(**(given | changes))


def listed(made: Plan) -> Plan:
    return Plan(**vars(made) | {"steps": ListedSteps(tuple(made.steps))})


@pytest.mark.parametrize("changes", [{}, {"mode": "isolated"}, {"mode": "concurrent", "levels": [1, 2]}, {"trace": False}])
def test_both_kinds_of_steps_say_the_same_of_the_same_plan(changes: dict[str, Any]) -> None:
    made = planned(**changes)
    written = listed(made)
    assert list(made.steps) == list(written.steps) and len(made.steps) == len(written.steps)
    assert made.steps[1:4] == written.steps[1:4] and made.steps[-1] == written.steps[-1]
    assert run_count(made) == run_count(written) == len(made.runs)
    assert widest_step(made) == widest_step(written)
    assert widest_step(made, {"h1", "h2"}) == widest_step(written, {"h1", "h2"}) == 1
    assert directed_pairs(made) == directed_pairs(written)
    assert {name: {spec.name for spec in specs} for name, specs in cases_of(made).items()} == {
        name: {spec.name for spec in specs} for name, specs in cases_of(written).items()
    }
    assert longest_step_seconds(made) == longest_step_seconds(written) == max(map(step_seconds, made.steps))
    assert made.steps.expected_seconds == pytest.approx(written.steps.expected_seconds)
    assert [made.steps.title_parts(index) for index in range(len(made.steps))] == [
        written.steps.title_parts(index) for index in range(len(made.steps))
    ]
    left, all_of_it = what_remains(written, {made.runs[0].run_id}), what_remains(written)
    assert (left.runs, list(all_of_it.indexes)) == (all_of_it.runs - 1, list(range(len(made.steps))))


def test_what_was_written_down_stays_as_it_is() -> None:
    written = listed(planned()).steps
    assert written.grown(9) == written.with_rounds(()) == written
    assert ListedSteps(()).longest_seconds == ListedSteps(()).expected_seconds == 0


def test_its_rounds_are_those_of_every_block() -> None:
    made = planned()
    assert listed(made).steps.round_count == 2 * made.steps.round_count == 10


def test_a_step_takes_as_long_as_its_longest_session() -> None:
    runs = planned(trace=False).steps[0].sessions[0].runs
    step = Step(1, 1, "iperf3", (Session("h1", "h2", runs), Session("h3", "h4", runs * 2)))
    assert step_seconds(step) == 1.5 + 2 * sum(run.seconds for run in runs)


def test_nobody_asks_which_kind_of_steps_a_plan_has() -> None:
    asks = re.compile(r"isinstance\([^\n]*(PlannedSteps|ListedSteps)")
    found = [path for path in (ROOT / "plugins").rglob("*.py") if asks.search(path.read_text(encoding="utf-8"))]
    assert not found
