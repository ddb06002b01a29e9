"""What was proved of a tracer counts for the very tracer and host that were tested, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import private_files
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import proven, tracer

GOOD = {"available": True, "probe": "p", "rejected": {}, "attach_seconds": 0.2, "cost_ns_per_call": 90.0}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setattr(proven, "state_folder", lambda: private_files.own_folder(str(folder)))
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "bpftrace"
    path.write_text("one", encoding="ascii")
    return path


def test_what_was_proved_is_recalled_under_the_same_conditions_only(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = proven.conditions([str(program)], ["script"])
    proven.remember("tracer", first, GOOD)
    assert proven.recall("tracer", proven.conditions([str(program)], ["script"])) == GOOD
    others = [proven.conditions([str(program)], ["another"])]
    monkeypatch.setattr(proven, "boot_id", lambda: "another start")
    others.append(proven.conditions([str(program)], ["script"]))
    monkeypatch.undo()
    program.write_text("two", encoding="ascii")
    others.append(proven.conditions([str(program)], ["script"]))
    assert len({first, *others}) == 4 and not any(proven.recall("tracer", other) for other in others)


def test_a_package_that_was_installed_ends_what_was_proved(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "status"
    monkeypatch.setattr(proven, "PACKAGES", (str(database),))
    found = {proven.conditions([str(program)], [])}
    for content in ("a", "ab"):
        database.write_text(content, encoding="ascii")
        found.add(proven.conditions([str(program)], []))
    assert len(found) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"conditions": "c", "proved": 7}', "[" * 9000, "x" * 20000])
def test_a_note_that_is_none_proves_nothing(content: str, state: Path) -> None:
    proven.remember("tracer", "c", GOOD)
    (state / "tracer.proven.json").write_text(content, encoding="ascii")
    assert proven.recall("tracer", "c") is None


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_next_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> str:
        raise PermissionError(13, "no")

    monkeypatch.setattr(proven, "state_folder", refused)
    proven.remember("tracer", "c", GOOD)
    assert proven.recall("tracer", "c") is None


@pytest.mark.parametrize(
    ("found", "tests"),
    [(GOOD, 1), (GOOD | {"cost_ns_per_call": None}, 3), ({"available": False, "rejected": {}, "reason": "no"}, 3)],
)
def test_the_self_test_is_repeated_until_it_has_proved_everything(
    found: dict[str, Any], tests: int, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def tested(_bpftrace: str, _dd: str, _directory: str, family: bool) -> dict[str, Any]:
        made.append(family)
        return found

    monkeypatch.setattr(tracer, "_tested", tested)
    for _pass in range(3):
        assert tracer._proved(str(program), str(program), False) == found
    assert len(made) == tests
    tracer._proved(str(program), str(program), True)
    assert made[tests:] == [True]
