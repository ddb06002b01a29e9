"""Who takes part in a sweep: the hosts of a play, as the inventory describes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..addresses import canonical_address
from ..model import Pair
from ..planning.pairs import SelectionError, pairs_by_value
from ..planning.plan import Bottlenecks, PlanError, Selection
from .cpus import CPUS
from .guests import Guest, guests_of

HYPERVISORS = "hypervisors"
"""The group of hosts that carry what is measured and are not measured themselves."""


@dataclass(frozen=True)
class Play:
    """What Ansible knows of a play before anything has been done in it."""

    hosts: Sequence[str]
    """Every host of the play, in the order of the inventory."""
    groups: Mapping[str, Sequence[str]]
    """Every group of the inventory with its hosts, also those that ``--limit`` leaves out of the play."""
    variables: Mapping[str, Mapping[str, Any]]
    """Host variables by host, for any host of the inventory."""

    def of(self, hosts: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The variables of those of some hosts that the inventory knows."""
        return {host: self.variables[host] for host in hosts if host in self.variables}


def measured_hosts(play: Play) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Hosts of the play between which is measured, each with its variables."""
    hypervisors = set(play.groups.get(HYPERVISORS, ()))
    for host in play.hosts:
        # localhost stands in for an inventory that has no hosts.
        if host not in hypervisors and host in play.groups["all"]:
            yield host, play.variables[host]


def addresses_of(hosts: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Data-plane address by host. Raises PlanError naming every host that has none."""
    given = {host: values.get("pairbench_address") or values.get("ansible_host") for host, values in hosts}
    missing = [host for host, address in given.items() if not address]
    if missing:
        raise PlanError(
            f"{', '.join(missing)}: no pairbench_address. Give each host its data-plane address in the inventory"
        )
    return {host: canonical_address(str(address)) for host, address in given.items()}


def cpus_in(play: Play, hosts: Iterable[str]) -> dict[str, Any]:
    """``pairbench_cpus`` by host, as it is given; None where a host has none."""
    return {host: variables.get(CPUS) for host, variables in play.of(hosts).items()}


def guests_in(play: Play, hosts: Collection[str], bench: Mapping[str, Any]) -> dict[str, Guest]:
    """Guests whose process on the hypervisor is counted. ``bench`` are the ``pairbench_`` variables. Raises PlanError."""
    if not (bench["pairbench_trace"] and bench["pairbench_trace_vmm"]):
        return {}
    return guests_of(play.of(hosts), hosts, play.groups["all"])


def bottlenecks_in(play: Play, hosts: Iterable[str], bench: Mapping[str, Any]) -> Bottlenecks:
    """What pairs of these hosts share beside their hosts. ``bench`` are the ``pairbench_`` variables."""
    variables = play.of(hosts)
    hypervisors = {host: values.get("pairbench_hypervisor") for host, values in variables.items()}
    uplinks = {host: _names(values.get("pairbench_bottlenecks")) for host, values in variables.items()}
    return Bottlenecks(
        {host: str(name) for host, name in hypervisors.items() if name},
        {host: names for host, names in uplinks.items() if names},
        bench["pairbench_capacities"],
    )


def _names(value: Any) -> list[str]:
    """The names in a variable that holds one name, several, or nothing."""
    names = [value] if isinstance(value, str) and value else value or []
    return [str(name) for name in names]


def selection_in(play: Play, hosts: Collection[str], bench: Mapping[str, Any]) -> Selection:
    """The pairs that are asked for, without those of hosts that ``--limit`` leaves out.

    ``hosts`` are those of the plan, ``bench`` the ``pairbench_`` variables. Raises PlanError.
    """
    sample = bench["pairbench_sample"]
    if bench["pairbench_pair_by"]:
        return Selection(_alike(play, hosts, bench["pairbench_pair_by"]), (), sample)
    declared = _declared(bench["pairbench_pairs"], hosts, play.groups["all"])
    return Selection(declared, _between(bench["pairbench_groups"], hosts, play.groups), sample)


def _alike(play: Play, hosts: Iterable[str], name: str) -> tuple[Pair, ...]:
    try:
        return pairs_by_value({host: values.get(name) for host, values in play.of(hosts).items()})
    except SelectionError as error:
        raise PlanError(str(error)) from error


def _declared(
    pairs: Iterable[Sequence[str]], hosts: Collection[str], inventory: Collection[str]
) -> tuple[Pair, ...]:
    declared = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
    strangers = sorted({host for pair in declared for host in pair} - set(inventory))
    if strangers:
        raise PlanError(
            f"pairbench_pairs names {', '.join(strangers)}: a pair is two different hosts of the play, and the "
            "inventory has no such host"
        )
    kept = tuple(pair for pair in declared if set(pair) <= set(hosts))
    return kept or _none_of(declared)


def _none_of(declared: Sequence[Pair]) -> tuple[Pair, ...]:
    if declared:
        raise PlanError("none of pairbench_pairs has both of its hosts in the play: check --limit")
    return ()


def _between(
    wanted: Iterable[Sequence[str]], hosts: Collection[str], groups: Mapping[str, Sequence[str]]
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Servers and clients of each choice of groups against groups, as far as they are hosts of the plan."""
    found = []
    for names in wanted:
        unknown = [name for name in names if name not in groups]
        if unknown:
            raise PlanError(f"pairbench_groups names {', '.join(unknown)}: the inventory has no such group")
        if len(names) == 2:
            servers, clients = (tuple(host for host in groups[name] if host in hosts) for name in names)
            found.append((servers, clients))
    return tuple(found)
