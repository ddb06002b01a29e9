"""The inventory of a lab of virtual machines: its guests, and the variables that follow from its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .vm_lab import (
    GuestPlan,
    LabError,
    LabSettings,
    configuration,
    guest_variables,
    lab_guests,
    lab_pairs,
    read_note,
    ssh_proxy_command,
)

OPTIONS = ("name", "pairs", "placement", "network", "subnet", "ssh_port", "access")
"""The options of a lab; each is overridden by the variable of its name with ``vm_lab_`` in front."""
INTEGERS = ("pairs", "ssh_port")
GROUP = "vm_lab"


@dataclass(frozen=True)
class LabInventory:
    """Variables of everybody who has to do with a lab."""

    guests: Mapping[str, Mapping[str, Any]]
    """Host variables by guest."""
    hypervisors: Mapping[str, Mapping[str, Any]]
    """What is added to the variables of hypervisors."""
    everywhere: Mapping[str, Any]
    """Variables of the group all."""


def lab_options(given: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The options that count: those of the file (``given``), unless a variable overrides them. Raises LabError."""
    found = {name: variables.get(f"vm_lab_{name}", given[name]) for name in OPTIONS}
    for name in INTEGERS:
        try:
            found[name] = int(found[name])
        except (TypeError, ValueError):
            raise LabError(f"vm_lab_{name} is {found[name]!r}: give a whole number") from None
    return found


def lab_inventory(
    options: Mapping[str, Any], hypervisors: Mapping[str, Mapping[str, Any]], warn: Callable[[str], None]
) -> LabInventory:
    """The inventory of a lab. ``hypervisors`` has the variables of each; ``warn`` is told of notes that are unreadable.

    Raises LabError.
    """
    settings = _settings(options, tuple(hypervisors))
    guests = lab_guests(settings)
    access = Path(options["access"] or f"~/.local/state/pairbench/{options['name']}").expanduser()
    isolated = options["network"] == "isolated"
    used = sorted({guest.hypervisor for guest in guests})
    notes = {name: _note(access, name, warn) for name in (hypervisors if isolated else used)}
    proxies = {name: ssh_proxy_command(variables, name) for name, variables in hypervisors.items()}
    return LabInventory(
        guests={
            guest.name: guest_variables(
                guest, settings, str(access), notes[guest.hypervisor], proxies[guest.hypervisor]
            )
            for guest in guests
        },
        hypervisors=_observers(options["name"], notes) if isolated else {},
        everywhere=_everywhere(options, access, guests, [notes[name] for name in used]),
    )


def _settings(options: Mapping[str, Any], hypervisors: tuple[str, ...]) -> LabSettings:
    return LabSettings(
        options["name"], options["pairs"], hypervisors, options["placement"], options["subnet"], options["ssh_port"]
    )


def _everywhere(
    options: Mapping[str, Any], access: Path, guests: Sequence[GuestPlan], notes: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    found = {f"vm_lab_{name}": options[name] for name in OPTIONS} | {"vm_lab_access": str(access)}
    # What is asked for are pairs; an isolated network ends at its hypervisor, so that others might not even meet.
    found["pairbench_pairs"] = lab_pairs(guests)
    if all(notes):
        found["pairbench_configuration"] = configuration(notes)
    return found


def _observers(lab: str, notes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """From where a hypervisor reaches the data addresses of its guests, to count the processes that carry them."""
    qemu: Iterable[str] = (name for name, note in notes.items() if note.get("backend") == "qemu")
    return {name: {"pairbench_observer_netns": f"pairbench-{lab}"} for name in qemu}


def _note(access: Path, hypervisor: str, warn: Callable[[str], None]) -> Mapping[str, Any]:
    """What provisioning noted about a hypervisor; empty when there is nothing that can be read."""
    try:
        return read_note(access / f"{hypervisor}.json")
    except ValueError as error:
        warn(f"{error}. The lab is taken for one that is not provisioned; provisioning writes it again.")
        return {}
