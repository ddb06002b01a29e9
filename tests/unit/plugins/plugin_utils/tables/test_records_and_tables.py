"""Records on disk and the tables made of them, on real records."""

from __future__ import annotations

import copy
import csv
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import RecordAssembler
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Run, Session, Step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import read_hosts, read_records
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host, write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_plan, render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import host_file_name
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import TABLES, write_tables
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.completeness import verdict_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import completed
from hypothesis import given
from hypothesis import strategies as st

CAPTURES = clone.CAPTURES / "records"
REAL = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CAPTURES.glob("*.json"))]


def sweep_of(records: list[dict[str, Any]]) -> Plan:
    """A plan whose runs are those of the records, one step each."""
    steps = []
    for number, record in enumerate(records, 1):
        fields = {key: record["run"].get(key) for key in Run.__dataclass_fields__}
        run = Run(**(fields | {"run_id": f"run{number}"}))
        record["run"]["run_id"] = run.run_id
        steps.append(Step(run.block, run.round, run.benchmark, (Session(run.server, run.client, (run,)),)))
    hosts = dict.fromkeys(host for record in records for host in (record["run"]["server"], record["run"]["client"]))
    addresses = {host: f"10.0.0.{number}" for number, host in enumerate(hosts, 1)}
    return Plan("s", "c", 1, "rounds", 1, addresses, ListedSteps(tuple(steps)))


