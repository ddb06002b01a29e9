"""Our code as it stays on a host: whole, private, compiled, and the same for the same content."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import private_files
from ansible_collections.pairbench.lab.plugins.module_utils._resident import code, program
from clone import ROOT

NAME = program.__name__


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setattr(code, "state_folder", lambda: private_files.own_folder(str(folder)))
    return folder


def execute(path: str, asked: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", path], input=json.dumps(asked), capture_output=True, text=True, check=False, cwd="/"
    )


def test_the_program_runs_from_there_with_nothing_else_of_ours_on_the_path(state: Path) -> None:
    path = code.installed(NAME)
    assert Path(path).parent.parent == state and stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    done = execute(path, {"module": "observe", "arguments": {"watches": []}})
    assert (done.returncode, json.loads(done.stdout)) == (0, {"changed": False, "problems": {}}), done.stderr
    assert list(Path(path).parent.rglob("*.pyc")), "nothing is compiled"


def test_the_same_code_is_installed_once_and_another_beside_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = code.installed(NAME)
    os.utime(Path(first).parent, (0, 0))
    made = Path(first).stat().st_ino
    assert code.installed(NAME) == first and Path(first).stat().st_ino == made, "made twice"
    sources = code._sources() | {code.PACKAGE + "_more.py": b"MORE = 1\n"}
    monkeypatch.setattr(code, "_sources", lambda: sources)
    assert code.installed(NAME) != first and len(list(state.iterdir())) == 2
    assert not [path for path in state.iterdir() if path.name.startswith(".")], "a half-made folder is left"


def test_what_nobody_has_used_for_longer_than_any_claim_is_removed(state: Path) -> None:
    path = Path(code.installed(NAME)).parent
    old, other = state / ("code-" + 16 * "0"), state / "4026531840.claim"
    shutil.copytree(path, old)
    other.write_text("{}", encoding="ascii")
    for aged in (old, other):
        os.utime(aged, (1, 1))
    code.installed(NAME)
    assert sorted(state.iterdir()) == sorted([path, other])


def test_an_archive_gives_our_modules_and_no_others(tmp_path: Path) -> None:
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as parts:
        for path in (ROOT / "plugins" / "module_utils").rglob("*.py"):
            parts.write(path, code.PACKAGE + str(path.relative_to(ROOT / "plugins" / "module_utils")))
        parts.writestr("ansible/module_utils/basic.py", "")
        parts.writestr("ansible_collections/pairbench/lab/plugins/modules/claim.py", "")
    assert code._from_archive(str(archive)) == code._from_files()


def test_a_folder_that_others_can_write_to_is_refused(state: Path) -> None:
    path = Path(code.installed(NAME)).parent
    path.chmod(0o777)
    with pytest.raises(private_files.NotOurs):
        code.installed(NAME)
