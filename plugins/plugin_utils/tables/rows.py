"""Judged runs to lines of CSV: a pure function, the same bytes every time.

Column names and order are ``TABLES``. An empty cell is something that was not measured. How values are written is in
``cells``; what reads the tables gets texts back with ``plain_cell``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ..model import Plan
from .cells import cell
from .levels import LEVEL_COLUMNS
from .results import JudgedRun, Row
from .summary import SUMMARY_COLUMNS

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

Lines = Callable[[Plan, JudgedRun], str]
"""The lines of one run in a table, with their ends."""


def to_csv(name: str, rows: Iterable[Row]) -> str:
    """One table as CSV text with a header row."""
    columns = TABLES[name]
    return header_of(name) + "".join(line_of(row.get(column) for column in columns) for row in rows)


def header_of(name: str) -> str:
    """The first line of a table."""
    return line_of(TABLES[name])


def line_of(values: Iterable[Any]) -> str:
    """Values as one line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([cell(value) for value in values])
    return text.getvalue()


@lru_cache(maxsize=4096)
def _begin_of(*texts: str) -> str:
    """Texts as the cells that a line goes on with, with commas around them: the same few in every run."""
    return f",{line_of(texts)[:-1]},"


def run_lines(plan: Plan, item: JudgedRun) -> str:
    """The line of a run in ``runs``."""
    return line_of(_run_cells(plan, item))


def sample_lines(_plan: Plan, item: JudgedRun) -> str:
    """The lines of a run in ``samples``."""
    if not item.judgement.samples:
        return ""
    name = line_of([item.run.run_id])[:-1]
    return "".join(
        f"{name}{_begin_of(sample.metric, sample.unit)}{cell(sample.value)}\n" for sample in item.judgement.samples
    )


def syscall_lines(_plan: Plan, item: JudgedRun) -> str:
    """The lines of a run in ``syscalls``."""
    if not item.judgement.syscalls:
        return ""
    name = line_of([item.run.run_id])[:-1]
    rows = sorted(item.judgement.syscalls, key=lambda row: (row.side, row.target, row.comm, row.syscall))
    return "".join(
        f"{name}{_begin_of(row.side, row.target, row.comm, row.syscall)}{cell(row.calls)},{cell(row.time_ns)}\n"
        for row in rows
    )


BY_RUN: Mapping[str, Lines] = {"runs": run_lines, "samples": sample_lines, "syscalls": syscall_lines}
"""The tables whose lines are each of one run, in the order of the plan."""


def _run_cells(plan: Plan, item: JudgedRun) -> tuple[Any, ...]:
    """In the order of ``TABLES['runs']``."""
    run, judgement, found = item.run, item.judgement, item.found
    checks = "; ".join(f"{name}: {text}" for name, text in sorted(judgement.checks.items()))
    return (
        plan.sweep, run.run_id, plan.configuration, run.block, run.round, run.server, run.client, run.benchmark, run.case,
        run.repeat, item.traced, judgement.status, judgement.reason, found and found.started_at, found and found.seconds,
        checks, run.level,
    )  # fmt: skip


def fact_rows(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """The rows of ``hosts``."""
    for host, facts in hosts.items():
        for name, value in sorted(_flat("", facts)):
            yield {"host": host, "fact": name, "value": value}


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [item for name, inner in value.items() for item in _flat(f"{prefix}.{name}" if prefix else name, inner)]
    return [] if value is None or value == "" else [(prefix, value)]
