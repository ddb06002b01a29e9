"""The END of a run before anything is measured, and the words of a process that explain its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import (
    Execution,
    empty_end,
    execution_name,
    last_words,
)
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem

SPEC: dict[str, Any] = {"host": "vm1", "token": "secret", "address": "127.0.0.1", "tool_version": "1", "trace_mode": "count"}
RUN: dict[str, Any] = {"run_id": "r", "argv": ["pbunit-no-such-tool"], "port": 5201, "traced": False, "limit_seconds": 5}


def said(stdout: str, stderr: str = "") -> Any:
    return SimpleNamespace(child=SimpleNamespace(stdout=lambda: stdout, stderr=lambda: stderr))


def test_attempts_are_told_apart_and_the_token_stays_secret() -> None:
    assert execution_name("one") == execution_name("one") != execution_name("two")
    assert "secret" not in str(empty_end(SPEC, RUN))


def test_an_empty_end_says_why_nothing_was_measured() -> None:
    end = empty_end(SPEC, RUN, {"reason": "x", "detail": "y"})
    assert (end["problem"], end["returncode"], end["stdout"]) == ({"reason": "x", "detail": "y"}, None, "")


@pytest.mark.parametrize(
    ("stdout", "stderr", "told"),
    [
        ("one\ntwo\n", "", "two"),
        ("usage\n", "error: no such option\nusage\n", "error: no such option"),
        ("", "couldn't set RLIMIT_MEMLOCK for bpftrace\n", "it said nothing"),
        ("", "", "it said nothing"),
        ("x" * 400, "", "x" * 300),
    ],
)
def test_a_complaint_explains_more_than_the_last_line(stdout: str, stderr: str, told: str) -> None:
    assert last_words(said(stdout, stderr)) == told


def test_a_tool_that_is_not_installed_is_named(tmp_path: Any) -> None:
    with pytest.raises(RunProblem, match="pbunit-no-such-tool is not installed on this host") as refused:
        Execution(SPEC, RUN, str(tmp_path))
    assert refused.value.reason == "tool_missing"


def test_a_process_leaves_its_output_and_its_status(tmp_path: Any) -> None:
    execution = Execution(SPEC, RUN | {"argv": ["sh", "-c", "echo heard; exit 3"]}, str(tmp_path))
    execution.start("client")
    while execution.child.returncode() is None:
        pass
    execution.mark_measured()
    execution.finish()
    end = execution.end
    assert (end["stdout"], end["returncode"], end["timed_out"], end["problem"]) == ("heard\n", 3, False, None)
    assert end["figures"] and end["seconds"] > 0
