"""The steps of a sweep that was not planned but written down, as notes have it: each one is there in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from ..model import CaseSpec, Pair, Round, Run, Series, Step
from .steps import STEP_OVERHEAD_SECONDS


@dataclass(frozen=True)
class ListedSteps(Sequence[Step]):
    """All steps of all blocks. They stay as they are: they say what has been measured."""

    steps: tuple[Step, ...]

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Step, ...]: ...
    def __getitem__(self, index: int | slice) -> Step | tuple[Step, ...]:
        return self.steps[index]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def run_count(self) -> int:
        """Runs of all blocks together."""
        return sum(len(session.runs) for step in self.steps for session in step.sessions)

    @property
    def round_count(self) -> int:
        """Rounds of all blocks together."""
        return len({(step.block, step.round) for step in self.steps})

    @property
    def expected_seconds(self) -> float:
        """Expected wall seconds of all steps one after another."""
        return sum(step_seconds(step) for step in self.steps)

    @property
    def longest_seconds(self) -> float:
        """Expected seconds of the runs of the longest step."""
        return max((_seconds_of_runs(step) for step in self.steps), default=0.0)

    @property
    def cases(self) -> dict[str, tuple[CaseSpec, ...]]:
        """The cases of every benchmark, each as its first run has it."""
        found: dict[str, dict[str, CaseSpec]] = {}
        for run in self._runs():
            spec = CaseSpec(run.benchmark, run.case, run.parameters, run.seconds)
            found.setdefault(run.benchmark, {}).setdefault(run.case, spec)
        return {name: tuple(specs.values()) for name, specs in found.items()}

    def directed_pairs(self) -> Iterator[tuple[str, str, str]]:
        """(benchmark, server, client) of every session."""
        return ((step.benchmark, session.server, session.client) for step in self.steps for session in step.sessions)

    def pairs_at_once(self) -> Iterator[tuple[Pair, ...]]:
        """The pairs of each step."""
        return (_pairs(step) for step in self.steps)

    def run_ids(self, index: int) -> list[str]:
        """The names of the runs of one step."""
        return [run.run_id for session in self.steps[index].sessions for run in session.runs]

    def parts(self) -> Iterator[tuple[int, range]]:
        """All steps together: what is written down may be in any order."""
        yield 0, range(len(self.steps))

    def series(self) -> Iterator[Series]:
        """What every run repeats, once: benchmark, server, client, case and level."""
        return iter({series_of(run): None for run in self._runs()})

    def runs_of(self, series: Series) -> Iterator[Run]:
        """Every run that repeats this."""
        return (run for run in self._runs() if series_of(run) == series)

    def _runs(self) -> Iterator[Run]:
        return (run for step in self.steps for session in step.sessions for run in session.runs)

    def title_parts(self, index: int) -> tuple[int, str, tuple[Pair, ...]]:
        """Block, benchmark and (server, client) of one step."""
        step = self.steps[index]
        return step.block, step.benchmark, _pairs(step)

    def grown(self, blocks: int) -> ListedSteps:
        """These steps: nobody can plan further blocks of what was written down."""
        return self

    def with_rounds(self, rounds: tuple[Round, ...]) -> ListedSteps:
        """These steps: their rounds have been."""
        return self

    def as_document(self, hosts: Mapping[str, str]) -> dict[str, Any]:
        """Every step with every run."""
        return {"steps": [asdict(step) for step in self.steps]}


def series_of(run: Run) -> Series:
    """What a run repeats."""
    return run.benchmark, run.server, run.client, run.case, run.level


def step_seconds(step: Step) -> float:
    """Expected wall seconds of a step: the longest session counts."""
    return STEP_OVERHEAD_SECONDS + _seconds_of_runs(step)


def _seconds_of_runs(step: Step) -> float:
    return max((sum(run.seconds for run in session.runs) for session in step.sessions), default=0.0)


def _pairs(step: Step) -> tuple[Pair, ...]:
    return tuple((session.server, session.client) for session in step.sessions)
