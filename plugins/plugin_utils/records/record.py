"""One run as it is kept: `record_of` reads the document of a record, and ``Record.document`` is what is written.

A record keeps its document, so that fields which this version does not know are written again as they were. Records come
from disk and from other versions of this project, so nothing about their content is taken for granted: where it is not what
docs/data.md says, `WrongShape` names the field. What is not known is ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..model import SCHEMA_VERSION, SIDES, JsonObject, Side
from ..shapes import Check, WrongShape, flag_of, kind_of, listing, number, object_of, raw_text, same_as

LONGEST_SECONDS = 1e12
MOST_CHARACTERS = 128 << 20
"""Of one text; a file of a record is not larger."""
MOST_ITEMS = 1_000_000
END_FIELDS = (
    "host", "execution", "address", "port", "arch", "tool_version", "argv", "stdout", "stderr", "returncode",
    "started_at", "ended_at", "seconds", "timed_out", "trace", "trace_unavailable", "problem", "figures", "settings",
    "output_bytes", "vmm",
)  # fmt: skip
"""Everything that an END has (docs/data.md): hosts return it, notes have less of it, and `End` is what is read of it."""
ONLY_OF_HOSTS = frozenset({"execution", "settings", "output_bytes", "vmm"})
"""What an END made of notes does not even have as null."""

@dataclass(frozen=True)
class Trouble:
    """Why something went wrong: a word of ``reasons.REASONS`` (validity) and a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Trace:
    """What the tracer of one end left. ``output`` is ``bpftrace -f json`` or its text."""

    mode: str
    output: str | None
    stderr: str
    returncode: int | None


@dataclass(frozen=True)
class Observation:
    """What was counted of the process that carries the guest of one side, or why nothing was."""

    side: Side
    arch: str | None
    trace: Trace | None
    problem: Trouble | None


@dataclass(frozen=True)
class Figures:
    """Host figures around one run, each ``None`` where it was not measured."""

    cpu_before: tuple[int, ...] | None
    cpu_after: tuple[int, ...] | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None


@dataclass(frozen=True)
class End:
    """What one host left of one run. ``stdout`` is ``None`` when it is not known (handwritten notes)."""

    side: Side
    host: str | None
    execution: str | None
    """Of which try it is: equal on both ends of one."""
    address: str | None
    port: int | None
    arch: str | None
    tool_version: str | None
    argv: tuple[str, ...]
    stdout: str | None
    stderr: str
    started_at: str | None
    ended_at: str | None
    seconds: float | None
    """By a clock that nobody sets; ``started_at`` and ``ended_at`` are the host's time of day."""
    timed_out: bool
    trace: Trace | None
    trace_unavailable: str | None
    problem: Trouble | None
    figures: Figures | None
    observations: tuple[Observation, ...]
    """Of the processes under both guests; the server end keeps them."""
    output_cut: bool
    """Whether a program printed more than was kept."""

    @property
    def began(self) -> float | None:
        """When it started by the host's time of day, in seconds since 1970 UTC; ``None`` where that is not known."""
        return _moment(self.started_at)

    @property
    def ended(self) -> float | None:
        """When it ended, like ``began``."""
        return _moment(self.ended_at)

    @property
    def wall_seconds(self) -> float | None:
        """From start to end by the host's time of day."""
        start, end = _time_of_day(self.started_at), _time_of_day(self.ended_at)
        return None if start is None or end is None else (end - start).total_seconds()


@dataclass(frozen=True)
class Record:
    """One record. ``imported`` is true for handwritten notes, where tables stand beside runs unproved;
    ``source_notes`` are what the import found odd in them.
    """

    document: Mapping[str, Any] = field(repr=False)
    """Everything that is kept of the run, as it is written."""
    run_id: str
    attempt: int | None
    """``None`` where the record has not been written yet."""
    hosts: tuple[str, str]
    """The hosts of server and client by their names in the inventory."""
    benchmark: str
    case: str
    parameters: Mapping[str, Any]
    traced: bool
    server: End | None
    client: End | None
    error: Trouble | None
    imported: bool
    source_notes: tuple[str, ...]

    @property
    def ends(self) -> tuple[End, ...]:
        """The ends that returned something, the server first."""
        return tuple(end for end in (self.server, self.client) if end is not None)


def record_of(document: Any) -> Record:
    """Read the document of one record. Raises `WrongShape` for anything that is not one."""
    record = _Fields(document, "the record")
    same_as(record.take("schema"), "schema", SCHEMA_VERSION)
    run = _Fields(record.take("run"), "run")
    source = record.take("source")
    return Record(
        document=document,
        run_id=run.take("run_id", TEXT) or "",
        attempt=record.take("attempt", WHOLE),
        hosts=(run.take("server", TEXT) or "", run.take("client", TEXT) or ""),
        benchmark=_word(run, "benchmark"),
        case=run.take("case", TEXT) or "",
        parameters=object_of(run.take("parameters"), "run.parameters"),
        traced=run.take("traced", flag_of) or False,
        server=_end(record.take("server"), "server"),
        client=_end(record.take("client"), "client"),
        error=_trouble(record.take("error"), "error"),
        imported=source is not None,
        source_notes=() if source is None else _Fields(source, "source").tuple_of("notes", TEXTS) or (),
    )


