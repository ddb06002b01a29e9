"""``pairbench tables``: only the folder of a sweep has tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main


def test_tables_of_something_else_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", str(tmp_path)]) == 2
    assert "there is no sweep in" in capsys.readouterr().err
