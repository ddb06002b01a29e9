"""Which guests' processes are counted on which hypervisor, and who has to come to which session for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..planning.plan import PlanError

SELECTORS = ("libvirt", "pid_file", "match")
"""How the process of a guest is found on its hypervisor: host variables ``pairbench_vmm_…`` of the guest."""


@dataclass(frozen=True)
class Guest:
    """A guest whose process is counted: where, and how it is found there."""

    hypervisor: str
    selector: Mapping[str, str]


def guests_of(
    variables: Mapping[str, Mapping[str, Any]], hosts: Collection[str], inventory: Collection[str]
) -> dict[str, Guest]:
    """The guests among ``hosts`` whose variables say how their process is found.

    ``variables`` has the host variables of each, ``inventory`` every host that the inventory knows. Raises PlanError
    naming every guest whose variables do not go together.
    """
    guests: dict[str, Guest] = {}
    problems: list[str] = []
    for host in hosts:
        values = variables.get(host, {})
        given = {name: str(values[f"pairbench_vmm_{name}"]) for name in SELECTORS if values.get(f"pairbench_vmm_{name}")}
        if not given:
            continue
        guests[host] = Guest(str(values.get("pairbench_hypervisor") or ""), given)
        problem = _problem(guests[host], hosts, inventory)
        if problem:
            problems.append(f"{host}: pairbench_vmm_{next(iter(given))} is set, but {problem}")
    if problems:
        raise PlanError(". ".join(problems))
    return guests


def _problem(guest: Guest, hosts: Collection[str], inventory: Collection[str]) -> str:
    if len(guest.selector) > 1:
        return f"so is pairbench_vmm_{list(guest.selector)[1]}: one of them says which process it is"
    if not guest.hypervisor:
        return "pairbench_hypervisor is not: it names the host of the inventory that carries the guest"
    if guest.hypervisor in hosts:
        return (
            f"its hypervisor {guest.hypervisor} is measured itself: put that into the group hypervisors, or set "
            "pairbench_trace_vmm to false"
        )
    if guest.hypervisor not in inventory:
        return f"the inventory has no host {guest.hypervisor}: add it to the group hypervisors"
    return ""


def identity_of_guests(guests: Mapping[str, Guest]) -> dict[str, Any]:
    """What must not change under one sweep name: whose process is counted where; nothing where nobody's is."""
    return {"pairbench_vmm": {name: guest.hypervisor for name, guest in guests.items()}} if guests else {}
