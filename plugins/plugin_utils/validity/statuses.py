"""What the gate said of each record, without reading tens of thousands of records again.

Each record is judged once, when it is written; the outcome goes into an index beside the records. The index is only a
shortcut: it can be deleted, a record that is not in it is judged again, and an index written by other parsers or
another gate does not count. Tables never use it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..model import RUN_ID, Judgement, Run, Status
from ..records.reading import (
    MOST_ATTEMPTS,
    StoredRecord,
    checksum_of,
    identity_of,
    read_record,
    record_content,
    record_files,
)
from ..shapes import object_of, text_of, whole_of, word_of
from ..storage.files import UnreadableFile, append, parse_json, read_bytes
from ..storage.sweep_folder import SweepFolder, document_name, record_name
from .gate import judge
from .reasons import REASONS

INDEX_BYTES = 256 << 20
"""Enough for half a million records; a larger index is not read, and records are judged again."""
JUDGED_BY = ("validity", "benchmarks", "tracing", "parsing", "records", "shapes.py")
"""The rooms, and the file on the ground, on which it depends what is said of a record."""


@dataclass(frozen=True)
class RunStatus:
    """What became of the latest attempt of a run."""

    run_id: str
    attempt: int
    status: Status
    reason: str
    identity: str
    """Of the run that the record is of (`run_identity`)."""


def run_identity(run: Mapping[str, Any]) -> str:
    """Differs where two runs of one name differ in what is measured."""
    text = json.dumps(identity_of(run), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@functools.cache
def gate_version() -> str:
    """Changes with every change of what judges a record."""
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for place in JUDGED_BY:
        parts = [folder / place] if place.endswith(".py") else (folder / place).rglob("*")
        for part in sorted(path for path in parts if path.suffix in (".py", ".json")):
            digest.update(part.read_bytes())
    return digest.hexdigest()[:16]


class Judgements:
    """What the gate says of stored records: each content is judged once, however often a sweep is looked at."""

    def __init__(self) -> None:
        self._known: dict[str, Judgement] = {}

    def of(self, stored: StoredRecord) -> Judgement:
        """The judgement on a record."""
        if stored.checksum not in self._known:
            self._known[stored.checksum] = judge(stored.record or stored.document)
        return self._known[stored.checksum]


def note_status(sweep_dir: Path, stored: StoredRecord, judgement: Judgement) -> None:
    """Remember what was said of a record that has just been written. It is no loss when this fails."""
    entry = {
        "file": stored.name,
        "sha256": stored.checksum,
        "run_id": stored.run_id,
        "attempt": stored.attempt,
        "identity": run_identity(stored.identity),
        "status": judgement.status,
        "reason": judgement.reason,
        "gate": gate_version(),
    }
    with suppress(OSError):
        append(SweepFolder(sweep_dir).statuses, json.dumps(entry) + "\n")


def read_statuses(sweep_dir: Path) -> tuple[dict[str, RunStatus], list[str]]:
    """The latest attempt of every run by run_id, and a sentence for every file that cannot be read.

    What the index says of a record counts where it was said of this content under this name.
    """
    known = {entry["file"]: entry for entry in index_entries(sweep_dir)}
    latest: dict[str, RunStatus] = {}
    problems: list[str] = []
    for path in record_files(sweep_dir, problems):
        found = _from_index(known.get(document_name(path)), path) or _judged(path, problems)
        if found and (found.run_id not in latest or found.attempt > latest[found.run_id].attempt):
            latest[found.run_id] = found
    return latest, problems


def outcome_of(run: Run, status: RunStatus | None) -> tuple[Status, str]:
    """What became of a planned run, with the reason: a record of another run under its name is malformed."""
    if status is None:
        return "failed", "not_run"
    if status.identity != run_identity(vars(run)):
        return "invalid", "malformed"
    return status.status, status.reason


def completed(sweep_dir: Path) -> set[str]:
    """Runs that were measured, whether valid or not. A failed run was not: it may be tried again.

    Invalid runs are not repeated, because measuring until a run looks good biases the figures.
    """
    statuses, _problems = read_statuses(sweep_dir)
    return {run_id for run_id, outcome in statuses.items() if outcome.status != "failed"}


def index_entries(sweep_dir: Path) -> Iterator[dict[str, Any]]:
    """The lines of the index that this gate wrote and that are whole."""
    try:
        lines = read_bytes(SweepFolder(sweep_dir).statuses, INDEX_BYTES).splitlines()
    except (FileNotFoundError, UnreadableFile):
        return
    current = json.dumps(gate_version()).encode("utf-8")
    for line in lines:
        if current not in line:
            continue
        try:
            entry = parse_json(line)
            _require_entry(entry)
        except ValueError:
            continue  # a line that a crash cut off, or that somebody else wrote
        yield entry


def _require_entry(entry: Any) -> None:
    names = ("file", "sha256", "run_id", "attempt", "identity", "status", "reason", "gate")
    object_of(entry, "the line", names)
    word_of(entry.get("gate"), "gate", (gate_version(),))
    word_of(entry.get("status"), "status", ("valid", "invalid", "failed"))
    word_of(entry.get("reason"), "reason", ("",) if entry["status"] == "valid" else REASONS)
    for name in ("sha256", "identity"):
        text_of(entry.get(name), name, most=64)
    run_id = text_of(entry.get("run_id"), "run_id", like=RUN_ID)
    attempt = whole_of(entry.get("attempt"), "attempt", 1, MOST_ATTEMPTS)
    word_of(entry.get("file"), "file", (record_name(run_id, attempt),))


def _from_index(entry: Mapping[str, Any] | None, path: Path) -> RunStatus | None:
    if entry is None:
        return None
    try:
        content = record_content(path)
    except (FileNotFoundError, UnreadableFile):
        return None
    if checksum_of(content) != entry["sha256"]:
        return None
    status = cast(Status, entry["status"])
    return RunStatus(entry["run_id"], entry["attempt"], status, entry["reason"], entry["identity"])


def _judged(path: Path, problems: list[str]) -> RunStatus | None:
    stored, problem = read_record(path)
    if stored is None:
        problems.append(problem)
        return None
    judgement = judge(stored.record or stored.document)
    identity = run_identity(stored.identity)
    return RunStatus(stored.run_id, stored.attempt, judgement.status, judgement.reason, identity)
