"""What is asked for becomes a plan, or a sentence that says why it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import Bottlenecks, PlanError, Selection
from plans import CASES, plan


def test_capacities_of_a_hypervisor_and_an_uplink_are_kept() -> None:
    shared = Bottlenecks(
        {"h0": "hv", "h1": "hv", "h2": "hv"}, {"h3": ["up"], "h4": ["up"], "h5": ["up"]}, {"hv": 1, "up": 2}
    )
    made = plan(6, bottlenecks=shared, blocks=1)
    for step in made.steps:
        pairs = [{session.server, session.client} for session in step.sessions]
        assert sum(bool(pair & {"h0", "h1", "h2"}) for pair in pairs) <= 1
        assert sum(len(pair & {"h3", "h4", "h5"}) == 1 for pair in pairs) <= 2
    assert len({run.run_id for run in made.runs}) == 15 * 2 * 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hosts": {"a": "10.0.0.1"}}, "fewer than two hosts to measure between .a."),
        ({"hosts": {"a": "10.0.0.1", "b": "10.0.0.1"}}, "a and b have the same pairbench_address 10.0.0.1"),
        ({"hosts": {"a": "10.0.0.1", "b": "b.example"}}, "b: pairbench_address is 'b.example'; it must be a literal"),
        ({"blocks": 0}, "pairbench_blocks is 0"),
        ({"mode": "all"}, "pairbench_mode is 'all'"),
        ({"directions": {"iperf3": "up"}}, "iperf3_direction is 'up'"),
        ({"selection": Selection(declared=(("h0", "h9"),))}, "h9"),
        ({"levels": [1], "mode": "rounds"}, "levels need mode concurrent"),
        ({"levels": [3], "mode": "concurrent"}, "3"),
        ({"selection": Selection(declared=(("h0", "h1"), ("h1", "h0"))), "directions": {"iperf3": "both",
          "sockperf": "both"}}, "twice"),
        ({"cases": {"iperf3": [CASES["iperf3"][0], CASES["iperf3"][0]]}}, "two runs of the plan have the same name"),
    ],
)
def test_what_cannot_be_planned_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        plan(**changes)
