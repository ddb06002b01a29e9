"""The index of what was said of records."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import record_content
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity import statuses
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import (
    Judgements,
    completed,
    note_status,
    read_statuses,
)
from captured import all_captured, write_documents
from record_files import files_of_records, write_content

REAL = all_captured()


def written(sweep: Path, number: int, noted: bool) -> str:
    [stored] = write_documents(sweep, [REAL[number]])
    if noted:
        note_status(sweep, stored, judge(REAL[number]))
    return stored.run_id


def test_the_index_says_what_judging_again_says(tmp_path: Path) -> None:
    for number in range(len(REAL)):
        written(tmp_path, number, noted=number % 2 == 0)
    with_index, problems = read_statuses(tmp_path)
    (SweepFolder(tmp_path).statuses).unlink()
    assert read_statuses(tmp_path) == (with_index, problems)
    assert len(with_index) == len({record["run"]["run_id"] for record in REAL})


def test_an_index_of_another_gate_or_of_another_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = written(tmp_path, 0, noted=True)
    assert completed(tmp_path) == {run_id}
    index = SweepFolder(tmp_path).statuses
    index.write_text(index.read_text().replace('"valid", "reason": ""', '"failed", "reason": "no_end"'))
    assert completed(tmp_path) == set()  # the index is believed ...
    monkeypatch.setattr(statuses, "gate_version", lambda: "another")
    assert completed(tmp_path) == {run_id}  # ... but not one that another gate wrote
    monkeypatch.undo()
    [path] = files_of_records(tmp_path)
    write_content(path, record_content(path) + b" ")
    assert completed(tmp_path) == {run_id}  # ... nor one of a file that is not the same any more
    path.unlink()
    assert completed(tmp_path) == set()


def test_a_line_that_a_crash_cut_off_is_passed_over(tmp_path: Path) -> None:
    run_id = written(tmp_path, 0, noted=True)
    index = SweepFolder(tmp_path).statuses
    index.write_text(index.read_text()[:40] + "\n[]\n{}\n")
    assert completed(tmp_path) == {run_id}


def test_a_content_is_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []
    monkeypatch.setattr(statuses, "judge", lambda record: judged.append(record) or judge(record))
    first, second, other = write_documents(tmp_path, [REAL[0], REAL[0], REAL[1]])
    judgements = Judgements()
    for stored in (first, first, other, first):
        assert judgements.of(stored) == judge(stored.document)
    assert len(judged) == 2
    judgements.of(second)  # another attempt is another content
    assert len(judged) == 3


def test_whatever_judges_a_record_is_in_the_version_of_the_gate() -> None:
    folder = Path(statuses.__file__).parents[1]
    assert all((folder / place).exists() for place in statuses.JUDGED_BY)
