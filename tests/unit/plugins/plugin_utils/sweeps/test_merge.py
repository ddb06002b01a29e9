"""Records of several controllers brought together: what is missing is taken, what is there stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import main as cli
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.merge import merge
from plans import small_plan as plan
from plans import stored_sweep as sweep
from record_files import pack


def copy_of(made: Plan, uid: str) -> Plan:
    return replace(made, uid=uid)


def test_merging_takes_what_is_missing_and_changes_nothing_that_is_there(tmp_path: Path) -> None:
    made = copy_of(plan(3), "u1")
    one = sweep(tmp_path / "one", made, {"a": "1", "b": "1"})
    two = sweep(tmp_path / "two", made, {"b": "2", "c": "2"})
    done = merge(tmp_path / "all", [one, two])
    assert [part.records for part in done] == [2, 1]
    assert "b.json differs" in done[1].problems[0] and not done[0].problems
    assert '"1"' in (tmp_path / "all" / "records" / "b.json").read_text(encoding="utf-8")
    assert load_plan(tmp_path / "all").uid == "u1"
    assert [part.records for part in merge(tmp_path / "all", [one, two])] == [0, 0]


def test_records_are_copied_byte_by_byte_in_the_form_that_they_have(tmp_path: Path) -> None:
    made = copy_of(plan(3), "u1")
    one = sweep(tmp_path / "one", made, {"a": "1", "b": "1"})
    pack(one / "records" / "a.json")
    assert [part.records for part in merge(tmp_path / "all", [one])] == [2]
    copies = {path.name: path.read_bytes() for path in (tmp_path / "all" / "records").iterdir()}
    assert copies == {path.name: path.read_bytes() for path in (one / "records").iterdir()} and "a.json.gz" in copies


def test_a_record_is_there_in_whichever_form(tmp_path: Path) -> None:
    made = copy_of(plan(3), "u1")
    one = sweep(tmp_path / "one", made, {"a": "1", "b": "1"})
    two = sweep(tmp_path / "two", made, {"a": "1", "b": "2"})
    for name in ("a", "b"):
        pack(two / "records" / f"{name}.json")
    before = {path.name: path.read_bytes() for path in (one / "records").iterdir()}
    [done] = merge(one, [two])
    assert done.records == 0 and len(done.problems) == 1 and "b.json.gz differs" in done.problems[0]
    assert {path.name: path.read_bytes() for path in (one / "records").iterdir()} == before


def test_another_plan_is_not_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = sweep(tmp_path / "one", copy_of(plan(3), "u1"), {"a": "1"})
    two = sweep(tmp_path / "two", copy_of(plan(3), "u2"), {"c": "2"})
    with pytest.raises(PlanError, match="of another plan"):
        merge(one, [two])
    assert cli.main(["merge", str(one), str(tmp_path / "nothing")]) == 2
    assert "has no plan.json" in capsys.readouterr().err


def test_a_plan_that_has_grown_elsewhere_grows_here_too(tmp_path: Path) -> None:
    one = sweep(tmp_path / "one", copy_of(plan(3), "u1"), {})
    two = sweep(tmp_path / "two", copy_of(plan(3, blocks=4), "u1"), {"c": "2"})
    assert [part.records for part in merge(one, [two])] == [1]
    assert load_plan(one).blocks == 4
