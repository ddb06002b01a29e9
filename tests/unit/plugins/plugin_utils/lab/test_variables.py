"""The variables of an inventory become what a plan is made from, or sentences about all that is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.variables import SweepVariables, checked_variables
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import NO_BOTTLENECKS, Bottlenecks, PlanError
from clone import ROOT


def defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return found


def checked(
    bottlenecks: Bottlenecks = NO_BOTTLENECKS, cpus: Any = None, guests: Any = None, **changes: Any
) -> SweepVariables:
    bench = defaults("bench") | {name: value for name, value in changes.items() if name.startswith("pairbench_")}
    roles = {
        name: defaults(name) | {key: value for key, value in changes.items() if key.startswith(f"{name}_")}
        for name in ("iperf3", "sockperf")
    }
    return checked_variables(bench, roles, "count", bottlenecks, cpus or {}, guests or {})


def test_the_defaults_of_the_roles_make_a_sweep() -> None:
    found = checked()
    assert {name: [case.name for case in cases] for name, cases in found.cases.items()} == {
        "iperf3": ["tcp_P4_t30"], "sockperf": ["ping-pong_udp_m64_t30"],
    }
    assert found.directions == {"iperf3": "first_serves", "sockperf": "second_serves"}
    assert found.ports == {"iperf3": 5201, "sockperf": 11111} and found.trace_mode == "count"
    assert all(case.seconds > 30 for cases in found.cases.values() for case in cases)


def test_only_benchmarks_that_are_asked_for_count() -> None:
    found = checked(pairbench_benchmarks=["sockperf"], iperf3_port=11111)
    assert list(found.cases) == list(found.directions) == list(found.ports) == ["sockperf"]
    assert "iperf3_cases" not in found.identity


def test_what_must_not_change_under_one_name() -> None:
    found = checked(
        Bottlenecks({"a": "hv"}, {"b": ["up"]}, {}), {"a": "0-1"}, {"a": Guest("hv", {"match": "x"})}, iperf3_pin=True
    ).identity
    assert found["pairbench_hypervisor"] == {"a": "hv"} and found["pairbench_bottlenecks"] == {"b": ["up"]}
    assert found["pairbench_cpus"] == {"a": "0-1"} and found["pairbench_vmm"] == {"a": "hv"}
    assert found["bpftrace_mode"] == "count" and list(found["sockperf_cases"]) == ["ping-pong_udp_m64_t30"]
    assert "pairbench_blocks" not in found and "pairbench_cpus" not in checked(cpus={"a": "0-1"}).identity


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pairbench_blocks": 0}, "pairbench_blocks is 0; it must be at least 1"),
        ({"pairbench_sweep": "../up"}, "pairbench_sweep is '../up'"),
        ({"pairbench_user": "a b"}, "pairbench_user is 'a b'"),
        ({"pairbench_benchmarks": []}, "pairbench_benchmarks is empty"),
        ({"pairbench_pairs": [["a"]]}, "a list of two hosts"),
        ({"pairbench_pairs": [["a", "b"]], "pairbench_pair_by": "rack"}, "use one of them"),
        ({"pairbench_levels": [0]}, "a level is a number of pairs from 1"),
        ({"pairbench_capacities": {"hv": True}}, "hv is True"),
        ({"iperf3_port": 0}, "iperf3_port is 0; a port is from 1 to 65535"),
        ({"iperf3_port": 5200}, "iperf3_port and pairbench_control_port are both 5200"),
        ({"cpus": {"a": "3-1"}}, "a: pairbench_cpus holds '3-1'"),
        ({"iperf3_seconds": "soon"}, "iperf3 .*seconds is 'soon'"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        checked(**changes)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(PlanError, match=r"pairbench_blocks is 0.*; iperf3_port is 0.*; a: pairbench_cpus holds"):
        checked(pairbench_blocks=0, iperf3_port=0, cpus={"a": ","})
