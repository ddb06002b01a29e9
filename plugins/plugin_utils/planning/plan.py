"""The plan of a sweep: blocks, rounds, sessions and runs, in seeded random order.

A block is one repetition of everything. Its order depends on the seed and its own number only, so a plan with more
blocks begins with exactly the blocks of a shorter one. Within a block the steps (one benchmark in one round) are in
random order, and within a session every case comes traced and untraced (twins) in random order (randomised
interleaved trials: Abedi and Brecht, ICPE 2017).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import CaseSpec, Pair, Plan, Round, Run
from .pairs import SelectionError, select_pairs, within
from .rounds import circle_rounds, isolated_rounds, level_rounds, resources_of, rounds_for
from .steps import STEP_OVERHEAD_SECONDS, PlannedSteps, runs_of_a_block

MODES = ("rounds", "isolated", "concurrent")
DIRECTIONS = ("first_serves", "second_serves", "both")
MOST_BLOCKS = 100_000
MOST_RUNS = 20_000_000
"""A thousand hosts have half as many in six blocks of a full mesh; more can neither be measured nor be read."""


class PlanError(ValueError):
    """A sweep cannot be planned as asked; the text says why and what to change."""


@dataclass(frozen=True)
class Selection:
    """Which pairs are measured: all of them where nothing is said, else declared ones or groups against groups."""

    declared: tuple[Pair, ...] = ()
    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    """(servers, clients): every host of the first group with every host of the second."""
    sample: int = 0
    """How many of the pairs to draw with the seed; 0 takes all."""

    @property
    def is_mesh(self) -> bool:
        """Whether every pair of hosts is measured."""
        return not (self.declared or self.groups or self.sample)


@dataclass(frozen=True)
class Bottlenecks:
    """What pairs share beside their hosts."""

    hypervisors: Mapping[str, str]
    """Host to the hypervisor that carries it."""
    uplinks: Mapping[str, Sequence[str]]
    """Host to the names of what its traffic crosses on its way out."""
    capacities: Mapping[str, int]
    """How many pairs may use a hypervisor or an uplink at once; 1 where nothing is said."""

    @property
    def none(self) -> bool:
        """Whether pairs share nothing but hosts."""
        return not (self.hypervisors or any(self.uplinks.values()))


NO_BOTTLENECKS = Bottlenecks({}, {}, {})


def make_plan(
    *,
    sweep: str,
    configuration: str,
    hosts: Mapping[str, str],
    cases: Mapping[str, Sequence[CaseSpec]],
    directions: Mapping[str, str],
    blocks: int,
    seed: int,
    mode: str = "rounds",
    trace: bool = True,
    selection: Selection | None = None,
    bottlenecks: Bottlenecks = NO_BOTTLENECKS,
    levels: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a sweep. ``hosts`` maps inventory names, in inventory order, to data-plane addresses.

    ``directions`` says for each benchmark which host of a pair is the server. ``levels`` are the numbers of pairs at
    once in mode concurrent. Raises PlanError.
    """
    _check(hosts, cases, directions, blocks, mode, levels)
    try:
        rounds = _rounds(list(hosts), mode, selection or Selection(), bottlenecks, levels, seed)
    except SelectionError as error:
        raise PlanError(str(error)) from error
    _require_each_pair_once(rounds, directions)
    named = {benchmark: tuple(specs) for benchmark, specs in cases.items()}
    require_bearable(blocks, runs_of_a_block(rounds, named, directions, trace))
    steps = PlannedSteps(seed, blocks, rounds, named, dict(directions), trace)
    return Plan(sweep, configuration, seed, mode, blocks, dict(hosts), steps, dict(settings or {}))


def directed_pairs(plan: Plan) -> set[tuple[str, str, str]]:
    """(benchmark, server, client) of everything that is planned."""
    return set(plan.steps.directed_pairs())


def cases_of(plan: Plan) -> dict[str, list[CaseSpec]]:
    """The cases of every benchmark of the plan."""
    return {name: list(specs) for name, specs in plan.steps.cases.items()}


def longest_step_seconds(plan: Plan) -> float:
    """Expected wall seconds of the longest step."""
    return STEP_OVERHEAD_SECONDS + plan.steps.longest_seconds


def run_count(plan: Plan) -> int:
    """How many runs are planned."""
    return plan.steps.run_count


def planned_runs(plan: Plan) -> Iterator[Run]:
    """Every run in execution order, one at a time."""
    return (run for step in plan.steps for session in step.sessions for run in session.runs)


