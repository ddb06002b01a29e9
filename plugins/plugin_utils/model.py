"""The words of the project as types: what a plan, a record and a judgement are made of.

Everything here is plain immutable data. Units are in the names or in ``Sample.unit``; a value that was not
measured is absent (no sample, ``None`` in a mapping, an empty cell in a table), never 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, overload

SCHEMA_VERSION = 1

RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,219}")
"""What the name of a run may be: it is the name of its record's file."""

Side = Literal["server", "client"]
SIDES: tuple[Side, ...] = ("server", "client")
Target = Literal["process", "vmm"]
Status = Literal["valid", "invalid", "failed"]
Pair = tuple[str, str]
"""Two different hosts: the server and the client, or, where both directions are measured, in either order."""
Series = tuple[str, str, str, str, int | None]
"""What runs repeat: benchmark, server, client, case and level."""
JsonObject = dict[str, Any]

HELD = "held"
REFUSED = "refused"
"""The ``refusal`` in the result of a task after which nothing is measured: somebody else holds the sweep or the host, or
something stands in the way that does not pass by itself."""


@dataclass(frozen=True)
class Sample:
    """One figure of one run. ``unit`` is one of ``bit/s us % 1/s B count s``."""

    metric: str
    unit: str
    value: float


@dataclass(frozen=True)
class SyscallCount:
    """Calls of one system call by one thread name of one trace target during one run.

    ``syscall`` is written as the kernel names its tracepoint, for example ``sys_enter_newfstat``.
    ``time_ns`` is the time from enter to exit, summed over the calls, where it was measured.
    """

    side: Side
    target: Target
    comm: str
    syscall: str
    calls: int | None
    time_ns: int | None = None


@dataclass(frozen=True)
class Judgement:
    """What the validity gate decided about one run, and the figures that may be believed.

    ``reason`` is empty for a valid run, otherwise one word of ``gate.REASONS``. ``checks`` are remarks that do
    not change the status (``tracing_unavailable``, ``trace_mismatch`` ...), each with a sentence.
    """

    status: Status
    reason: str = ""
    detail: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    syscalls: tuple[SyscallCount, ...] = ()


@dataclass(frozen=True)
class CaseSpec:
    """One case with its name and the wall seconds that one run of it is expected to take."""

    benchmark: str
    name: str
    parameters: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class Run:
    """One case to be executed once on one pair: the unit of statistics."""

    run_id: str
    block: int
    round: int
    server: str
    client: str
    benchmark: str
    case: str
    parameters: Mapping[str, Any]
    repeat: int
    traced: bool
    seconds: float
    """Expected wall time of the run in seconds, start-up and shut-down included."""
    level: int | None = None
    """How many pairs are measured at once on purpose; None where the plan keeps pairs out of each other's way."""


@dataclass(frozen=True)
class Session:
    """All runs of one benchmark on one pair in one round, in execution order."""

    server: str
    client: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Step:
    """Sessions of one benchmark that are executed at the same time: no two share a host or exceed a capacity."""

    block: int
    round: int
    benchmark: str
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Round:
    """Pairs that are measured at the same time. ``level`` is set where they are meant to disturb each other."""

    pairs: tuple[Pair, ...]
    level: int | None = None


class Steps(Protocol):
    """The steps of a plan in execution order, and what can be said of all of them without making each one.

    They are made from a design when they are asked for (``PlannedSteps``), or all written down (``ListedSteps``).
    """

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Step, ...]: ...
    def __iter__(self) -> Iterator[Step]: ...

    @property
    def run_count(self) -> int:
        """Runs of all blocks together."""

    @property
    def round_count(self) -> int:
        """Rounds of a block, or of everything where the steps are written down."""

    @property
    def expected_seconds(self) -> float:
        """Expected wall seconds of all steps one after another."""

    @property
    def longest_seconds(self) -> float:
        """Expected seconds of the runs of the longest step, without what a step costs beside them."""

    @property
    def cases(self) -> Mapping[str, tuple[CaseSpec, ...]]:
        """The cases of every benchmark."""

    def directed_pairs(self) -> Iterator[tuple[str, str, str]]:
        """(benchmark, server, client) of every session; more than once where it has several."""

    def pairs_at_once(self) -> Iterator[tuple[Pair, ...]]:
        """Every set of pairs that is measured at the same time."""

    def run_ids(self, index: int) -> list[str]:
        """The names of the runs of one step, in any order, without making the runs."""

    def parts(self) -> Iterator[tuple[int, range]]:
        """Positions of the steps by part: each block, or one part 0 of everything where steps are written down."""

    def series(self) -> Iterator[Series]:
        """What every run repeats, each once."""

    def runs_of(self, series: Series) -> Iterator[Run]:
        """Every run that repeats this, made without the rest of the plan."""

    def title_parts(self, index: int) -> tuple[int, str, tuple[Pair, ...]]:
        """Block, benchmark and (server, client) of one step, without making its runs."""

    def grown(self, blocks: int) -> Steps:
        """The steps of so many blocks, the earlier ones as they are."""

    def with_rounds(self, rounds: tuple[Round, ...]) -> Steps:
        """The same sessions in other rounds."""

    def as_document(self, hosts: Mapping[str, str]) -> dict[str, Any]:
        """What is stored of them: the ``design`` or the ``steps`` of the plan's document."""


@dataclass(frozen=True)
class Plan:
    """Everything a sweep is going to do, in order. Stored as ``plan.json`` beside the records."""

    sweep: str
    configuration: str
    seed: int
    mode: str
    blocks: int
    hosts: Mapping[str, str]
    """Inventory name to data-plane address."""
    steps: Steps
    """In execution order."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the plan was made from; a second plan under the same name must agree in it, blocks excepted."""
    uid: str = ""
    """Tells this sweep from others of the same name on the hosts under test."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run in execution order."""
        return tuple(run for step in self.steps for session in step.sessions for run in session.runs)
