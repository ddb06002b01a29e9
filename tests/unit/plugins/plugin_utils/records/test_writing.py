"""Records are written whole, as a new attempt, and nothing is written over."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import read_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from captured import Document, all_captured, known_of, sweep_of
from record_files import record_file


@pytest.fixture
def records() -> list[Document]:
    found = all_captured()
    assert found
    return found


def test_nothing_is_overwritten_and_the_latest_attempt_counts(tmp_path: Path, records: list[Document]) -> None:
    sweep_of(records)
    failed = records[0] | {"server": None, "client": None, "error": {"reason": "unreachable", "detail": "no route"}}
    write_record(tmp_path, record_of(failed))
    first = record_file(tmp_path, "run1")
    kept = first.read_bytes()
    assert completed(tmp_path) == set()
    second = write_record(tmp_path, record_of(records[0]))
    assert second.name == "run1.2.json" and SweepFolder(tmp_path).record("run1", 2).exists() and first.read_bytes() == kept
    assert completed(tmp_path) == {"run1"}
    assert [record.attempt for record in known_of(tmp_path).records] == [2]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with no room left."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    try:
        (place / "filler").write_bytes(b"x" * 40_000)
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_leaves_no_half_record(full_disk: Path, records: list[Document]) -> None:
    records[0]["client"]["stdout"] = random.Random(1).randbytes(100_000).hex()  # packing saves but half of it
    with pytest.raises(StorageError, match="free some space there"):
        write_record(full_disk, record_of(records[0]))
    assert list((full_disk / "records").iterdir()) == []


def test_what_writing_gives_is_what_reading_gives(tmp_path: Path, records: list[Document]) -> None:
    for document in records:
        written = write_record(tmp_path, record_of(document), "2026-01-01T00:00:00+00:00")
        assert read_record(SweepFolder(tmp_path).record(written.run_id, written.attempt)) == (written, "")
        assert written.document == document | {"attempt": written.attempt, "written_at": "2026-01-01T00:00:00+00:00"}
