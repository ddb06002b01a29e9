"""What stands in the way of measuring, by what every host said of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..planning.plan import cases_of, directed_pairs
from .ends import version_problems
from .live_pass import LivePass
from .orders import Orders


@dataclass(frozen=True)
class Preflight:
    """Sentences about the hosts of a pass."""

    problems: tuple[str, ...]
    """Why nothing is measured; none where the pass may begin."""
    untraced: tuple[str, ...]
    """Which hosts cannot be traced, and why."""

    @property
    def refusal(self) -> str:
        """All problems as one text; empty where there are none."""
        return "Nothing was measured. " + "\n".join(self.problems) if self.problems else ""


def look_at(live: LivePass) -> Preflight:
    """Whether the pass may begin with the hosts that were prepared."""
    orders = live.orders
    probes = {host: live.prepared[host] for host in orders.hosts if host in live.prepared}
    untraced = _untraced(probes) if orders.trace else []
    problems = [*_absent(orders, probes), *_host_problems(orders, probes), *_pair_problems(live, probes)]
    if orders.trace_required:
        problems += [f"{sentence} (bpftrace_required is true)" for sentence in untraced]
    return Preflight(tuple(problems), tuple(untraced))


def _absent(orders: Orders, probes: Mapping[str, Any]) -> list[str]:
    if len(probes) >= 2:
        return []
    return [f"fewer than two hosts answered; these did not: {', '.join(sorted(set(orders.hosts) - set(probes)))}"]


def _host_problems(orders: Orders, probes: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for host, probe in probes.items():
        yield from (f"{host}: {problem}" for problem in probe["problems"])
        for name in orders.benchmarks:
            if probe["tools"].get(name) is None:
                yield f"{host}: {name} is not installed and {name}_install is false; install it or allow it"


def _untraced(probes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    tracers = {host: probe["tracer"] for host, probe in probes.items()}
    return [f"{host}: {tracer['reason']}" for host, tracer in tracers.items() if not tracer["available"]]


def _pair_problems(live: LivePass, probes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of the pairs whose two hosts take part in this pass."""
    versions = {
        host: {name: (tool or {}).get("version", "") for name, tool in probe["tools"].items()}
        for host, probe in probes.items()
    }
    pairs = [item for item in sorted(directed_pairs(live.plan)) if item[1] in versions and item[2] in versions]
    return version_problems(pairs, cases_of(live.plan), versions)
