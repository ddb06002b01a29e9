"""What a plan still has to do: all of it but the runs that are done, for all hosts or some of them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from ..model import Plan, Step
from .listed import step_seconds
from .pairs import within


@dataclass(frozen=True)
class Remaining:
    """What is still to be done: positions in ``plan.steps``, and how much that is."""

    indexes: Sequence[int]
    runs: int
    seconds: float
    """Expected wall seconds."""
    hosts: frozenset[str]
    benchmarks: frozenset[str]


def remaining(plan: Plan, done: Container[str], only: frozenset[str] | None = None) -> Iterator[tuple[int, Step]]:
    """Position and rest of every step that has runs whose ``run_id`` is not done, in order.

    ``only`` limits it to pairs of these hosts.
    """
    for index in range(len(plan.steps)):
        if all(run_id in done for run_id in plan.steps.run_ids(index)):
            continue  # as of most steps of a long sweep, whose runs then need not be made
        left = step_rest(plan.steps[index], done, only)
        if left is not None:
            yield index, left


def step_rest(step: Step, done: Container[str], only: frozenset[str] | None = None) -> Step | None:
    """A step with only those runs that are not done; None when there are none."""
    sessions = []
    for session in step.sessions:
        runs = tuple(run for run in session.runs if run.run_id not in done)
        if runs and within((session.server, session.client), only):
            sessions.append(replace(session, runs=runs))
    return replace(step, sessions=tuple(sessions)) if sessions else None


def what_remains(plan: Plan, done: Container[str] = (), only: frozenset[str] | None = None) -> Remaining:
    """Count what is still to be done. A plan of which nothing is done is not gone through run by run."""
    if not done and only is None:
        return _everything(plan)
    left = list(remaining(plan, done, only))
    sessions = [session for _index, step in left for session in step.sessions]
    return Remaining(
        indexes=[index for index, _step in left],
        runs=sum(len(session.runs) for session in sessions),
        seconds=sum(step_seconds(step) for _index, step in left),
        hosts=frozenset(host for session in sessions for host in (session.server, session.client)),
        benchmarks=frozenset(step.benchmark for _index, step in left),
    )


def _everything(plan: Plan) -> Remaining:
    steps = plan.steps
    return Remaining(
        indexes=range(len(steps)),
        runs=steps.run_count,
        seconds=steps.expected_seconds,
        hosts=frozenset(host for pairs in steps.pairs_at_once() for pair in pairs for host in pair),
        benchmarks=frozenset(steps.cases),
    )