def widest_step(plan: Plan, only: frozenset[str] | None = None) -> int:
    """The largest number of pairs that are measured at once; ``only`` limits it to pairs of these hosts."""
    return max((sum(within(pair, only) for pair in pairs) for pairs in plan.steps.pairs_at_once()), default=0)


def _check(
    hosts: Mapping[str, str],
    cases: Mapping[str, Sequence[CaseSpec]],
    directions: Mapping[str, str],
    blocks: int,
    mode: str,
    levels: Sequence[int],
) -> None:
    if len(hosts) < 2:
        named = ", ".join(hosts) or "none"
        raise PlanError(f"fewer than two hosts to measure between ({named}): a pair needs two, check inventory and --limit")
    _check_addresses(hosts)
    if not 1 <= blocks <= MOST_BLOCKS:
        raise PlanError(f"pairbench_blocks is {blocks}; it must be from 1 to {MOST_BLOCKS}")
    if mode not in MODES:
        raise PlanError(f"pairbench_mode is {mode!r}; it must be one of {', '.join(MODES)}")
    if levels and mode != "concurrent":
        raise PlanError(f"pairbench_levels is {list(levels)} and pairbench_mode is {mode}; levels need mode concurrent")
    for benchmark, specs in cases.items():
        if directions.get(benchmark) not in DIRECTIONS:
            given = directions.get(benchmark)
            raise PlanError(f"{benchmark}_direction is {given!r}; it must be one of {', '.join(DIRECTIONS)}")
        doubled = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
        if doubled:
            raise PlanError(f"two runs of the plan have the same name: {benchmark}_cases has {', '.join(doubled)} twice")


def require_bearable(blocks: int, runs_a_block: int) -> None:
    """Raises PlanError where a plan has more runs than can be measured, or its records be read."""
    if blocks * runs_a_block > MOST_RUNS:
        raise PlanError(
            f"{blocks} blocks of {runs_a_block} runs are more than the {MOST_RUNS} that one sweep may have: plan fewer "
            "blocks, cases or pairs"
        )


def _check_addresses(hosts: Mapping[str, str]) -> None:
    holders: dict[str, str] = {}
    for host, address in hosts.items():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise PlanError(
                f"{host}: pairbench_address is {address!r}; it must be a literal IPv4 or IPv6 address, not a name"
            ) from None
        if address in holders:
            raise PlanError(f"{holders[address]} and {host} have the same pairbench_address {address}: each needs its own")
        holders[address] = host


def _rounds(
    hosts: Sequence[str], mode: str, selection: Selection, bottlenecks: Bottlenecks, levels: Sequence[int], seed: int
) -> tuple[Round, ...]:
    if mode == "rounds" and selection.is_mesh and bottlenecks.none:
        return tuple(Round(tuple(pairs)) for pairs in circle_rounds(hosts))
    pairs = select_pairs(
        hosts, declared=selection.declared, groups=selection.groups, sample=selection.sample, seed=seed
    )
    if mode == "isolated":
        return tuple(Round(tuple(members)) for members in isolated_rounds(pairs))
    if mode == "concurrent":
        wanted = levels or range(1, _most_at_once(pairs) + 1)
        return tuple(Round(tuple(members), level) for level, members in level_rounds(pairs, wanted))

    def uses(pair: Pair) -> Sequence[str]:
        return resources_of(pair, bottlenecks.hypervisors, bottlenecks.uplinks)

    return tuple(Round(tuple(members)) for members in rounds_for(pairs, uses, bottlenecks.capacities))


def _most_at_once(pairs: Iterable[Pair]) -> int:
    """How many of the pairs, taken in order, share no host."""
    used: set[str] = set()
    count = 0
    for pair in pairs:
        if not used & set(pair):
            used |= set(pair)
            count += 1
    return count


def _require_each_pair_once(rounds: Sequence[Round], directions: Mapping[str, str]) -> None:
    """Two pairs that become the same server and client would give two runs the same name."""
    both = "both" in directions.values()
    seen: set[tuple[int | None, Pair]] = set()
    for item in rounds:
        for pair in item.pairs:
            directed = {pair, (pair[1], pair[0])} if both else {pair}
            if any((item.level, one) in seen for one in directed):
                raise PlanError(
                    f"pairbench_pairs holds {list(pair)} twice{' (one direction is both)' if both else ''}: leave one out"
                )
            seen |= {(item.level, one) for one in directed}
