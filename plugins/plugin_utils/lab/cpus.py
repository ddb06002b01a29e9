"""What cases ask of the hosts around their runs: the MTU of the data interface, and CPUs for the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils._host import cpu_list as kernel_list
from ..model import CaseSpec, Plan, Run
from ..planning.plan import PlanError, cases_of, directed_pairs

CPUS = "pairbench_cpus"
"""The host variable, and the plan's setting that maps hosts to it."""
FAULTS = {
    "form": "; it must be numbers and ranges of CPUs, like 0-3,6",
    "order": ", which names no CPU; ranges are from low to high, like 0-3",
    "stride": ", which names no CPU; ranges are from low to high, like 0-3",
    "number": f"; a CPU's number is from 0 to {kernel_list.MOST_CPUS - 1}",
}


def cpu_list(value: Any) -> str:
    """CPUs in one spelling, ``0-3,6``: from a number, a list, or a text as the kernel writes it (``0-7:1/2`` too).

    Raises ValueError with a sentence that has no subject.
    """
    numbers: set[int] = set()
    for item in value if isinstance(value, (list, tuple)) else str(value).split(","):
        numbers |= _cpus_of(item)
    if not numbers:
        raise ValueError("is empty; it must name CPUs, like 0-3,6")
    return kernel_list.cpu_list(numbers)


def _cpus_of(item: Any) -> set[int]:
    try:
        if isinstance(item, bool):
            raise kernel_list.NotCpus("form", str(item))
        return kernel_list.cpu_numbers(str(item))
    except kernel_list.NotCpus as error:
        raise ValueError(f"holds {item!r}{FAULTS[error.fault]}") from None


def host_cpus(values: Mapping[str, Any]) -> dict[str, str]:
    """CPUs by host, each in one spelling. ``values`` has ``pairbench_cpus`` of each host, None where it has none.

    Raises PlanError naming every host whose value is not a list of CPUs.
    """
    cpus: dict[str, str] = {}
    problems: list[str] = []
    for host, value in values.items():
        if value is None or value == "" or value == []:
            continue
        try:
            cpus[host] = cpu_list(value)
        except ValueError as error:
            problems.append(f"{host}: pairbench_cpus {error}")
    if problems:
        raise PlanError(". ".join(problems))
    return cpus


def identity_of_cpus(cases: Mapping[str, Sequence[CaseSpec]], cpus: Mapping[str, str]) -> dict[str, Any]:
    """What must not change under one sweep name: the CPUs, where any case is pinned; otherwise nothing."""
    pinned = any(case.parameters.get("pin") for specs in cases.values() for case in specs)
    return {CPUS: dict(cpus)} if pinned else {}


def require_cpus(plan: Plan) -> None:
    """Raise PlanError when a host takes part in a pinned case and has no CPUs for it."""
    pinned = {
        benchmark: case.name
        for benchmark, cases in cases_of(plan).items()
        for case in cases
        if case.parameters.get("pin")
    }
    if not pinned:
        return
    cpus = plan.settings.get(CPUS, {})
    missing: dict[str, str] = {}
    for benchmark, *pair in directed_pairs(plan):
        if benchmark in pinned:
            missing |= {host: pinned[benchmark] for host in pair if host not in cpus}
    if missing:
        hosts = sorted(missing)
        raise PlanError(
            f"{', '.join(hosts)}: no pairbench_cpus, but the case {missing[hosts[0]]} is pinned. Give each host the "
            "CPUs of its benchmark in the inventory, like pairbench_cpus: 0-3, or leave pin out of the cases"
        )


def host_settings(plan: Plan, run: Run, host: str) -> dict[str, Any]:
    """The part of a run's arguments that one end needs to set its host; empty when the case asks for nothing."""
    settings: dict[str, Any] = {}
    if run.parameters.get("mtu"):
        settings["mtu"] = run.parameters["mtu"]
    if run.parameters.get("pin"):
        settings["cpus"] = plan.settings[CPUS][host]
    return settings
