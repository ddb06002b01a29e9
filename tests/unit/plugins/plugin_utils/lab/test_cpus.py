from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.cpus import (
    cpu_list,
    host_cpus,
    host_settings,
    identity_of_cpus,
    require_cpus,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, make_plan
from hypothesis import given
from hypothesis import strategies as st


def plan(parameters: dict[str, Any], cpus: dict[str, str]) -> Plan:
    cases = {"iperf3": [CaseSpec("iperf3", "case", parameters, 1.0)]}
    return make_plan(
        sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"}, cases=cases,
        directions={"iperf3": "first_serves"}, blocks=1, seed=1, settings=identity_of_cpus(cases, cpus),
    )


@pytest.mark.parametrize(
    ("value", "listed"),
    [(3, "3"), ("0-3,6", "0-3,6"), ([0, 1, 2, 6], "0-2,6"), ("0-7:1/2", "0,2,4,6"), ([" 5", "4"], "4-5")],
)
def test_cpus_are_listed_in_one_way(value: Any, listed: str) -> None:
    assert cpu_list(value) == listed


@pytest.mark.parametrize("value", ["", "a", "3-1", "-1", [True], "0-9999", "0-3:0/2", "1,,2"])
def test_what_names_no_cpus_is_refused(value: Any) -> None:
    with pytest.raises(PlanError if value else ValueError, match=r"like 0-3|is from 0 to|no CPU"):
        if not value:
            cpu_list(value)
        host_cpus({"a": value})


@given(st.sets(st.integers(0, 300), min_size=1))
def test_any_set_of_cpus_survives_its_spelling(numbers: set[int]) -> None:
    listed = cpu_list(sorted(numbers))
    again = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        again |= set(range(int(first), int(last or first) + 1))
    assert again == numbers and cpu_list(listed) == listed


def test_a_host_of_a_pinned_case_without_cpus_is_named() -> None:
    require_cpus(plan({"pin": True}, {"a": "0", "b": "1"}))
    require_cpus(plan({}, {}))
    with pytest.raises(PlanError, match=r"^b: no pairbench_cpus, but the case case is pinned"):
        require_cpus(plan({"pin": True}, {"a": "0"}))


def test_an_end_is_told_what_its_own_host_has_to_set() -> None:
    made = plan({"pin": True, "mtu": 1400}, {"a": "0", "b": "1-2"})
    run = made.steps[0].sessions[0].runs[0]
    assert host_settings(made, run, "b") == {"mtu": 1400, "cpus": "1-2"}
    made = plan({}, {})
    assert host_settings(made, made.steps[0].sessions[0].runs[0], "a") == {}
