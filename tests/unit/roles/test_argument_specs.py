"""The interface of each role is its defaults, described by its argument specs: the two must agree."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from clone import ROOT

ROLES = sorted(path.parent.parent.name for path in (ROOT / "roles").glob("*/defaults/main.yml"))
PREFIX = {"bench": "pairbench_"}


def options(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    specs = options(role)
    assert set(defaults) == set(specs)
    for name, option in specs.items():
        assert name.startswith(PREFIX.get(role, f"{role}_"))
        assert option["type"] and option["description"]
        if "default" in option:
            assert defaults[name] == option["default"], name
        if "choices" in option and option["type"] == "str":
            assert option["default"] in option["choices"]


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_every_parameter_of_a_benchmark_is_a_variable_of_its_role(name: str) -> None:
    others = ("cases", "matrix", "direction", "port", "install", "package")
    assert {f"{name}_{key}" for key in (*BENCHMARKS[name].parameters, *others)} == set(options(name))


def test_the_page_of_variables_is_current() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_variables_page.py"))["page"]()
    assert (ROOT / "docs" / "variables.md").read_text(encoding="utf-8") == made
