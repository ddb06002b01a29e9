"""One bad file in a sweep's folder: it is named, nothing hangs, and everything else is as it was."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import main as cli
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Run, Session, Step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import RECORD_BYTES, read_hosts, read_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host, write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, SweepLock, held_by
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.merge import merge
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.cells import plain_cell
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import overview_of
from captured import runs_of, shown, tables_of
from damages import Damage, instead
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_files import document_in, pack, record_file, unpack_all, write_document

CAPTURES = clone.CAPTURES / "records"
NAMES = ("iperf3_tcp", "iperf3_tcp_untraced", "sockperf_udp")
LONGEST_WAIT_SECONDS = 120
PER_RUN = ("runs", "samples", "syscalls")


@contextmanager
def no_hang() -> Iterator[None]:
    """Ends what waits for something that never comes; far longer than anything here takes on a busy machine."""

    def hangs(_number: int, _frame: object) -> None:
        raise AssertionError("this hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LONGEST_WAIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def real_records() -> list[dict[str, Any]]:
    records = [json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES]
    for number, record in enumerate(records, 1):
        record["run"]["run_id"] = f"run{number}"
        record["run"].setdefault("level", None)
    return records


def plan_of(records: list[dict[str, Any]]) -> Plan:
    steps, hosts = [], {}
    for record in records:
        run = Run(**{key: record["run"].get(key) for key in Run.__dataclass_fields__})
        hosts |= {run.server: "10.0.0.1", run.client: "10.0.0.2"}
        steps.append(Step(run.block, run.round, run.benchmark, (Session(run.server, run.client, (run,)),)))
    return Plan("s", "c", 1, "rounds", 1, hosts, ListedSteps(tuple(steps)), uid="abc")


def good_sweep(folder: Path) -> Path:
    records = real_records()
    store_plan(folder, plan_of(records))
    for record in records:
        write_record(folder, record_of(record))
    for host in plan_of(records).hosts:
        write_host(folder, host, {"fingerprint": {"kind": "vm", "kernel": "6.1"}, "tools": {"iperf3": {"version": "3"}}})
    lock = SweepLock(folder)
    lock.acquire()
    lock.release()
    tables_of(folder)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_sweep(tmp_path_factory.mktemp("good") / "s")


@pytest.fixture
def sweep(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "s"))


def rows_by_run(folder: Path) -> dict[str, dict[str, list[str]]]:
    """By table and run, its lines as they stand in the file."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in PER_RUN:
        text = (folder / f"{name}.csv").read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(text)):
            found.setdefault(name, {}).setdefault(row["run_id"], []).append(json.dumps(row, sort_keys=True))
    return found


# Whole files.



def content(data: bytes) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(data)

    return damage


def longer_than_it_may_be(path: Path) -> None:
    os.truncate(path, RECORD_BYTES * 4)  # sparse


def linked(path: Path) -> None:
    there = path.with_name("there")
    path.rename(there)
    path.symlink_to(there)


