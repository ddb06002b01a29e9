"""What cases ask of the hosts around their runs: the MTU of the data interface, and CPUs for the benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model import CaseSpec, Plan, Run
from ..planning.plan import PlanError, cases_of, directed_pairs

CPUS = "pairbench_cpus"
"""The host variable, and the plan's setting that maps hosts to it."""
MOST_CPUS = 8192
CPU_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+)/(\d+))?)?")


def cpu_list(value: Any) -> str:
    """CPUs in one spelling, ``0-3,6``: from a number, a list, or a text as the kernel writes it (``0-7:1/2`` too).

    Raises ValueError with a sentence that has no subject.
    """
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    numbers: set[int] = set()
    for item in items:
        numbers |= _cpus_of(item)
    if not numbers:
        raise ValueError("is empty; it must name CPUs, like 0-3,6")
    return _in_ranges(sorted(numbers))


def _cpus_of(item: Any) -> set[int]:
    text = str(item).strip()
    found = None if isinstance(item, bool) or not text.isascii() or len(text) > 40 else CPU_RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"holds {item!r}; it must be numbers and ranges of CPUs, like 0-3,6")
    first = int(found[1])
    last = int(found[2] or first)
    used, group = int(found[3] or 1), int(found[4] or 1)
    if last < first or used < 1 or group < used:
        raise ValueError(f"holds {item!r}, which names no CPU; ranges are from low to high, like 0-3")
    if last >= MOST_CPUS:
        raise ValueError(f"holds {item!r}; a CPU's number is from 0 to {MOST_CPUS - 1}")
    return {number for number in range(first, last + 1) if (number - first) % group < used}


def _in_ranges(numbers: Sequence[int]) -> str:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)


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
