"""How far a sweep is, in lines for a terminal: which pair, which benchmark, how far, how long still."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..formatting import format_duration
from ..model import Judgement, Plan, Step
from ..planning.listed import step_seconds
from ..planning.plan import run_count
from ..planning.remaining import Remaining
from ..records.record import Record

Ends = tuple[str, str]


class Progress:
    """Counts records against what is still to be done.

    Times are seconds of a monotonic clock, given by the caller. Time left is what the plan expects of the steps that
    are not done, corrected by how long the finished ones really took.
    """

    def __init__(self, plan: Plan, left: Remaining) -> None:
        self._plan = plan
        self._left = left
        self._started: float | None = None
        self._done_runs = 0
        self._expected_done = 0.0
        self._step: Step | None = None
        self._step_began = 0.0
        self._open: Counter[Ends] = Counter()
        self._statuses: dict[Ends, Counter[str]] = {}

    def opening(self, sweep_dir: str) -> str:
        """One line before the first session."""
        planned = run_count(self._plan)
        if not self._left.runs:
            return f"Sweep {self._plan.sweep}: all {planned} planned runs have been measured; nothing to do ({sweep_dir})"
        return (
            f"Sweep {self._plan.sweep}: {self._left.runs} of {planned} planned runs to do, "
            f"about {format_duration(self._left.seconds)} ({sweep_dir})"
        )

    def begin_step(self, step: Step, now: float) -> None:
        """The sessions of a step begin: what is left of them."""
        if self._started is None:
            self._started = now
        self._close_step()
        self._step, self._step_began = step, now
        self._open = Counter({(session.server, session.client): len(session.runs) for session in step.sessions})
        self._statuses = {}

    def replan(self, left: Remaining) -> None:
        """Something need not be done any more, because hosts had it: this is left beside what has been done."""
        self._close_step()
        self._left = replace(left, runs=self._done_runs + left.runs, seconds=self._expected_done + left.seconds)

    def advance(self, record: Record, judgement: Judgement, now: float) -> list[str]:
        """Take one finished record of the step; a line for each session that is complete with it."""
        word = judgement.status if judgement.status == "valid" else f"{judgement.status} ({judgement.reason})"
        self._statuses.setdefault(record.hosts, Counter())[word] += 1
        self._done_runs += 1
        self._open[record.hosts] -= 1
        return [] if self._open[record.hosts] > 0 else [self._line(record.hosts, now)]

    def _close_step(self) -> None:
        if self._step is not None:
            self._expected_done += step_seconds(self._step)
            self._step = None

    def _line(self, ends: Ends, now: float) -> str:
        assert self._step is not None
        outcome = ", ".join(f"{count} {word}" for word, count in sorted(self._statuses[ends].items()))
        total = max(self._left.runs, self._done_runs)
        return (
            f"[{self._done_runs}/{total} runs, {100 * self._done_runs // total} %, {self._time_left(now)}] "
            f"block {self._step.block}/{self._plan.blocks} {self._step.benchmark} {ends[0]} <- {ends[1]}: {outcome}"
        )

    def _time_left(self, now: float) -> str:
        assert self._step is not None and self._started is not None
        waiting = any(count > 0 for count in self._open.values())
        expected_done = self._expected_done + (0.0 if waiting else step_seconds(self._step))
        expected_left = max(0.0, self._left.seconds - expected_done)
        if self._done_runs >= self._left.runs or expected_left == 0:
            return "done"
        # The pace is that of whole steps; of one under way only the time it has taken is known.
        ended = self._step_began if waiting else now
        pace = (ended - self._started) / expected_done if expected_done > 0 else 1.0
        return f"{format_duration(expected_left * pace - (now - ended))} left"
