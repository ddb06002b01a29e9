"""The walls of the house: what each part of plugins/ may import, and how large it may grow.

Hosts under test get standard-library code only. The library knows no Ansible, and its rooms import only from rooms on
lower floors. Plugins translate between Ansible and the library.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from clone import ROOT

COLLECTION = "ansible_collections.pairbench.lab"
PLUGINS = ROOT / "plugins"
LIBRARY = PLUGINS / "plugin_utils"
FLOORS = (
    "model", "addresses", "plain_text", "shapes", "formatting",
    "controller", "storage", "parsing", "planning", "records", "tracing", "benchmarks", "validity", "store", "statistics",
    "lab", "tables", "notes", "sweeps", "execution", "rootless", "report", "cli",
)  # fmt: skip
"""Rooms of plugin_utils, and the single files on its ground floor, from the ground up."""
LIBRARIES = {"pandas", "numpy", "scipy", "ansible_runner"}
"""What the library takes from others."""
OLDEST_PYTHON = (3, 8)
"""Of hosts under test."""
MOST_MODULES = 12
MOST_LINES_OF_A_PLUGIN = 100
KINDS_OF_PLUGINS = ("action", "callback", "connection", "filter", "inventory")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PLUGINS / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's name below ``plugins``."""
    parts = path.relative_to(PLUGINS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in python_files(".")}


def imported_by(path: Path) -> Iterator[str]:
    """Full names of everything that a file imports, wherever in it: of modules where they are ours, else as written."""
    package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = [COLLECTION, "plugins", *package[: len(package) - node.level + 1]] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner.removeprefix(f"{COLLECTION}.plugins.") in NAMES else base


def ours(path: Path) -> set[str]:
    """Modules below ``plugins`` that a file imports."""
    prefix = f"{COLLECTION}.plugins."
    return {name.removeprefix(prefix) for name in imported_by(path) if name.startswith(prefix)}


def others(path: Path) -> set[str]:
    """Top names of what a file imports beside the standard library and this collection."""
    tops = {name.partition(".")[0] for name in imported_by(path) if not name.startswith(COLLECTION)}
    return tops - sys.stdlib_module_names


def floor_of(module: str) -> int:
    return FLOORS.index(module.split(".")[1])


@pytest.mark.parametrize("path", python_files("modules", "module_utils"), ids=name_of)
def test_code_on_hosts_is_of_the_standard_library_and_for_old_pythons(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)
    assert all(name.startswith("module_utils.") for name in ours(path))
    foreign = {name for name in imported_by(path) if name.partition(".")[0] in others(path)}
    allowed = {"ansible.module_utils.basic"} if path.parent.name == "modules" else set()
    assert foreign <= allowed


@pytest.mark.parametrize("path", python_files("plugin_utils"), ids=name_of)
def test_the_library_knows_no_ansible_and_looks_down_only(path: Path) -> None:
    assert others(path) <= LIBRARIES
    for name in ours(path):
        if name.startswith("module_utils."):
            continue
        inside = name.split(".")[1] == name_of(path).split(".")[1]
        assert inside or floor_of(name) < floor_of(name_of(path)), f"{name_of(path)} looks up to {name}"


def test_no_import_goes_in_a_circle() -> None:
    arrows = {name_of(path): ours(path) - {name_of(path)} for path in python_files(".")}
    for module, targets in arrows.items():
        # A package is made of its modules: what it hands on is no arrow back.
        arrows[module] = {target for target in targets if not module.startswith(f"{target}.")}
    tuple(TopologicalSorter(arrows).static_order())


def test_every_room_is_on_a_floor_says_what_it_is_for_and_is_no_hall() -> None:
    rooms = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == set(FLOORS)
    for package in LIBRARY.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))), package
    for folder in {path.parent for path in python_files("plugin_utils", "module_utils")}:
        assert len(list(folder.glob("[!_]*.py"))) <= MOST_MODULES, folder


def test_the_page_about_rooms_shows_them_as_they_are() -> None:
    page = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    rooms = [room for room in reversed(FLOORS) if (LIBRARY / room).is_dir()]
    hosts = sorted(path.parent.name for path in (PLUGINS / "module_utils").glob("*/__init__.py"))
    assert shown == rooms + hosts


@pytest.mark.parametrize("path", python_files(*KINDS_OF_PLUGINS), ids=name_of)
def test_a_plugin_only_translates(path: Path) -> None:
    assert lines_of_code(path.read_text(encoding="utf-8")) <= MOST_LINES_OF_A_PLUGIN


def lines_of_code(source: str) -> int:
    """Lines that hold more than blanks, comments and texts that stand alone (docstrings, ``DOCUMENTATION``)."""
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Expr, ast.Assign)) and isinstance(getattr(node.value, "value", None), str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in silent for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - texts)
