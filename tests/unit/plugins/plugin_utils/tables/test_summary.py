"""What the runs of a case say together."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from captured import Document, all_captured, read_csv, sweep_of, tables_of, write_documents


@pytest.fixture
def records() -> list[Document]:
    found = all_captured()
    assert found
    return found


def test_headlines_come_from_untraced_runs_and_call_rates_from_traced_ones(
    tmp_path: Path, records: list[Document]
) -> None:
    store_plan(tmp_path, sweep_of(records))
    write_documents(tmp_path, records)
    tables_of(tmp_path)
    traced = {row["run_id"]: row["traced"] == "true" for row in read_csv(tmp_path / "runs.csv")}
    samples = read_csv(tmp_path / "samples.csv")
    for row in read_csv(tmp_path / "summary.csv"):
        wanted = row["metric"].startswith("syscalls_per_")
        values = {
            float(sample["value"]) for sample in samples
            if sample["metric"] == row["metric"] and traced[sample["run_id"]] == wanted
        }
        assert {float(row["min"]), float(row["max"])} <= values
        assert row["verdict"] == "too few" and row["ci_low"] == ""


@pytest.mark.parametrize(
    ("server", "shown", "tried"), [("failed before it was traced", "true", "1"), ("could not trace", "false", "2")]
)
def test_a_traced_run_that_failed_is_no_untraced_one(
    tmp_path: Path, records: list[Document], server: str, shown: str, tried: str
) -> None:
    [untraced] = [record for record in records if not record["run"]["traced"]]
    traced = copy.deepcopy(untraced)
    traced["run"]["traced"] = True
    for side in ("server", "client"):
        traced[side]["problem"] = {"reason": "port_taken", "detail": "x"}
        traced[side]["trace_unavailable"] = server if server == "could not trace" else None
    store_plan(tmp_path, sweep_of([untraced, traced]))
    write_documents(tmp_path, [untraced, traced])
    tables_of(tmp_path)
    assert [row["traced"] for row in read_csv(tmp_path / "runs.csv")] == ["false", shown]
    [row] = [row for row in read_csv(tmp_path / "summary.csv") if row["metric"] == "throughput_received"]
    assert (row["n_valid"], row["n_tried"]) == ("1", tried)
