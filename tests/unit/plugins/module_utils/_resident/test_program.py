"""What the program that stays on a host makes of its arguments: what the module of the same name does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.module_utils._resident.program import MODULES, with_defaults
from clone import ROOT


def documented(module: str) -> dict[str, Any]:
    """The options of a module by its documentation."""
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    options: dict[str, Any] = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])["options"]
    return options


def defaults(options: dict[str, Any]) -> dict[str, Any]:
    """Default, or that there is none, of every option, also of those within lists."""
    inner = {name: item.get("suboptions") or item.get("options") or {} for name, item in options.items()}
    return {
        name: (bool(item.get("required")), item.get("default"), defaults(inner[name])) for name, item in options.items()
    }


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_options_are_those_that_are_documented(module: str) -> None:
    assert defaults(MODULES[module][1]) == defaults(documented(module))


def test_what_is_missing_has_its_default_and_what_must_be_there_is_missed() -> None:
    options = MODULES["session"][1]
    given = {name: "x" for name, item in options.items() if item.get("required")}
    run = {"run_id": "r", "argv": ["a"], "port": 1, "limit_seconds": 2.0}
    found = with_defaults(given | {"runs": [run, run | {"other_ports": [{"port": 3}]}]}, options)
    assert set(found) == set(options) and found["patience_seconds"] == 15 and found["role"] == "x"
    assert [item["other_ports"] for item in found["runs"]] == [[], [{"port": 3, "protocol": "tcp"}]]
    found["runs"][0]["capabilities"].append("net_raw")
    assert found["runs"][1]["capabilities"] == [], "two runs share a default"
    with pytest.raises(KeyError, match="the argument host is missing"):
        with_defaults({name: value for name, value in given.items() if name != "host"} | {"runs": []}, options)
    with pytest.raises(KeyError, match="stranger"):
        with_defaults(given | {"runs": [], "stranger": 1}, options)
