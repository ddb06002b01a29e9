"""A judged record as columns of the store, and back: figures as packed numbers, names once for all records.

What is read back was perhaps written by somebody else: `judged_from` raises `ForeignRow` for what `columns_of` cannot have
made. Texts are JSON in ASCII, because a text of a host may be one that no encoding takes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from ..benchmarks.transfer import Interval, Transfer
from ..model import Judgement, Run, Sample, Status, SyscallCount
from ..records.reading import IDENTITY, identity_of
from ..shapes import WrongShape, list_of, object_of, text_of, word_of
from ..validity.reasons import REASONS
from .judged import JudgedRecord

STATUSES: tuple[Status, ...] = ("valid", "invalid", "failed")
SHARED = ("benchmark", "case", "parameters")
"""What many runs have alike of their identity; the rest of it is each one's own."""
OWN = tuple(name for name in IDENTITY if name not in SHARED)
READABLE, TRACED, UNTRACEABLE = 1, 2, 4
MOST_EXACT = 2**53
"""Below this every whole number is one that eight bytes of floating point hold, and a cell shows it without a point."""
NOTHING = 2**64 - 1
"""Stands for a number of calls, or of ns, that is not known."""

Intern = Callable[[str], int]
"""The number of a text that many records share."""
Texts = Callable[[int], str]
"""The text of such a number. Raises ForeignRow where there is none."""


class ForeignRow(ValueError):
    """A row of the store that this code cannot have written."""


class Columns(NamedTuple):
    """A judged record as it is stored (`schema.SCHEMA`)."""

    run_id: str
    attempt: int
    shared: int
    own: str
    status: int
    said: str | None
    client: str
    flags: int
    metrics: int
    exact: str | None
    """What packed numbers do not hold exactly; before them, so that it is read without them."""
    samples: bytes
    calls: bytes
    transfer: bytes


