"""What the events of ansible-runner say, told by their fields; and the one thing that they say in words only."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.progress import Progress
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED, CaseSpec, Judgement
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import new_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.events import errors_of, lines_of, progress_of, refusal_of


def failed(event: str = "runner_on_failed", **result: Any) -> dict[str, Any]:
    return {"event": event, "stdout": "fatal: [vm1]: FAILED!", "event_data": {"host": "vm1", "res": result}}


def shown(text: str, event: str = "verbose") -> dict[str, Any]:
    return {"event": event, "stdout": text, "event_data": {}}


@pytest.mark.parametrize("event", ["runner_on_failed", "runner_item_on_failed", "runner_on_unreachable"])
@pytest.mark.parametrize("word", [HELD, REFUSED])
def test_a_failed_task_says_in_one_word_why_nothing_is_measured(event: str, word: str) -> None:
    assert refusal_of(failed(event, msg="whatever it says", refusal=word)) == word


@pytest.mark.parametrize(
    "event",
    [
        {},
        shown("the sweep is held by me. Nothing was measured."),
        failed(msg="Nothing was measured. this host is held by me"),
        failed(msg="", refusal="maybe"),
        failed("runner_on_ok", refusal=HELD),
        {"event": "runner_on_failed", "event_data": {"res": ["held"]}},
    ],
)
def test_sentences_and_other_words_are_no_refusal(event: dict[str, Any]) -> None:
    assert refusal_of(event) == ""


def test_errors_are_what_failed_tasks_say_and_what_ansible_displays_as_such() -> None:
    assert errors_of(failed(msg="Nothing was measured. a\nb")) == ["vm1: Nothing was measured. a", "vm1: b"]
    assert errors_of(failed()) == ["vm1: failed"]
    assert errors_of(shown("\x1b[0;31mERROR! no such playbook\x1b[0m", "error")) == ["ERROR! no such playbook"]
    assert errors_of(shown("[ERROR]: The play was broken off.\nas it is")) == ["[ERROR]: The play was broken off."]
    assert errors_of(shown("[WARNING]: no", "warning")) == errors_of(failed("runner_on_ok", msg="fatal: x")) == []


def test_lines_hold_nothing_that_a_terminal_obeys() -> None:
    assert lines_of(shown("\x1b[0;32mok\x1b[0m  \na\x07b\u202e")) == ["ok", "a\\x07b\\u202e"]
    assert lines_of({"stdout": None}) == lines_of({}) == []


def test_lines_that_say_how_far_a_pass_is_are_told_from_others() -> None:
    for line in (
        "[2/4 runs, 50 %, 6 s left] block 1/1 iperf3 vm1 <- vm2: 2 valid",
        "Sweep a: 4 of 8 planned runs to do, about 24 s (/results/a)",
        "Collected 2 runs that ended while no controller was there",
        "The sweep is held by me@here, pid 7; waiting for up to 5 s",
    ):
        assert progress_of(shown(line)) == [line]
        assert not progress_of({**failed(), "stdout": line}), "what a host or a task prints is not ours"
    warning = "[WARNING]: vm1 fell away: it gave no answer. Its sessions wait for the next block."
    assert progress_of(shown(warning, "warning")) == [warning]
    assert not progress_of(shown("Sweep a, configuration netns")) and not progress_of(shown("TASK [bench : Measure]"))


def test_the_lines_of_the_progress_are_known_here() -> None:
    plan = make_plan(
        sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"}, blocks=1, seed=1, trace=False,
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "first_serves"},
    )
    progress = Progress(plan, what_remains(plan))
    progress.begin_step(plan.steps[0], 0.0)
    [run] = planned_runs(plan)
    lines = [progress.opening("/s"), *progress.advance(new_record("s", "c", vars(run), {}), Judgement("valid"), 1.0)]
    lines.append(Progress(plan, what_remains(plan, {run.run_id})).opening("/s"))
    assert len(lines) == 3 and all(progress_of(shown(line)) == [line] for line in lines)
