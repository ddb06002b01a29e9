"""Plugins only translate between Ansible and the library: none has room for more."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest
from clone import ROOT

KINDS = ("action", "callback", "connection", "filter", "inventory")
MOST_LINES = 100
PLUGINS = sorted(path for kind in KINDS for path in (ROOT / "plugins" / kind).glob("*.py"))
NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
DOCUMENTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")


def lines_of_code(source: str) -> int:
    """Lines that are neither blank nor comment, docstring or documentation for Ansible."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if is_prose(node):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))  # type: ignore[attr-defined]
    return len(lines)


def is_prose(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id in DOCUMENTS
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def test_only_code_counts() -> None:
    assert lines_of_code('"""Prose\nprose."""\n\nDOCUMENTATION = r"""\na: b\n"""\n# why\nx = [\n    1,\n]\n') == 3


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_has_no_room_for_logic(path: Path) -> None:
    assert lines_of_code(path.read_text(encoding="utf-8")) < MOST_LINES
