"""A plan as a document: the same plan comes back, and what does not add up is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.document import plan_from_json, plan_to_json
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.shapes import WrongShape


def plan(**changes: Any) -> Plan:
    given = {"sweep": "s", "configuration": "c", "hosts": {"b": "10.0.0.1", "a": "10.0.0.2", "c": "10.0.0.3"},
             "cases": {"iperf3": [CaseSpec("iperf3", "P1", {"parallel": 1}, 5.0)]}, "directions": {"iperf3": "both"},
             "blocks": 2, "seed": 7, "settings": {"pairbench_mode": "rounds"}}
    return make_plan(**(given | changes))


def written(made: Plan) -> Any:
    return json.loads(json.dumps(plan_to_json(made), sort_keys=True))


@pytest.mark.parametrize("changes", [{}, {"mode": "isolated"}, {"mode": "concurrent", "levels": [1]}, {"trace": False}])
def test_a_designed_plan_comes_back_with_its_hosts_in_order(changes: dict[str, Any]) -> None:
    made = plan(**changes)
    again = plan_from_json(written(made))
    assert again == made and list(again.hosts) == ["b", "a", "c"]


def test_a_listed_plan_comes_back_step_by_step() -> None:
    made = replace(plan(), mode="imported")
    made = replace(made, steps=ListedSteps(tuple(made.steps)))
    assert "design" not in written(made) and plan_from_json(written(made)) == made


def test_pairs_are_written_as_positions_one_line_a_round() -> None:
    design = written(plan())["design"]
    assert [item["pairs"] for item in design["rounds"]] == ["1:2", "0:2", "0:1"]
    assert design["directions"] == {"iperf3": "both"} and design["trace"] is True


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda document: document.update(schema=99), "schema is 99"),
        (lambda document: document.update(steps=[]), "either a design or steps"),
        (lambda document: document.pop("design"), "either a design or steps"),
        (lambda document: document["design"]["rounds"][0].update(pairs="0:3"), "no pair of two of the 3 hosts"),
        (lambda document: document["design"]["rounds"][0].update(pairs="1:2 1:2"), "a pair twice"),
        (lambda document: document["design"].update(directions={}), "a direction for every key"),
        (lambda document: document.update(hosts=[["a", "x"], ["a", "y"], ["c", "z"]]), "one name twice"),
    ],
)
def test_what_does_not_add_up_is_refused_by_name(spoil: Any, sentence: str) -> None:
    document = written(plan())
    spoil(document)
    with pytest.raises(WrongShape, match=sentence):
        plan_from_json(document)


def test_more_runs_than_any_sweep_can_have_are_refused_before_they_are_made() -> None:
    with pytest.raises(PlanError, match="more than the 20000000"):
        plan_from_json(written(plan()) | {"blocks": 100_000} | {"design": written(plan())["design"] | {
            "cases": {"iperf3": [{"benchmark": "iperf3", "name": f"c{number}", "parameters": {}, "seconds": 1.0}
                                for number in range(100)]}}})
