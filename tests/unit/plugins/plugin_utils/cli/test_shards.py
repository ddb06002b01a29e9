"""``pairbench shards``: a command for every worker, and rounds that fit the stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import main as cli
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_or_create, load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.shards import in_stages, stages_of
from plans import small_plan as plan
from plans import stored_sweep as sweep


def copy_of(made: Plan, uid: str) -> Plan:
    return replace(made, uid=uid)


def test_the_command_prints_a_command_for_every_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path / "s", copy_of(plan(8), "u1"), {})
    assert cli.main(["shards", str(folder), "--workers", "2"]) == 0
    shown = capsys.readouterr().out
    assert "8 hosts, 2 workers, 3 stages" in shown and shown.count("ansible-playbook") == 6
    assert "-e pairbench_shard=2" in shown and shown.count("--forks 4 ") == 6  # four hosts, two pairs at once
    assert "inventory and the variables with which the plan was made" in shown
    assert cli.main(["shards", str(folder), "--workers", "2", "--json"]) == 0
    assert '"stages"' in capsys.readouterr().out
    arranged = load_plan(folder)
    assert arranged == in_stages(copy_of(plan(8), "u1"), stages_of(plan(8), 2))
    more, _grown = load_or_create(folder, lambda seed, blocks: plan(8, seed=seed, blocks=blocks), blocks=3, seed=0)
    assert more.steps.rounds == arranged.steps.rounds != plan(8).steps.rounds and more.blocks == 3
    (folder / "records" / "b001.json").write_text("{}", encoding="utf-8")
    assert cli.main(["shards", str(folder), "--workers", "4"]) == 0
    assert load_plan(folder) == arranged, "what has begun to be measured stays as it is"
