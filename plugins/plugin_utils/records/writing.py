"""Records on disk: one immutable document a run, written the moment it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model import SCHEMA_VERSION
from ..storage.files import json_text, write_json, write_whole_bytes
from ..storage.packing import packed
from ..storage.sweep_folder import SweepFolder
from .reading import StoredRecord, checksum_of, stored_record
from .record import Record


def write_record(sweep_dir: Path, record: Record, written_at: str | None = None) -> StoredRecord:
    """Write a record whole and packed as the next attempt of its run, and give it as it is stored; nothing is overwritten.

    ``written_at`` (ISO 8601, UTC) is when, where the record does not say it yet. Raises StorageError.
    """
    folder = SweepFolder(sweep_dir)
    attempt = folder.last_attempt(record.run_id) + 1
    document = dict(record.document) | {"attempt": attempt}
    if written_at is not None:
        document["written_at"] = written_at
    content = json_text(document).encode("utf-8")
    write_whole_bytes(folder.record(record.run_id, attempt), packed(content))
    return stored_record(document, checksum_of(content))


def write_host(sweep_dir: Path, host: str, facts: Mapping[str, Any]) -> None:
    """Keep what a host said of itself; the latest wins. Raises StorageError."""
    write_json(SweepFolder(sweep_dir).host(host), {"schema": SCHEMA_VERSION, "host": host} | dict(facts))
