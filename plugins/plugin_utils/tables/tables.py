"""Records to tables: a pure function, the same bytes every time.

Column names and order are ``TABLES``. An empty cell is something that was not measured. How values are written is in
``cells``; what reads the tables gets texts back with ``plain_cell``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model import Plan
from ..storage.files import write_whole
from ..storage.sweep_folder import SweepFolder
from .cells import cell
from .levels import LEVEL_COLUMNS, level_rows
from .results import JudgedRun, Row, SweepResults
from .summary import SUMMARY_COLUMNS, frames_of, summarise

TABLES: Mapping[str, tuple[str, ...]] = {
    "runs": (
        "sweep", "run_id", "configuration", "block", "round", "server", "client", "benchmark", "case", "repeat",
        "traced", "status", "reason", "started_at", "seconds", "checks", "level",
    ),
    "samples": ("run_id", "metric", "unit", "value"),
    "syscalls": ("run_id", "side", "target", "comm", "syscall", "calls", "time_ns"),
    "hosts": ("host", "fact", "value"),
    "summary": SUMMARY_COLUMNS,
    "levels": LEVEL_COLUMNS,
}  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """The tables of a sweep by name, and sentences about what a reader has to know (unreadable records, no pandas)."""

    rows: Mapping[str, Sequence[Row]]
    notes: tuple[str, ...]

    @property
    def summary(self) -> Sequence[Row]:
        """The rows of the summary; none where pandas is not there to make them."""
        return self.rows.get("summary", ())

    @property
    def levels(self) -> Sequence[Row]:
        """What all pairs of a level carried together; none where pairs were not measured at once on purpose."""
        return self.rows.get("levels", ())


def write_tables(sweep_dir: Path, tables: Tables) -> None:
    """Write every table of a sweep. Raises StorageError."""
    for name, rows in tables.rows.items():
        write_whole(SweepFolder(sweep_dir).table(name), to_csv(name, rows))


def make_tables(results: SweepResults) -> Tables:
    """All tables of a sweep: nothing is needed for them but what has been read and judged."""
    rows, notes = _build(results), list(results.problems)
    try:
        rows["summary"] = summarise(*frames_of(results), results.plan.configuration, results.plan.mode == "imported")
    except ImportError as error:
        notes.append(f"summary.csv is not written: {error.name} is not installed beside Ansible (pip install pandas scipy).")
    return Tables(rows, tuple(notes))


def _build(results: SweepResults) -> dict[str, list[Row]]:
    """The tables that need nothing but the records, rows in plan order."""
    tables = {
        "runs": [_run_row(results.plan, item) for item in results.runs],
        "samples": [row for item in results.runs for row in _sample_rows(item)],
        "syscalls": [row for item in results.runs for row in _syscall_rows(item)],
        "hosts": [row for host, facts in results.hosts.items() for row in _fact_rows(host, facts)],
    }
    if results.plan.mode == "concurrent":
        tables["levels"] = level_rows(results.plan, results.runs)
    return tables


def to_csv(name: str, rows: Iterable[Row]) -> str:
    """One table as CSV text with a header row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = TABLES[name]
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(column)) for column in columns])
    return text.getvalue()


def _run_row(plan: Plan, item: JudgedRun) -> Row:
    run, judgement = item.run, item.judgement
    client = None if item.record is None else item.record.client
    return {
        "sweep": plan.sweep,
        "run_id": run.run_id,
        "configuration": plan.configuration,
        "block": run.block,
        "round": run.round,
        "server": run.server,
        "client": run.client,
        "benchmark": run.benchmark,
        "case": run.case,
        "repeat": run.repeat,
        "traced": item.traced,
        "status": judgement.status,
        "reason": judgement.reason,
        "started_at": client and client.started_at,
        "seconds": client and client.seconds,
        "checks": "; ".join(f"{name}: {text}" for name, text in sorted(judgement.checks.items())),
        "level": run.level,
    }


def _sample_rows(item: JudgedRun) -> list[Row]:
    return [
        {"run_id": item.run.run_id, "metric": sample.metric, "unit": sample.unit, "value": sample.value}
        for sample in item.judgement.samples
    ]


def _syscall_rows(item: JudgedRun) -> list[Row]:
    return [
        {
            "run_id": item.run.run_id,
            "side": count.side,
            "target": count.target,
            "comm": count.comm,
            "syscall": count.syscall,
            "calls": count.calls,
            "time_ns": count.time_ns,
        }
        for count in sorted(item.judgement.syscalls, key=lambda row: (row.side, row.target, row.comm, row.syscall))
    ]


def _fact_rows(host: str, facts: Mapping[str, Any]) -> list[Row]:
    return [{"host": host, "fact": name, "value": value} for name, value in sorted(_flat("", facts))]


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [item for name, inner in value.items() for item in _flat(f"{prefix}.{name}" if prefix else name, inner)]
    return [] if value is None or value == "" else [(prefix, value)]
