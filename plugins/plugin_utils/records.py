"""Records on disk: one immutable document a run, written the moment it is complete."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .files import UnreadableFile, list_files, read_object, shown_path, write_json
from .model import SCHEMA_VERSION, Plan, Run
from .plain_text import printable
from .shapes import WrongShape, object_of, text_of, whole_of

RECORDS, HOSTS = "records", "hosts"
RECORD_BYTES = 128 << 20
"""Of each output at most 16 MiB are kept, and there are eight beside each other at most."""
HOST_BYTES = 8 << 20
MOST_ATTEMPTS = 1_000_000
RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,219}")
"""What the name of a run may be: it is the name of its record's file."""
IDENTITY = ("block", "server", "client", "benchmark", "case", "parameters", "traced", "level")
NO_END = {"reason": "no_end", "detail": "this end returned nothing"}


def record_path(sweep_dir: Path, run_id: str, attempt: int) -> Path:
    """Where an attempt of a run is kept."""
    suffix = "" if attempt == 1 else f".{attempt}"
    return sweep_dir / RECORDS / f"{run_id}{suffix}.json"


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


@dataclass(frozen=True)
class StoredRecords:
    """What the folder of a sweep's records holds."""

    records: tuple[dict[str, Any], ...]
    """The latest attempt of every run, sorted by file name."""
    problems: tuple[str, ...]
    """A sentence for every file that is left out."""
    doubled: Mapping[str, str]
    """By run_id, a sentence about a file that says of the same attempt something else than its record."""


def read_record(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A record under the name that it must have, or None and a sentence that says why it is left out.

    Nothing is said about its ends: `record_view.read_record` tells whether they are what they should be.
    """
    record, problem = _record_in(path)
    if record is None or _is_at_its_place(path, record):
        return record, problem
    return None, f"{shown_path(path)} is left out: it is {_claim(record)}, which is kept in {_its_name(record)}."


def read_records(sweep_dir: Path) -> StoredRecords:
    """All records of a sweep. Nothing that is in the folder makes this fail."""
    latest: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    doubled: dict[str, str] = {}
    for path in record_files(sweep_dir, problems):
        record, problem = _record_in(path)
        if record is None:
            problems.append(problem)
            continue
        run_id = record["run"]["run_id"]
        if not _is_at_its_place(path, record):
            problems.append(_misplaced(sweep_dir, path, record, doubled))
        elif run_id not in latest or record["attempt"] > latest[run_id]["attempt"]:
            latest[run_id] = record
    return StoredRecords(tuple(latest.values()), tuple(problems), doubled)


def record_files(sweep_dir: Path, problems: list[str]) -> list[Path]:
    """The files of records, sorted by name; where they cannot be listed, that is a problem more."""
    try:
        return list_files(sweep_dir / RECORDS, ".json")
    except UnreadableFile as error:
        problems.append(f"{error}: its records are left out, and their runs count as missing.")
        return []


def other_run(run: Run, recorded: Mapping[str, Any]) -> str:
    """In what a record's run is not that of the plan under the same name; empty when it is the same."""
    planned = identity_of(asdict(run))
    found = identity_of(recorded)
    return "; ".join(
        f"{name} is {printable(repr(found[name]), 80)}, planned is {printable(repr(planned[name]), 80)}"
        for name in planned
        if found[name] != planned[name]
    )


def identity_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run the one that it is, beside its name."""
    return {name: run.get(name) for name in IDENTITY}


def _record_in(path: Path) -> tuple[dict[str, Any] | None, str]:
    try:
        record = read_object(path, RECORD_BYTES)
        run = object_of(record.get("run"), "run")
        text_of(run.get("run_id"), "run.run_id", like=RUN_ID)
        whole_of(record.get("attempt"), "attempt", 1, MOST_ATTEMPTS)
    except FileNotFoundError:
        return None, f"{shown_path(path)} went away while it was to be read: its run counts as missing."
    except ValueError as error:
        why = error.why if isinstance(error, UnreadableFile) else str(error)
        return None, f"{shown_path(path)} is not a record ({why}): it is left out, and its run counts as missing."
    return record, ""


def _its_name(record: Mapping[str, Any]) -> str:
    return record_path(Path(), record["run"]["run_id"], record["attempt"]).name


def _is_at_its_place(path: Path, record: Mapping[str, Any]) -> bool:
    return path.name == _its_name(record)


def _claim(record: Mapping[str, Any]) -> str:
    return f"attempt {record['attempt']} of the run {record['run']['run_id']}"


def _misplaced(sweep_dir: Path, path: Path, record: dict[str, Any], doubled: dict[str, str]) -> str:
    """A sentence about a record under another name than its own, as copying by hand leaves them."""
    run_id = record["run"]["run_id"]
    mine, _problem = _record_in(record_path(sweep_dir, run_id, record["attempt"]))
    left_out = f"{shown_path(path)} is left out: it is"
    if mine is None:
        return f"{left_out} {_claim(record)} under another name than {_its_name(record)}; rename it if it is to count."
    if mine == record:
        return f"{left_out} a copy of {_its_name(record)}."
    difference = f"{_claim(record)} with other content than {_its_name(record)}"
    doubled[run_id] = f"{shown_path(path.name)} is {difference}, which counts"
    return f"{left_out} {difference}, which counts."


def host_path(sweep_dir: Path, host: str) -> Path:
    """Where the facts of a host are kept."""
    return sweep_dir / HOSTS / (re.sub(r"[^A-Za-z0-9_.-]", "_", host) + ".json")


def write_host(sweep_dir: Path, host: str, facts: Mapping[str, Any]) -> Path:
    """Keep what a host said of itself; the latest wins."""
    path = host_path(sweep_dir, host)
    write_json(path, {"schema": SCHEMA_VERSION, "host": host} | dict(facts))
    return path


def read_hosts(sweep_dir: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Facts by host, and a sentence for every file that is left out."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    try:
        paths = list_files(sweep_dir / HOSTS, ".json")
    except UnreadableFile as error:
        return {}, [f"{error}: the facts of all hosts are left out."]
    for path in paths:
        try:
            host, facts = _host_in(path)
        except FileNotFoundError:
            continue
        except ValueError as error:
            why = error.why if isinstance(error, UnreadableFile) else str(error)
            problems.append(f"{shown_path(path)} does not hold the facts of a host ({why}): they are left out.")
        else:
            found[host] = facts
    return dict(sorted(found.items())), problems


def _host_in(path: Path) -> tuple[str, dict[str, Any]]:
    document = read_object(path, HOST_BYTES)
    if document.get("schema") != SCHEMA_VERSION:
        raise WrongShape(f"its schema is not {SCHEMA_VERSION}")
    host = text_of(document.get("host"), "host", most=255)
    if host_path(Path(), host).name != path.name:
        raise WrongShape(f"its host is {printable(host, 80)}, whose file is {host_path(Path(), host).name}")
    facts = {name: value for name, value in document.items() if name not in ("schema", "host")}
    for name in ("fingerprint", "tools", "tracer"):
        if facts.get(name) is not None:
            object_of(facts[name], name)
    return host, facts


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
        record[side] = dict(end)
        return self._complete(run_id)

    def add_error(self, run_id: str, side: str, error: Mapping[str, str]) -> dict[str, Any] | None:
        """Take note that one end cannot come; the record when the other one has, else None."""
        record = self._record(run_id)
        record["error"] = dict(error)
        record["_lost"] = [*record.get("_lost", []), side]
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
        if any(record[side] is None and side not in lost for side in ("server", "client")):
            return None
        record.pop("_lost", None)
        return self._open.pop(run_id)


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
