"""The example inventories plan what they say; none of their hosts is reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_fleet_example_plans_groups_against_groups_within_its_capacities(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "pairbench.lab.bench", "--check",
               "-i", str(ROOT / "inventories/fleet"), "--forks", "16"]
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 rounds a block and direction, at most 2 pairs at once" in done.stdout, done.stdout
    for line in re.findall(r"  block .* round .*", done.stdout):
        clients = re.findall(r"<- (\S+):", line)
        assert len(clients) == 2, line  # two pairs at once fill both uplinks
    assert not list(tmp_path.iterdir())
