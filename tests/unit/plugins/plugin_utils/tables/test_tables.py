"""The tables that are made of real records."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.rows import TABLES
from captured import Document, all_captured, read_csv, shown, sweep_of, tables_of, write_documents


@pytest.fixture
def records() -> list[Document]:
    found = all_captured()
    assert found
    return found


def test_tables_hold_each_planned_run_once_and_are_the_same_bytes_again(
    tmp_path: Path, records: list[Document]
) -> None:
    store_plan(tmp_path, sweep_of(records))
    write_documents(tmp_path, records[1:])
    write_host(tmp_path, "one", {"fingerprint": {"kernel": "6.1", "absent": None}, "tools": {"iperf3": {"version": "v"}}})
    assert not tables_of(tmp_path).notes
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert set(first) == {f"{name}.csv" for name in set(TABLES) - {"levels"}}  # of concurrent sweeps only
    for name in first:
        (tmp_path / name).unlink()
    tables_of(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == first

    runs = read_csv(tmp_path / "runs.csv")
    assert [row["run_id"] for row in runs] == [f"run{number}" for number in range(1, len(records) + 1)]
    assert (runs[0]["status"], runs[0]["reason"], runs[0]["seconds"]) == ("failed", "not_run", "")
    assert {row["fact"] for row in read_csv(tmp_path / "hosts.csv")} == {"fingerprint.kernel", "tools.iperf3.version"}
    valid = {row["run_id"] for row in runs if row["status"] == "valid"}
    assert {row["run_id"] for row in read_csv(tmp_path / "samples.csv")} <= valid
    assert completeness_of(tmp_path).planned == len(records) and not completeness_of(tmp_path).complete
    assert "1 not run" in completeness_of(tmp_path).sentence
    text = shown(tmp_path)
    assert max(map(len, text.splitlines())) <= 100 and "not_run" in text
