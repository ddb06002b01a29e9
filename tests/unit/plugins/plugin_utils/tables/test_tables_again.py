"""Tables of a sweep that goes on: the same bytes as if they were made at once, at the price of what is new."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Run
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store import looking
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.looking import RECENT_NS
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables import rebuilding, tables
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import overview_of, update_tables
from captured import Document, all_captured, captured, shown, sweep_of, write_documents
from plain_tables import plain_tables
from record_files import document_in, record_file, write_document

RUNS_A_BLOCK = 2 * 3 * 2
CASES = {
    "iperf3": [CaseSpec("iperf3", "tcp", captured("iperf3_tcp")["run"]["parameters"], 5.0)],
    "sockperf": [CaseSpec("sockperf", "udp", captured("sockperf_udp")["run"]["parameters"], 5.0)],
}
SOURCES = {
    ("iperf3", True): "iperf3_tcp", ("iperf3", False): "iperf3_tcp_untraced", ("sockperf", True): "sockperf_udp",
    ("sockperf", False): "sockperf_udp",
}  # fmt: skip


def plan(blocks: int, mode: str = "rounds") -> Plan:
    """Three hosts, two benchmarks, twins: 12 runs a block."""
    return make_plan(
        sweep="s", configuration="c", hosts={f"h{n}": f"10.0.0.{n}" for n in (1, 2, 3)}, cases=CASES,
        directions=dict.fromkeys(CASES, "first_serves"), blocks=blocks, seed=3, mode=mode,
    )  # fmt: skip


def document_of(run: Run) -> Document:
    """A record of a planned run, made of a real one."""
    document = captured(SOURCES[run.benchmark, run.traced])
    document["run"] = dict(vars(run))
    return document


def measure(sweep: Path, runs: Iterable[Run]) -> None:
    write_documents(sweep, map(document_of, runs))
    time.sleep(2 * RECENT_NS / 1e9)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three blocks, of which two are measured."""
    made = plan(3)
    store_plan(tmp_path, made)
    write_host(tmp_path, "h1", {"fingerprint": {"kernel": "6"}})
    measure(tmp_path, (run for run in planned_runs(made) if run.block < 3))
    return tmp_path


def files_of(sweep: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sweep.glob("*.csv")}


def assert_as_made_at_once(sweep: Path) -> None:
    """Tables and closing words are those of a folder in which nothing is derived yet."""
    before, told = files_of(sweep), shown(sweep)
    plain = plain_tables(sweep)
    assert {name: before[f"{name}.csv"].decode("utf-8") for name in plain} == plain
    other = sweep.with_name(f"{sweep.name}-again")
    shutil.copytree(sweep, other, ignore=shutil.ignore_patterns("*.csv", "derived*"))
    update_tables(other)
    assert files_of(other) == before
    assert shown(other).replace(f"{sweep.name}-again", sweep.name) == told
    shutil.rmtree(other)


def stats(sweep: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sweep.glob("*.csv")}


def test_tables_are_those_that_follow_from_records_one_by_one(tmp_path: Path) -> None:
    documents = [*all_captured(), *all_captured()]
    store_plan(tmp_path, sweep_of(documents))
    write_documents(tmp_path, documents[1:])
    write_documents(tmp_path, documents[3:5])
    records = tmp_path / "records"
    changed = document_in(record_file(tmp_path, "run6"))
    changed["client"]["stdout"] += " "
    write_document(records / "odd.json", changed)
    (records / "bad.json").write_text("{", encoding="utf-8")
    foreign = document_in(record_file(tmp_path, "run7"))
    foreign["run"]["server"] = "elsewhere"
    write_document(record_file(tmp_path, "run7"), foreign)
    foreign["client"]["started_at"] = 7
    foreign["run"] = document_in(record_file(tmp_path, "run8"))["run"]
    write_document(record_file(tmp_path, "run8"), foreign)
    update_tables(tmp_path)
    says = "odd.json is attempt 1 of the run run6 with other content than the one that counts"
    plain = plain_tables(tmp_path, {"run6": says})
    assert {name: (tmp_path / f"{name}.csv").read_text(encoding="utf-8") for name in plain} == plain