WHOLE: dict[str, Damage] = {
    "empty": content(b""),
    "blank": content(b"\n \n"),
    "a list": content(b"[]"),
    "a number": content(b"7"),
    "null": content(b"null"),
    "an empty object": content(b"{}"),
    "a text": content(b'"\\ud800"'),
    "not UTF-8": content(b'{"schema": "\xff\xfe"}'),
    "UTF-16": content('{"schema": 1}'.encode("utf-16")),
    "NUL bytes": content(b"\0" * 100),
    "deep lists": content(b"[" * 100_000 + b"]" * 100_000),
    "deep objects": content(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep and cut off": content(b"[" * 1_000_000),
    "NaN": content(b'{"schema": NaN}'),
    "infinite": content(b'{"schema": 1e999}'),
    "a long number": content(b'{"schema": ' + b"9" * 5000 + b"}"),
    "a key twice": content(b'{"schema": 1, "schema": 1}'),
    "too large": longer_than_it_may_be,
    "a folder": instead(lambda path: path.mkdir()),
    "a FIFO": instead(lambda path: os.mkfifo(path)),
    "a link to a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to nothing": instead(lambda path: path.symlink_to(path.with_name("nothing"))),
    "a link to itself": linked,
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
}


def assert_others_stand(good: Path, folder: Path, changed: set[str]) -> None:
    before, after = rows_by_run(good), rows_by_run(folder)
    for name in PER_RUN:
        for run_id, rows in before[name].items():
            if run_id not in changed:
                assert after[name].get(run_id) == rows, f"{run_id} in {name}"


NOT_TO_BE_PACKED = {"too large", "a folder", "a FIFO", "a link to a device", "a link to nothing", "a link to itself"}


@pytest.mark.parametrize(
    ("damage", "form"),
    [
        *((damage, form) for damage in WHOLE for form in ("packed", "not packed")),
        *((damage, "packed after that") for damage in WHOLE if damage not in NOT_TO_BE_PACKED),
    ],
)
def test_a_bad_record_is_named_and_the_others_stand(
    damage: str, form: str, good: Path, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if form != "packed":
        unpack_all(sweep)
    victim = SweepFolder(sweep).record_there("run2", 1)
    WHOLE[damage](victim)
    if form == "packed after that":
        victim = pack(victim)
    with no_hang():
        assert completed(sweep) == {"run1", "run3"}
        assert "run2.json" in completeness_of(sweep).sentence and "1 not run" in completeness_of(sweep).sentence
        assert str(victim) in shown(sweep)
        status = cli.main(["tables", str(sweep)])
        merged = merge(sweep.with_name("merged"), [sweep])
    printed = capsys.readouterr()
    assert status == 1 and str(victim) in printed.err and "Traceback" not in printed.err
    assert_others_stand(good, sweep, {"run2"})
    with (sweep / "runs.csv").open(newline="", encoding="utf-8") as handle:
        assert [row["reason"] for row in csv.DictReader(handle)] == ["", "not_run", ""]
    assert merged[0].records == 2 and str(victim) in merged[0].problems[0]


@pytest.mark.parametrize("damage", WHOLE)
def test_bad_facts_of_a_host_are_named_and_everything_else_stands(
    damage: str, good: Path, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = next(iter(sorted((sweep / "hosts").iterdir())))
    WHOLE[damage](victim)
    with no_hang():
        status = cli.main(["tables", str(sweep)])
        assert str(victim) in shown(sweep)
        assert completeness_of(sweep).complete
    assert status == 1 and str(victim) in capsys.readouterr().err
    assert_others_stand(good, sweep, set())
    assert victim.stem not in read_hosts(sweep)[0] and len(read_hosts(sweep)[0]) == 1


@pytest.mark.parametrize("damage", WHOLE)
def test_a_bad_plan_is_named_and_what_was_written_stays(
    damage: str, good: Path, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    WHOLE[damage](sweep / "plan.json")
    with no_hang():
        assert cli.main(["tables", str(sweep)]) == 2
        assert cli.main(["shards", str(sweep), "--workers", "2"]) == 2
        with pytest.raises(PlanError, match=r"plan\.json"):
            completeness_of(sweep)
    told = capsys.readouterr().err
    assert "Traceback" not in told and told.count("plan.json") == 2
    assert "cannot be read as a plan" in told
    assert_others_stand(good, sweep, set())


@pytest.mark.parametrize("damage", WHOLE)
@pytest.mark.parametrize("name", ["derived.sqlite", "derived.sqlite-journal", "derived.sqlite-wal", "lock"])
def test_what_is_derived_or_of_the_moment_may_be_anything(damage: str, name: str, good: Path, sweep: Path) -> None:
    victim = sweep / name
    victim.touch()
    WHOLE[damage](victim)
    regular = victim.is_file() and not victim.is_symlink()
    with no_hang():
        assert cli.main(["tables", str(sweep)]) == 0
        assert completeness_of(sweep).complete and completed(sweep) == {"run1", "run2", "run3"}
        if name == "lock":
            lock = SweepLock(sweep)
            if regular:
                assert held_by(sweep) == ""
                lock.acquire()
                lock.release()
            else:
                with pytest.raises(OSError, match="cannot be used"):
                    held_by(sweep)
                with pytest.raises(OSError, match="cannot be used"):
                    lock.acquire()
    assert (sweep / "runs.csv").read_bytes() == (good / "runs.csv").read_bytes()


@pytest.mark.parametrize("folder", ["records", "hosts"])
@pytest.mark.parametrize("kind", ["a file", "a FIFO", "a link to nothing"])
def test_a_folder_that_is_none_is_named(
    folder: str, kind: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(sweep / folder)
    {
        "a file": lambda path: path.write_text("x"),
        "a FIFO": os.mkfifo,
        "a link to nothing": lambda path: path.symlink_to("nothing"),
    }[kind](sweep / folder)
    with no_hang():
        status = cli.main(["tables", str(sweep)])
        completeness_of(sweep)
    told = capsys.readouterr().err
    assert (status, str(sweep / folder) in told) == ((0, False) if kind == "a link to nothing" else (1, True))


@pytest.mark.parametrize("kind", ["a file", "a FIFO", "nothing"])
def test_a_sweep_that_is_no_folder_is_named(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    if kind != "nothing":
        (path.touch if kind == "a file" else lambda: os.mkfifo(path))()
    with no_hang():
        assert cli.main(["tables", str(path)]) == 2
        assert cli.main(["merge", str(path), str(tmp_path / "other")]) == 2
        notes = CAPTURES.parent / "notes" / "notes.md"
        if kind != "nothing":
            asked = ["import", str(notes), "--sweep", "s", "--configuration", "c", "--results", str(tmp_path)]
            assert cli.main(asked) == 2
    assert str(path) in capsys.readouterr().err


# Single values.

ANYTHING: list[Any] = [
    None, True, False, 0, 7, -1, 10**9, 2**63, 1e308, -2.5, "", "x", "\x1b[2J\x07", "=1+1", "../../x", "a\nb", [], [1], [[]],
    {}, {"a": [{}]}, "x" * 5000,
]  # fmt: skip


def paths_in(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if prefix:
        yield prefix
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in children:
        yield from paths_in(inner, (*prefix, key))


def changed_at(document: Any, path: tuple[Any, ...], value: Any, delete: bool) -> Any:
    found = copy.deepcopy(document)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if delete:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return found


def test_any_value_anywhere_in_a_record_is_borne(good: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("values") / "s"
    shutil.copytree(good, folder)
    victim = record_file(folder, "run1")
    document = document_in(victim)
    before = rows_by_run(good)
    everywhere = list(paths_in(document))

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(path=st.sampled_from(everywhere), value=st.sampled_from(ANYTHING), delete=st.booleans())
    def check(path: tuple[Any, ...], value: Any, delete: bool) -> None:
        write_document(victim, changed_at(document, path, value, delete))
        with no_hang():
            overview = overview_of(folder)
            told = render_sweep(folder, overview)
            completeness_of(folder)
            completed(folder)
        assert "\x1b" not in told and "\x07" not in told
        [first, *others] = runs_of(folder)
        assert all(item.judgement.status == "valid" for item in others)
        if first.found is None:
            named = any(str(victim) in problem for problem in overview.problems)
            assert named or first.judgement.reason == "malformed"

    check()
    tables_of(folder)
    after = rows_by_run(folder)
    for name in PER_RUN:
        assert all(after[name].get(run) == rows for run, rows in before[name].items() if run != "run1")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_cut_off_or_changed_at_any_byte_is_borne(
    data: st.DataObject, good: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bytes") / "s"
    shutil.copytree(good, folder)
    if data.draw(st.booleans()):
        unpack_all(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".sqlite", ".gz"))
    victim = data.draw(st.sampled_from(files))
    whole = victim.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        victim.write_bytes(whole[:at])
    else:
        victim.write_bytes(whole[:at] + data.draw(st.binary(min_size=1, max_size=3)) + whole[at + 1 :])
    with no_hang():
        try:
            assert render_sweep(folder, overview_of(folder)) and completeness_of(folder).planned == 3
            tables_of(folder)
        except PlanError as error:
            assert victim.name == "plan.json" and "plan.json" in str(error)
            return
    if victim.name != "plan.json":
        assert_others_stand(good, folder, {victim.name.split(".")[0]})


def designed() -> Plan:
    hosts = {f"h{number}": f"10.0.0.{number}" for number in range(1, 5)}
    cases = {"iperf3": [CaseSpec("iperf3", "case", {"parallel": 4, "seconds": 1, "extra_args": []}, 1.0)]}
    return make_plan(
        sweep="s", configuration="c", hosts=hosts, cases=cases, directions={"iperf3": "both"}, blocks=2, seed=7,
        mode="concurrent", settings={"pairbench_hypervisor": {"h1": "v"}, "pairbench_bottlenecks": {"h1": ["u"]}},
    )  # fmt: skip


@pytest.mark.parametrize("made", [designed(), plan_of(real_records())], ids=["designed", "by steps"])
def test_any_value_anywhere_in_a_plan_is_refused_or_bounded(made: Plan, tmp_path: Path) -> None:
    store_plan(tmp_path, made)
    path = tmp_path / "plan.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert load_plan(tmp_path) == made
    for where in list(paths_in(document)):
        for value in ANYTHING:
            path.write_text(json.dumps(changed_at(document, where, value, value is None)), encoding="utf-8")
            with no_hang():
                try:
                    found = load_plan(tmp_path)
                except PlanError as error:
                    assert str(path) in str(error) and "\x1b" not in str(error)
                    continue
                runs = found.runs
                assert len(runs) < 10_000 and what_remains(found).runs == len(runs)
                assert all(Path(run.run_id).name == run.run_id for run in runs)
                assert completeness_of(tmp_path).planned == len(runs)


@pytest.mark.parametrize("value", [1e9, 10**9, 10**6, 0, -1, True, "2", None])
def test_a_plan_of_a_thousand_million_blocks_is_refused(
    value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_plan(tmp_path, designed())
    document = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8")) | {"blocks": value}
    (tmp_path / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    with no_hang():
        assert cli.main(["tables", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "plan.json cannot be read as a plan" in told and "blocks must be a whole number from 1" in told


def test_a_plan_is_refused_by_how_many_runs_it_has_before_they_are_made(tmp_path: Path) -> None:
    hosts = [[f"h{number}", f"10.0.{number // 250}.{number % 250}"] for number in range(1000)]
    pairs = " ".join(f"{one}:{other}" for one in range(1000) for other in range(one))
    document = json.loads(json.dumps({
        "schema": 1, "sweep": "s", "configuration": "c", "seed": 1, "mode": "rounds", "blocks": 90_000, "hosts": hosts,
        "settings": {}, "uid": "u", "design": {
            "rounds": [{"level": None, "pairs": pairs}], "trace": True, "directions": {"iperf3": "both"},
            "cases": {"iperf3": [{"benchmark": "iperf3", "name": "c", "parameters": {}, "seconds": 1}]},
        },
    }))  # fmt: skip
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with no_hang(), pytest.raises(PlanError, match="more than the 20000000 that one sweep may have"):
        load_plan(tmp_path)
    path.write_text(json.dumps(document | {"blocks": 6}), encoding="utf-8")
    assert what_remains(load_plan(tmp_path)).runs == 6 * 4 * 499_500


def test_a_plan_that_could_not_be_read_again_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="configuration must be a text of at most 255"):
        store_plan(tmp_path, Plan(**vars(designed()) | {"configuration": "x" * 300}))
    assert not (tmp_path / "plan.json").exists()


# Records that are whole and are not what they seem.


def test_a_record_under_another_name_is_left_out_and_other_content_is_noticed(
    sweep: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = record_file(sweep, "run1")
    copied = sweep / "records" / "run1 (copy).json.gz"
    shutil.copy(mine, copied)
    assert cli.main(["tables", str(sweep)]) == 1
    assert f"{copied} is left out: it is a copy of run1.json.gz." in capsys.readouterr().err
    assert (sweep / "runs.csv").read_bytes() == (good / "runs.csv").read_bytes()

    other = document_in(mine)
    other["client"]["stdout"] = other["client"]["stdout"].replace("1", "2")
    write_document(copied, other)
    shutil.copy(record_file(sweep, "run2"), record_file(sweep, "run9"))
    assert cli.main(["tables", str(sweep)]) == 1
    told = capsys.readouterr().err
    assert f"{copied} is left out: it is attempt 1 of the run run1 with other content than run1.json.gz" in told
    assert "run9.json.gz is left out: it is a copy of run2.json.gz" in told
    first, second, third = runs_of(sweep)
    assert "run1 (copy).json.gz" in first.judgement.checks["two_records"] and first.judgement.status == "valid"
    assert not {"two_records"} & {*second.judgement.checks, *third.judgement.checks}
    assert completed(sweep) == {"run1", "run2", "run3"}
    assert_others_stand(good, sweep, {"run1"})


def test_an_attempt_does_not_count_under_the_name_of_another(sweep: Path) -> None:
    shutil.copy(record_file(sweep, "run1"), record_file(sweep, "run1", 2))
    assert read_record(record_file(sweep, "run1", 2))[0] is None
    assert [problem for problem in overview_of(sweep).problems if "run1.2.json.gz is left out: it is a copy" in problem]


@pytest.mark.parametrize(("field", "value"), [("server", "zzz"), ("case", "other"), ("parameters", {}), ("block", 9)])
def test_a_record_of_another_run_than_the_plans_is_noticed(field: str, value: Any, sweep: Path) -> None:
    path = record_file(sweep, "run1")
    record = document_in(path)
    record["run"][field] = value
    write_document(path, record)
    first, *_others = runs_of(sweep)
    assert (first.judgement.status, first.judgement.reason) == ("invalid", "malformed")
    assert f"{field} is" in first.judgement.detail and "planned is" in first.judgement.detail
    assert "2 of 3 planned runs are valid; 1 invalid: malformed" in completeness_of(sweep).sentence


def test_a_record_of_no_planned_run_is_named(sweep: Path) -> None:
    record = document_in(record_file(sweep, "run1"))
    record["run"]["run_id"] = "stranger"
    write_record(sweep, record_of(record))
    assert any("stranger.json.gz is left out: the plan has no run" in problem for problem in overview_of(sweep).problems)


def test_a_record_changed_behind_the_store_is_judged_again(sweep: Path) -> None:
    unpack_all(sweep)
    path = sweep / "records" / "run1.json"
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole[1:])  # of the same size
    assert completed(sweep) == {"run2", "run3"} and str(path) in completeness_of(sweep).sentence


def test_a_lock_says_in_one_line_who_holds_it_whatever_is_written_there(sweep: Path) -> None:
    said = b"\x1b[2Jme\nand \xff you" + b"x" * 100_000
    (sweep / "lock").write_bytes(said)
    assert held_by(sweep) == ""
    lock = SweepLock(sweep)
    lock.acquire()
    other = os.fork()
    if not other:  # another process, which the lock keeps away
        status = 2
        try:
            (sweep / "lock").write_bytes(said)
            held = held_by(sweep)
            try:
                SweepLock(sweep).acquire()
            except SweepHeld as error:
                plain = str(error).isprintable() and held.isprintable() and len(held) < 1000
                status = 0 if plain and held.startswith("\\x1b[2Jme\\x0aand") else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
    lock.release()


def test_what_a_host_says_reaches_the_table_of_hosts_as_text(sweep: Path) -> None:
    host = json.loads(next((sweep / "hosts").iterdir()).read_text(encoding="utf-8"))["host"]
    write_host(sweep, host, {"fingerprint": {"kernel": "=HYPERLINK(\"http://x\")", "cpu": "\x1b]0;t\x07", "load": -1.5}})
    tables_of(sweep)
    with (sweep / "hosts.csv").open(newline="", encoding="utf-8") as handle:
        facts = {row["fact"]: row["value"] for row in csv.DictReader(handle) if row["host"] == host}
    assert facts == {
        "fingerprint.kernel": "'=HYPERLINK(\"http://x\")", "fingerprint.cpu": "\\x1b]0;t\\x07", "fingerprint.load": "-1.5",
    }  # fmt: skip
    assert plain_cell(facts["fingerprint.kernel"]) == '=HYPERLINK("http://x")'