@pytest.fixture
def records() -> list[dict[str, Any]]:
    assert REAL
    return copy.deepcopy(REAL)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_tables_hold_each_planned_run_once_and_are_the_same_bytes_again(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    store_plan(tmp_path, sweep_of(records))
    for record in records[1:]:
        write_record(tmp_path, record)
    write_host(tmp_path, "one", {"fingerprint": {"kernel": "6.1", "absent": None}, "tools": {"iperf3": {"version": "v"}}})
    assert write_tables(tmp_path) == []
    first = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert set(first) == {f"{name}.csv" for name in set(TABLES) - {"levels"}}  # of concurrent sweeps only
    for name in first:
        (tmp_path / name).unlink()
    write_tables(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == first

    runs = read_csv(tmp_path / "runs.csv")
    assert [row["run_id"] for row in runs] == [f"run{number}" for number in range(1, len(records) + 1)]
    assert (runs[0]["status"], runs[0]["reason"], runs[0]["seconds"]) == ("failed", "not_run", "")
    assert {row["fact"] for row in read_csv(tmp_path / "hosts.csv")} == {"fingerprint.kernel", "tools.iperf3.version"}
    valid = {row["run_id"] for row in runs if row["status"] == "valid"}
    assert {row["run_id"] for row in read_csv(tmp_path / "samples.csv")} <= valid
    assert verdict_of(tmp_path).planned == len(records) and not verdict_of(tmp_path).complete
    assert "1 not run" in verdict_of(tmp_path).sentence
    text = render_sweep(tmp_path)
    assert max(map(len, text.splitlines())) <= 100 and "not_run" in text


def test_headlines_come_from_untraced_runs_and_call_rates_from_traced_ones(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    store_plan(tmp_path, sweep_of(records))
    for record in records:
        write_record(tmp_path, record)
    write_tables(tmp_path)
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
    tmp_path: Path, records: list[dict[str, Any]], server: str, shown: str, tried: str
) -> None:
    [untraced] = [record for record in records if not record["run"]["traced"]]
    traced = copy.deepcopy(untraced)
    traced["run"]["traced"] = True
    for side in ("server", "client"):
        traced[side]["problem"] = {"reason": "port_taken", "detail": "x"}
        traced[side]["trace_unavailable"] = server if server == "could not trace" else None
    store_plan(tmp_path, sweep_of([untraced, traced]))
    for record in (untraced, traced):
        write_record(tmp_path, record)
    write_tables(tmp_path)
    assert [row["traced"] for row in read_csv(tmp_path / "runs.csv")] == ["false", shown]
    [row] = [row for row in read_csv(tmp_path / "summary.csv") if row["metric"] == "throughput_received"]
    assert (row["n_valid"], row["n_tried"]) == ("1", tried)


def test_nothing_is_overwritten_and_the_latest_attempt_counts(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    sweep_of(records)
    failed = records[0] | {"server": None, "client": None, "error": {"reason": "unreachable", "detail": "no route"}}
    first = write_record(tmp_path, failed)
    kept = first.read_bytes()
    assert completed(tmp_path) == set()
    second = write_record(tmp_path, records[0])
    assert second.name == "run1.2.json" and first.read_bytes() == kept
    assert completed(tmp_path) == {"run1"}
    assert [record["attempt"] for record in read_records(tmp_path).records] == [2]


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    sweep_of(records)
    path = write_record(tmp_path, records[0])
    write_record(tmp_path, records[1])
    path.write_bytes(path.read_bytes()[:100])
    stored = read_records(tmp_path)
    assert [record["run"]["run_id"] for record in stored.records] == ["run2"]
    assert len(stored.problems) == 1 and str(path) in stored.problems[0]


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


def test_a_full_disk_is_named_and_leaves_no_half_record(full_disk: Path, records: list[dict[str, Any]]) -> None:
    records[0]["client"]["stdout"] = "y" * 100_000
    with pytest.raises(StorageError, match="free some space there"):
        write_record(full_disk, records[0])
    assert list((full_disk / "records").iterdir()) == []


def test_the_two_ends_are_put_together_in_any_order(records: list[dict[str, Any]]) -> None:
    plan = sweep_of(records)
    assembler = RecordAssembler(plan)
    assembler.expect(plan.runs)
    assert assembler.add_end("run1", "client", {"a": 1}) is None
    done = assembler.add_end("run1", "server", {"b": 2})
    assert done is not None and (done["client"], done["server"], done["error"]) == ({"a": 1}, {"b": 2}, None)

    assert assembler.add_error("run2", "server", {"reason": "unreachable", "detail": "x"}) is None
    done = assembler.add_end("run2", "client", {"a": 1})
    assert done is not None and done["error"]["reason"] == "unreachable" and done["server"] is None

    assert assembler.add_error("run3", "server", {"reason": "unreachable", "detail": "x"}) is None
    assert assembler.add_error("run3", "client", {"reason": "unreachable", "detail": "y"}) is not None

    assembler.add_end("run4", "server", {"b": 2})
    [left] = assembler.flush()
    assert left["run"]["run_id"] == "run4" and left["client"] is None and left["error"]["reason"] == "no_end"
    assert assembler.flush() == []
    for record in (done, left):
        json.dumps(record)
        assert not any(key.startswith("_") for key in record)


def test_a_plan_reads_as_a_plan(records: list[dict[str, Any]]) -> None:
    plan = replace(sweep_of(records), blocks=4)
    text = render_plan(plan, what_remains(plan))
    assert f"{len(records)} of {len(records)} runs to do" in text and "pbcapture-s (10.0.0.1)" in text
    assert "2 hosts, 4 blocks, " in text and "one pair at a time" in text


def test_a_large_plan_is_shown_whole_when_that_is_asked_for() -> None:
    made = make_plan(
        sweep="s", configuration="c", hosts={f"h{number}": f"10.0.0.{number}" for number in range(20)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "first_serves"}, blocks=2, seed=7,
        trace=False,
    )
    short, long = (render_plan(made, what_remains(made), everything=everything) for everything in (False, True))
    assert short.count("\nPair: ") == 12 and "... and 178 more (all with -v)" in short and "and 6 more pairs" in short
    assert long.count("\nPair: ") == 190 and long.count("\n  block ") == 2 * 19 and " more" not in long
    assert all(long.count(f"{one} <- {other}: case untraced") == 2 for one, other in (("h0", "h1"), ("h5", "h19")))
    assert "pairbench_seed=7" not in long
    assert "with -e pairbench_seed=7 the sweep is the one shown here" in render_plan(made, what_remains(made), drawn=True)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("vm1", "vm1"), ("db-1.example.org", "db-1.example.org"), ("a_b", "a_b"), ("..", "%2E."), (".", "%2E"),
        (".hidden", "%2Ehidden"), ("a/b", "a%2Fb"), ("a b", "a%20b"), ("a%2Fb", "a%252Fb"), ("fe80::1", "fe80%3A%3A1"),
        ("k\u00f6ln", "k%C3%B6ln"), ("../../etc/cron.d/x", "%2E.%2F..%2Fetc%2Fcron.d%2Fx"), ("a\0b", "a%00b"),
    ],
)  # fmt: skip
def test_the_file_of_a_host_is_named_after_it_and_is_never_a_path(host: str, name: str) -> None:
    assert host_file_name(host) == f"{name}.json"


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=300) | st.text("./_%a", max_size=5), unique=True))
def test_two_hosts_never_share_a_file(hosts: list[str]) -> None:
    names = {host_file_name(host) for host in hosts}
    assert len(names) == len(hosts)
    for name in names:
        assert name and "/" not in name and not name.startswith(".") and len(name) <= 255 and name.isascii()


def test_hosts_of_like_names_keep_their_own_facts(tmp_path: Path) -> None:
    for host in ("a b", "a_b", "a/b", ".."):
        write_host(tmp_path, host, {"fingerprint": {"kind": host}})
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "hosts"}
    hosts, problems = read_hosts(tmp_path)
    assert not problems
    assert {host: facts["fingerprint"]["kind"] for host, facts in hosts.items()} == {
        host: host for host in ("a b", "a_b", "a/b", "..")
    }
