"""What is kept of a record once it has been judged: all that tables, levels and reports need, nothing of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..benchmarks import BENCHMARKS
from ..benchmarks.transfer import Transfer
from ..model import Judgement
from ..records.reading import StoredRecord
from ..records.record import Record
from ..validity.gate import judge


@dataclass(frozen=True)
class JudgedRecord:
    """One attempt of a run, and what may be believed of it."""

    run_id: str
    attempt: int
    identity: Mapping[str, Any]
    """What makes its run the one that it is, beside its name (`records.reading.identity_of`)."""
    judgement: Judgement
    readable: bool
    """Whether its document is a record as docs/data.md says; where it is none, all that follows is not known."""
    started_at: str | None
    """Of the client, in ISO 8601."""
    seconds: float | None
    """Of the client, by a clock that nobody sets."""
    began: float | None
    """In seconds since 1970 UTC, by the clock of the client, or else of the server."""
    traced: bool
    """Whether an end had a tracer."""
    untraceable: bool
    """Whether an end says that it cannot trace."""
    transfer: Transfer | None
    """Of a valid run with a level whose clocks were not set: what it received over time, where its benchmark says so."""


def judged_record(stored: StoredRecord) -> JudgedRecord:
    """Judge a record. Never raises."""
    record = stored.record
    judgement = judge(record or stored.document)
    client = None if record is None else record.client
    ends = () if record is None else record.ends
    levelled = stored.identity["level"] is not None
    return JudgedRecord(
        run_id=stored.run_id,
        attempt=stored.attempt,
        identity=stored.identity,
        judgement=judgement,
        readable=record is not None,
        started_at=None if client is None else client.started_at,
        seconds=None if client is None else client.seconds,
        began=_began(record),
        traced=any(end.trace for end in ends),
        untraceable=any(end.trace_unavailable for end in ends),
        transfer=transfer_of(record, judgement) if record is not None and levelled else None,
    )


def transfer_of(record: Record, judgement: Judgement) -> Transfer | None:
    """What a run received over time; None where it cannot be placed in time, or its benchmark does not say."""
    benchmark = BENCHMARKS.get(record.benchmark)
    if benchmark is None or judgement.status != "valid" or "clock_set" in judgement.checks:
        return None
    return benchmark.transfer_of(record)


def _began(record: Record | None) -> float | None:
    ends = () if record is None else (record.client, record.server)
    return next((end.began for end in ends if end is not None and end.began is not None), None)
