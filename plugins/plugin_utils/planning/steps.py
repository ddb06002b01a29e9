"""The steps of a planned sweep, made when they are asked for: a thousand hosts have millions of runs.

What is stored is what they are made from: rounds, cases, directions and the seed. Any step can be made alone, so an
end of a session finds its part without the rest, and the plan's memory grows with the number of pairs, not of runs.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, overload

from ..model import CaseSpec, Pair, Round, Run, Series, Session, Step

LONGEST_RUN_ID = 150
MOST_NAMES = 100_000
"""Runs of a block whose names are kept (30 MB); of larger blocks they are made each time."""
STEP_OVERHEAD_SECONDS = 1.5
"""What Ansible and the meeting of the two ends add to a step (measured with two hosts: 1 to 2)."""


class _Slot(NamedTuple):
    """What one step of a block does; the same slots are in every block, in another order."""

    round: int
    benchmark: str
    server_first: bool
    runs: tuple[tuple[CaseSpec, bool], ...]
    """Cases with whether they are traced, in no order yet."""


class _Name(NamedTuple):
    """What the names of a run have in common in every block."""

    parts: tuple[str, ...]
    text: str
    plain: bool
    """Whether the text alone tells it from every other run."""


@dataclass(frozen=True)
class PlannedSteps(Sequence[Step]):
    """All steps of all blocks. Equal inputs give equal steps; more blocks leave the earlier ones as they are."""

    seed: int
    blocks: int
    rounds: tuple[Round, ...]
    cases: Mapping[str, tuple[CaseSpec, ...]]
    directions: Mapping[str, str]
    trace: bool
    _slots: list[_Slot] = field(default_factory=list, init=False, repr=False, compare=False)
    _orders: dict[int, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _names: dict[int, list[_Name]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of the runs of a slot, where there are so few that they may all be kept."""

    def __post_init__(self) -> None:
        self._slots.extend(self._all_slots())

    def __len__(self) -> int:
        return self.blocks * len(self._slots)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Step, ...]: ...
    def __getitem__(self, index: int | slice) -> Step | tuple[Step, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        block, position = divmod(index % len(self), len(self._slots))
        return self._step(block + 1, self._order(block + 1)[position])

    def __iter__(self) -> Iterator[Step]:
        return (self[index] for index in range(len(self)))

    @property
    def run_count(self) -> int:
        """Runs of all blocks together."""
        return self.blocks * sum(len(slot.runs) * len(self.rounds[slot.round].pairs) for slot in self._slots)

    @property
    def round_count(self) -> int:
        """Rounds of a block."""
        return len(self.rounds)

    @property
    def expected_seconds(self) -> float:
        """Expected wall seconds of all steps one after another."""
        return self.blocks * sum(STEP_OVERHEAD_SECONDS + seconds for seconds in self._durations())

    @property
    def longest_seconds(self) -> float:
        """Expected seconds of the runs of the longest step."""
        return max(self._durations(), default=0.0)

    def pairs_at_once(self) -> Iterator[tuple[Pair, ...]]:
        """The pairs of each round."""
        return (item.pairs for item in self.rounds)

    def directed_pairs(self) -> Iterator[tuple[str, str, str]]:
        """(benchmark, server, client) of every session of a block."""
        for slot in self._slots:
            for pair in self.rounds[slot.round].pairs:
                yield (slot.benchmark, *(pair if slot.server_first else (pair[1], pair[0])))

    def run_ids(self, index: int) -> list[str]:
        """The names of the runs of one step, in any order, without making the runs."""
        block, position = divmod(index, len(self._slots))
        number = self._order(block + 1)[position]
        return [_run_id(block + 1, name) for name in self._names_of(number)]

    def _names_of(self, number: int) -> list[_Name]:
        names = self._names.get(number)
        if names is None:
            slot = self._slots[number]
            level = self.rounds[slot.round].level
            names = [_name(*pair, *kind, level) for pair in self._directed(slot) for kind in slot.runs]
            if self.run_count <= MOST_NAMES * self.blocks:
                self._names[number] = names
        return names

    def parts(self) -> Iterator[tuple[int, range]]:
        """Each block, with the positions of its steps."""
        size = len(self._slots)
        return ((block + 1, range(block * size, (block + 1) * size)) for block in range(self.blocks))

    def series(self) -> Iterator[Series]:
        """What every run repeats, once: benchmark, server, client, case and level."""
        for slot in self._slots:
            level = self.rounds[slot.round].level
            names = dict.fromkeys(case.name for case, _traced in slot.runs)
            # Where pairs disturb each other on purpose, a case has a slot of its own for each of its twins.
            if level is None or slot.runs[0][1] is self._twins()[0]:
                for server, client in self._directed(slot):
                    yield from ((slot.benchmark, server, client, name, level) for name in names)

    def runs_of(self, series: Series) -> Iterator[Run]:
        """Every run that repeats this, block by block."""
        benchmark, server, client, name, level = series
        found = [
            (slot, case, traced)
            for slot in self._slots
            if slot.benchmark == benchmark and self.rounds[slot.round].level == level
            and (server, client) in self._directed(slot)
            for case, traced in slot.runs
            if case.name == name
        ]  # fmt: skip
        return (self._run(block + 1, slot, server, client, case, traced) for block in range(self.blocks)
                for slot, case, traced in found)  # fmt: skip

    def _directed(self, slot: _Slot) -> Sequence[Pair]:
        pairs = self.rounds[slot.round].pairs
        return pairs if slot.server_first else [(two, one) for one, two in pairs]

    def title_parts(self, index: int) -> tuple[int, str, tuple[Pair, ...]]:
        """Block, benchmark and (server, client) of one step, without making its runs."""
        block, position = divmod(index, len(self._slots))
        slot = self._slots[self._order(block + 1)[position]]
        pairs = self.rounds[slot.round].pairs
        return block + 1, slot.benchmark, pairs if slot.server_first else tuple((two, one) for one, two in pairs)

    def grown(self, blocks: int) -> PlannedSteps:
        """The steps of so many blocks, the earlier ones as they are."""
        return replace(self, blocks=blocks)

    def with_rounds(self, rounds: tuple[Round, ...]) -> PlannedSteps:
        """The same sessions in other rounds."""
        return replace(self, rounds=rounds)

    def as_document(self, hosts: Mapping[str, str]) -> dict[str, Any]:
        """What the steps are made from. Pairs are positions among the hosts, one line a round: large plans stay small."""
        position = {host: number for number, host in enumerate(hosts)}
        rounds = [
            {"level": item.level, "pairs": " ".join(f"{position[one]}:{position[other]}" for one, other in item.pairs)}
            for item in self.rounds
        ]
        cases = {benchmark: [asdict(case) for case in cases] for benchmark, cases in self.cases.items()}
        return {"design": {"rounds": rounds, "cases": cases, "directions": dict(self.directions), "trace": self.trace}}

    def _durations(self) -> Iterator[float]:
        """Expected seconds of the runs of each step of one block, without what a step costs beside them."""
        return (sum(case.seconds for case, _traced in slot.runs) for slot in self._slots)

    def _all_slots(self) -> Iterator[_Slot]:
        for number, item in enumerate(self.rounds):
            for benchmark in sorted(self.cases):
                kinds = [(case, traced) for case in self.cases[benchmark] for traced in self._twins()]
                # Pairs that disturb each other on purpose start every run together: one run a step.
                groups = [tuple(kinds)] if item.level is None else [(kind,) for kind in kinds]
                for server_first in _server_first(self.directions[benchmark]):
                    for group in groups:
                        yield _Slot(number, benchmark, server_first, group)

    def _twins(self) -> tuple[bool, ...]:
        return (True, False) if self.trace else (False,)

    def _order(self, block: int) -> list[int]:
        if block not in self._orders:
            order = list(range(len(self._slots)))
            random.Random(f"{self.seed}/{block}").shuffle(order)
            self._orders[block] = order
        return self._orders[block]

    def _step(self, block: int, number: int) -> Step:
        slot = self._slots[number]
        order = random.Random(f"{self.seed}/{block}/{number}")
        sessions = []
        for pair in self.rounds[slot.round].pairs:
            kinds = list(slot.runs)
            order.shuffle(kinds)
            server, client = pair if slot.server_first else (pair[1], pair[0])
            sessions.append(Session(server, client, tuple(self._run(block, slot, server, client, *kind) for kind in kinds)))
        return Step(block, slot.round + 1, slot.benchmark, tuple(sessions))

    def _run(self, block: int, slot: _Slot, server: str, client: str, case: CaseSpec, traced: bool) -> Run:
        level = self.rounds[slot.round].level
        return Run(
            run_id=_run_id(block, _name(server, client, case, traced, level)),
            block=block,
            round=slot.round + 1,
            server=server,
            client=client,
            benchmark=case.benchmark,
            case=case.name,
            parameters=case.parameters,
            repeat=block,
            traced=traced,
            seconds=case.seconds,
            level=level,
        )


def runs_of_a_block(
    rounds: Iterable[Round], cases: Mapping[str, Sequence[CaseSpec]], directions: Mapping[str, str], trace: bool
) -> int:
    """How many runs one block has, without making anything of it."""
    pairs = sum(len(item.pairs) for item in rounds)
    return (2 if trace else 1) * pairs * sum(
        len(specs) * len(_server_first(directions[benchmark])) for benchmark, specs in cases.items()
    )


def _server_first(direction: str) -> tuple[bool, ...]:
    return {"first_serves": (True,), "second_serves": (False,), "both": (True, False)}[direction]


def _name(server: str, client: str, case: CaseSpec, traced: bool, level: int | None) -> _Name:
    at_once = [] if level is None else [f"at{level}"]
    parts = (case.benchmark, server, client, case.name, *at_once, "traced" if traced else "untraced")
    wanted = "-".join(parts)
    text = re.sub(r"[^A-Za-z0-9_.-]", "_", wanted)
    return _Name(parts, text, text == wanted and not any("-" in host for host in (server, client)))


def _run_id(block: int, its: _Name) -> str:
    """A name that a person can read and a file can have; a hash is added where characters had to be replaced."""
    begin = f"b{block:03d}"
    name = f"{begin}-{its.text}"
    if its.plain and len(name) <= LONGEST_RUN_ID:
        return name
    digest = hashlib.sha256("\0".join((begin, *its.parts)).encode()).hexdigest()[:8]
    return f"{name[:LONGEST_RUN_ID]}-{digest}"
