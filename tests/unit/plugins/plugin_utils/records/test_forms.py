"""The two forms of a record: packed, as it is written, and not packed, as it was written before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import (
    latest_record,
    read_attempt,
    record_files,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import Document, all_captured, known_of, runs_of, sweep_of, tables_of, write_documents
from record_files import document_in, files_of_records, pack, record_file, unpack_all, write_document


@pytest.fixture
def records() -> list[Document]:
    return all_captured()


@pytest.fixture
def sweep(records: list[Document], tmp_path: Path) -> Path:
    """A sweep with all captured records; of the first run the second attempt is the good one."""
    store_plan(tmp_path, sweep_of(records))
    write_documents(tmp_path, [records[0] | {"client": None, "server": None}, *records])
    return tmp_path


def csv_files(sweep: Path) -> dict[str, bytes]:
    tables_of(sweep)
    return {path.name: path.read_bytes() for path in sweep.glob("*.csv")}


def names(sweep: Path) -> list[str]:
    return [path.name for path in record_files(sweep, [])]


def test_what_is_written_is_packed(sweep: Path) -> None:
    assert all(name.endswith(".json.gz") for name in names(sweep)) and "run1.2.json.gz" in names(sweep)


def test_tables_are_the_same_bytes_whether_records_are_packed_or_not(sweep: Path) -> None:
    (sweep / "records" / "stray.json").write_bytes(b"{}")
    packed_names, packed_records, tables = names(sweep), known_of(sweep), csv_files(sweep)
    unpack_all(sweep)
    assert names(sweep) == [name.removesuffix(".gz") for name in packed_names]
    assert known_of(sweep) == packed_records and csv_files(sweep) == tables
    for path in files_of_records(sweep)[::2]:  # and where some are packed
        pack(path)
    assert known_of(sweep).records == packed_records.records and csv_files(sweep) == tables
    assert len(completed(sweep)) == len(packed_records.records)


def test_records_of_before_stay_as_they_are_and_a_later_attempt_is_beside_them(
    sweep: Path, records: list[Document]
) -> None:
    unpack_all(sweep)
    before = {path: path.read_bytes() for path in files_of_records(sweep)}
    write_documents(sweep, [records[0]])
    assert record_file(sweep, "run1", 3).exists() and not record_file(sweep, "run1", 1).exists()
    assert {path: path.read_bytes() for path in before} == before
    latest = latest_record(sweep, "run1")
    assert latest is not None and latest.attempt == 3


def test_both_forms_with_one_content_are_one_record(sweep: Path) -> None:
    before, tables = known_of(sweep), csv_files(sweep)
    for path in files_of_records(sweep):
        write_document(path.with_suffix(""), document_in(path))
    assert known_of(sweep) == before and csv_files(sweep) == tables


def test_both_forms_with_other_content_are_two_records_of_which_the_packed_one_counts(sweep: Path) -> None:
    mine = record_file(sweep, "run2")
    other = document_in(mine)
    other["client"]["stderr"] += "something else"
    write_document(mine.with_suffix(""), other)
    [problem] = known_of(sweep).problems
    assert problem.endswith("run2.json is left out: it is attempt 1 of the run run2 with other content than "
                            "run2.json.gz, which counts.")  # fmt: skip
    by_run = {judged.run.run_id: judged for judged in runs_of(sweep)}
    assert by_run["run2"].judgement.checks["two_records"].startswith("run2.json is attempt 1 of the run run2 with other")
    assert replace(by_run["run2"].judgement, checks={}) == replace(judge(document_in(mine)), checks={})
    assert [run for run, judged in by_run.items() if "two_records" in judged.judgement.checks] == ["run2"]


def test_where_the_packed_form_is_damaged_the_other_one_counts(sweep: Path, records: list[Document]) -> None:
    mine = record_file(sweep, "run1", 2)
    write_document(mine.with_suffix(""), document_in(mine))
    mine.write_bytes(mine.read_bytes()[:-1])
    found = read_attempt(sweep, "run1", 2)
    assert found is not None and found.path == mine.with_suffix("") and found.stored is not None
    stored = known_of(sweep)
    assert str(mine) in stored.problems[0] and len(stored.records) == len(records)
    latest = latest_record(sweep, "run1")
    assert latest is not None and latest.attempt == 2
    assert completed(sweep) == {record.run_id for record in stored.records}


def test_an_attempt_that_cannot_be_read_says_why_and_one_that_is_not_there_is_none(sweep: Path) -> None:
    mine = record_file(sweep, "run1")
    mine.write_bytes(b"")
    found = read_attempt(sweep, "run1", 1)
    assert found is not None and found.stored is None and "the end is missing" in found.problem
    assert read_attempt(sweep, "run1", 3) is None
    with pytest.raises(ValueError, match="is no run_id"):
        read_attempt(sweep, "../run1", 1)


def test_a_record_packed_by_hand_keeps_what_was_said_of_it(sweep: Path) -> None:
    before = known_of(sweep)
    unpack_all(sweep)
    assert asked(sweep, lambda _store, synced: synced.judged) == 0
    assert known_of(sweep) == before
