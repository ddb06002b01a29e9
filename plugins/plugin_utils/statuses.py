"""What the gate said of each record, without reading tens of thousands of records again.

Each record is judged once, when it is written; the outcome goes into an index beside the records. The index is only a
shortcut: it can be deleted, a record that is not in it is judged again, and an index written by other parsers or
another gate does not count. Tables never use it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .gate import judge
from .model import Judgement, Status
from .records import RECORDS, read_record

INDEX_FILE = "statuses.jsonl"
JUDGED_BY = ("gate.py", "record_view.py", "trace_evidence.py", "syscall_names.json", "parsers", "benchmarks")


@dataclass(frozen=True)
class RunStatus:
    """What became of the latest attempt of a run."""

    run_id: str
    attempt: int
    status: Status
    reason: str


@functools.cache
def gate_version() -> str:
    """Changes with every change of what judges a record."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for name in JUDGED_BY:
        path = folder / name
        for part in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(part.read_bytes())
    return digest.hexdigest()[:16]


def note_status(sweep_dir: Path, path: Path, record: Mapping[str, Any], judgement: Judgement) -> None:
    """Remember what was said of a record that has just been written. It is no loss when this fails."""
    entry = {
        "file": path.name,
        "size": path.stat().st_size,
        "run_id": record["run"]["run_id"],
        "attempt": record["attempt"],
        "status": judgement.status,
        "reason": judgement.reason,
        "gate": gate_version(),
    }
    try:
        with (sweep_dir / INDEX_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
    except OSError:
        return


def read_statuses(sweep_dir: Path) -> tuple[dict[str, RunStatus], list[str]]:
    """The latest attempt of every run by run_id, and a sentence for every file that cannot be read."""
    known = {(entry["file"], entry["size"]): entry for entry in index_entries(sweep_dir)}
    latest: dict[str, RunStatus] = {}
    problems: list[str] = []
    for name, size in _record_files(sweep_dir):
        entry = known.get((name, size))
        found = _from_index(entry) if entry else _judged(sweep_dir / RECORDS / name, problems)
        if found and (found.run_id not in latest or found.attempt > latest[found.run_id].attempt):
            latest[found.run_id] = found
    return latest, problems


def completed(sweep_dir: Path) -> set[str]:
    """Runs that were measured, whether valid or not. A failed run was not: it may be tried again.

    Invalid runs are not repeated, because measuring until a run looks good biases the figures.
    """
    statuses, _problems = read_statuses(sweep_dir)
    return {run_id for run_id, outcome in statuses.items() if outcome.status != "failed"}


def index_entries(sweep_dir: Path) -> Iterator[dict[str, Any]]:
    """The lines of the index that this gate wrote."""
    try:
        lines = (sweep_dir / INDEX_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            current = entry["gate"] == gate_version() and "file" in entry and "size" in entry
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash cut off
        if current:
            yield entry


def _record_files(sweep_dir: Path) -> list[tuple[str, int]]:
    try:
        with os.scandir(sweep_dir / RECORDS) as entries:
            return sorted((entry.name, entry.stat().st_size) for entry in entries if entry.name.endswith(".json"))
    except FileNotFoundError:
        return []


def _from_index(entry: Mapping[str, Any]) -> RunStatus:
    return RunStatus(entry["run_id"], entry["attempt"], entry["status"], entry["reason"])


def _judged(path: Path, problems: list[str]) -> RunStatus | None:
    record, problem = read_record(path)
    if record is None:
        problems.append(problem)
        return None
    judgement = judge(record)
    return RunStatus(record["run"]["run_id"], int(record["attempt"]), judgement.status, judgement.reason)
