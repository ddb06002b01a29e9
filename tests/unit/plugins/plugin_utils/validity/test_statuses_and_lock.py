"""The index of judgements and the lock of a sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, SweepLock, held_by
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity import statuses
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import completed, note_status, read_statuses

CAPTURES = clone.CAPTURES / "records"
REAL = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CAPTURES.glob("*.json"))]


def written(sweep: Path, number: int, noted: bool, **changes: object) -> str:
    record = REAL[number] | changes
    path = write_record(sweep, record)
    record["attempt"] = 1
    if noted:
        note_status(sweep, path, record, judge(record))
    return str(record["run"]["run_id"])


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
    path = next((tmp_path / "records").iterdir())
    path.write_text(path.read_text() + " ")
    assert completed(tmp_path) == {run_id}  # ... nor one of a file that is not the same any more
    path.unlink()
    assert completed(tmp_path) == set()


def test_a_line_that_a_crash_cut_off_is_passed_over(tmp_path: Path) -> None:
    run_id = written(tmp_path, 0, noted=True)
    index = SweepFolder(tmp_path).statuses
    index.write_text(index.read_text()[:40] + "\n[]\n{}\n")
    assert completed(tmp_path) == {run_id}


def holder(sweep: Path) -> subprocess.Popen[str]:
    """Another process that holds the sweep."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepLock\n"
        "lock = SweepLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(sweep)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_held_sweep_names_its_holder_and_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    assert held_by(tmp_path) == ""
    process = holder(tmp_path)
    try:
        assert f"pid {process.pid}, since 20" in held_by(tmp_path)
        with pytest.raises(SweepHeld, match=f"is held by .*pid {process.pid}"):
            SweepLock(tmp_path).acquire()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    lock = SweepLock(tmp_path)
    lock.acquire()
    lock.release()
    assert held_by(tmp_path) == ""
