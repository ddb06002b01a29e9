"""What the folder of a sweep holds of runs and hosts, read back: nothing that is in there makes reading fail.

A file that is not what it should be is left out, and a sentence names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model import RUN_ID, SCHEMA_VERSION, Run
from ..plain_text import printable
from ..shapes import WrongShape, object_of, text_of, whole_of
from ..storage.files import UnreadableFile, list_files, read_object, shown_path
from ..storage.sweep_folder import SweepFolder, host_file_name, record_name

RECORD_BYTES = 128 << 20
"""Of each output at most 16 MiB are kept, and there are eight beside each other at most."""
HOST_BYTES = 8 << 20
MOST_ATTEMPTS = 1_000_000
IDENTITY = ("block", "server", "client", "benchmark", "case", "parameters", "traced", "level")


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

    Nothing is said about its ends: `record.record_of` tells whether they are what they should be.
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
        return list_files(SweepFolder(sweep_dir).records, ".json")
    except UnreadableFile as error:
        problems.append(f"{error}: its records are left out, and their runs count as missing.")
        return []


def other_run(run: Run, recorded: Mapping[str, Any]) -> str:
    """In what a record's run is not that of the plan under the same name; empty when it is the same."""
    planned, found = identity_of(vars(run)), identity_of(recorded)
    if planned == found:
        return ""
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
    return record_name(record["run"]["run_id"], record["attempt"])


def _is_at_its_place(path: Path, record: Mapping[str, Any]) -> bool:
    return path.name == _its_name(record)


def _claim(record: Mapping[str, Any]) -> str:
    return f"attempt {record['attempt']} of the run {record['run']['run_id']}"


def _misplaced(sweep_dir: Path, path: Path, record: dict[str, Any], doubled: dict[str, str]) -> str:
    """A sentence about a record under another name than its own, as copying by hand leaves them."""
    run_id = record["run"]["run_id"]
    mine, _problem = _record_in(SweepFolder(sweep_dir).record(run_id, record["attempt"]))
    left_out = f"{shown_path(path)} is left out: it is"
    if mine is None:
        return f"{left_out} {_claim(record)} under another name than {_its_name(record)}; rename it if it is to count."
    if mine == record:
        return f"{left_out} a copy of {_its_name(record)}."
    difference = f"{_claim(record)} with other content than {_its_name(record)}"
    doubled[run_id] = f"{shown_path(path.name)} is {difference}, which counts"
    return f"{left_out} {difference}, which counts."


def read_hosts(sweep_dir: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Facts by host, and a sentence for every file that is left out."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    try:
        paths = list_files(SweepFolder(sweep_dir).hosts, ".json")
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
    its_file = host_file_name(host)
    if its_file != path.name:
        raise WrongShape(f"its host is {printable(host, 80)}, whose file is {its_file}")
    facts = {name: value for name, value in document.items() if name not in ("schema", "host")}
    for name in ("fingerprint", "tools", "tracer"):
        if facts.get(name) is not None:
            object_of(facts[name], name)
    return host, facts
