"""What is kept of a run, whatever happens to it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._session.outcome import Outcome, keep_empty, kept, refusals
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem

RUN: dict[str, Any] = {"run_id": "r", "argv": ["x"], "port": 1}
SPEC: dict[str, Any] = {
    "role": "server", "host": "vm1", "sweep": "s", "token": "t", "address": "127.0.0.1", "tool_version": "", "runs": [RUN],
}  # fmt: skip


def execution(ended_at: str | None) -> Any:
    end = {"execution": "e", "ended_at": ended_at, "problem": None}
    return SimpleNamespace(end=end, finish=lambda: None)


@pytest.mark.parametrize(
    ("error", "ended_at", "reason"),
    [
        (PeerLost("gone"), "2026-01-01", "peer_lost"),
        (ValueError("ours"), "2026-01-01", None),
        (ValueError("ours"), None, "host_error"),
    ],
)
def test_the_end_of_a_run_that_was_cut_short_is_kept(error: Exception, ended_at: str | None, reason: str | None) -> None:
    outcome = Outcome(SPEC)
    with pytest.raises(type(error)), kept(execution(ended_at), RUN, outcome):
        raise error
    problem = outcome.ends["r"]["problem"]
    assert (problem and problem["reason"]) == reason


def test_an_end_that_exists_is_not_replaced_by_an_empty_one() -> None:
    outcome = Outcome(SPEC)
    keep_empty(SPEC, RUN, outcome, RunProblem("port_taken", "by whom"))
    keep_empty(SPEC, RUN, outcome, RunProblem("disk_full", "later"))
    assert outcome.ends["r"]["problem"] == {"reason": "port_taken", "detail": "by whom"}


def test_what_the_system_refuses_is_a_problem_of_the_run() -> None:
    with pytest.raises(RunProblem, match="no such thing") as refused, refusals():
        raise OSError(2, "no such thing")
    assert refused.value.reason == "host_error"


def test_a_spool_that_cannot_be_written_costs_only_the_second_copy(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    outcome = Outcome(SPEC | {"spool": str(blocked)})
    outcome.add(RUN, {"execution": "e"})
    assert outcome.ends == {"r": {"execution": "e"}} and outcome.kept == {}
    assert f"outputs could not be kept in {blocked}" in str(outcome.spool_problem)
    whole = Outcome(SPEC | {"spool": str(tmp_path / "spool")})
    whole.add(RUN, {"execution": "e"})
    assert whole.kept == {"r": "r.e.server.json"} and whole.spool_problem is None