def test_a_pass_with_nothing_new_reads_judges_formats_and_writes_nothing(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told, first = update_tables(sweep)
    assert first.parts == 3 and first.formatted_bytes > 0
    assert_as_made_at_once(sweep)
    before = stats(sweep)
    for module, name in (
        (looking, "reading_of"), (tables, "judged_runs"), (tables, "summarise"), (tables, "write_whole"),
        (tables, "Rewritten"), (tables, "stored_group"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, None)
    told, again = update_tables(sweep)
    assert (again.parts, again.formatted_bytes) == (0, 0)
    assert overview_of(sweep) == told and completeness_of(sweep).planned == 3 * RUNS_A_BLOCK
    assert stats(sweep) == before


def test_a_new_block_is_formatted_and_the_others_are_not(sweep: Path) -> None:
    update_tables(sweep)
    made = plan(3)
    measure(sweep, [run for run in planned_runs(made) if run.block == 3])
    whole = sum(map(len, files_of(sweep).values()))
    _told, written = update_tables(sweep)
    assert written.parts == 1 and 0 < written.formatted_bytes < whole / 2
    assert_as_made_at_once(sweep)


def test_a_run_of_an_early_block_changes_that_block_alone(sweep: Path) -> None:
    made = plan(3)
    first = next(run for run in planned_runs(made) if run.block == 1)
    SweepFolder(sweep).record(first.run_id, 1).unlink()
    update_tables(sweep)
    measure(sweep, [first])
    assert update_tables(sweep)[1].parts == 1
    assert_as_made_at_once(sweep)


def test_a_plan_that_has_grown_keeps_what_there_is(sweep: Path) -> None:
    update_tables(sweep)
    store_plan(sweep, plan(5))
    assert update_tables(sweep)[1].parts == 2
    assert_as_made_at_once(sweep)


def test_another_plan_makes_everything_anew(sweep: Path) -> None:
    update_tables(sweep)
    made = plan(3)
    store_plan(sweep, Plan(**{name: getattr(made, name) for name in vars(made)} | {"configuration": "other"}))
    assert update_tables(sweep)[1].parts == 3
    assert_as_made_at_once(sweep)


@pytest.mark.parametrize("name", ["runs", "samples", "syscalls", "hosts", "summary"])
@pytest.mark.parametrize("how", ["gone", "changed", "touched"])
def test_a_table_that_somebody_has_touched_is_made_anew(name: str, how: str, sweep: Path) -> None:
    update_tables(sweep)
    path = sweep / f"{name}.csv"
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "changed":
        path.write_bytes(b"x" + content[1:])
    else:
        os.utime(path, ns=(1, 1))
    update_tables(sweep)
    assert path.read_bytes() == content
    assert_as_made_at_once(sweep)


def test_a_table_that_another_process_has_just_replaced_is_not_taken_for_ours(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tables.Store.note_made

    def replaced(self: object, name: str, *arguments: object, **named: object) -> None:
        if name == "tables":
            other = sweep / "other"
            other.write_text("of another process", encoding="utf-8")
            other.replace(sweep / "samples.csv")
        note(self, name, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tables.Store, "note_made", replaced)
    update_tables(sweep)
    monkeypatch.undo()
    update_tables(sweep)
    assert_as_made_at_once(sweep)


def test_any_order_of_events_ends_in_the_same_bytes(tmp_path: Path) -> None:
    draw = random.Random(12)
    left = list(planned_runs(plan(4)))
    draw.shuffle(left)
    (tmp_path / "records").mkdir()
    for _look in range(12):
        store_plan(tmp_path, plan(draw.randint(2, 4)))
        for run in [left.pop() for _number in range(draw.randint(0, 5))]:
            document = document_of(run)
            if draw.random() < 0.2:
                document["client"]["timed_out"] = True
            write_documents(tmp_path, [document])
        there = sorted((tmp_path / "records").iterdir())
        if there and draw.random() < 0.3:
            draw.choice(there).unlink()
        if there and draw.random() < 0.3:
            draw.choice(there).touch()
        update_tables(tmp_path)
        assert_as_made_at_once(tmp_path)


def test_levels_are_those_of_all_blocks(tmp_path: Path) -> None:
    made = plan(2, mode="concurrent")
    store_plan(tmp_path, made)
    runs = list(planned_runs(made))
    measure(tmp_path, runs[: len(runs) // 2])
    update_tables(tmp_path)
    measure(tmp_path, runs[len(runs) // 2 :])
    assert update_tables(tmp_path)[1].parts in (1, 2)
    assert len((tmp_path / "levels.csv").read_text(encoding="utf-8").splitlines()) > 1
    assert_as_made_at_once(tmp_path)


def test_tables_are_rebuilt_from_records_alone_and_the_stored_figures_are_proved(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "FEWEST_FOR_WORKERS", 1)
    update_tables(sweep)
    before = files_of(sweep)
    for _time in range(2):
        assert main(["tables", str(sweep)]) == 0
        assert "24 records judged again; the stored figures are the same\n" in capsys.readouterr().out
        assert files_of(sweep) == before
    assert update_tables(sweep)[1].parts == 0, "the new store knows the tables"
    SweepFolder(sweep).derived.unlink()
    assert main(["tables", str(sweep)]) == 0
    assert "24 records judged again; this version had stored no figures\n" in capsys.readouterr().out
    assert files_of(sweep) == before and sorted(path.name for path in sweep.iterdir() if path.name.startswith(".")) == []


def test_stored_figures_that_no_record_gives_are_named_and_replaced(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update_tables(sweep)
    before = files_of(sweep)
    with closing(sqlite3.connect(SweepFolder(sweep).derived, isolation_level=None)) as connection:
        connection.execute("UPDATE figures SET samples = zeroblob(length(samples)) WHERE id = 1")
        (run_id,) = connection.execute("SELECT run_id FROM files WHERE id = 1").fetchone()
    assert main(["tables", str(sweep)]) == 0
    assert f"again; the stored figures were others of {run_id}: they are replaced" in capsys.readouterr().out
    assert main(["tables", str(sweep)]) == 0
    assert "the stored figures are the same" in capsys.readouterr().out and files_of(sweep) == before
