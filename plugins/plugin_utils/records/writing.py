"""Records on disk: one immutable document a run, written the moment it is complete."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..model import SCHEMA_VERSION, Plan, Run
from ..storage.files import write_json

RECORDS, HOSTS = "records", "hosts"
SIDES = ("server", "client")
LONGEST_FILE_NAME = 200
RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,219}")
"""What the name of a run may be: it is the name of its record's file."""
NO_END = {"reason": "no_end", "detail": "this end returned nothing"}


def record_path(sweep_dir: Path, run_id: str, attempt: int) -> Path:
    """Where an attempt of a run is kept. Raises ValueError for what is no run_id, so that no record leaves its folder."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id[:80]!r} is no run_id")
    return sweep_dir / RECORDS / record_name(run_id, attempt)


def record_name(run_id: str, attempt: int) -> str:
    """The name of the file of an attempt of a run."""
    suffix = "" if attempt == 1 else f".{attempt}"
    return f"{run_id}{suffix}.json"


def write_record(sweep_dir: Path, record: Mapping[str, Any]) -> Path:
    """Write a record whole as the next attempt of its run; nothing is ever overwritten. Raises StorageError."""
    attempt = last_attempt(sweep_dir, record["run"]["run_id"]) + 1
    path = record_path(sweep_dir, record["run"]["run_id"], attempt)
    write_json(path, dict(record) | {"attempt": attempt})
    return path


def last_attempt(sweep_dir: Path, run_id: str) -> int:
    """The number of the latest attempt of a run; 0 when there is none."""
    attempt = 0
    while os.path.lexists(record_path(sweep_dir, run_id, attempt + 1)):
        attempt += 1
    return attempt


def write_host(sweep_dir: Path, host: str, facts: Mapping[str, Any]) -> Path:
    """Keep what a host said of itself; the latest wins."""
    path = sweep_dir / HOSTS / f"{file_name(host)}.json"
    write_json(path, {"schema": SCHEMA_VERSION, "host": host} | dict(facts))
    return path


def file_name(host: str) -> str:
    """A name of a file for a host: two hosts never have the same one, it is never hidden and never a path.

    A name of letters, digits, ``_``, ``.`` and ``-`` stays as it is; other characters are written as in a URL.
    """
    escaped = re.sub(r"^\.|[^A-Za-z0-9_.-]", lambda match: _escaped(match[0]), host)
    if escaped and len(escaped) <= LONGEST_FILE_NAME:
        return escaped
    digest = hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{escaped[: LONGEST_FILE_NAME - 70]}%~{digest}"  # no character is written as %~


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


class RecordAssembler:
    """Puts the two ends of each run together as they come back, in whatever order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runs: dict[str, Run] = {}
        self._open: dict[str, dict[str, Any]] = {}

    def expect(self, runs: Iterable[Run]) -> None:
        """These runs are executed next; what is not expected is not taken."""
        self._runs = {run.run_id: run for run in runs}

    def add_end(self, run_id: str, side: str, end: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take one end; the record when it is the second one, else None."""
        record = self._record(run_id)
        record[_side(side)] = dict(end)
        return self._complete(run_id)

    def add_error(self, run_id: str, side: str, error: Mapping[str, str]) -> dict[str, Any] | None:
        """Take note that one end cannot come; the record when the other one has, else None."""
        record = self._record(run_id)
        record["error"] = dict(error)
        record["_lost"] = [*record.get("_lost", []), _side(side)]
        return self._complete(run_id)

    def flush(self) -> list[dict[str, Any]]:
        """Records of the runs of which only one end has come; nothing more is expected of them."""
        records = []
        for run_id in list(self._open):
            record = self._open.pop(run_id)
            record["error"] = record["error"] or dict(NO_END)
            record.pop("_lost", None)
            records.append(record)
        return records

    def _record(self, run_id: str) -> dict[str, Any]:
        if run_id not in self._open:
            self._open[run_id] = empty_record(self._plan, self._runs[run_id])
        return self._open[run_id]

    def _complete(self, run_id: str) -> dict[str, Any] | None:
        record = self._open[run_id]
        lost = record.get("_lost", [])
        if any(record[side] is None and side not in lost for side in SIDES):
            return None
        record.pop("_lost", None)
        return self._open.pop(run_id)


def _side(side: str) -> str:
    """One of the two keys of a record that are sides, whoever asks. Raises ValueError for any other."""
    if side not in SIDES:
        raise ValueError(f"{side[:80]!r} is no side of a run")
    return side


def empty_record(plan: Plan, run: Run) -> dict[str, Any]:
    """A record to which neither end has contributed yet."""
    return {
        "schema": SCHEMA_VERSION,
        "sweep": plan.sweep,
        "configuration": plan.configuration,
        "run": asdict(run),
        "server": None,
        "client": None,
        "error": None,
    }
