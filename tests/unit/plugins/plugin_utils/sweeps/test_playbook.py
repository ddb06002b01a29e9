"""One pass through ansible-runner: its log, its environment, and what becomes of its events."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import Pass, environment, next_log


def test_each_pass_has_a_log_of_its_own(tmp_path: Path) -> None:
    names = [next_log(tmp_path).name for _pass in range(3)]  # also where none of them has begun to write
    assert names == ["pass-001.log", "pass-002.log", "pass-003.log"]


def test_the_callback_is_always_on() -> None:
    assert environment({})["ANSIBLE_CALLBACKS_ENABLED"] == "pairbench.lab.summary"
    both = environment({"ANSIBLE_CALLBACKS_ENABLED": "timer,pairbench.lab.summary"})
    assert both["ANSIBLE_CALLBACKS_ENABLED"] == "timer,pairbench.lab.summary"


def taken(tmp_path: Path, *events: dict[str, Any]) -> tuple[Pass, list[str], str]:
    """A pass after these events, what it said, and its log without the times."""
    said: list[str] = []
    log = io.StringIO()
    one = Pass("p", [], tmp_path / "log", said.append)
    for event in events:
        assert one._event(event, log) is False, "the runner need not keep it"
    return one, said, "".join(line.split(" ", 1)[1] for line in log.getvalue().splitlines(keepends=True))


def failure(message: str, **result: Any) -> dict[str, Any]:
    return {"event": "runner_on_failed", "stdout": f"fatal: [h]: {message}",
            "event_data": {"host": "h", "res": {"msg": message} | result}}


def test_everything_is_in_the_log_and_only_how_far_it_is_is_said(tmp_path: Path) -> None:
    progress = "[1/2 runs, 50 %, 6 s left] block 1/1 iperf3 vm1 <- vm2: 1 valid"
    _one, said, log = taken(
        tmp_path,
        {"event": "playbook_on_task_start", "stdout": "\r\nTASK [bench : Measure] ***"},
        {"event": "verbose", "stdout": progress},
        {"event": "verbose", "stdout": ""},
        {"event": "runner_on_ok", "stdout": f"ok: {progress}"},
    )
    assert said == [progress] and "TASK [bench : Measure]" in log and f"ok: {progress}" in log


def test_a_host_that_is_held_counts_more_than_any_other_refusal(tmp_path: Path) -> None:
    held, refused = failure("h: held", refusal=HELD), failure("Nothing was measured.", refusal=REFUSED)
    for order in ((held, refused), (refused, held)):
        assert taken(tmp_path, *order)[0]._refusal == HELD
    assert taken(tmp_path, refused)[0]._refusal == REFUSED
    assert taken(tmp_path, failure("the host is held by nobody that we know of"))[0]._refusal == ""
