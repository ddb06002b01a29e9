"""What a run leaves on disk, as a share of its record before that is packed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from captured import Document, all_captured, sweep_of, tables_of, write_documents
from record_files import files_of_records, record_content


def unpacked(sweep: Path) -> list[int]:
    """Bytes of the records of a sweep before they were packed."""
    return [len(record_content(path)) for path in files_of_records(sweep)]


def size(*paths: Path) -> int:
    return sum(path.stat().st_size for path in paths)


def measured(sweep: Path, times: int) -> Path:
    """A sweep in which every captured run was measured so many times."""
    records: list[Document] = [copy.deepcopy(record) for _time in range(times) for record in all_captured()]
    sweep.mkdir()
    store_plan(sweep, sweep_of(records))
    write_documents(sweep, records)
    tables_of(sweep)
    return sweep


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Few runs and many: what lies between the two is what runs cost, without what every sweep costs."""
    folder = tmp_path_factory.mktemp("bytes")
    return measured(folder / "few", 3), measured(folder / "many", 12)


def test_a_record_is_packed_to_less_than_a_third(sweeps: tuple[Path, Path]) -> None:
    few, _many = sweeps
    shares = [size(path) / whole for path, whole in zip(files_of_records(few), unpacked(few), strict=True)]
    assert max(shares) < 0.3  # of short runs, in which the least repeats


def test_what_is_stored_and_tabled_of_a_run_is_less_than_its_record_was(sweeps: tuple[Path, Path]) -> None:
    few, many = sweeps

    def share(*names: str) -> float:
        more = size(*(many / name for name in names)) - size(*(few / name for name in names))
        return more / (sum(unpacked(many)) - sum(unpacked(few)))

    assert share(SweepFolder(few).derived.name) < 0.23  # found: 0.21; the names in it are there once for all runs
    assert share("runs.csv", "samples.csv", "syscalls.csv") < 0.42  # found: 0.40
