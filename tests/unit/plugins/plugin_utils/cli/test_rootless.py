"""What ``pairbench rootless`` gives to the command that it runs."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.rootless import home_folder, with_variables


def test_the_variables_come_before_those_of_the_user() -> None:
    given = {"pairbench_trace": False, "pairbench_spool": "/home/a b/spool"}
    made = with_variables(["/somewhere/ansible-playbook", "bench.yml", "-e", "pairbench_spool=/mine"], given)
    assert made[0] == "/somewhere/ansible-playbook" and made[3:] == ["bench.yml", "-e", "pairbench_spool=/mine"]
    assert made[1] == "-e" and json.loads(made[2]) == given
    sweep = with_variables(["pairbench", "sweep", "-i", "lab"], given)
    assert sweep[:3] == ["pairbench", "sweep", "-e"] and sweep[4:] == ["-i", "lab"]
    for other in (["bash", "-c", "true"], ["pairbench", "tables", "results/default"], ["pairbench"]):
        assert with_variables(other, given) == other


def test_folders_are_those_of_the_xdg_specification() -> None:
    state = ("XDG_STATE_HOME", ".local/state")
    assert home_folder({"HOME": "/home/a"}, *state) == Path("/home/a/.local/state/pairbench")
    assert home_folder({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, *state) == Path("/s/pairbench")
    assert home_folder({"HOME": "/home/a", "XDG_STATE_HOME": "s"}, *state) == Path("/home/a/.local/state/pairbench")
