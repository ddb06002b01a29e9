"""``pairbench import``: handwritten notes become a sweep with tables, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
from clone import CAPTURES
from record_files import files_of_records

NOTES = CAPTURES / "notes" / "notes.md"


def test_notes_under_a_name_that_is_no_text_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = tmp_path / "no\udcff\x1bname.md"
    notes.write_bytes(NOTES.read_bytes())
    asked = ["import", str(notes), "--sweep", "s", "--configuration", "c", "--results", str(tmp_path)]
    assert main(asked) == 0
    assert "no\\\\udcff\\\\x1bname.md" in (tmp_path / "s" / "plan.json").read_text(encoding="utf-8")
    capsys.readouterr()


def test_import_makes_a_sweep_with_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "import",
        str(NOTES),
        "--sweep",
        "seed",
        "--configuration",
        "kvm",
        "--results",
        str(tmp_path),
    ]
    assert main(arguments) == 0
    assert "2 runs are in" in capsys.readouterr().out
    plan = json.loads((tmp_path / "seed" / "plan.json").read_text(encoding="utf-8"))
    assert plan["sweep"] == "seed"
    assert len(files_of_records(tmp_path / "seed")) == 2
    runs = (tmp_path / "seed" / "runs.csv").read_text(encoding="utf-8").splitlines()
    assert len(runs) == 3
    syscalls = (tmp_path / "seed" / "syscalls.csv").read_text(encoding="utf-8")
    assert "sys_enter_read,1895228" in syscalls
    before = {path.name: path.read_bytes() for path in (tmp_path / "seed").glob("*.csv")}
    for name in before:
        (tmp_path / "seed" / name).unlink()
    assert main(["tables", str(tmp_path / "seed")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "seed").glob("*.csv")} == before
    # Records are immutable: the same name is refused.
    assert main(arguments) == 2
    assert "exists already: choose another --sweep" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "x" * 101])
def test_names_that_are_not_file_names_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["import", str(NOTES), "--sweep", name, "--configuration", "kvm"])
    assert stopped.value.code == 2
    assert "is not a name" in capsys.readouterr().err


def test_import_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.md"
    empty.write_text("# Nothing\n", encoding="utf-8")
    options = ["--sweep", "s", "--configuration", "c", "--results", str(tmp_path)]
    assert main(["import", str(empty), *options]) == 2
    assert "empty.md holds no output of iperf3, sockperf or qperf" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.md"), *options]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
