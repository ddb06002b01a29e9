"""What stands in the way of a pass, by what its hosts said of themselves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import preflight
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import LivePass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.preflight import look_at
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from passes import orders

PARAMETERS: dict[str, Any] = {
    "protocol": "tcp", "parallel": 1, "seconds": 1, "bitrate": "", "length": "", "window": "", "omit_seconds": 0,
    "reverse": False, "congestion": "", "zerocopy": False, "extra_args": [],
}  # fmt: skip
VERSION = "iperf 3.18 (cJSON 1.7.15)"
GOOD: dict[str, Any] = {
    "problems": [], "tools": {"iperf3": {"version": VERSION}}, "tracer": {"available": True, "reason": ""},
}  # fmt: skip
HOSTS = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}


def live_pass(**changes: Any) -> LivePass:
    plan = make_plan(
        sweep="s", configuration="c", hosts=HOSTS, cases={"iperf3": [CaseSpec("iperf3", "P1", PARAMETERS, 1.0)]}, blocks=1,
        seed=1, directions={"iperf3": "first_serves"},
    )  # fmt: skip
    live = LivePass(plan, orders(hosts=HOSTS, **changes), set())
    live.prepared = {host: copy.deepcopy(GOOD) for host in HOSTS}
    return live


def test_hosts_in_order_have_nothing_in_the_way() -> None:
    found = look_at(live_pass())
    assert (found.problems, found.untraced, found.refusal) == ((), (), "")


def test_a_host_that_did_not_answer_is_left_out_as_long_as_two_are_there() -> None:
    live = live_pass()
    del live.prepared["a"]
    assert not look_at(live).problems
    del live.prepared["c"]
    live.prepared["hv"] = GOOD
    assert look_at(live).problems == ("fewer than two hosts answered; these did not: a, c",)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    live = live_pass()
    live.prepared["a"]["problems"].append("port 5201 is taken")  # type: ignore[index]
    live.prepared["b"]["tools"]["iperf3"] = None  # type: ignore[index]
    refusal = look_at(live).refusal.splitlines()
    assert refusal[0] == "Nothing was measured. a: port 5201 is taken"
    assert refusal[1] == "b: iperf3 is not installed and iperf3_install is false; install it or allow it"


@pytest.mark.parametrize(("trace", "required"), [(True, True), (True, False), (False, True)])
def test_a_host_that_cannot_trace_is_in_the_way_only_where_that_is_asked_for(trace: bool, required: bool) -> None:
    live = live_pass(trace=trace, trace_required=required)
    live.prepared["b"]["tracer"].update(available=False, reason="no BTF")  # type: ignore[union-attr]
    found = look_at(live)
    assert found.untraced == (("b: no BTF",) if trace else ())
    assert found.problems == (("b: no BTF (bpftrace_required is true)",) if trace and required else ())


def test_versions_that_do_not_go_together_are_named_by_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    live = live_pass()
    asked: list[Any] = []

    def problems(pairs: Any, cases: Any, versions: Any) -> list[str]:
        asked.extend(pairs)
        assert versions["a"] == {"iperf3": VERSION} and set(cases) == {"iperf3"}
        return ["a and b: they differ"]

    monkeypatch.setattr(preflight, "version_problems", problems)
    del live.prepared["c"]
    assert look_at(live).problems == ("a and b: they differ",)
    assert [pair[1:] for pair in asked] == [("a", "b")]
