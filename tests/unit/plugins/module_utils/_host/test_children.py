"""Children under limits: what of their output is kept, what they may write, and how a word in it is waited for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import children
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import (
    Child,
    kept_text,
    size_of,
    too_large,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits a million times smaller."""
    monkeypatch.setattr(children, "OUTPUT_BYTES", 1000)
    monkeypatch.setattr(children, "KEPT_BYTES", 10)
    monkeypatch.setattr(children, "FILE_BYTES", 5000)


def child(tmp_path: Path, code: str) -> Child:
    return Child([sys.executable, "-u", "-c", code], 60, str(tmp_path), "tool")


@pytest.mark.usefixtures("small")
def test_of_a_long_output_the_beginning_and_the_end_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"beginning!" + b"x" * 1000 + b"in the end")
    assert kept_text(str(path)) == "beginning!\n[pairbench: 1000 bytes are missing here]\nin the end"
    path.write_bytes(b"y" * 1000)
    assert kept_text(str(path)) == "y" * 1000
    assert kept_text(str(tmp_path / "none")) == ""
    assert size_of(str(tmp_path / "none")) == 0


@pytest.mark.usefixtures("small")
def test_sizes_are_named_where_they_are_too_large() -> None:
    assert too_large({"stdout": 1000, "stderr": 0}) is None
    assert too_large({"trace": 1001, "stdout": 1000, "stderr": 2000}) == (
        "stderr has 2000 bytes, trace has 1001 bytes; up to 1000 are kept"
    )


@pytest.mark.usefixtures("small")
def test_the_kernel_ends_who_writes_too_large_a_file(tmp_path: Path) -> None:
    # Python itself ignores the signal, a program in C does not.
    shell = Child(["sh", "-c", "exec dd if=/dev/zero bs=100"], 60, str(tmp_path), "tool")
    shell._process.wait(30)
    assert shell.wrote_too_much
    assert shell.sizes()["stdout"] == 5000
    assert not shell.timed_out
    fine = child(tmp_path, "print('x' * 900)")
    fine._process.wait(30)
    assert not fine.wrote_too_much and fine.sizes() == {"stdout": 901, "stderr": 0}


def test_a_word_is_found_wherever_the_output_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = child(tmp_path, "pass")
    tool._process.wait(30)
    path = tmp_path / "tool.stdout"
    for before in (0, 5, (1 << 16) - 3, 1 << 16, (1 << 17) - 1):
        path.write_bytes(b"")
        tool._searches.clear()
        assert not tool.has_said('"armed')
        path.write_bytes(b"." * before)
        assert not tool.has_said('"armed')
        with path.open("ab") as handle:
            handle.write(b'"ar')
        assert not tool.has_said('"armed')
        with path.open("ab") as handle:
            handle.write(b'med\n"')
        assert tool.has_said('"armed')
        assert not tool.has_said('"disarmed')
