"""Records on disk: one immutable document a run, written the moment it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model import SCHEMA_VERSION
from ..storage.files import write_json
from ..storage.sweep_folder import SweepFolder


def write_record(sweep_dir: Path, record: Mapping[str, Any]) -> Path:
    """Write a record whole as the next attempt of its run; nothing is ever overwritten. Raises StorageError."""
    folder, run_id = SweepFolder(sweep_dir), record["run"]["run_id"]
    attempt = folder.last_attempt(run_id) + 1
    path = folder.record(run_id, attempt)
    write_json(path, dict(record) | {"attempt": attempt})
    return path


def write_host(sweep_dir: Path, host: str, facts: Mapping[str, Any]) -> Path:
    """Keep what a host said of itself; the latest wins."""
    path = SweepFolder(sweep_dir).host(host)
    write_json(path, {"schema": SCHEMA_VERSION, "host": host} | dict(facts))
    return path
