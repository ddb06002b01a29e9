"""Who takes part, by the inventory: addresses, shared bottlenecks, pairs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.play import (
    Play,
    addresses_of,
    bottlenecks_in,
    cpus_in,
    measured_hosts,
    selection_in,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import Bottlenecks, PlanError, Selection

BENCH: dict[str, Any] = {
    "pairbench_pair_by": "", "pairbench_sample": 0, "pairbench_pairs": [], "pairbench_groups": [],
    "pairbench_capacities": {"spine": 2},
}  # fmt: skip


def play(**variables: dict[str, Any]) -> Play:
    groups = {"all": list(variables), "left": ["a", "b"], "right": ["c", "away"], "hypervisors": ["hv"]}
    return Play(tuple(variables), groups, variables)


def test_hypervisors_and_hosts_of_no_inventory_are_not_measured() -> None:
    found = Play(("a", "hv", "localhost"), {"all": ["a", "hv"], "hypervisors": ["hv"]}, {"a": {"x": 1}, "hv": {}})
    assert list(measured_hosts(found)) == [("a", {"x": 1})]


def test_addresses_are_in_one_spelling_and_every_host_without_one_is_named() -> None:
    assert addresses_of(
        [("a", {"pairbench_address": "fd00:0::1", "ansible_host": "10.0.0.1"}), ("b", {"ansible_host": "10.0.0.2"})]
    ) == {"a": "fd00::1", "b": "10.0.0.2"}
    with pytest.raises(PlanError, match=r"^b, c: no pairbench_address"):
        addresses_of([("a", {"ansible_host": "10.0.0.1"}), ("b", {}), ("c", {"pairbench_address": ""})])


def test_what_pairs_share_is_named_once_or_several_times() -> None:
    found = play(
        a={"pairbench_hypervisor": "hv", "pairbench_bottlenecks": "spine"},
        b={"pairbench_bottlenecks": ["leaf", 7]},
        c={"pairbench_hypervisor": "", "pairbench_bottlenecks": ""},
    )
    expected = Bottlenecks({"a": "hv"}, {"a": ["spine"], "b": ["leaf", "7"]}, {"spine": 2})
    assert bottlenecks_in(found, ["a", "b", "c", "gone"], BENCH) == expected
    assert bottlenecks_in(play(a={}), ["a"], BENCH).none


def test_a_host_that_the_inventory_no_longer_has_gives_no_cpus() -> None:
    assert cpus_in(play(a={"pairbench_cpus": "0-3"}, b={}), ["a", "b", "gone"]) == {"a": "0-3", "b": None}


def test_pairs_are_those_that_are_asked_for_and_whose_hosts_take_part() -> None:
    found, hosts = play(a={"rack": 1}, b={"rack": 1}, c={"rack": 2}, away={"rack": 2}), ["a", "b", "c"]
    assert selection_in(found, hosts, BENCH) == Selection()
    pairs = BENCH | {"pairbench_pairs": [["a", "b"], ["c", "away"]], "pairbench_sample": 1}
    assert selection_in(found, hosts, pairs) == Selection((("a", "b"),), (), 1)
    groups = BENCH | {"pairbench_groups": [["left", "right"]]}
    assert selection_in(found, hosts, groups) == Selection((), ((("a", "b"), ("c",)),))
    assert selection_in(found, hosts, BENCH | {"pairbench_pair_by": "rack"}) == Selection((("a", "b"),))
