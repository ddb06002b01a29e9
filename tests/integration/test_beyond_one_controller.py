"""A worker of ansible-runner measures a shard and its results come back; the other ways to run elsewhere are well formed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from bench import Bench, assert_measured
from namespaces import Pair

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_a_worker_continues_a_sweep_and_its_records_come_back(pair: Pair, tmp_path: Path) -> None:
    bench = Bench(pair, tmp_path)
    bench.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False, "pairbench_sweep": "nightly"}
    planned = bench.run("-e", "pairbench_plan_only=true")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    nightly = tmp_path / "results" / "nightly"
    shard = tmp_path / "shard"
    shutil.copytree(ROOT / "examples/runner", shard)
    shutil.copytree(nightly, shard / "project" / "sweep")
    (shard / "inventory").mkdir()
    shutil.copy(tmp_path / "lab.yml", shard / "inventory")
    steps = (
        [BIN / "ansible-runner", "transmit", shard, "-p", "bench.yml", "--ident", "shard", "--limit", "one,two,localhost",
         "--cmdline", "-e pairbench_shard=1"],
        [BIN / "ansible-runner", "worker", "--private-data-dir", tmp_path / "worker", "--delete"],
        [BIN / "ansible-runner", "process", tmp_path / "back", "--ident", "shard"],
    )
    stream, environment = b"", os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    for step in steps:
        done = subprocess.run(list(map(str, step)), input=stream, env=environment, capture_output=True, check=False)
        stream = done.stdout
        # The play itself ends with 2 where a run was squeezed.
        assert done.returncode in (0, 1, 2), done.stderr.decode() + done.stdout.decode()[-3000:]
    back = tmp_path / "back/artifacts/shard/pairbench/nightly"
    merged = subprocess.run([BIN / "pairbench", "merge", nightly, back], capture_output=True, text=True, check=False)
    assert f"{back}: 1 records taken" in merged.stdout, merged.stdout + merged.stderr
    assert_measured(bench.table("runs", "nightly"), 1, merged.returncode, merged.stdout, incomplete=1)
    assert not (tmp_path / "worker").exists()


def test_the_execution_environment_is_accepted(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    pip = [tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "ansible-builder>=3.1"]
    subprocess.run(pip, check=True, timeout=300)
    shutil.copy(ROOT / "execution-environment.yml", tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "pairbench_lab-0.0.0-py3-none-any.whl").write_bytes(b"")
    done = subprocess.run([tmp_path / "venv/bin/ansible-builder", "create", "-c", "context"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (recipe,) = [path for path in (tmp_path / "context").iterdir() if path.is_file()]
    assert "pip install --no-cache-dir /tmp/wheels/*.whl" in recipe.read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "context/_build/wheels").iterdir()] == [
        "pairbench_lab-0.0.0-py3-none-any.whl"
    ]


@pytest.mark.parametrize("command", [
    line for name in ("crontab", "systemd/pairbench-nightly.service")
    for line in (ROOT / "examples" / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if "pairbench sweep" in line and not line.startswith("#")
])
def test_the_commands_of_the_schedulers_are_understood(command: str, tmp_path: Path) -> None:
    arguments = command.split("pairbench sweep", 1)[1].split()
    done = subprocess.run([BIN / "pairbench", "sweep", *arguments, "--limit", "nobody"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--limit nobody leaves no host" in done.stderr, done.stderr  # nothing else was wrong


def test_the_example_of_a_worker_keeps_results_among_its_artifacts() -> None:
    given = yaml.safe_load((ROOT / "examples/runner/env/extravars").read_text(encoding="utf-8"))
    assert given["pairbench_results"] == "../artifacts/shard/pairbench"
