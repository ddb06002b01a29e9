"""The wheel and the Galaxy collection that are made of this tree, used where there is no clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CLONE = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/pairbench/lab"
# What the installed collection cannot work without, beside its Python files.
NEEDED = (
    "galaxy.yml", "meta/runtime.yml", "playbooks/bench.yml", "playbooks/install.yml",
    "plugins/plugin_utils/tracing/syscall_names.json", "roles/sockperf/vars/RedHat.yml", "roles/_install/tasks/apt.yml",
)


def shipped(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as ``make wheel`` does but outside the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(CLONE)],
        capture_output=True, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new virtual environment that holds nothing but the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    done = subprocess.run(
        [str(folder / "bin/pip"), "install", "--quiet", str(wheel)],
        capture_output=True, text=True, timeout=550, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


def use(commands: Path, directory: Path, *argv: str) -> str:
    """What a command of the new environment prints, run from elsewhere."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    environment |= {"PATH": f"{commands}:{environment['PATH']}", "ANSIBLE_NOCOLOR": "1", "PAGER": "cat"}
    done = subprocess.run(
        [str(commands / argv[0]), *argv[1:]], cwd=directory, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_collection_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{COLLECTION}/{name}" for name in NEEDED} <= names
    for room in ("plugins", "roles", "playbooks"):
        there = {str(path.relative_to(CLONE)) for path in (CLONE / room).rglob("*") if shipped(path)}
        assert {f"{COLLECTION}/{name}" for name in there} <= names
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def test_the_wheel_works_from_anywhere(installed: Path, tmp_path: Path) -> None:
    assert "network namespace" in use(installed, tmp_path, "ansible-doc", "-t", "connection", "pairbench.lab.netns")
    assert "SESSION" in use(installed, tmp_path, "ansible-doc", "pairbench.lab.session").upper()
    documented = json.loads(use(installed, tmp_path, "ansible-doc", "--json", "pairbench.lab.netns_lab"))
    assert str(installed.parent) in documented["pairbench.lab.netns_lab"]["doc"]["filename"]
    for playbook in ("install", "bench", "netns_lab"):
        checked = use(
            installed, tmp_path, "ansible-playbook", f"pairbench.lab.{playbook}", "--syntax-check", "-i", "localhost,",
        )
        assert f"playbook: {installed.parent}" in checked and f"/playbooks/{playbook}.yml" in checked
    assert "usage: pairbench" in use(installed, tmp_path, "pairbench", "--help")


def test_the_wheel_knows_the_names_of_system_calls(installed: Path, tmp_path: Path) -> None:
    """The data file is found where the wheel put it."""
    program = (
        "from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing import syscall_names as known;"
        "print(known.__file__, known.resolve(0, 'x86_64'))"
    )
    path, name = use(installed, tmp_path, "python", "-c", program).split()
    assert path.startswith(str(installed.parent)) and name == "sys_enter_read"


def test_the_galaxy_collection_is_built_and_installs(installed: Path, tmp_path: Path) -> None:
    use(installed, CLONE, "ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    (built,) = tmp_path.glob("pairbench-lab-*.tar.gz")
    with tarfile.open(built) as archive:
        names = set(archive.getnames())
    assert set(NEEDED) - {"galaxy.yml"} <= names
    assert not [name for name in names if name.startswith((".venv", ".git/", "results", "dist"))]
    there = tmp_path / "there"
    # The wheel in this environment is the same collection: without --force nothing would be left to do.
    use(installed, tmp_path, "ansible-galaxy", "collection", "install", "--force", "--offline", str(built), "-p", str(there))
    assert (there / COLLECTION / "plugins/modules/session.py").is_file()
