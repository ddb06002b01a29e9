"""The tables by run as they follow from records one by one, written plainly: what the quicker way must give, to the byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Judgement, Plan, Run
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import identity_of, other_run, read_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import Record
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.cells import cell
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.rows import TABLES
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge

Cells = list[Any]


def plain_tables(sweep_dir: Path, doubled: Mapping[str, str] | None = None) -> dict[str, str]:
    """``runs``, ``samples`` and ``syscalls`` of a sweep; ``doubled`` is what is said of runs that have two records."""
    plan = load_plan(sweep_dir)
    records = _latest(sweep_dir)
    rows: dict[str, list[Cells]] = {"runs": [], "samples": [], "syscalls": []}
    for run in (run for step in plan.steps for session in step.sessions for run in session.runs):
        record, judgement = _judged(run, records.get(run.run_id))
        checks = dict(judgement.checks)
        if run.run_id in (doubled or {}) and run.run_id in records:
            checks["two_records"] = (doubled or {})[run.run_id]
        rows["runs"].append(_run(plan, run, record, judgement, checks))
        rows["samples"] += [[run.run_id, item.metric, item.unit, item.value] for item in judgement.samples]
        calls = sorted(judgement.syscalls, key=lambda row: (row.side, row.target, row.comm, row.syscall))
        rows["syscalls"] += [
            [run.run_id, row.side, row.target, row.comm, row.syscall, row.calls, row.time_ns] for row in calls
        ]
    return {name: _csv(TABLES[name], its) for name, its in rows.items()}


def _latest(sweep_dir: Path) -> dict[str, tuple[int, Mapping[str, Any], Record | None]]:
    found: dict[str, tuple[int, Mapping[str, Any], Record | None]] = {}
    for path in sorted((sweep_dir / "records").iterdir()):
        stored, _problem = read_record(path)
        if stored is not None and stored.attempt > found.get(stored.run_id, (0,))[0]:
            found[stored.run_id] = stored.attempt, stored.document, stored.record
    return found


def _judged(run: Run, found: tuple[int, Mapping[str, Any], Record | None] | None) -> tuple[Record | None, Judgement]:
    if found is None:
        return None, Judgement("failed", "not_run")
    _attempt, document, record = found
    if other_run(run, identity_of(document["run"])):
        return None, Judgement("invalid", "malformed")
    return record, judge(record or document)


def _run(plan: Plan, run: Run, record: Record | None, judgement: Judgement, checks: Mapping[str, str]) -> Cells:
    ends = () if record is None else record.ends
    traced = any(end.trace for end in ends) or (run.traced and not any(end.trace_unavailable for end in ends))
    client = None if record is None else record.client
    return [
        plan.sweep, run.run_id, plan.configuration, run.block, run.round, run.server, run.client, run.benchmark, run.case,
        run.repeat, traced, judgement.status, judgement.reason, client and client.started_at, client and client.seconds,
        "; ".join(f"{name}: {text}" for name, text in sorted(checks.items())), run.level,
    ]  # fmt: skip


def _csv(columns: Iterable[str], rows: Iterable[Cells]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
