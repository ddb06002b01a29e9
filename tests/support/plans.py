"""Plans as small as the tests of planning, sharing and merging need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan

CASES = {
    "iperf3": [CaseSpec("iperf3", "P1", {"parallel": 1}, 5.0), CaseSpec("iperf3", "P4", {"parallel": 4}, 5.0)],
    "sockperf": [CaseSpec("sockperf", "pp", {}, 7.0)],
}
DIRECTIONS = {"iperf3": "first_serves", "sockperf": "second_serves"}


def hosts(count: int) -> dict[str, str]:
    """Hosts ``h0`` and so on with their addresses."""
    return {f"h{number}": f"10.0.{number // 250}.{number % 250 + 1}" for number in range(count)}


def plan(count: int = 2, **changes: Any) -> Any:
    """Two benchmarks with three cases in three blocks, with other arguments of `make_plan` where ``changes`` has them."""
    given = {"sweep": "s", "configuration": "c", "hosts": hosts(count), "cases": CASES, "directions": DIRECTIONS,
             "blocks": 3, "seed": 7, "settings": {"a": 1}}
    return make_plan(**(given | changes))


def small_plan(count: int, hypervisors: dict[str, str] | None = None, **changes: Any) -> Plan:
    """One case in one block between hosts ``h01`` and so on, of which some share hypervisors."""
    numbered = {f"h{number:02}": f"10.0.0.{number}" for number in range(1, count + 1)}
    return make_plan(
        **{
            "sweep": "s", "configuration": "c", "hosts": numbered, "blocks": 1, "seed": 1,
            "cases": {"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, "directions": {"iperf3": "first_serves"},
            "settings": {"pairbench_hypervisor": hypervisors or {}}, **changes,
        }
    )


def stored_sweep(folder: Path, made: Plan, records: dict[str, str]) -> Path:
    """The folder of a sweep with its plan and files of records, each with its marker."""
    store_plan(folder, made)
    (folder / "records").mkdir()
    for name, marker in records.items():
        text = f'{{"attempt": 1, "marker": "{marker}", "run": {{"run_id": "{name}"}}}}'
        (folder / "records" / f"{name}.json").write_text(text, encoding="utf-8")
    return folder
