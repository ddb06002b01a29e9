"""Before a pass begins: from the variables of a play to a plan that is stored, and to the orders of the pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..controller.processes import SPARE_DESCRIPTORS, descriptors_problem
from ..formatting import counted
from ..lab.cpus import require_cpus
from ..lab.guests import Guest
from ..lab.play import Play, addresses_of, bottlenecks_in, cpus_in, guests_in, measured_hosts, selection_in
from ..lab.variables import SweepVariables, checked_variables
from ..model import Plan
from ..planning.plan import (
    Bottlenecks,
    PlanError,
    Selection,
    longest_step_seconds,
    make_plan,
    widest_step,
)
from ..planning.remaining import Remaining, what_remains
from ..planning.stored import load_or_create, store_new, stored_hosts
from ..storage.lock import SweepHeld, held_by
from ..storage.sweep_folder import SweepFolder
from ..store.statuses import completed
from .ends import longest_run_seconds, ports_to_watch
from .orders import Orders
from .replies import facts_of_ours

DESCRIPTORS_A_WORKER = 4
"""Of Ansible's main process: the pipes to a worker and its end."""
LOOK_SECONDS = 0.5
SHORTEST_LEASE_SECONDS = 600.0


@dataclass(frozen=True)
class Asked:
    """Variables of the roles as the play has them, checked against the roles' argument specs, under their full names."""

    bench: Mapping[str, Any]
    tools: Mapping[str, Mapping[str, Any]]
    """Of the role of each benchmark."""
    tracer: Mapping[str, Any]


@dataclass(frozen=True)
class Opening:
    """A pass that may begin."""

    orders: Orders
    plan: Plan
    left: Remaining
    """What is still to be measured."""
    created: bool
    """Whether the plan is new or has grown."""

    @property
    def drawn(self) -> bool:
        """Whether nothing keeps the seed of this plan, so that the next look shows another order."""
        return self.created and not SweepFolder(self.orders.sweep_dir).has_plan


def open_pass(asked: Asked, play: Play, forks: int, rehearsal: bool, say: Callable[[str], None]) -> Opening:
    """Plan what is still to be measured, and store the plan.

    ``forks`` is how many workers Ansible may have at once. A ``rehearsal`` stores nothing and waits for nobody; ``say``
    is told when another controller is waited for. Raises PlanError, SweepHeld and StorageError.
    """
    draft = _draft(asked, play)
    plan, created = draft.plan()
    require_cpus(plan)
    observing = sorted({guest.hypervisor for guest in draft.guests.values()} & set(play.hosts))
    _require_forks(widest_step(plan, draft.only), forks, len(observing))
    fresh = False
    if not rehearsal:
        _wait_until_free(draft.sweep_dir, asked.bench["pairbench_wait_seconds"], say)
        fresh = not SweepFolder(draft.sweep_dir).has_plan  # also where the one that was waited for has withdrawn its own
        if created or fresh:
            plan, created = store_new(draft.sweep_dir, plan, draft.plan)
    left = what_remains(plan, completed(draft.sweep_dir), draft.only)
    return Opening(_orders(draft, plan, left, observing, fresh and created), plan, left, created)


@dataclass(frozen=True)
class _Draft:
    """What a plan is made from."""

    asked: Asked
    sweep_dir: Path
    hosts: Mapping[str, str]
    """Addresses of the hosts of the play."""
    planned: Mapping[str, str]
    """Addresses of the hosts of the plan."""
    only: frozenset[str] | None
    guests: Mapping[str, Guest]
    bottlenecks: Bottlenecks
    variables: SweepVariables
    selection: Selection

    def plan(self) -> tuple[Plan, bool]:
        """The plan, stored or new, and whether it has to be stored. Raises PlanError."""
        bench = self.asked.bench
        return load_or_create(
            self.sweep_dir, self._create, blocks=bench["pairbench_blocks"], seed=bench["pairbench_seed"]
        )

    def _create(self, seed: int, blocks: int) -> Plan:
        bench = self.asked.bench
        return make_plan(
            sweep=bench["pairbench_sweep"],
            configuration=bench["pairbench_configuration"],
            hosts=self.planned,
            cases=self.variables.cases,
            directions=self.variables.directions,
            blocks=blocks,
            seed=seed,
            mode=bench["pairbench_mode"],
            trace=bench["pairbench_trace"],
            selection=self.selection,
            bottlenecks=self.bottlenecks,
            levels=bench["pairbench_levels"],
            settings=self.variables.identity,
        )


def _draft(asked: Asked, play: Play) -> _Draft:
    bench = asked.bench
    _require_time_to_answer(bench)
    hosts = _addresses(play)
    sweep_dir = Path(bench["pairbench_results"]).absolute() / bench["pairbench_sweep"]
    planned, only = _hosts_of_the_plan(hosts, stored_hosts(sweep_dir))
    bottlenecks = bottlenecks_in(play, planned, bench)
    cpus, guests = cpus_in(play, planned), guests_in(play, planned, bench)
    variables = checked_variables(bench, asked.tools, asked.tracer["bpftrace_mode"], bottlenecks, cpus, guests)
    selection = selection_in(play, planned, bench)
    return _Draft(asked, sweep_dir, hosts, planned, only, guests, bottlenecks, variables, selection)


