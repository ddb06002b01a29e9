"""The look for what tests leave, over tests that leave something on purpose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from leftovers import ALONE
from namespaces import Host, kill, run

HERE = Path(__file__).parent
TESTS = """
import os, pathlib, subprocess, tempfile
from namespaces import STATE, Host, run

NAME = f"pbleft{os.getpid()}"

def test_leaves_a_namespace_with_a_claim_and_a_link():
    host = Host(NAME, "")
    host.add()
    STATE.mkdir(exist_ok=True)
    for number in host.numbers():
        (STATE / f"{number}.claim").touch()
    run("ip", "link", "add", f"pb{os.getpid()}", "type", "bridge")

def test_leaves_files_and_a_process():
    tempfile.mkstemp(prefix="of-a-test-")
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["true"]).wait()

def test_leaves_a_mount(tmp_path):
    run("mount", "-t", "tmpfs", "none", str(tmp_path))

def test_leaves_nothing(pair, tmp_path):
    STATE.joinpath(f"{min(pair.server.numbers())}.lock").touch()
    tempfile.TemporaryFile().close()
"""
LEAVES = "test_it.py::test_leaves_"


def session(folder: Path, tests: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest over some tests, with what the integration tests have."""
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    settings = [f"cache_dir={folder}/cache", f"pythonpath={HERE.parent / 'support'}"]
    options = [word for setting in settings for word in ("-o", setting)]
    program = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(folder), *options, str(folder)]
    return subprocess.run(program, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=200,
                          check=False)


def clean(told: str) -> None:
    """Remove what the tests above have left."""
    for pid in re.findall(r"process (\d+): sleep 600", told):
        kill(int(pid))
    for place in re.findall(r"mount (\S+),", told):
        run("umount", place)
    for name in re.findall(r"link (\S+),", told):
        run("ip", "link", "del", name)
    for name in re.findall(r"namespace (\S+),", told):
        Host(name, "").remove()


def test_each_thing_that_is_left_is_told_with_its_test(tmp_path: Path) -> None:
    done = session(tmp_path, TESTS)
    clean(done.stdout)
    assert done.returncode == 8, done.stdout + done.stderr
    _before, _title, told = done.stdout.partition(" left behind ")
    several = "a_namespace_with_a_claim_and_a_link"
    for pattern, test in (
        (r"namespace pbleft\d+", several), (r"link pb\d+", several), (r"file /run/pairbench/\d+\.claim", several),
        (r"file \S+/of-a-test-\w+", "files_and_a_process"), (r"process \d+: sleep 600", "files_and_a_process"),
        (r"mount \S+/test_leaves_a_mount0", "a_mount"),
    ):  # fmt: skip
        assert re.search(rf"^{pattern}, first seen after {LEAVES}{test}$", told, re.MULTILINE), (pattern, told)
    assert "nothing" not in told and told.count("first seen after") == 7, told


@pytest.mark.parametrize("alone", ["1", "0"])
def test_what_bears_no_name_of_ours_counts_where_nobody_else_is(alone: str, tmp_path: Path) -> None:
    stranger = f"pb{os.getpid()}alone"
    command = ["ip", "link", "add", stranger, "type", "bridge"]
    tests = f"import subprocess\ndef test_it(): subprocess.run({command}, check=True)"
    try:
        done = session(tmp_path, tests, **{ALONE: alone})
    finally:
        run("ip", "link", "del", stranger)
    assert done.returncode == (8 if alone == "1" else 0), done.stdout + done.stderr
    assert (f"link {stranger}, first seen after" in done.stdout) == (alone == "1")