def new_record(
    sweep: str,
    configuration: str,
    run: Mapping[str, Any],
    ends: Mapping[Side, Mapping[str, Any]],
    error: Trouble | None = None,
    **said: Any,
) -> Record:
    """The record of a run that has come to its end, or that notes tell of.

    ``ends`` are the ENDs that there are, and ``said`` the fields that few records have.
    """
    document: JsonObject = {
        "schema": SCHEMA_VERSION,
        "sweep": sweep,
        "configuration": configuration,
        "run": dict(run),
        **{side: ends.get(side) for side in SIDES},
        "error": None if error is None else {"reason": error.reason, "detail": error.detail},
    }
    return record_of(document | said)


def end_of_notes(known: Mapping[str, Any]) -> JsonObject:
    """An END of which only what notes tell is known."""
    unknown = {name: None for name in END_FIELDS if name not in ONLY_OF_HOSTS}
    return unknown | {"argv": [], "timed_out": False} | dict(known)


def number_of(parameters: Mapping[str, Any], name: str) -> float | None:
    """A parameter as a finite number, ``None`` when it is absent or is not one."""
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _whole_number(value: Any, where: str) -> int:
    """A whole number of any size: what no figure can be is a matter of the gate."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongShape(f"{where} must be a whole number, it is {kind_of(value)}")
    return value


TEXT, WHOLE, SECONDS = raw_text(MOST_CHARACTERS), _whole_number, number(0, LONGEST_SECONDS)
TEXTS, WHOLES = listing(TEXT, MOST_ITEMS), listing(WHOLE, MOST_ITEMS)


class _Fields:
    """The fields of one object in a record: each is null, or absent, or what it should be."""

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        self._found = object_of(value, where)

    def take(self, name: str, check: Check | None = None) -> Any:
        """A field, or None. Raises WrongShape where it is neither null nor what the check takes."""
        value = self._found.get(name)
        return value if value is None or check is None else check(value, f"{self.where}.{name}")

    def tuple_of(self, name: str, check: Check) -> tuple[Any, ...] | None:
        """A list as a tuple, or None."""
        found = self.take(name, check)
        return None if found is None else tuple(found)


def _word(fields: _Fields, name: str) -> str:
    found: str | None = fields.take(name, TEXT)
    if not found:
        raise WrongShape(f"{fields.where}.{name} must be a text that is not empty")
    return found


def _end(value: Any, side: Side) -> End | None:
    if value is None:
        return None
    end = _Fields(value, side)
    return End(
        side=side,
        host=end.take("host", TEXT),
        execution=end.take("execution", TEXT),
        address=end.take("address", TEXT),
        port=end.take("port", WHOLE),
        arch=end.take("arch", TEXT),
        tool_version=end.take("tool_version", TEXT),
        argv=end.tuple_of("argv", TEXTS) or (),
        stdout=end.take("stdout", TEXT),
        stderr=end.take("stderr", TEXT) or "",
        started_at=end.take("started_at", TEXT),
        ended_at=end.take("ended_at", TEXT),
        seconds=end.take("seconds", SECONDS),
        timed_out=end.take("timed_out", flag_of) or False,
        trace=_trace(end.take("trace"), f"{side}.trace"),
        trace_unavailable=end.take("trace_unavailable", TEXT),
        problem=_trouble(end.take("problem"), f"{side}.problem"),
        figures=_figures(end.take("figures"), f"{side}.figures"),
        observations=_observations(end.take("vmm"), f"{side}.vmm"),
        output_cut=bool(end.take("output_bytes")),
    )


def _moment(text: str | None) -> float | None:
    time = _time_of_day(text)
    return None if time is None else time.timestamp()


def _time_of_day(text: str | None) -> datetime | None:
    """A time in ISO 8601 with its zone; ``None`` where it is none."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def _observations(value: Any, where: str) -> tuple[Observation, ...]:
    if value is None:
        return ()
    found = object_of(value, where)
    return tuple(_observation(found[side], side, f"{where}.{side}") for side in SIDES if side in found)


def _observation(value: Any, side: Side, where: str) -> Observation:
    observation = _Fields(value, where)
    problem = _trouble(observation.take("problem"), f"{where}.problem")
    return Observation(
        side=side,
        arch=observation.take("arch", TEXT),
        trace=_trace(value, where) if problem is None else None,
        problem=problem,
    )


def _trace(value: Any, where: str) -> Trace | None:
    if value is None:
        return None
    trace = _Fields(value, where)
    return Trace(
        mode=trace.take("mode", TEXT) or "count",
        output=trace.take("output", TEXT),
        stderr=trace.take("stderr", TEXT) or "",
        returncode=trace.take("returncode", WHOLE),
    )


def _trouble(value: Any, where: str) -> Trouble | None:
    if value is None:
        return None
    trouble = _Fields(value, where)
    return Trouble(_word(trouble, "reason"), trouble.take("detail", TEXT) or "")


def _figures(value: Any, where: str) -> Figures | None:
    if value is None:
        return None
    figures = _Fields(value, where)
    return Figures(
        cpu_before=figures.tuple_of("cpu_jiffies_before", WHOLES),
        cpu_after=figures.tuple_of("cpu_jiffies_after", WHOLES),
        memory_total_bytes=figures.take("memory_total_bytes", WHOLE),
        memory_available_bytes=figures.take("memory_available_bytes", WHOLE),
    )
