"""One plan shared among several controllers, so that no two of them ever measure on the same host at once.

Hosts are put into twice as many groups as there are workers. In each stage every worker has two groups of its own and
measures between their hosts; the circle method brings every two groups together once, and pairs inside a group are part
of the first stage. Between stages all workers have to be done and their records brought together. Hosts that share a
hypervisor or an uplink are kept in one group, so capacities hold too: a worker respects them alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..model import Pair, Plan, Round
from ..planning.plan import PlanError, directed_pairs
from ..planning.rounds import circle_rounds, resources_of, rounds_for


@dataclass(frozen=True)
class Job:
    """What one worker does in one stage: everything of the plan between these hosts that has no record yet."""

    worker: int
    hosts: tuple[str, ...]
    pairs: int
    """Unordered pairs that nobody has measured in an earlier stage."""


Stage = tuple[Job, ...]


def stages_of(plan: Plan, workers: int) -> list[Stage]:
    """The stages for so many workers; fewer workers have something to do where there are few hosts.

    Raises PlanError where the plan cannot be shared: in the modes that measure a chosen number of pairs at once in the
    whole lab, and where everything shares one bottleneck.
    """
    if workers < 1:
        raise PlanError(f"--workers is {workers}; it must be at least 1")
    if plan.mode != "rounds":
        raise PlanError(
            f"the plan's mode is {plan.mode}, in which the whole lab is one experiment: several controllers would "
            "disturb each other. Use the mode rounds, or one controller"
        )
    pairs = {frozenset((server, client)) for _benchmark, server, client in directed_pairs(plan)}
    groups = _groups(sorted({host for pair in pairs for host in pair}), _shared(plan), 2 * workers)
    if len(groups) < 2 and workers > 1:
        raise PlanError(
            "all hosts of the plan share hypervisors or uplinks with each other: only one controller can respect their "
            "capacities. Use one controller"
        )
    return _stages(groups, pairs)


def in_stages(plan: Plan, stages: Sequence[Stage]) -> Plan:
    """The plan with its pairs in rounds of their stage, so that a stage takes no more rounds than it needs.

    The rounds of a whole mesh scatter the pairs of a few hosts: each stage would take nearly as many as there are, two or
    three times as many in all. Made stage by stage they are as many as for one controller.
    """
    settings = plan.settings
    hypervisors, uplinks = settings.get("pairbench_hypervisor", {}), settings.get("pairbench_bottlenecks", {})

    def uses(pair: Pair) -> Sequence[str]:
        return resources_of(pair, hypervisors, uplinks)

    order = {host: number for number, host in enumerate(plan.hosts)}
    left = [pair for pairs in plan.steps.pairs_at_once() for pair in pairs]
    left.sort(key=lambda pair: (order[pair[0]], order[pair[1]]))  # the same stages always give the same rounds
    rounds: list[Round] = []
    for stage in stages:
        job_of = {host: job.worker for job in stage for host in job.hosts}
        together = [job_of.get(one, 0) == job_of.get(other, -1) for one, other in left]
        mine = [pair for pair, here in zip(left, together, strict=True) if here]
        left = [pair for pair, here in zip(left, together, strict=True) if not here]
        made = rounds_for(mine, uses, settings.get("pairbench_capacities", {}))
        rounds += [Round(tuple(members)) for members in made]
    return replace(plan, steps=plan.steps.with_rounds(tuple(rounds)))


def _stages(groups: Sequence[tuple[str, ...]], pairs: set[frozenset[str]]) -> list[Stage]:
    left = set(pairs)
    stages: list[Stage] = []
    for joined in _meetings(len(groups)):
        jobs: list[Job] = []
        for numbers in joined:
            hosts = frozenset(host for number in numbers for host in groups[number])
            mine = {pair for pair in left if pair <= hosts}
            if mine:
                busy = tuple(sorted(hosts & {host for pair in mine for host in pair}))
                jobs.append(Job(len(jobs) + 1, busy, len(mine)))
                left -= mine
        if jobs:
            stages.append(tuple(jobs))
    return stages


def _meetings(count: int) -> list[list[tuple[int, ...]]]:
    """Which groups meet in which stage; a group that rests still measures inside itself."""
    if count == 1:
        return [[(0,)]]
    names = [str(number) for number in range(count)]
    rounds = []
    for pairs in circle_rounds(names):
        met = [tuple(sorted((int(first), int(second)))) for first, second in pairs]
        resting = set(range(count)) - {number for pair in met for number in pair}
        rounds.append([*met, *((number,) for number in sorted(resting))])
    return rounds


def _shared(plan: Plan) -> list[tuple[str, ...]]:
    """Hosts that stand behind one hypervisor or uplink, for each of them."""
    behind: dict[str, list[str]] = defaultdict(list)
    for host, hypervisor in plan.settings.get("pairbench_hypervisor", {}).items():
        behind[hypervisor].append(host)
    for host, names in plan.settings.get("pairbench_bottlenecks", {}).items():
        for name in names:
            behind[name].append(host)
    return [tuple(hosts) for hosts in behind.values()]


def _groups(hosts: Sequence[str], shared: Iterable[Sequence[str]], count: int) -> list[tuple[str, ...]]:
    """At most ``count`` groups of about equal size; hosts that share something are in one group."""
    units = sorted(_units(hosts, shared), key=lambda unit: (-len(unit), unit))
    groups: list[list[str]] = [[] for _number in range(min(count, len(units)))]
    for unit in units:
        min(groups, key=len).extend(unit)
    return [tuple(sorted(group)) for group in groups]


def _units(hosts: Sequence[str], shared: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    unit_of: dict[str, set[str]] = {host: {host} for host in hosts}
    for together in shared:
        known = [host for host in together if host in unit_of]
        merged = set().union(*(unit_of[host] for host in known)) if known else set()
        for host in merged:
            unit_of[host] = merged
    return sorted({tuple(sorted(unit)) for unit in unit_of.values()})
