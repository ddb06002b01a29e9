"""Records to tables: a pure function, the same bytes every time.

Column names and order are ``TABLES``. An empty cell is something that was not measured. How values are written is in
``cells``; what reads the tables gets texts back with ``plain_cell``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..model import Judgement, Plan, Run
from ..planning.stored import load_plan
from ..records.reading import other_run, read_hosts, read_records
from ..records.record import MalformedRecord
from ..records.record import read_record as view_of
from ..records.writing import record_path
from ..storage.files import shown_path, write_whole
from ..validity.gate import judge
from .cells import cell
from .levels import LEVEL_COLUMNS, level_rows

TABLES: Mapping[str, tuple[str, ...]] = {
    "runs": (
        "sweep", "run_id", "configuration", "block", "round", "server", "client", "benchmark", "case", "repeat",
        "traced", "status", "reason", "started_at", "seconds", "checks", "level",
    ),
    "samples": ("run_id", "metric", "unit", "value"),
    "syscalls": ("run_id", "side", "target", "comm", "syscall", "calls", "time_ns"),
    "hosts": ("host", "fact", "value"),
    "summary": (
        "configuration", "server", "client", "benchmark", "case", "metric", "n_tried", "n_valid", "median", "ci_low",
        "ci_high", "mad", "min", "max", "unit", "verdict", "trace_cost", "trace_cost_low", "trace_cost_high", "level",
    ),
    "levels": LEVEL_COLUMNS,
}  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class JudgedRun:
    """One planned run and what became of it; ``record`` is None when there is none, or it is not what it should be."""

    run: Run
    record: Mapping[str, Any] | None
    judgement: Judgement


@dataclass(frozen=True)
class SweepResults:
    """Everything that tables, summary and report are made of."""

    plan: Plan
    runs: tuple[JudgedRun, ...]
    hosts: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]


def load_results(sweep_dir: Path, plan: Plan | None = None) -> SweepResults:
    """Read and judge a sweep. Raises PlanError when there is no plan; no other file in the folder keeps it from it.

    ``plan`` saves reading the plan where it is at hand.
    """
    plan = plan or load_plan(sweep_dir)
    stored = read_records(sweep_dir)
    hosts, host_problems = read_hosts(sweep_dir)
    by_run = {record["run"]["run_id"]: record for record in stored.records}
    judged = tuple(_judged(run, by_run.pop(run.run_id, None), stored.doubled.get(run.run_id)) for run in plan.runs)
    strangers = [
        f"{shown_path(record_path(sweep_dir, run_id, record['attempt']))} is left out: the plan has no run {run_id}."
        for run_id, record in by_run.items()
    ]
    return SweepResults(plan, judged, hosts, (*stored.problems, *strangers, *host_problems))


def _judged(run: Run, record: Mapping[str, Any] | None, doubled: str | None) -> JudgedRun:
    if record is None:
        return JudgedRun(run, None, Judgement("failed", "not_run", "this run has not been executed"))
    difference = other_run(run, record["run"])
    if difference:
        judgement = Judgement("invalid", "malformed", f"The record is of another run than the plan's: {difference}.")
        return JudgedRun(run, None, judgement)
    judgement = judge(record)
    if doubled:
        judgement = replace(judgement, checks={**judgement.checks, "two_records": doubled})
    return JudgedRun(run, record if _has_its_shape(record, judgement) else None, judgement)


def _has_its_shape(record: Mapping[str, Any], judgement: Judgement) -> bool:
    """Whether the record's fields are what they should be, so that tables may look at them."""
    if judgement.reason not in ("malformed", "gate_error"):
        return True  # the gate has looked at all of them
    try:
        view_of(record)
    except MalformedRecord:
        return False
    return True


def write_tables(sweep_dir: Path, results: SweepResults | None = None) -> list[str]:
    """Write every table of a sweep; sentences about what a reader has to know (unreadable records, no pandas).

    ``results`` saves reading the records again where they are at hand. Raises StorageError.
    """
    results = results or load_results(sweep_dir)
    notes = list(results.problems)
    tables = build(results)
    try:
        from .summary import summarise
    except ImportError as error:
        notes.append(f"summary.csv is not written: {error.name} is not installed beside Ansible (pip install pandas scipy).")
    else:
        tables["summary"] = summarise(results)
    for name, rows in tables.items():
        write_whole(sweep_dir / f"{name}.csv", to_csv(name, rows))
    return notes


def build(results: SweepResults) -> dict[str, list[Row]]:
    """The tables that need nothing but the records, rows in plan order."""
    tables = {
        "runs": [_run_row(results.plan, item) for item in results.runs],
        "samples": [row for item in results.runs for row in _sample_rows(item)],
        "syscalls": [row for item in results.runs for row in _syscall_rows(item)],
        "hosts": [row for host, facts in results.hosts.items() for row in _fact_rows(host, facts)],
    }
    if results.plan.mode == "concurrent":
        tables["levels"] = totals_of_levels(results)
    return tables


def totals_of_levels(results: SweepResults) -> list[Row]:
    """What all pairs of a level carried together, one row a step of concurrent runs."""
    plan = results.plan
    judged = {item.run.run_id: item.judgement for item in results.runs}
    records = [
        # The plan's own words: those of a record are the same where it counts.
        {**item.record, "sweep": plan.sweep, "configuration": plan.configuration, "run": asdict(item.run)}
        for item in results.runs
        if item.record is not None
    ]
    return level_rows(records, lambda record: judged[record["run"]["run_id"]])


def to_csv(name: str, rows: Iterable[Row]) -> str:
    """One table as CSV text with a header row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = TABLES[name]
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(column)) for column in columns])
    return text.getvalue()


def was_traced(item: JudgedRun) -> bool:
    """Whether a run belongs to the traced ones; a host that cannot trace goes on untraced.

    A traced run that failed before its tracer could leave anything is a traced one that was tried.
    """
    ends = [(item.record or {}).get(side) or {} for side in ("server", "client")]
    if any(end.get("trace") for end in ends):
        return True
    return item.run.traced and not any(end.get("trace_unavailable") for end in ends)


def _run_row(plan: Plan, item: JudgedRun) -> Row:
    run, judgement = item.run, item.judgement
    client = (item.record or {}).get("client") or {}
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
        "traced": was_traced(item),
        "status": judgement.status,
        "reason": judgement.reason,
        "started_at": client.get("started_at"),
        "seconds": client.get("seconds"),
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
