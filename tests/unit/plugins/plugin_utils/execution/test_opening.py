"""From the variables of a play to the orders of a pass: who takes part, what is refused, what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import opening
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.opening import Asked, Opening, open_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.play import Play
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, withdraw_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld
from clone import ROOT

HOSTS = {"one": "10.0.0.1", "two": "10.0.0.2", "three": "10.0.0.3"}


def defaults(role: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")))


def asked(results: Path, **changes: Any) -> Asked:
    bench = defaults("bench") | {"pairbench_results": str(results)}
    tracer = defaults("bpftrace")
    for name, value in changes.items():
        (tracer if name in tracer else bench)[name] = value
    return Asked(bench, {name: defaults(name) for name in ("iperf3", "sockperf")}, tracer)


def play(*hosts: str, groups: dict[str, list[str]] | None = None, **variables: dict[str, Any]) -> Play:
    values = {name: {"pairbench_address": address} for name, address in HOSTS.items()}
    values |= {name: values.get(name, {}) | more for name, more in variables.items()}
    return Play(hosts or tuple(HOSTS), {"all": list(values)} | (groups or {}), values)


def opened(results: Path, where: Play | None = None, forks: int = 64, rehearsal: bool = False, **changes: Any) -> Opening:
    return open_pass(asked(results, **changes), where or play(), forks, rehearsal, lambda _sentence: None)


def test_a_new_sweep_is_planned_and_stored(tmp_path: Path) -> None:
    found = opened(tmp_path)
    orders = found.orders
    assert found.created and orders.fresh and load_plan(orders.sweep_dir) == found.plan
    assert (orders.sweep_dir, orders.hosts, orders.only) == (tmp_path / "default", HOSTS, None)
    assert orders.runs == found.left.runs == len(list(planned_runs(found.plan)))
    assert (orders.claim, orders.owner) == (found.plan.uid, "sweep default of ")
    assert orders.benchmarks == ("iperf3", "sockperf") and orders.lease_seconds >= 600
    assert {port["variable"] for port in orders.ports} == {"iperf3_port", "sockperf_port", "pairbench_control_port"}
    assert not opened(tmp_path).created and not opened(tmp_path).orders.fresh


def test_a_share_of_a_sweep_claims_hosts_under_a_name_of_its_own(tmp_path: Path) -> None:
    orders = opened(tmp_path, pairbench_shard="2").orders
    assert orders.claim.endswith(".2") and orders.owner == "sweep default (shard 2) of "


def test_a_rehearsal_stores_nothing_and_says_whether_its_seed_is_kept_anywhere(tmp_path: Path) -> None:
    found = opened(tmp_path, rehearsal=True)
    assert found.created and found.drawn and not found.orders.fresh and not list(tmp_path.iterdir())
    kept = opened(tmp_path)
    again = opened(tmp_path, rehearsal=True)
    assert not again.drawn and again.plan == kept.plan


def test_fewer_hosts_than_the_stored_plan_has_limit_the_pass(tmp_path: Path) -> None:
    whole = opened(tmp_path)
    part = opened(tmp_path, play("one", "three"))
    assert part.orders.only == {"one", "three"} == set(part.orders.hosts) and part.plan == whole.plan
    assert part.left.runs * 3 == whole.left.runs


def test_a_plan_that_was_withdrawn_while_it_was_waited_for_is_stored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    monkeypatch.setattr(opening, "_wait_until_free", lambda sweep_dir, _seconds, _say: withdraw_plan(sweep_dir))
    second = opened(tmp_path)
    assert second.orders.fresh and second.created and load_plan(first.orders.sweep_dir).uid == second.plan.uid


def test_a_sweep_that_is_held_is_waited_for_and_then_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "held_by", lambda _sweep_dir: "ada@desk, pid 7")
    monkeypatch.setattr(opening, "LOOK_SECONDS", 0.001)
    said: list[str] = []
    with pytest.raises(SweepHeld, match="is held by ada@desk, pid 7"):
        open_pass(asked(tmp_path, pairbench_wait_seconds=1), play(), 64, False, said.append)
    assert said == ["The sweep is held by ada@desk, pid 7; waiting for up to 1 s"]
    assert not list(tmp_path.iterdir())


def test_guests_are_observed_where_their_hypervisor_is_in_the_play(tmp_path: Path) -> None:
    guest = {"pairbench_vmm_libvirt": "domain", "pairbench_hypervisor": "hv"}
    for at, (hosts, observing) in enumerate((((*HOSTS, "hv"), ("hv",)), (tuple(HOSTS), ()))):
        where = play(*hosts, groups={"hypervisors": ["hv"]}, one=guest, hv={"ansible_host": "10.9.9.9"})
        orders = opened(tmp_path / str(at), where).orders
        assert orders.guests == {"one": Guest("hv", {"libvirt": "domain"})}
        assert (orders.hypervisors, set(orders.hosts)) == (observing, set(HOSTS))
    assert not opened(tmp_path / "without", where, pairbench_trace_vmm=False).orders.guests


@pytest.mark.parametrize(
    ("where", "changes", "sentence"),
    [
        (play(one={"pairbench_address": ""}), {}, "one: no pairbench_address"),
        (play("one"), {}, "fewer than two hosts"),
        (play(two={"ansible_facts": {"_bench_plan": {}}}), {}, "two returned the facts _bench_plan, which would set"),
        (play(two={"ansible_facts": {"pairbench_results": "/"}}), {}, "two returned the facts pairbench_results"),
        (play(), {"pairbench_answer_seconds": 0}, "pairbench_answer_seconds is 0; it must be at least 1"),
        (play(), {"pairbench_prepare_seconds": -1}, "pairbench_prepare_seconds is -1; it must be at least 1"),
        (play(), {"pairbench_pairs": [["one", "ghost"]]}, "pairbench_pairs names ghost"),
        (play("two", "three"), {"pairbench_pairs": [["one", "two"]]}, "none of pairbench_pairs has both of its hosts"),
        (play(), {"pairbench_groups": [["all", "ghosts"]]}, "pairbench_groups names ghosts"),
        (play(), {"pairbench_pair_by": "rack"}, "no two hosts have an equal value"),
        (play(), {"pairbench_benchmarks": []}, "pairbench_benchmarks is empty"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_stored(
    tmp_path: Path, where: Play, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PlanError, match=sentence):
        opened(tmp_path, where, **changes)
    assert not list(tmp_path.iterdir())


def test_all_ends_of_a_round_need_a_worker_each(tmp_path: Path) -> None:
    guest = {"pairbench_vmm_libvirt": "domain", "pairbench_hypervisor": "hv"}
    where = play(*HOSTS, "hv", groups={"hypervisors": ["hv"]}, one=guest, hv={})
    with pytest.raises(PlanError, match="forks is 2, but a round has 1 pair whose 2 ends, and 1 hypervisor, must run"):
        opened(tmp_path, where, forks=2)
    assert opened(tmp_path, where, forks=3).orders.runs


def test_too_few_files_for_the_workers_are_said_before_the_play_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "descriptors_problem", lambda wanted: f"no {wanted} files")
    with pytest.raises(PlanError, match="no 24 files"):
        opened(tmp_path)
