"""The console script: its usage, and an end without noise."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
from clone import CAPTURES

NOTES = CAPTURES / "notes" / "notes.md"

SCRIPT = """
import sys
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
sys.exit(main())
"""


def test_a_reader_that_stops_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "parse", *[str(NOTES)] * 40],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "usage: pairbench" in capsys.readouterr().err