def _require_time_to_answer(bench: Mapping[str, Any]) -> None:
    for name in ("pairbench_answer_seconds", "pairbench_prepare_seconds"):
        if bench[name] < 1:
            raise PlanError(f"{name} is {bench[name]}; it must be at least 1")


def _addresses(play: Play) -> dict[str, str]:
    hosts = list(measured_hosts(play))
    for host, variables in hosts:
        _require_facts_of_no_variables(host, variables)
    return addresses_of(hosts)


def _require_facts_of_no_variables(host: str, variables: Mapping[str, Any]) -> None:
    """What a host says of itself in an earlier task counts more than the inventory: nothing is planned by it."""
    facts = facts_of_ours(variables.get("ansible_facts"))
    if facts:
        raise PlanError(
            f"{host} returned the facts {', '.join(facts)}, which would set variables of this collection: no module that "
            "can be trusted returns such facts. Look after that host; ansible-playbook --flush-cache forgets them"
        )


def _hosts_of_the_plan(
    hosts: Mapping[str, str], stored: Mapping[str, str]
) -> tuple[Mapping[str, str], frozenset[str] | None]:
    """The hosts to plan over, and the hosts to which this pass is limited (None: to no less than the plan).

    With fewer hosts than the stored plan has (``--limit``), the plan stays and only their pairs are measured.
    """
    if 2 <= len(hosts) < len(stored) and all(stored.get(host) == address for host, address in hosts.items()):
        return stored, frozenset(hosts)
    return hosts, None


def _require_forks(pairs: int, forks: int, observing: int) -> None:
    """Raises PlanError where Ansible would not run all ends of a round at the same time."""
    needed = 2 * pairs + observing
    if forks < needed:
        others = f", and {counted(observing, 'hypervisor')}," if observing else ""
        raise PlanError(
            f"forks is {forks}, but a round has {counted(pairs, 'pair')} whose {2 * pairs} ends{others} must run at the "
            f"same time: use --forks {needed} (or forks = {needed} in ansible.cfg)"
        )
    problem = descriptors_problem(DESCRIPTORS_A_WORKER * needed + SPARE_DESCRIPTORS)
    if problem:
        raise PlanError(problem)


def _wait_until_free(sweep_dir: Path, wait_seconds: float, say: Callable[[str], None]) -> None:
    """Wait for another controller of this sweep; who conducts the pass takes the lock itself. Raises SweepHeld."""
    deadline = time.monotonic() + wait_seconds
    holder = held_by(sweep_dir)
    if holder and wait_seconds:
        say(f"The sweep is held by {holder}; waiting for up to {wait_seconds} s")
    while holder and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        holder = held_by(sweep_dir)
    if holder:
        raise SweepHeld(f"The sweep in {sweep_dir} is held by {holder}")


def _orders(draft: _Draft, plan: Plan, left: Remaining, observing: Collection[str], fresh: bool) -> Orders:
    bench, variables, shard = draft.asked.bench, draft.variables, draft.asked.bench["pairbench_shard"]
    longest = longest_run_seconds(variables.cases, bench["pairbench_ready_seconds"])
    return Orders(
        sweep_dir=draft.sweep_dir,
        fresh=fresh,
        plan_only=bench["pairbench_plan_only"],
        runs=left.runs,
        hosts={host: address for host, address in draft.hosts.items() if host in left.hosts},
        only=draft.only,
        benchmarks=tuple(sorted(left.benchmarks)),
        claim=f"{plan.uid}.{shard}" if shard else plan.uid,
        owner=f"sweep {plan.sweep}{f' (shard {shard})' if shard else ''} of ",
        user=bench["pairbench_user"],
        spool=bench["pairbench_spool"],
        control_port=bench["pairbench_control_port"],
        tool_ports=dict(variables.ports),
        ports=tuple(ports_to_watch(variables.cases, variables.ports, bench["pairbench_control_port"])),
        trace=bench["pairbench_trace"],
        trace_mode=variables.trace_mode,
        trace_required=draft.asked.tracer["bpftrace_required"],
        guests=draft.guests,
        hypervisors=tuple(observing) if left.runs else (),
        ready_seconds=bench["pairbench_ready_seconds"],
        rendezvous_seconds=bench["pairbench_rendezvous_seconds"],
        wait_seconds=bench["pairbench_wait_seconds"],
        answer_seconds=bench["pairbench_answer_seconds"],
        prepare_seconds=bench["pairbench_prepare_seconds"],
        longest_run_seconds=longest,
        longest_session_seconds=plan.steps.longest_seconds,
        lease_seconds=_lease_seconds(plan, longest),
    )


def _lease_seconds(plan: Plan, longest_run: float) -> float:
    """How long a host stays claimed without a sign of life: longer than some steps, or installing tools, take."""
    return max(SHORTEST_LEASE_SECONDS, 4 * longest_step_seconds(plan) + 2 * longest_run)
