"""Records as their files hold them, packed or not: where they are, what they say, and changing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import record_content, record_files
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.packing import PACKED, packed
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder


def record_file(sweep: Path, run_id: str, attempt: int = 1) -> Path:
    """The file of an attempt of a run as this version writes it."""
    return SweepFolder(sweep).record(run_id, attempt)


def files_of_records(sweep: Path) -> list[Path]:
    """The files of a sweep's records, sorted; none as long as there is no folder."""
    problems: list[str] = []
    files = record_files(sweep, problems)
    assert not problems
    return files


def document_in(path: Path) -> Any:
    """The document in the file of a record, to be changed at will."""
    return json.loads(record_content(path))


def documents_of(sweep: Path) -> list[Any]:
    """The documents of all records of a sweep, sorted by the names of their files."""
    return [document_in(path) for path in files_of_records(sweep)]


def write_document(path: Path, document: Any) -> None:
    """Make this document the content of a record's file."""
    write_content(path, json.dumps(document).encode("utf-8"))


def write_content(path: Path, content: bytes) -> None:
    """Make this the content of a record's file, packed where its name says so."""
    path.write_bytes(packed(content) if path.name.endswith(PACKED) else content)


def pack(path: Path) -> Path:
    """Pack the file of a record as ``gzip`` does, and give its new path."""
    packed_path = path.with_name(f"{path.name}{PACKED}")
    packed_path.write_bytes(packed(path.read_bytes()))
    path.unlink()
    return packed_path


def unpack_all(sweep: Path) -> None:
    """Make the records of a sweep files as they were before records were packed, as ``gunzip`` does."""
    for path in files_of_records(sweep):
        if path.name.endswith(PACKED):
            path.with_suffix("").write_bytes(record_content(path))
            path.unlink()
