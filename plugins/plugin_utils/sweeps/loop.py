"""The loop over the blocks of a sweep: a pass of the playbook for each, until there are enough or no time is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..formatting import format_duration
from ..planning.remaining import what_remains
from ..planning.stored import load_plan
from ..records.reading import record_files
from ..storage.sweep_folder import SweepFolder
from ..store.statuses import completed
from ..tables.overview import Overview
from ..tables.tables import overview_of
from .decisions import (
    FEWEST_BLOCKS,
    Goal,
    Width,
    block_after,
    first_block,
    fits,
    too_wide,
    wait_before,
    widths,
)
from .playbook import PassResult, next_log

LOOK_SECONDS = 0.5
"""How long a wait may go on before it is looked whether somebody has interrupted it."""


class RunnablePass(Protocol):
    """One run of the playbook, as `playbook.Pass` is."""

    def run(self, stop_at: float | None = None) -> PassResult:
        """Run it to its end, or to that time of the clock."""

    def stop(self, number: int) -> None:
        """Send it a signal."""


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    ``signal`` is the number of the one that interrupted it, or 0; ``refused`` the pass after which going on made no sense.
    """

    signal: int = 0
    refused: PassResult | None = None


class Sweep:
    """Passes one after another; what is missing of a block is due before the next block is.

    ``make_pass`` makes the pass for so many blocks that writes that log; ``say`` tells a person what happens. ``only`` are
    the hosts to which the sweep is limited, ``more`` how many blocks were asked for beside those that there are.
    """

    def __init__(
        self,
        sweep_dir: Path,
        goal: Goal,
        make_pass: Callable[[int, Path], RunnablePass],
        say: Callable[[str], None],
        only: frozenset[str] | None = None,
        more: int | None = None,
    ) -> None:
        self._sweep_dir = sweep_dir
        self._folder = SweepFolder(sweep_dir)
        self._goal = goal
        self._make_pass = make_pass
        self._say = say
        self._only = only
        self._more = more
        self._interrupted = 0
        self._pass: RunnablePass | None = None
        self._longest_block: float | None = None
        self._passes = 0
        self._stop_at: float | None = None
        self._seen: Overview | None = None

    def interrupt(self, number: int) -> None:
        """A signal came: the first ends the playbook as Ctrl-C does, the second kills it."""
        again = bool(self._interrupted)
        self._interrupted = self._interrupted or number
        if self._pass is not None:
            self._pass.stop(signal.SIGKILL if again else signal.SIGINT)
        if not again:
            self._say("Stopping: the sessions that are running are ended. Once more kills the playbook")

    def run(self) -> Outcome:
        """Run block after block."""
        started = time.monotonic()
        last_start: float | None = None
        block = first_block(self._sweep_dir, self._goal, self._only)
        while block is not None and not (self._at_block_end(block) and self._converged()):
            delay = wait_before(self._goal, time.monotonic(), last_start)
            if not self._has_time(block, started, time.monotonic() + max(0.0, delay)):
                break
            self._wait(delay, block)
            if self._interrupted:
                break
            last_start = time.monotonic()
            refused = self._run_block(block)
            if self._interrupted or refused is not None:
                return Outcome(self._interrupted, refused)
            block = block_after(max(block, self._planned_blocks()), self._goal)
        return Outcome(self._interrupted)

    def widths(self) -> list[Width]:
        """The headline interval of every pair and case as measured so far, the widest first."""
        told = self.look()
        return widths(told.plan, told.summary, self._only)

    def look(self) -> Overview:
        """What there is after the last pass."""
        if self._seen is None:
            self._seen = overview_of(self._sweep_dir)
        return self._seen

    def _has_time(self, block: int, started: float, begin: float) -> bool:
        """Whether a block may begin then, and when its pass has to be stopped where it may be longer than is known.

        Before the first plan nothing is known; and what is missing of earlier blocks takes long only where hosts that
        were away have come back.
        """
        budget, expected = self._goal.budget, self._expected_seconds(block)
        in_time = fits(self._goal, started, begin, expected)
        if not in_time and block > self._planned_blocks():
            self._say(f"No time for block {block}: about {format_duration(expected)} would end after --for")
            return False
        self._stop_at = None if budget is None or (expected and in_time) else started + budget
        return True

    def _run_block(self, block: int) -> PassResult | None:
        """One pass; its result where going on makes no sense."""
        had, records, measured = self._planned_blocks(), self._records(), self._measured()
        begin = time.monotonic()
        result = self._run_pass(block)
        if self._interrupted or (self._stop_at is not None and time.monotonic() >= self._stop_at):
            return None
        if result.returncode and block <= had and self._measured() == measured and not result.refusal:
            self._leave_behind(had)
            return None
        self._longest_block = max(self._longest_block or 0.0, time.monotonic() - begin)
        # A pass that measured something has brought the sweep on, whatever failed in it.
        return None if result.returncode == 0 or self._records() > records else result

    def _run_pass(self, block: int) -> PassResult:
        log = next_log(self._sweep_dir)
        most = "at most " if self._goal.width or self._goal.budget else ""
        self._say(f"Block {block} of {most}{self._goal.blocks}{self._left(block)}; log: {log}")
        self._pass = self._make_pass(block, log)
        result = self._pass.run(self._stop_at)
        self._pass = None
        self._passes += 1
        self._seen = None
        return result

    def _leave_behind(self, blocks: int) -> None:
        """A host that stays away, or a pair that always fails, must not keep the others from the blocks that follow."""
        self._say(f"What is missing of the first {blocks} blocks cannot be measured now")
        if self._more:
            self._goal = replace(self._goal, blocks=blocks + self._more)

    def _at_block_end(self, block: int) -> bool:
        """Whether nothing that an earlier command left unfinished is due."""
        return bool(self._passes) or block > self._planned_blocks()

    def _planned_blocks(self) -> int:
        return load_plan(self._sweep_dir).blocks if self._folder.has_plan else 0

    def _measured(self) -> int:
        return len(completed(self._sweep_dir))

    def _records(self) -> int:
        return len(record_files(self._sweep_dir, []))

    def _left(self, block: int) -> str:
        """Time left for all blocks, in words; nothing before anything is known."""
        expected = self._expected_seconds(block)
        if not expected:
            return ""
        between = max(expected, self._goal.every or 0.0)
        return f", {format_duration(expected + between * (self._goal.blocks - block))} left in all"

    def _expected_seconds(self, block: int) -> float:
        if self._longest_block is not None:
            return self._longest_block
        if not self._folder.has_plan:
            return 0.0  # nothing is known before the first pass has planned
        plan = load_plan(self._sweep_dir)
        if block <= plan.blocks:
            return what_remains(plan, completed(self._sweep_dir), self._only).seconds
        return what_remains(plan, (), self._only).seconds / plan.blocks

    def _converged(self) -> bool:
        """Looked at between blocks only, and not before an interval is possible."""
        if self._goal.width is None or self._planned_blocks() < FEWEST_BLOCKS:
            return False
        return not too_wide(self.widths(), self._goal.width)

    def _wait(self, delay: float, block: int) -> None:
        if delay < 0:
            self._say(f"Block {block} is {format_duration(-delay)} late: the one before took longer than --every")
        elif delay > 0:
            self._say(f"Block {block} begins in {format_duration(delay)}")
        until = time.monotonic() + delay
        while not self._interrupted and time.monotonic() < until:
            time.sleep(min(LOOK_SECONDS, max(0.0, until - time.monotonic())))
