"""One folder and one line a benchmark: nobody else in the plugins knows one, and every list names them all."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils import benchmarks
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import (
    BENCHMARKS,
    NAMES,
    STATED,
    Benchmark,
    headlines_of,
    in_words,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.reasons import REASONS
from clone import CAPTURES, ROOT

PLUGINS = ROOT / "plugins"
REGISTRY = PLUGINS / "plugin_utils" / "benchmarks"
FILES = sorted(path for path in PLUGINS.rglob("*") if path.suffix in (".py", ".json", ".yml", ".md"))
COMPARISON = re.compile(r"""\b(?:benchmark|tool)(?:\.name|_name|\["\w+"\])?\s*(?:==|!=|(?:not )?in)\s*[(\[{]?\s*["']""")
"""``if benchmark == "one"`` and its like."""
TRACER_ONLY = 'tool == "bpftrace"'
"""The tracer is no benchmark: what it prints belongs to the run of another tool, so notes tell it from the others."""


def is_inside(path: Path, name: str) -> bool:
    return (REGISTRY / name) in path.parents


def yaml_of(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_nobody_but_its_folder_and_the_registry_names_a_benchmark(name: str) -> None:
    """Docstrings and comments too: what is true of one benchmark only is said in its folder."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        if not is_inside(path, name)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if name in line.lower()
    ]
    [registered] = found
    assert registered.endswith(f': "{name}",') and "benchmarks/__init__.py" in registered


def test_nobody_asks_which_benchmark_it_is() -> None:
    assert COMPARISON.search('if run["benchmark"] == "x"') is None  # a key of a record is found by the name of a benchmark
    for asked in ('record.benchmark == "x"', "benchmark != 'x'", 'benchmark in ("x", "y")', 'tool not in ["x"]'):
        assert COMPARISON.search(asked)
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert TRACER_ONLY in line or not COMPARISON.search(line), f"{path}: {line}"


@pytest.mark.parametrize("name", NAMES)
def test_benchmarks_do_not_know_each_other(name: str) -> None:
    others = set(NAMES) - {name}
    for path in (REGISTRY / name).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
                assert not imported & others, path


def test_every_folder_is_registered() -> None:
    folders = {path.parent.name for path in REGISTRY.glob("*/__init__.py")}
    assert folders == set(NAMES) == set(BENCHMARKS)
    assert all(benchmark.name == name for name, benchmark in BENCHMARKS.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_says_everything_that_is_asked_of_it(name: str) -> None:
    benchmark = BENCHMARKS[name]
    for what in STATED:
        assert getattr(benchmark, what), what
    metrics = [metric for metric, _label in headlines_of(name)]
    assert len(metrics) == len(set(metrics))
    assert set(benchmark.decisive) <= set(metrics), "what decides over the end of a sweep is shown"
    assert {f"syscalls_per_{unit.name}_{side}" for unit in benchmark.units for side in ("server", "client")} <= set(metrics)
    assert set(benchmark.compared) <= {*benchmark.parameters, "bidir"}
    assert set(benchmark.reasons.items()) <= set(REASONS.items())
    commands = [recogniser() for recogniser in benchmark.recognisers]
    assert all(list(recogniser.close()) == [] for recogniser in commands), "nothing is found in no text"


@pytest.mark.parametrize("missing", STATED)
def test_a_benchmark_that_lacks_something_cannot_be_registered(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(BENCHMARKS[NAMES[0]]), missing, ())
    with pytest.raises(TypeError, match=missing):
        benchmarks._benchmark_in(NAMES[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_recognises_its_own_output_and_no_other(name: str) -> None:
    files = sorted(path for path in (CAPTURES / name).rglob("*.txt"))
    assert files, f"tests/captures/{name} has no output of it"
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in files)
    own = {finding.tool for text in texts for finding in scan(text.splitlines())}
    assert own == {name}


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_a_role_of_its_name(name: str) -> None:
    for part in ("defaults/main.yml", "meta/main.yml", "tasks/install.yml", "tasks/main.yml", "tasks/run.yml"):
        assert (ROOT / "roles" / name / part).is_file(), part
    options = yaml_of(f"roles/{name}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {f"{name}_port", f"{name}_install", f"{name}_direction"} <= set(options)


def test_lists_in_yaml_are_those_of_the_registry() -> None:
    option = yaml_of("roles/bench/meta/argument_specs.yml")["argument_specs"]["main"]["options"]["pairbench_benchmarks"]
    assert option["choices"] == list(NAMES)
    assert option["default"] == [name for name in NAMES if BENCHMARKS[name].by_default]
    [play] = yaml_of("playbooks/install.yml")
    assert [role["role"] for role in play["roles"]] == [f"pairbench.lab.{name}" for name in (*NAMES, "bpftrace")]
    assert set(yaml_of("roles/vm_lab/defaults/main.yml")["vm_lab_packages"]) <= {*NAMES, "bpftrace"}


@pytest.mark.parametrize("path", ["playbooks/bench.yml", "roles/bench/tasks", "roles/bench/defaults/main.yml"])
@pytest.mark.parametrize("name", NAMES)
def test_the_main_job_loops_over_the_plan(path: str, name: str) -> None:
    given = ROOT / path
    for part in sorted(given.glob("*.yml")) if given.is_dir() else [given]:
        lines = part.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if name in line and not line.startswith("pairbench_benchmarks:")], part


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", ["README.md", "docs/data.md", "docs/roles.md", "docs/variables.md", "docs/validity.md"])
def test_the_documentation_names_every_benchmark(page: str, name: str) -> None:
    assert name in (ROOT / page).read_text(encoding="utf-8")


def test_names_in_a_sentence() -> None:
    assert benchmarks.listed(["a"], "or") == "a"
    assert benchmarks.listed(["a", "b"], "or") == "a or b"
    assert benchmarks.listed(["a", "b", "c"], "and") == "a, b and c"
    assert in_words("and", "x") == ", ".join(NAMES) + " and x"


def test_the_interface_is_abstract() -> None:
    with pytest.raises(TypeError):
        Benchmark()  # type: ignore[abstract]
