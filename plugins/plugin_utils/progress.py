"""How far a sweep is, in lines for a terminal: which pair, which benchmark, how far, how long still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .gate import judge
from .model import Plan, Step
from .plan import estimated_seconds
from .terminal import format_duration

SessionKey = tuple[int, int, str, str, str]


def _key(run: Any) -> SessionKey:
    return run["block"], run["round"], run["benchmark"], run["server"], run["client"]


class Progress:
    """Counts records against the steps that are still to be done.

    Times are seconds of a monotonic clock, given by the caller. Time left is what the plan expects of the steps that
    are not done, corrected by how long the finished ones really took.
    """

    def __init__(self, plan: Plan, steps: Sequence[Step]) -> None:
        self._plan = plan
        self._steps = steps
        self._started: float | None = None
        self._total = sum(len(session.runs) for step in steps for session in step.sessions)
        self._done = 0
        self._open = Counter(
            (step.block, step.round, step.benchmark, session.server, session.client)
            for step in steps
            for session in step.sessions
            for _run in session.runs
        )
        self._statuses: dict[SessionKey, Counter[str]] = {}

    def opening(self, sweep_dir: str) -> str:
        """One line before the first session."""
        planned = len(self._plan.runs)
        if not self._total:
            return f"Sweep {self._plan.sweep}: all {planned} planned runs have been measured; nothing to do ({sweep_dir})"
        return (
            f"Sweep {self._plan.sweep}: {self._total} of {planned} planned runs to do, "
            f"about {format_duration(estimated_seconds(self._steps))} ({sweep_dir})"
        )

    def start(self, now: float) -> None:
        """The first session begins; later calls change nothing."""
        if self._started is None:
            self._started = now

    def advance(self, record: Mapping[str, Any], now: float) -> list[str]:
        """Take one finished record; a line for each session that is complete with it."""
        key = _key(record["run"])
        judgement = judge(record)
        word = judgement.status if judgement.status == "valid" else f"{judgement.status} ({judgement.reason})"
        self._statuses.setdefault(key, Counter())[word] += 1
        self._done += 1
        self._open[key] -= 1
        return [] if self._open[key] > 0 else [self._line(key, now)]

    def _line(self, key: SessionKey, now: float) -> str:
        block, _round, benchmark, server, client = key
        outcome = ", ".join(f"{count} {word}" for word, count in sorted(self._statuses[key].items()))
        percent = 100 * self._done // self._total if self._total else 100
        return (
            f"[{self._done}/{self._total} runs, {percent} %, {self._left(now)}] "
            f"block {block}/{self._plan.blocks} {benchmark} {server} <- {client}: {outcome}"
        )

    def _left(self, now: float) -> str:
        waiting = [
            step
            for step in self._steps
            if any(
                self._open[(step.block, step.round, step.benchmark, session.server, session.client)] > 0
                for session in step.sessions
            )
        ]
        expected_left = estimated_seconds(waiting)
        expected_done = estimated_seconds(self._steps) - expected_left
        started = now if self._started is None else self._started
        pace = (now - started) / expected_done if expected_done > 0 else 1.0
        return f"{format_duration(expected_left * pace)} left" if expected_left else "done"
