"""The plan of a sweep: blocks, rounds, sessions and runs, in seeded random order.

A block is one repetition of everything. Its order depends on the seed and its own number only, so a plan with more
blocks begins with exactly the blocks of a shorter one. Within a block the steps (one benchmark in one round) are in
random order, and within a session every case comes traced and untraced (twins) in random order (randomised
interleaved trials: Abedi and Brecht, ICPE 2017).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import CaseSpec, Plan, Run, Step
from .pairs import SelectionError, select_pairs
from .rounds import Pair, circle_rounds, isolated_rounds, level_rounds, resources_of, rounds_for
from .steps import PlannedSteps, Round, runs_of_a_block

MODES = ("rounds", "isolated", "concurrent")
DIRECTIONS = ("first_serves", "second_serves", "both")
MOST_BLOCKS = 100_000
MOST_RUNS = 20_000_000
"""A thousand hosts have half as many in six blocks of a full mesh; more can neither be measured nor be read."""
STEP_OVERHEAD_SECONDS = 1.5
"""What Ansible and the meeting of the two ends add to a step (measured with two hosts: 1 to 2)."""


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


@dataclass(frozen=True)
class Remaining:
    """What is still to be done: positions in ``plan.steps``, and how much that is."""

    indexes: Sequence[int]
    runs: int
    seconds: float
    """Expected wall seconds."""
    hosts: frozenset[str]
    benchmarks: frozenset[str]


def remaining(plan: Plan, done: Container[str], only: Container[str] | None = None) -> Iterator[tuple[int, Step]]:
    """Position and rest of every step that has runs whose ``run_id`` is not done, in order.

    ``only`` limits it to pairs of these hosts.
    """
    for index, step in enumerate(plan.steps):
        left = step_rest(step, done, only)
        if left is not None:
            yield index, left


def step_rest(step: Step, done: Container[str], only: Container[str] | None = None) -> Step | None:
    """A step with only those runs that are not done; None when there are none."""
    sessions = []
    for session in step.sessions:
        if only is not None and not (session.server in only and session.client in only):
            continue
        runs = tuple(run for run in session.runs if run.run_id not in done)
        if runs:
            sessions.append(replace(session, runs=runs))
    return replace(step, sessions=tuple(sessions)) if sessions else None


def what_remains(plan: Plan, done: Container[str] = (), only: Container[str] | None = None) -> Remaining:
    """Count what is still to be done. A plan of which nothing is done is not gone through run by run."""
    if not done and only is None and isinstance(plan.steps, PlannedSteps):
        block = sum(STEP_OVERHEAD_SECONDS + seconds for seconds in plan.steps.durations())
        return Remaining(
            indexes=range(len(plan.steps)),
            runs=plan.steps.run_count,
            seconds=plan.blocks * block,
            hosts=frozenset(host for item in plan.steps.rounds for pair in item.pairs for host in pair),
            benchmarks=frozenset(plan.steps.cases),
        )
    left = list(remaining(plan, done, only))
    sessions = [session for _index, step in left for session in step.sessions]
    return Remaining(
        indexes=[index for index, _step in left],
        runs=sum(len(session.runs) for session in sessions),
        seconds=sum(step_seconds(step) for _index, step in left),
        hosts=frozenset(host for session in sessions for host in (session.server, session.client)),
        benchmarks=frozenset(step.benchmark for _index, step in left),
    )


def directed_pairs(plan: Plan) -> set[tuple[str, str, str]]:
    """(benchmark, server, client) of everything that is planned."""
    if isinstance(plan.steps, PlannedSteps):
        return set(plan.steps.directed_pairs())
    return {(step.benchmark, session.server, session.client) for step in plan.steps for session in step.sessions}


def cases_of(plan: Plan) -> dict[str, list[CaseSpec]]:
    """The cases of every benchmark of the plan."""
    if isinstance(plan.steps, PlannedSteps):
        return {name: list(specs) for name, specs in plan.steps.cases.items()}
    found: dict[str, dict[str, CaseSpec]] = {}
    for run in planned_runs(plan):
        spec = CaseSpec(run.benchmark, run.case, run.parameters, run.seconds)
        found.setdefault(run.benchmark, {}).setdefault(run.case, spec)
    return {name: list(specs.values()) for name, specs in found.items()}


def step_seconds(step: Step) -> float:
    """Expected wall seconds of a step: the longest session counts."""
    return STEP_OVERHEAD_SECONDS + max(sum(run.seconds for run in session.runs) for session in step.sessions)


def longest_step_seconds(plan: Plan) -> float:
    """Expected wall seconds of the longest step."""
    if isinstance(plan.steps, PlannedSteps):
        return STEP_OVERHEAD_SECONDS + plan.steps.longest_seconds
    return max((step_seconds(step) for step in plan.steps), default=STEP_OVERHEAD_SECONDS)


def estimated_seconds(steps: Iterable[Step]) -> float:
    """Expected wall seconds of steps one after another."""
    return sum(step_seconds(step) for step in steps)


def run_count(plan: Plan) -> int:
    """How many runs are planned."""
    return plan.steps.run_count if isinstance(plan.steps, PlannedSteps) else len(plan.runs)


def planned_runs(plan: Plan) -> Iterator[Run]:
    """Every run in execution order, one at a time."""
    return (run for step in plan.steps for session in step.sessions for run in session.runs)


def widest_step(plan: Plan, only: Container[str] | None = None) -> int:
    """The largest number of pairs that are measured at once; ``only`` limits it to pairs of these hosts."""
    if isinstance(plan.steps, PlannedSteps):
        at_once: Iterable[Iterable[Pair]] = (item.pairs for item in plan.steps.rounds)
    else:
        at_once = (((session.server, session.client) for session in step.sessions) for step in plan.steps)
    return max((sum(only is None or (one in only and two in only) for one, two in pairs) for pairs in at_once), default=0)


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


def spelt(address: str) -> str:
    """An address as the kernel spells it, however many zeros IPv6 was written with; anything else as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


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
