"""The plan of a sweep: blocks, rounds, sessions and runs, in seeded random order.

A block is one repetition of everything. Its order depends on the seed and its own number only, so a plan with more
blocks begins with exactly the blocks of a shorter one. Within a block the steps (one benchmark in one round) are in
random order, and within a session every case comes traced and untraced (twins) in random order (randomised
interleaved trials: Abedi and Brecht, ICPE 2017).
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .model import Plan, Run, Session, Step
from .schedule import Pair, all_pairs, circle_rounds, greedy_rounds, isolated_rounds

MODES = ("rounds", "isolated")
DIRECTIONS = ("first_serves", "second_serves", "both")
STEP_OVERHEAD_SECONDS = 1.5
"""What Ansible and the meeting of the two ends add to a step (measured with two hosts: 1 to 2)."""
LONGEST_RUN_ID = 150


class PlanError(ValueError):
    """A sweep cannot be planned as asked; the text says why and what to change."""


@dataclass(frozen=True)
class CaseSpec:
    """One case with its name and the wall seconds that one run of it is expected to take."""

    benchmark: str
    name: str
    parameters: Mapping[str, Any]
    seconds: float


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
    pairs: Sequence[Pair] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a sweep. ``hosts`` maps inventory names, in inventory order, to data-plane addresses.

    ``directions`` says for each benchmark which host of a pair is the server. ``pairs`` limits the plan to these
    pairs; without it every pair of hosts is measured. Raises PlanError.
    """
    _check(hosts, cases, directions, blocks, mode, pairs)
    rounds = _rounds(list(hosts), mode, pairs)
    steps: list[Step] = []
    for block in range(1, blocks + 1):
        steps += _block(block, random.Random(f"{seed}/{block}"), rounds, cases, directions, mode, trace)
    plan = Plan(sweep, configuration, seed, mode, blocks, dict(hosts), tuple(steps), dict(settings or {}))
    names = [run.run_id for run in plan.runs]
    if len(set(names)) != len(names):
        raise PlanError("two runs of the plan have the same name; give the cases different names")
    return plan


def remaining(plan: Plan, done: Container[str]) -> tuple[Step, ...]:
    """The steps with only those runs whose ``run_id`` is not done; empty sessions and steps are left out."""
    steps = []
    for step in plan.steps:
        sessions = []
        for session in step.sessions:
            runs = tuple(run for run in session.runs if run.run_id not in done)
            if runs:
                sessions.append(replace(session, runs=runs))
        if sessions:
            steps.append(replace(step, sessions=tuple(sessions)))
    return tuple(steps)


def estimated_seconds(steps: Iterable[Step]) -> float:
    """Expected wall seconds: in every step the longest session counts."""
    return sum(
        STEP_OVERHEAD_SECONDS + max(sum(run.seconds for run in session.runs) for session in step.sessions)
        for step in steps
    )


def _check(
    hosts: Mapping[str, str],
    cases: Mapping[str, Sequence[CaseSpec]],
    directions: Mapping[str, str],
    blocks: int,
    mode: str,
    pairs: Sequence[Pair] | None,
) -> None:
    if len(hosts) < 2:
        named = ", ".join(hosts) or "none"
        raise PlanError(f"fewer than two hosts to measure between ({named}): a pair needs two, check inventory and --limit")
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
    if blocks < 1:
        raise PlanError(f"pairbench_blocks is {blocks}; it must be at least 1")
    if mode not in MODES:
        raise PlanError(f"pairbench_mode is {mode!r}; it must be one of {', '.join(MODES)}")
    for benchmark in cases:
        if directions.get(benchmark) not in DIRECTIONS:
            given = directions.get(benchmark)
            raise PlanError(f"{benchmark}_direction is {given!r}; it must be one of {', '.join(DIRECTIONS)}")
    for pair in pairs or ():
        strangers = [host for host in pair if host not in hosts]
        if strangers or pair[0] == pair[1]:
            raise PlanError(f"pairbench_pairs holds {list(pair)}: a pair is two different hosts of the play")


def _rounds(hosts: Sequence[str], mode: str, pairs: Sequence[Pair] | None) -> list[list[Pair]]:
    if mode == "isolated":
        return isolated_rounds(pairs or all_pairs(hosts))
    return greedy_rounds(pairs) if pairs else circle_rounds(hosts)


def _block(
    block: int,
    order: random.Random,
    rounds: Sequence[Sequence[Pair]],
    cases: Mapping[str, Sequence[CaseSpec]],
    directions: Mapping[str, str],
    mode: str,
    trace: bool,
) -> list[Step]:
    steps = []
    for number, pairs in enumerate(rounds, start=1):
        for benchmark in sorted(cases):
            for server_first in _server_first(directions[benchmark]):
                sessions = tuple(
                    _session(block, number, pair if server_first else (pair[1], pair[0]), cases[benchmark], order, trace)
                    for pair in pairs
                )
                steps.append(Step(block, number, benchmark, sessions))
    order.shuffle(steps)
    return steps


def _server_first(direction: str) -> tuple[bool, ...]:
    return {"first_serves": (True,), "second_serves": (False,), "both": (True, False)}[direction]


def _session(
    block: int, number: int, pair: Pair, cases: Sequence[CaseSpec], order: random.Random, trace: bool
) -> Session:
    server, client = pair
    twins = [(case, traced) for case in cases for traced in ((True, False) if trace else (False,))]
    order.shuffle(twins)
    runs = tuple(
        Run(
            run_id=_run_id(block, server, client, case, traced),
            block=block,
            round=number,
            server=server,
            client=client,
            benchmark=case.benchmark,
            case=case.name,
            parameters=dict(case.parameters),
            repeat=block,
            traced=traced,
            seconds=case.seconds,
        )
        for case, traced in twins
    )
    return Session(server, client, runs)


def _run_id(block: int, server: str, client: str, case: CaseSpec, traced: bool) -> str:
    """A name that a person can read and a file can have; a hash is added where characters had to be replaced."""
    parts = (f"b{block:03d}", case.benchmark, server, client, case.name, "traced" if traced else "untraced")
    wanted = "-".join(parts)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", wanted)
    if name == wanted and len(name) <= LONGEST_RUN_ID and not any("-" in host for host in (server, client)):
        return name
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{name[:LONGEST_RUN_ID]}-{digest}"
