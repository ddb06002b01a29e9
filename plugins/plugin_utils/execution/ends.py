"""From a plan to what the tasks need: for every step, what each host has to do in it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..benchmarks import BENCHMARKS
from ..lab.cpus import host_settings
from ..model import CaseSpec, Pair, Plan, Run, Session, Side, Step
from ..planning.plan import longest_step_seconds
from ..planning.remaining import remaining

SILENCE_SLACK_SECONDS = 120.0
ORPHAN_SLACK_SECONDS = 30.0
MESSAGE_SECONDS = 90.0
"""What an end waits for a message of the other one, beside the limits of the run."""
CLEANING_SECONDS = 60.0
"""What an end takes at most to end its processes after a run and to see that they have gone."""
OBSERVER_SECONDS = 180.0
"""What one observer may hold up a run: to attach its tracer, to stop counting, to hand over what it counted."""
MEETING_SECONDS = 30.0
"""What looking for the other end takes beside the wait for it: to greet whoever comes last."""
BEGINNING_SECONDS = 60.0
"""What a session takes before its two ends look for each other and after they have met, beside that wait."""
MOST_STEPS = 50


@dataclass(frozen=True)
class Batch:
    """Steps that are executed one after another; with ``renew`` the hosts' claims are renewed before them."""

    renew: bool
    steps: tuple[tuple[int, str], ...]
    """Position and title of each."""

    def to_json(self) -> dict[str, Any]:
        """This batch as the playbook reads it."""
        return {"renew": self.renew, "steps": [{"index": index, "title": title} for index, title in self.steps]}


