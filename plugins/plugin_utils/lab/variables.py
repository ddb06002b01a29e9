"""From the variables of an inventory to the arguments of a plan: one place that knows their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..benchmarks import BENCHMARKS, CaseError, build_cases
from ..model import CaseSpec
from ..planning.plan import Bottlenecks, PlanError
from .cpus import host_cpus, identity_of_cpus
from .guests import Guest, identity_of_guests

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10}")


@dataclass(frozen=True)
class SweepVariables:
    """What a sweep is made from, with every variable checked. ``identity`` is what must not change under one sweep name."""

    cases: Mapping[str, Sequence[CaseSpec]]
    directions: Mapping[str, str]
    ports: Mapping[str, int]
    trace_mode: str
    identity: Mapping[str, Any]


def checked_variables(
    bench: Mapping[str, Any],
    roles: Mapping[str, Mapping[str, Any]],
    trace_mode: str,
    bottlenecks: Bottlenecks,
    cpus: Mapping[str, Any],
    guests: Mapping[str, Guest],
) -> SweepVariables:
    """Check all variables together.

    ``bench`` has the ``pairbench_`` variables, ``roles`` the variables of each benchmark's role, both under their
    full names; ``cpus`` has ``pairbench_cpus`` of each host; ``guests`` are those whose process is counted.
    Raises PlanError with every problem that was found.
    """
    problems = _bench_problems(bench)
    cases: dict[str, list[CaseSpec]] = {}
    for name in bench["pairbench_benchmarks"]:
        benchmark = BENCHMARKS[name]
        values = {key: roles[name][f"{name}_{key}"] for key in benchmark.parameters}
        try:
            found = build_cases(benchmark, values, roles[name][f"{name}_cases"], roles[name][f"{name}_matrix"])
        except CaseError as error:
            problems.append(str(error))
            continue
        cases[name] = [
            CaseSpec(name, case.name, case.parameters, benchmark.expected_seconds(case.parameters)) for case in found
        ]
    directions = {name: roles[name][f"{name}_direction"] for name in bench["pairbench_benchmarks"]}
    ports = {name: roles[name][f"{name}_port"] for name in bench["pairbench_benchmarks"]}
    problems += _port_problems(ports, bench["pairbench_control_port"])
    chosen: Mapping[str, str] = {}
    try:
        chosen = host_cpus(cpus)
    except PlanError as error:
        problems.append(str(error))
    if problems:
        raise PlanError("; ".join(problems))
    identity = _identity(bench, cases, directions, trace_mode, bottlenecks)
    identity |= identity_of_cpus(cases, chosen) | identity_of_guests(guests)
    return SweepVariables(cases, directions, ports, trace_mode, identity)


def _bench_problems(bench: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, low in (
        ("blocks", 1), ("rendezvous_seconds", 1), ("ready_seconds", 1), ("seed", 0), ("sample", 0), ("wait_seconds", 0)
    ):
        if bench[f"pairbench_{name}"] < low:
            problems.append(f"pairbench_{name} is {bench[f'pairbench_{name}']}; it must be at least {low}")
    sweep = bench["pairbench_sweep"]
    if not sweep or sweep.startswith(".") or any(not (char.isalnum() or char in "._-") for char in sweep):
        problems.append(f"pairbench_sweep is {sweep!r}; it must be letters, digits, '.', '_' or '-'")
    user = bench["pairbench_user"]
    if not USER.fullmatch(user):
        problems.append(f"pairbench_user is {user!r}; it must be the name or the number of a user on the hosts")
    if not bench["pairbench_benchmarks"]:
        problems.append("pairbench_benchmarks is empty; name at least one of " + ", ".join(BENCHMARKS))
    for name, what in (("pairs", "two hosts: the first and the second"), ("groups", "two groups: servers and clients")):
        problems += [
            f"pairbench_{name} holds {item!r}; it must be a list of {what}"
            for item in bench[f"pairbench_{name}"]
            if len(item) != 2
        ]
    chosen = [name for name in ("pairbench_pairs", "pairbench_groups", "pairbench_pair_by") if bench[name]]
    if len(chosen) > 1:
        problems.append(f"{' and '.join(chosen)} are set: use one of them")
    problems += [
        f"pairbench_levels holds {level!r}; a level is a number of pairs from 1"
        for level in bench["pairbench_levels"]
        if level < 1
    ]
    problems += [
        f"pairbench_capacities: {name} is {count!r}; it must be a number of pairs from 1"
        for name, count in bench["pairbench_capacities"].items()
        if not isinstance(count, int) or isinstance(count, bool) or count < 1
    ]
    return problems


def _port_problems(ports: Mapping[str, int], control_port: int) -> list[str]:
    named = {f"{name}_port": port for name, port in ports.items()} | {"pairbench_control_port": control_port}
    problems = [
        f"{name} is {port}; a port is from 1 to 65535" for name, port in named.items() if not 1 <= port <= 65535
    ]
    names = sorted(named)
    problems += [
        f"{first} and {second} are both {named[first]}; they must differ"
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if named[first] == named[second]
    ]
    return problems


def _identity(
    bench: Mapping[str, Any],
    cases: Mapping[str, Sequence[CaseSpec]],
    directions: Mapping[str, str],
    trace_mode: str,
    bottlenecks: Bottlenecks,
) -> dict[str, Any]:
    identity: dict[str, Any] = {
        f"pairbench_{name}": bench[f"pairbench_{name}"]
        for name in ("configuration", "mode", "trace", "pairs", "groups", "pair_by", "sample", "levels", "capacities")
    }
    identity["bpftrace_mode"] = trace_mode
    identity["pairbench_hypervisor"] = dict(bottlenecks.hypervisors)
    identity["pairbench_bottlenecks"] = {host: list(names) for host, names in bottlenecks.uplinks.items()}
    for name, specs in cases.items():
        identity[f"{name}_direction"] = directions[name]
        identity[f"{name}_cases"] = {spec.name: dict(spec.parameters) for spec in specs}
    return identity
