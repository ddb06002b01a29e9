"""What a host keeps of its runs: whole or not at all, looked at when it is read, and not lost to a clock that jumps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import NotOurs
from ansible_collections.pairbench.lab.plugins.module_utils._session import spool as _spool
from ansible_collections.pairbench.lab.plugins.module_utils._session.spool import Spool, entry_name
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAY = 86400.0
END = {"stdout": "figures\ud800\x00é", "returncode": 0}


class Clock:
    """Both clocks of a host, and which boot it is."""

    def __init__(self) -> None:
        self.boot, self.since_boot, self.wall = "boot 1", 1000.0, 1.8e9

    def __call__(self) -> tuple[str, float, float]:
        return self.boot, self.since_boot, self.wall

    def pass_days(self, days: float) -> None:
        self.since_boot += days * DAY
        self.wall += days * DAY

    def start_anew(self) -> None:
        self.boot, self.since_boot = self.boot + "'", 10.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(_spool, "_now", found)
    return found


def kept(root: Path, sweep: str = "old") -> Path:
    """The folder of a spool with one entry."""
    Spool(str(root), sweep, "vm1").keep("run0", "abc", "server", END)
    return root / sweep / "vm1"


def prune(root: Path) -> None:
    Spool(str(root), "current", "vm1").prune()


def test_what_is_kept_is_read_again_and_nothing_stays_when_it_is_forgotten(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    spool = Spool(str(root), "sweep1", "vm1")
    name = spool.keep("run0", "abc", "server", END)
    [entry] = spool.entries()
    assert (entry["name"], entry["run_id"], entry["execution"], entry["role"]) == (name, "run0", "abc", "server")
    assert entry["end"]["stdout"] == "figures?\x00é"  # half a character is none
    assert spool.forget([name, "never.there"]) == [name, "never.there"]
    assert list(root.iterdir()) == []


def test_the_folders_are_closed_to_others(tmp_path: Path) -> None:
    folder = kept(tmp_path / "spool")
    for path in (folder, folder.parent, folder.parent.parent):
        assert path.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_end_that_is_larger_than_is_kept_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_spool, "MOST_ENTRY_BYTES", 1000)
    with pytest.raises(OSError, match="more than the 1000"):
        Spool(str(tmp_path / "spool"), "one", "vm1").keep("run0", "abc", "server", {"stdout": "x" * 1000})
    assert not (tmp_path / "spool").exists()


def test_one_answer_has_only_so_much_and_the_next_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(str(tmp_path / "spool"), "one", "vm1")
    names = [spool.keep(f"run{number}", "abc", "server", {"stdout": "x" * 500}) for number in range(3)]
    monkeypatch.setattr(_spool, "MOST_ANSWER_BYTES", 1300)
    assert [entry["name"] for entry in spool.entries()] == names[:2]
    spool.forget(names[:2])
    assert [entry["name"] for entry in spool.entries()] == names[2:]


def test_what_is_not_an_entry_is_passed_over(tmp_path: Path) -> None:
    folder = kept(tmp_path / "spool")
    good = json.loads(next(folder.glob("*.json")).read_text())
    for name, content in {
        "a.json": "[1]", "b.json": "{", "c.json": "[" * 5000, "d.json": json.dumps(good),
        entry_name("run1", "abc", "client"): json.dumps(good),
        entry_name("run2", "abc", "server"): json.dumps(good | {"run_id": "run2", "end": []}),
        entry_name("run3", "abc", "root"): json.dumps(good | {"run_id": "run3", "role": "root"}),
        entry_name("7", "abc", "server"): json.dumps(good | {"run_id": 7}),
    }.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    os.mkfifo(folder / "e.json")
    (folder / "f.json").symlink_to("/etc/passwd")
    (folder / "g.json").mkdir()
    assert [entry["run_id"] for entry in Spool(str(tmp_path / "spool"), "old", "vm1").entries()] == ["run0"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["run_id", "execution", "role", "end", "boot", "wall", "since_boot"]), inner, max_size=4),
).map(lambda document: json.dumps(document).encode()))
def test_no_content_of_an_entry_or_note_raises(tmp_path: Path, content: bytes) -> None:
    assert _spool._entry(entry_name("run0", "abc", "server"), content) is None or b"run_id" in content
    folder = tmp_path / "spool" / "old" / "vm1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".kept").write_bytes(content)
    assert _spool._seconds_since(str(folder)) >= 0


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_spool_that_others_can_write_to_is_neither_used_nor_believed(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "spool"
    name = next(kept(root).glob("*.json")).name
    root.chmod(mode)
    spool = Spool(str(root), "old", "vm1")
    uses: list[Any] = [spool.entries, spool.prune, lambda: spool.keep("run1", "abc", "server", END)]
    for use in uses:
        with pytest.raises(NotOurs, match="others can write to"):
            use()
    assert spool.forget([name]) == []


# Age


def test_a_spool_goes_when_nobody_has_collected_it_for_a_month(tmp_path: Path, clock: Clock) -> None:
    folder = kept(tmp_path / "spool")
    clock.pass_days(29)
    prune(tmp_path / "spool")
    assert folder.exists()
    clock.pass_days(2)
    prune(tmp_path / "spool")
    assert not folder.parent.exists()


@pytest.mark.parametrize("days", [40, 4000, -40])
def test_a_wall_clock_that_is_set_costs_no_spool(tmp_path: Path, clock: Clock, days: float) -> None:
    folder = kept(tmp_path / "spool")
    clock.wall += days * DAY
    prune(tmp_path / "spool")
    clock.pass_days(20)
    prune(tmp_path / "spool")
    assert folder.exists()
    clock.pass_days(11)
    prune(tmp_path / "spool")
    assert not folder.exists()


def test_from_one_boot_to_another_the_wall_clock_counts(tmp_path: Path, clock: Clock) -> None:
    folder = kept(tmp_path / "spool")
    clock.start_anew()
    clock.wall += 20 * DAY
    prune(tmp_path / "spool")
    assert folder.exists()
    clock.wall += 11 * DAY
    prune(tmp_path / "spool")
    assert not folder.exists()


def test_a_clock_that_went_back_between_boots_makes_a_spool_new(tmp_path: Path, clock: Clock) -> None:
    folder = kept(tmp_path / "spool")
    clock.start_anew()
    clock.wall -= 300 * DAY
    prune(tmp_path / "spool")
    clock.wall += 300 * DAY  # it is put right: that is no age
    prune(tmp_path / "spool")
    assert folder.exists()


def test_what_is_newly_kept_makes_an_old_spool_new(tmp_path: Path, clock: Clock) -> None:
    folder = kept(tmp_path / "spool")
    clock.pass_days(29)
    kept(tmp_path / "spool")
    clock.pass_days(29)
    prune(tmp_path / "spool")
    assert folder.exists()


def test_a_spool_of_a_former_version_is_as_old_as_our_first_sight_of_it(tmp_path: Path, clock: Clock) -> None:
    folder = kept(tmp_path / "spool")
    (folder / ".kept").unlink()
    os.utime(folder, (1e9, 1e9))
    prune(tmp_path / "spool")
    assert folder.exists()
    clock.pass_days(31)
    prune(tmp_path / "spool")
    assert not folder.exists()
