"""A record as the gate reads it: typed, every field that may be unknown is ``None``.

Records come from disk and from other versions of this project, so nothing about their content is taken for
granted: what is not as docs/data.md says raises `MalformedRecord` with a sentence that names the field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..model import Side

LONGEST_SECONDS = 1e12


class MalformedRecord(ValueError):
    """The record is not what docs/data.md describes; the message names the field."""


@dataclass(frozen=True)
class Trouble:
    """Why something went wrong: a word of ``gate.REASONS`` and a sentence."""

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
    address: str | None
    port: int | None
    arch: str | None
    tool_version: str | None
    argv: tuple[str, ...]
    stdout: str | None
    stderr: str
    timed_out: bool
    trace: Trace | None
    trace_unavailable: str | None
    problem: Trouble | None
    figures: Figures | None
    seconds: float | None = None
    observations: tuple[Observation, ...] = ()
    """Of the processes under both guests; the server end keeps them."""
    wall_seconds: float | None = None
    """From start to end by the host's time of day; ``seconds`` is by a clock that nobody sets."""
    output_cut: bool = False
    """Whether a program printed more than was kept."""


@dataclass(frozen=True)
class Record:
    """One record. ``imported`` is true for handwritten notes, where tables stand beside runs unproved;
    ``source_notes`` are what the import found odd in them.
    """

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


def record_of(record: Any) -> Record:
    """Read one record. Raises `MalformedRecord` for anything that is not one."""
    document = _mapping(record, "the record")
    source = document.get("source")
    if document.get("schema") != 1:
        raise MalformedRecord(f"schema is {_short(document.get('schema'))}; this version reads schema 1")
    run = _mapping(document.get("run"), "run")
    return Record(
        benchmark=_text(run, "benchmark", "run"),
        case=_optional_text(run, "case", "run") or "",
        parameters=_mapping(run.get("parameters"), "run.parameters"),
        traced=_boolean(run, "traced", "run"),
        server=_end(document.get("server"), "server"),
        client=_end(document.get("client"), "client"),
        error=_trouble(document.get("error"), "error"),
        imported=source is not None,
        source_notes=()
        if source is None
        else _texts(_mapping(source, "source").get("notes"), "source.notes"),
    )


def number_of(parameters: Mapping[str, Any], name: str) -> float | None:
    """A parameter as a finite number, ``None`` when it is absent or is not one."""
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _end(value: Any, side: Side) -> End | None:
    if value is None:
        return None
    end = _mapping(value, side)
    return End(
        side=side,
        host=_optional_text(end, "host", side),
        address=_optional_text(end, "address", side),
        port=_optional_integer(end, "port", side),
        arch=_optional_text(end, "arch", side),
        tool_version=_optional_text(end, "tool_version", side),
        argv=_texts(end.get("argv"), f"{side}.argv"),
        stdout=_optional_text(end, "stdout", side),
        stderr=_optional_text(end, "stderr", side) or "",
        timed_out=_boolean(end, "timed_out", side),
        trace=_trace(end.get("trace"), f"{side}.trace"),
        trace_unavailable=_optional_text(end, "trace_unavailable", side),
        problem=_trouble(end.get("problem"), f"{side}.problem"),
        figures=_figures(end.get("figures"), f"{side}.figures"),
        seconds=_optional_seconds(end, side),
        observations=_observations(end.get("vmm"), f"{side}.vmm"),
        wall_seconds=_wall_seconds(end, side),
        output_cut=bool(end.get("output_bytes")),
    )


def _wall_seconds(end: Mapping[str, Any], side: Side) -> float | None:
    times = [_time_of_day(_optional_text(end, name, side)) for name in ("started_at", "ended_at")]
    return None if times[0] is None or times[1] is None else (times[1] - times[0]).total_seconds()


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
    found = _mapping(value, where)
    sides: tuple[Side, ...] = ("server", "client")
    return tuple(_observation(found[side], side, f"{where}.{side}") for side in sides if side in found)


def _observation(value: Any, side: Side, where: str) -> Observation:
    observation = _mapping(value, where)
    problem = _trouble(observation.get("problem"), f"{where}.problem")
    return Observation(
        side=side,
        arch=_optional_text(observation, "arch", where),
        trace=_trace(observation, where) if problem is None else None,
        problem=problem,
    )


def _trace(value: Any, where: str) -> Trace | None:
    if value is None:
        return None
    trace = _mapping(value, where)
    return Trace(
        mode=_optional_text(trace, "mode", where) or "count",
        output=_optional_text(trace, "output", where),
        stderr=_optional_text(trace, "stderr", where) or "",
        returncode=_optional_integer(trace, "returncode", where),
    )


def _trouble(value: Any, where: str) -> Trouble | None:
    if value is None:
        return None
    trouble = _mapping(value, where)
    return Trouble(_text(trouble, "reason", where), _optional_text(trouble, "detail", where) or "")


def _figures(value: Any, where: str) -> Figures | None:
    if value is None:
        return None
    figures = _mapping(value, where)
    return Figures(
        cpu_before=_integers(figures.get("cpu_jiffies_before"), f"{where}.cpu_jiffies_before"),
        cpu_after=_integers(figures.get("cpu_jiffies_after"), f"{where}.cpu_jiffies_after"),
        memory_total_bytes=_optional_integer(figures, "memory_total_bytes", where),
        memory_available_bytes=_optional_integer(figures, "memory_available_bytes", where),
    )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedRecord(f"{where} must be an object, it is {_short(value)}")
    return value


def _text(mapping: Mapping[str, Any], name: str, where: str) -> str:
    value = mapping.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedRecord(f"{where}.{name} must be a text that is not empty, it is {_short(value)}")
    return value


def _optional_text(mapping: Mapping[str, Any], name: str, where: str) -> str | None:
    value = mapping.get(name)
    if value is None or isinstance(value, str):
        return value
    raise MalformedRecord(f"{where}.{name} must be a text or null, it is {_short(value)}")


def _optional_integer(mapping: Mapping[str, Any], name: str, where: str) -> int | None:
    value = mapping.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedRecord(f"{where}.{name} must be a whole number or null, it is {_short(value)}")


def _optional_seconds(mapping: Mapping[str, Any], where: str) -> float | None:
    value = mapping.get("seconds")
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LONGEST_SECONDS:
        return float(value)
    raise MalformedRecord(f"{where}.seconds must be a number of seconds or null, it is {_short(value)}")


def _boolean(mapping: Mapping[str, Any], name: str, where: str) -> bool:
    value = mapping.get(name)
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise MalformedRecord(f"{where}.{name} must be true or false, it is {_short(value)}")


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise MalformedRecord(f"{where} must be a list of texts, it is {_short(value)}")


def _integers(value: Any, where: str) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and all(
        isinstance(item, int) and not isinstance(item, bool) for item in value
    ):
        return tuple(value)
    raise MalformedRecord(f"{where} must be a list of whole numbers, it is {_short(value)}")


def _short(value: Any) -> str:
    """What kind of thing a value is, with a little of its content; never long, never failing."""
    if value is None:
        return "missing"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 128 bits"
    if isinstance(value, (int, float, str)):
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return f"a {type(value).__name__}"