def columns_of(found: JudgedRecord, intern: Intern) -> Columns:
    """The columns of a judged record."""
    judgement = found.judgement
    said = [judgement.reason, judgement.detail, dict(judgement.checks)]
    exact: dict[str, Any] = {}
    samples, calls = _samples(judgement.samples, exact), _calls(judgement.syscalls, intern, exact)
    return Columns(
        found.run_id,
        found.attempt,
        intern(_json([found.identity[name] for name in SHARED])),
        _json([found.identity[name] for name in OWN]),
        STATUSES.index(judgement.status),
        _json(said) if any(said) else None,
        _json([found.started_at, found.seconds, found.began]),
        READABLE * found.readable | TRACED * found.traced | UNTRACEABLE * found.untraceable,
        intern(_json([[sample.metric, sample.unit] for sample in judgement.samples])),
        _json(exact) if exact else None,
        samples,
        calls,
        _transfer(found.transfer),
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _samples(samples: Sequence[Sample], exact: dict[str, Any]) -> bytes:
    values = [sample.value for sample in samples]
    if all(isinstance(value, float) or -MOST_EXACT < value < MOST_EXACT for value in values):
        return struct.pack(f"<{len(values)}d", *values)
    exact["samples"] = values
    return b""


def _calls(rows: Sequence[SyscallCount], intern: Intern, exact: dict[str, Any]) -> bytes:
    keys = [intern(_json([row.side, row.target, row.comm, row.syscall])) for row in rows]
    numbers = [row.calls for row in rows] + [row.time_ns for row in rows]
    if all(number is None or (isinstance(number, int) and 0 <= number < NOTHING) for number in numbers):
        known = (NOTHING if number is None else number for number in numbers)
        return struct.pack(f"<{len(keys)}I{len(numbers)}Q", *keys, *known)
    exact["calls"] = [[key, row.calls, row.time_ns] for key, row in zip(keys, rows, strict=True)]
    return b""


def _transfer(transfer: Transfer | None) -> bytes:
    if transfer is None:
        return b""
    parts = [number for part in transfer.intervals for number in (part.start, part.end, part.received)]
    return struct.pack(f"<{2 + len(parts)}d", transfer.earliest, transfer.latest, *parts)


# And back.


@dataclass(frozen=True)
class Names:
    """The shared texts of a store, each understood once."""

    text: Texts
    _known: dict[tuple[str, int], Any]

    @classmethod
    def of(cls, text: Texts) -> Names:
        """Those that ``text`` gives."""
        return cls(text, {})

    def shared(self, number: int) -> Mapping[str, Any]:
        """Benchmark, case and parameters."""
        return cast(Mapping[str, Any], self._once("shared", number, _shared))

    def metrics(self, number: int) -> tuple[tuple[str, str], ...]:
        """Metrics and units of the samples of a run, in order."""
        return cast(tuple[tuple[str, str], ...], self._once("metrics", number, _metrics))

    def call(self, number: int) -> tuple[Any, Any, str, str]:
        """Side, target, thread name and system call."""
        return cast(tuple[Any, Any, str, str], self._once("call", number, _call))

    def _once(self, what: str, number: int, read: Callable[[Any], Any]) -> Any:
        if (what, number) not in self._known:
            try:
                self._known[what, number] = read(json.loads(self.text(number)))
            except (WrongShape, ValueError, TypeError, RecursionError) as fault:
                raise ForeignRow(f"shared text {number}: {fault}") from None
        return self._known[what, number]


def _shared(value: Any) -> Mapping[str, Any]:
    return dict(zip(SHARED, list_of(value, "identity"), strict=True))


def _metrics(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((text_of(metric, "metric"), text_of(unit, "unit")) for metric, unit in list_of(value, "metrics"))


def _call(value: Any) -> tuple[Any, Any, str, str]:
    side, target, comm, syscall = list_of(value, "call")
    word_of(side, "side", ("server", "client"))
    word_of(target, "target", ("process", "vmm"))
    return side, target, _text(comm), _text(syscall)


def judged_from(row: Columns, names: Names) -> JudgedRecord:
    """The judged record of these columns. Raises ForeignRow."""
    try:
        return _judged_from(row, names)
    except (WrongShape, ValueError, TypeError, KeyError, IndexError, struct.error, RecursionError) as fault:
        raise ForeignRow(f"{fault}") from None


def _judged_from(row: Columns, names: Names) -> JudgedRecord:
    exact = _exact_from(row.exact)
    started_at, seconds, began = json.loads(row.client)
    return JudgedRecord(
        run_id=row.run_id,
        attempt=row.attempt,
        identity=identity_from(row.shared, row.own, names),
        judgement=Judgement(
            *said_from(row.status, row.said),
            samples=tuple(
                Sample(metric, unit, value)
                for (metric, unit), value in zip(names.metrics(row.metrics), _values_from(row, exact), strict=True)
            ),
            syscalls=tuple(_calls_from(row, exact, names)),
        ),
        readable=bool(row.flags & READABLE),
        started_at=None if started_at is None else _text(started_at),
        seconds=None if seconds is None else _number(seconds),
        began=None if began is None else _number(began),
        traced=bool(row.flags & TRACED),
        untraceable=bool(row.flags & UNTRACEABLE),
        transfer=_transfer_from(row.transfer),
    )


def identity_from(shared: int, own: str, names: Names) -> dict[str, Any]:
    """What makes a run the one that it is. Raises ForeignRow."""
    try:
        return {**dict(zip(OWN, json.loads(own), strict=True)), **names.shared(shared)}
    except (ValueError, TypeError, RecursionError) as fault:
        raise ForeignRow(str(fault)) from None


class Matching:
    """Whether records are of the runs that the plan has under their names, most of them told without understanding JSON."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._shared: dict[tuple[int, str, str, int], bool] = {}
        self._texts: dict[str, str] = {}

    def __call__(self, run: Run, shared: int, own: str) -> bool:
        """Whether this is the identity of that run. Raises ForeignRow."""
        if own != self._own(run):
            return identity_from(shared, own, self._names) == identity_of(vars(run))
        key = (shared, run.benchmark, run.case, id(run.parameters))  # a plan has one object for the parameters of a case
        if key not in self._shared:
            self._shared[key] = identity_from(shared, own, self._names) == identity_of(vars(run))
        return self._shared[key]

    def _own(self, run: Run) -> str:
        """As `_json` writes what is a run's own."""
        level = "null" if run.level is None else run.level
        return (
            f"[{run.block},{self._text(run.server)},{self._text(run.client)},{'true' if run.traced else 'false'},{level}]"
        )

    def _text(self, host: str) -> str:
        found = self._texts.get(host)
        if found is None:
            found = self._texts[host] = _json(host)
        return found


def said_from(status: int, said: str | None) -> tuple[Status, str, str, Mapping[str, str]]:
    """Status, reason, detail and checks of a judgement. Raises ForeignRow."""
    word = STATUSES[status]
    if said is None:
        if word != "valid":
            raise ForeignRow("no reason")
        return word, "", "", {}
    try:
        reason, detail, checks = json.loads(said)
    except (ValueError, TypeError, RecursionError) as fault:
        raise ForeignRow(str(fault)) from None
    if _text(reason) not in (("",) if word == "valid" else REASONS) or not isinstance(checks, dict):
        raise ForeignRow("no judgement")
    return word, reason, _text(detail), {name: _text(text) for name, text in checks.items()}


def _exact_from(text: str | None) -> Mapping[str, Any]:
    return {} if text is None else object_of(json.loads(text), "exact")


def packed_values(samples: bytes, exact: str | None) -> bytes:
    """The values of samples as packed numbers, also where these do not hold them exactly. Raises ForeignRow."""
    if not isinstance(samples, bytes):
        raise ForeignRow("no samples")
    if exact is None:
        return samples
    try:
        values = _exact_from(exact).get("samples")
        return samples if values is None else struct.pack(f"<{len(values)}d", *map(_number, values))
    except (WrongShape, ValueError, TypeError, struct.error, OverflowError, RecursionError) as fault:
        raise ForeignRow(str(fault)) from None


def _values_from(row: Columns, exact: Mapping[str, Any]) -> Sequence[float]:
    if "samples" in exact:
        return [_number(value) for value in list_of(exact["samples"], "samples")]
    return struct.unpack(f"<{len(row.samples) // 8}d", row.samples)


def _calls_from(row: Columns, exact: Mapping[str, Any], names: Names) -> list[SyscallCount]:
    if "calls" in exact:
        return [
            SyscallCount(*names.call(key), *(None if number is None else _whole(number) for number in (calls, time_ns)))
            for key, calls, time_ns in list_of(exact["calls"], "calls")
        ]
    return [SyscallCount(*names.call(key), calls, time_ns) for key, calls, time_ns in packed_calls(row.calls)]


def counts_from(calls: bytes, exact: str | None, names: Names) -> dict[tuple[str, str], dict[str, int]]:
    """By side and target, how often each system call was made, where that is known. Raises ForeignRow."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    try:
        rows = _exact_from(exact).get("calls") or packed_calls(calls)
        for key, count, _time_ns in rows:
            if count is not None:
                side, target, _comm, syscall = names.call(key)
                counts = found.setdefault((side, target), {})
                counts[syscall] = counts.get(syscall, 0) + _whole(count)
    except (WrongShape, ValueError, TypeError, struct.error, RecursionError) as fault:
        raise ForeignRow(str(fault)) from None
    return found


def packed_calls(packed: bytes) -> list[tuple[int, int | None, int | None]]:
    """(number of the call's name, calls, ns) of each row. Raises struct.error."""
    count = len(packed) // 20
    numbers = struct.unpack(f"<{count}I{2 * count}Q", packed)
    known = [None if number == NOTHING else number for number in numbers[count:]]
    return list(zip(numbers[:count], known[:count], known[count:], strict=True))


def _transfer_from(packed: bytes) -> Transfer | None:
    if not packed:
        return None
    earliest, latest, *numbers = struct.unpack(f"<{len(packed) // 8}d", packed)
    starts, ends, received = numbers[::3], numbers[1::3], numbers[2::3]
    if not starts or any(end <= start for start, end in zip(starts, ends, strict=True)):
        raise ForeignRow("intervals that are none")
    return Transfer(earliest, latest, tuple(map(Interval, starts, ends, received)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ForeignRow("no text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ForeignRow("no number")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ForeignRow("no whole number")
    return value