def batches(plan: Plan, done: Container[str], only: frozenset[str] | None, lease_seconds: float) -> list[Batch]:
    """The steps of which something is left, in batches: Ansible's loops over files do not like to be long.

    Each session renews the claims of its two hosts. Where a host is idle for half of a lease or more (one pair at a time,
    capacities, levels), batches are short enough for claims to be renewed between them.
    """
    idle, titles = _IdleTime(), []
    for index, title, pairs in _steps_left(plan, done, only):
        titles.append((index, title))
        idle.take(pairs)
    most_idle_steps = int(lease_seconds / 2 // longest_step_seconds(plan))
    renew = idle.longest > most_idle_steps
    size = min(MOST_STEPS, max(1, most_idle_steps)) if renew else MOST_STEPS
    return [Batch(renew, tuple(titles[start : start + size])) for start in range(0, len(titles), size)]


class _IdleTime:
    """Longest idle stretch of any participating host, in steps."""

    def __init__(self) -> None:
        self._steps = 0
        self._last: dict[str, int] = {}
        self._longest = 0

    def take(self, pairs: Iterable[Pair]) -> None:
        """The next step; its pairs are not kept, because a large plan has millions."""
        for host in (host for pair in pairs for host in pair):
            self._longest = max(self._longest, self._steps - self._last.get(host, -1) - 1)
            self._last[host] = self._steps
        self._steps += 1

    @property
    def longest(self) -> int:
        """The longest stretch so far: before a host's first step, between two, or since its last."""
        return max([self._longest, *(self._steps - 1 - last for last in self._last.values())])


def _steps_left(
    plan: Plan, done: Container[str], only: frozenset[str] | None
) -> Iterator[tuple[int, str, Sequence[Pair]]]:
    """Position, title and (server, client) of every step of which something is left."""
    if not done and only is None:
        for index in range(len(plan.steps)):
            block, benchmark, pairs = plan.steps.title_parts(index)
            yield index, _title(plan, block, benchmark, pairs), pairs
        return
    for index, step in remaining(plan, done, only):
        left = [(session.server, session.client) for session in step.sessions]
        yield index, _title(plan, step.block, step.benchmark, left), left


def _title(plan: Plan, block: int, benchmark: str, pairs: Sequence[tuple[str, str]]) -> str:
    """For example ``benchmark, block 2 of 6, vm1 <- vm2``: server first, the arrow is who calls."""
    named = ", ".join(f"{server} <- {client}" for server, client in pairs[:3])
    more = f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    return f"{benchmark}, block {block} of {plan.blocks}, {named}{more}"


def session_of(step: Step, host: str) -> Session | None:
    """The session that a host takes part in; None when it rests in this step."""
    for session in step.sessions:
        if host in (session.server, session.client):
            return session
    return None


def side_of(session: Session, host: str) -> Side:
    """Which end of a session a host is."""
    return "server" if host == session.server else "client"


def end_of(
    plan: Plan, session: Session, host: str, ports: Mapping[str, int], ready_seconds: float, user: str = ""
) -> dict[str, Any]:
    """What one host has to do in a session: arguments of the session module. ``user`` is that of the benchmark."""
    role = side_of(session, host)
    peer = session.client if role == "server" else session.server
    benchmark = session.runs[0].benchmark
    return {
        "role": role,
        "address": plan.hosts[host],
        "peer_address": plan.hosts[peer],
        "runs": [
            _run(plan, run, role, ports[benchmark], ready_seconds) | host_settings(plan, run, host) | _privileges(run, user)
            for run in session.runs
        ],
    }


def _run(plan: Plan, run: Run, role: str, port: int, ready_seconds: float) -> dict[str, Any]:
    benchmark = BENCHMARKS[run.benchmark]
    commands = benchmark.commands(run.parameters, plan.hosts[run.server], plan.hosts[run.client], port)
    return {
        "run_id": run.run_id,
        "argv": list(commands.server if role == "server" else commands.client),
        "protocol": commands.ports[0].protocol,
        "port": commands.ports[0].number,
        "other_ports": [{"protocol": port.protocol, "port": port.number} for port in commands.ports[1:]],
        "stop": commands.stop,
        "traced": run.traced,
        "family": benchmark.makes_processes,
        # The server waits for the client, so it may live longer: the client's limit is the one that is reported.
        "limit_seconds": benchmark.limit_seconds(run.parameters) + (ready_seconds if role == "server" else 0.0),
        "ready_seconds": ready_seconds,
    }


def _privileges(run: Run, user: str) -> dict[str, Any]:
    """Whose process the benchmark is, and what of its command the kernel may keep for the privileged."""
    if not user:
        return {}
    return {"user": user, **BENCHMARKS[run.benchmark].privileges(run.parameters)}


def silence_seconds(session: Session, ready_seconds: float) -> float:
    """The longest time between two messages to an observer: untraced runs are passed in silence."""
    return sum(limit + 2 * ready_seconds for limit in _limits(session)) + SILENCE_SLACK_SECONDS


def session_deadline_seconds(
    session: Session, ready_seconds: float, rendezvous_seconds: float, observers: int = 0
) -> float:
    """The longest time that either end of a session can take, whatever the other end does: every wait to its end.

    It is far longer than any session that goes well. ``observers`` is how many sides may be observed on a hypervisor.
    """
    total = rendezvous_seconds + BEGINNING_SECONDS + observers * OBSERVER_SECONDS
    for limit in _limits(session):
        message = limit + 2 * ready_seconds + MESSAGE_SECONDS
        total += 2 * message + limit + ready_seconds + CLEANING_SECONDS + observers * OBSERVER_SECONDS
    return total


def winding_up_seconds(
    session: Session, ready_seconds: float, rendezvous_seconds: float, met: bool, observers: int = 0
) -> float:
    """The longest time that one end can take when the other one has returned: it sees that nobody answers any more.

    Where the two have ``met`` it may be in the middle of a run, which it ends.
    """
    if not met:
        return rendezvous_seconds + MEETING_SECONDS
    return max(_limits(session)) + ready_seconds + observers * OBSERVER_SECONDS + CLEANING_SECONDS


def _limits(session: Session) -> list[float]:
    return [BENCHMARKS[run.benchmark].limit_seconds(run.parameters) for run in session.runs]


def orphan_seconds(longest_session_seconds: float, longest_run_seconds: float) -> float:
    """How long a session that a killed controller left may still run."""
    return longest_session_seconds + longest_run_seconds + ORPHAN_SLACK_SECONDS


def claim_deadline_seconds(wait_seconds: float, orphan: float) -> float:
    """The longest time that claiming a host can take: another sweep, then a session that was left, are waited for."""
    return wait_seconds + max(wait_seconds, orphan)


def longest_run_seconds(cases: Mapping[str, Iterable[CaseSpec]], ready_seconds: float) -> float:
    """The longest time for which any process of a run may live."""
    limits = [BENCHMARKS[name].limit_seconds(case.parameters) for name, specs in cases.items() for case in specs]
    return max(limits, default=0.0) + ready_seconds


def ports_to_watch(
    cases: Mapping[str, Iterable[CaseSpec]], ports: Mapping[str, int], control_port: int
) -> list[dict[str, Any]]:
    """The ports that must be free on every host of the plan, each once, with the variable that chooses it."""
    found = {("tcp", control_port, "pairbench_control_port")}
    for benchmark, specs in cases.items():
        for case in specs:
            commands = BENCHMARKS[benchmark].commands(case.parameters, "192.0.2.1", "192.0.2.2", ports[benchmark])
            found |= {(port.protocol, port.number, f"{benchmark}_port") for port in commands.ports}
    return [{"protocol": protocol, "port": port, "variable": variable} for protocol, port, variable in sorted(found)]


def version_problems(
    pairs: Iterable[tuple[str, str, str]],
    cases: Mapping[str, Iterable[CaseSpec]],
    versions: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Sentences about pairs whose two ends must not be used together.

    ``pairs`` are (benchmark, server, client); ``versions`` maps host to tool name to the tool's version line.
    """
    problems: dict[str, None] = {}
    for benchmark, server, client in pairs:
        ends = [versions.get(host, {}).get(benchmark, "") for host in (server, client)]
        for case in cases[benchmark]:
            problem = BENCHMARKS[benchmark].version_problem(case.parameters, *ends)
            if problem:
                problems[f"{server} and {client}: {problem}"] = None
    return list(problems)
