"""What the folder of a sweep holds of runs and hosts, read back: nothing that is in there makes reading fail.

A file that is not what it should be is left out, and a sentence names it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model import RUN_ID, SCHEMA_VERSION, Run
from ..plain_text import printable
from ..shapes import WrongShape, object_of, text_of, whole_of
from ..storage.files import UnreadableFile, list_files, object_in, read_object, shown_path
from ..storage.packing import PACKED, read_content
from ..storage.sweep_folder import DOCUMENT, SweepFolder, document_name, host_file_name, record_name
from .record import Record, record_of

RECORD_BYTES = 128 << 20
"""Of each output at most 16 MiB are kept, and there are eight beside each other at most."""
HOST_BYTES = 8 << 20
MOST_ATTEMPTS = 1_000_000
IDENTITY = ("block", "server", "client", "benchmark", "case", "parameters", "traced", "level")


@dataclass(frozen=True)
class StoredRecord:
    """One attempt of a run as its file holds it."""

    run_id: str
    attempt: int
    document: Mapping[str, Any]
    record: Record | None
    """None where the document is not what docs/data.md says; the gate tells what is wrong with it."""
    checksum: str
    """SHA-256 of the file's content, unpacked: a record that somebody packs or unpacks stays the same."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes its run the one that it is, beside its name."""
        return identity_of(self.document["run"])

    @property
    def name(self) -> str:
        """The name of its document: its file must have it, with `PACKED` behind it where that is packed."""
        return record_name(self.run_id, self.attempt)

    def __str__(self) -> str:
        return f"attempt {self.attempt} of the run {self.run_id}"


@dataclass(frozen=True)
class StoredAttempt:
    """The file that counts of an attempt of a run."""

    path: Path
    stored: StoredRecord | None
    """None where it cannot be read; ``problem`` is then a sentence that says why."""
    problem: str


def read_record(path: Path) -> tuple[StoredRecord | None, str]:
    """A record under the name that it must have, or None and a sentence that says why it is left out."""
    stored, problem = _record_in(path)
    if stored is None or document_name(path) == stored.name:
        return stored, problem
    return None, f"{shown_path(path)} is left out: it is {stored}, which is kept in {_own_name(path, stored)}."


def read_attempt(sweep_dir: Path, run_id: str, attempt: int) -> StoredAttempt | None:
    """An attempt of a run, read from the first of its forms that can be read; None where no file of it is there.

    Raises ValueError for what is no run_id.
    """
    there = [path for path in SweepFolder(sweep_dir).record_forms(run_id, attempt) if os.path.lexists(path)]
    found = [StoredAttempt(path, *read_record(path)) for path in there]
    return next((form for form in found if form.stored), found[0] if found else None)


def latest_record(sweep_dir: Path, run_id: str) -> Record | None:
    """The latest attempt of one run; None where there is none, or it is not a record."""
    found = read_attempt(sweep_dir, run_id, SweepFolder(sweep_dir).last_attempt(run_id))
    return None if found is None or found.stored is None else found.stored.record


def stored_record(document: Mapping[str, Any], checksum: str) -> StoredRecord:
    """The document of a record as a file holds it whose content has this checksum (`checksum_of`).

    Raises WrongShape where it does not tell which attempt of which run it is.
    """
    run_id = text_of(object_of(document.get("run"), "run").get("run_id"), "run.run_id", like=RUN_ID)
    attempt = whole_of(document.get("attempt"), "attempt", 1, MOST_ATTEMPTS)
    try:
        record = record_of(document)
    except WrongShape:
        record = None
    return StoredRecord(run_id, attempt, document, record, checksum)


def checksum_of(content: bytes) -> str:
    """What tells one content of a file from another."""
    return hashlib.sha256(content).hexdigest()


def record_files(sweep_dir: Path, problems: list[str]) -> list[Path]:
    """The files of records, sorted by the names of their documents, a packed one before its other form.

    Where they cannot be listed, that is a problem more.
    """
    try:
        files = list_files(SweepFolder(sweep_dir).records, DOCUMENT, f"{DOCUMENT}{PACKED}")
    except UnreadableFile as error:
        problems.append(f"{error}: its records are left out, and their runs count as missing.")
        return []
    return sorted(files, key=lambda path: (document_name(path), not path.name.endswith(PACKED)))


def record_content(path: Path) -> bytes:
    """The document of a record as its file holds it, unpacked. Raises FileNotFoundError and UnreadableFile."""
    return read_content(path, RECORD_BYTES)


def other_run(run: Run, found: Mapping[str, Any]) -> str:
    """In what a record's run (its `identity_of`) is not that of the plan under the same name; empty when it is the same."""
    planned = identity_of(vars(run))
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


def _record_in(path: Path) -> tuple[StoredRecord | None, str]:
    try:
        content = record_content(path)
        return stored_record(object_in(path, content), checksum_of(content)), ""
    except FileNotFoundError:
        return None, f"{shown_path(path)} went away while it was to be read: its run counts as missing."
    except ValueError as error:
        why = error.why if isinstance(error, UnreadableFile) else str(error)
        return None, f"{shown_path(path)} is not a record ({why}): it is left out, and its run counts as missing."


def _own_name(path: Path, stored: StoredRecord) -> str:
    """The name that a file with this record must have, packed or not as it is."""
    return f"{stored.name}{PACKED}" if path.name.endswith(PACKED) else stored.name


def read_hosts(sweep_dir: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Facts by host, and a sentence for every file that is left out."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    try:
        paths = list_files(SweepFolder(sweep_dir).hosts, DOCUMENT)
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
