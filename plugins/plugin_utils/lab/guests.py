"""Which guests' processes are counted on which hypervisor, and who has to come to which session for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..execution.live_pass import LivePass
from ..model import Session
from ..planning.plan import PlanError
from ..records.writing import SIDES

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


def observers_of(live: LivePass, session: Session, guests: Mapping[str, Guest]) -> dict[str, str]:
    """The sides of a session whose guests are observed, each with why it cannot be now (empty when it can)."""
    if not any(run.traced for run in session.runs):
        return {}
    sides = {side: guests.get(getattr(session, side)) for side in SIDES}
    return {side: live.why_not_observing(guest.hypervisor) for side, guest in sides.items() if guest is not None}


def watched_in(session: Session, sides: Iterable[str], guests: Mapping[str, Guest]) -> dict[str, tuple[str, str]]:
    """Guest and hypervisor of each of some sides of a session."""
    return {side: (getattr(session, side), guests[getattr(session, side)].hypervisor) for side in sides}


def observed_here(live: LivePass, hypervisor: str, guests: Mapping[str, Guest]) -> Iterable[tuple[Session, str, str]]:
    """(session, side, guest) of what has to be observed on a hypervisor in the step that is being executed."""
    for session in live.step.sessions if live.step else ():
        if live.why_left_out(session):
            continue
        for side, why in observers_of(live, session, guests).items():
            guest = getattr(session, side)
            if guests[guest].hypervisor == hypervisor and not why:
                yield session, side, guest
