from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import sweep as sweep_command
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Judgement, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import stored_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import (
    BadValue,
    Goal,
    Width,
    block_after,
    blocks_tried,
    duration,
    first_block,
    fits,
    relative_width,
    too_wide,
    wait_before,
    widths,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import TELLING, PassResult, environment, next_log
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import note_status
from hypothesis import given
from hypothesis import strategies as st


def plan(blocks: int = 2, hosts: int = 3) -> Plan:
    return make_plan(
        sweep="s", configuration="c", hosts={f"h{n}": f"10.0.0.{n}" for n in range(1, hosts + 1)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "first_serves"},
        blocks=blocks, seed=1, trace=False,
    )


def finish(sweep_dir: Path, run_ids: list[str]) -> None:
    """What the summary callback leaves of each run, as far as this asks for it."""
    (sweep_dir / "records").mkdir(exist_ok=True)
    runs = {run.run_id: vars(run) for run in planned_runs(load_plan(sweep_dir))}
    for run_id in run_ids:
        path = sweep_dir / "records" / f"{run_id}.json"
        path.write_text("{}", encoding="utf-8")
        note_status(sweep_dir, stored_record({"run": runs[run_id], "attempt": 1}, b"{}"), Judgement("valid"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("30m", 1800), ("30min", 1800), ("1h30m", 5400), ("1d 2h", 93600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-5", "1h30", "5 weeks", "1e9"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadValue, match="like 1h30m"):
        duration(text)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("12.5 %", 0.125)])
def test_widths_are_fractions_of_the_median(text: str, value: float) -> None:
    assert relative_width(text) == value


@pytest.mark.parametrize("text", ["0", "5", "100%", "-1%", "narrow"])
def test_what_is_no_width_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadValue, match="like 5%"):
        relative_width(text)


def test_blocks_follow_each_other_to_the_last() -> None:
    assert [block_after(number, Goal(3)) for number in (1, 2, 3, 4)] == [2, 3, None, None]


def test_the_first_block_is_the_first_of_which_something_is_missing(tmp_path: Path) -> None:
    assert first_block(tmp_path, Goal(6)) == 1
    made = plan(blocks=2)
    store_plan(tmp_path, made)
    assert first_block(tmp_path, Goal(6)) == 1
    runs = list(planned_runs(made))
    finish(tmp_path, [run.run_id for run in runs if run.block == 1])
    assert first_block(tmp_path, Goal(6)) == 2
    finish(tmp_path, [run.run_id for run in runs if run.block == 2])
    assert first_block(tmp_path, Goal(6)) == 3
    assert first_block(tmp_path, Goal(2)) is None


def test_a_block_has_had_its_turn_when_another_followed_or_nothing_of_it_is_missing(tmp_path: Path) -> None:
    assert blocks_tried(tmp_path) == 0
    store_plan(tmp_path, plan(blocks=2))
    assert blocks_tried(tmp_path) == 1
    finish(tmp_path, [run.run_id for run in planned_runs(plan(blocks=2)) if run.block == 2])
    assert blocks_tried(tmp_path) == 2


def test_a_limit_looks_at_its_own_pairs_only(tmp_path: Path) -> None:
    made = plan(blocks=1)
    store_plan(tmp_path, made)
    finish(tmp_path, [run.run_id for run in planned_runs(made) if {run.server, run.client} == {"h1", "h2"}])
    assert first_block(tmp_path, Goal(1), frozenset({"h1", "h2"})) is None
    assert first_block(tmp_path, Goal(1)) == 1


@given(every=st.floats(1, 1e5), now=st.floats(0, 1e6), start=st.floats(0, 1e6))
def test_a_block_is_due_a_period_after_the_one_before_began(every: float, now: float, start: float) -> None:
    wait = wait_before(Goal(6, every=every), now, start)
    assert now + wait == pytest.approx(start + every, abs=1e-3)
    assert wait_before(Goal(6, every=every), now, None) == wait_before(Goal(6), now, start) == 0


def test_a_block_must_end_within_the_budget() -> None:
    goal = Goal(6, budget=100)
    assert fits(goal, started=1000, begin=1040, block_seconds=60)
    assert not fits(goal, started=1000, begin=1041, block_seconds=60)
    assert fits(Goal(6), started=0, begin=1e9, block_seconds=1e9)


def row(server: str, client: str, **changes: Any) -> dict[str, Any]:
    return {"benchmark": "iperf3", "server": server, "client": client, "case": "case",
            "metric": "throughput_received", "median": 100.0, "ci_low": 99.0, "ci_high": 102.0} | changes


def test_every_planned_pair_counts_for_convergence_whether_it_has_an_interval_or_not() -> None:
    rows = [row("h1", "h2"), row("h1", "h3", ci_low=None, ci_high=None), row("h1", "h2", metric="other", ci_high=900.0)]
    found = widths(plan(), rows)
    assert [item.value for item in found] == [None, None, 0.03]  # h2 <- h3 has no row at all
    assert len(too_wide(found, 0.05)) == 2 and len(too_wide(found, 0.02)) == 3
    assert widths(plan(), rows, frozenset({"h1", "h2"})) == [found[2]]
    assert str(found[2]) == "iperf3 case, h1 <- h2, throughput_received: 3 %"
    assert "no interval" in str(found[0])


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sweep_command.add_parser(parser.add_subparsers())
    return parser.parse_args(["sweep", "-i", "lab", *given])


def test_the_goal_of_a_command_line() -> None:
    assert sweep_command.goal_of(arguments()) == Goal(6)
    assert sweep_command.goal_of(arguments("--blocks", "9", "--every", "30m")) == Goal(9, every=1800)
    assert sweep_command.goal_of(arguments("--for", "8h")) == Goal(30, budget=28800)
    assert sweep_command.goal_of(arguments("--until-ci", "5%", "--max-blocks", "12")) == Goal(12, width=0.05)
    assert sweep_command.goal_of(arguments("--more", "2"), tried=5) == Goal(7)
    for wrong in (("--more", "0"), ("--blocks", "0"), ("--blocks", "-1"), ("--until-ci", "5%", "--max-blocks", "5")):
        with pytest.raises(BadValue, match="at least"):
            sweep_command.goal_of(arguments(*wrong))


def test_options_are_those_of_ansible_playbook(tmp_path: Path) -> None:
    given = arguments("-i", "more", "--results", str(tmp_path), "--sweep", "n", "--limit", "a,b", "--forks", "4",
                      "-e", "iperf3_seconds=2", "-e", '{"x": "y z"}')
    assert sweep_command.options_of(given) == [
        "-i", "lab", "-i", "more", "-e", "pairbench_sweep=n", "-e", f"pairbench_results={tmp_path}",
        "-e", "iperf3_seconds=2", "-e", '{"x": "y z"}', "--limit", "a,b", "--forks", "4",
    ]


def test_each_pass_has_a_log_of_its_own(tmp_path: Path) -> None:
    names = [next_log(tmp_path).name for _pass in range(3)]  # also where none of them has begun to write
    assert names == ["pass-001.log", "pass-002.log", "pass-003.log"]


def test_the_callback_is_always_on() -> None:
    assert environment({})["ANSIBLE_CALLBACKS_ENABLED"] == "pairbench.lab.summary"
    both = environment({"ANSIBLE_CALLBACKS_ENABLED": "timer,pairbench.lab.summary"})
    assert both["ANSIBLE_CALLBACKS_ENABLED"] == "timer,pairbench.lab.summary"


def test_lines_that_say_how_far_a_pass_is_are_shown_and_others_are_not() -> None:
    assert TELLING.match("[2/4 runs, 50 %, 6 s left] block 1/1 iperf3 vm1 <- vm2: 2 valid")
    assert TELLING.match("Sweep a: 4 of 8 planned runs to do, about 24 s (/results/a)")
    assert not TELLING.match("Sweep a, configuration netns")
    assert not TELLING.match("TASK [bench : Measure]")


class Lab:
    """Passes of a playbook that measures everything but the pairs of hosts that are away."""

    def __init__(self, sweep_dir: Path, away: str = "") -> None:
        self.sweep_dir, self.away = sweep_dir, away
        self.passes: list[int] = []
        self.takes = 0.0

    def __call__(self, _playbook: str, options: list[str], log: Path, _say: object) -> Lab:
        self.log = log
        self.passes.append(int(options[-1].removeprefix("pairbench_blocks=")))
        return self

    def run(self, stop_at: float | None = None) -> PassResult:
        self.stop_at = stop_at
        time.sleep(self.takes)
        had = load_plan(self.sweep_dir).blocks if (self.sweep_dir / "plan.json").exists() else 0
        made = plan(blocks=max(self.passes[-1], had))
        store_plan(self.sweep_dir, made)
        away = set(self.away.split())
        finish(self.sweep_dir, [run.run_id for run in planned_runs(made) if not away & {run.server, run.client}])
        return PassResult(2 if self.away else 0, False, (), self.log)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path / "s")
    monkeypatch.setattr(sweep_command, "Pass", made)
    monkeypatch.setattr(sweep_command, "render_sweep", lambda *_given: "")
    return made


def sweep(lab: Lab, *given: str) -> tuple[int, list[int]]:
    """Exit status, and the block that each pass was for."""
    lab.passes.clear()
    status = sweep_command.run(arguments("--results", str(lab.sweep_dir.parent), "--sweep", lab.sweep_dir.name, *given))
    return status, list(lab.passes)


def test_a_block_that_was_interrupted_is_finished_before_convergence_is_looked_at(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_command.Sweep, "_widths", lambda _self: [])
    assert sweep(lab, "--blocks", "7") == (0, [1, 2, 3, 4, 5, 6, 7])
    lost = next(path for path in (lab.sweep_dir / "records").iterdir() if path.name.startswith("b007"))
    lost.unlink()
    assert sweep(lab, "--until-ci", "5%") == (0, [7])
    assert sweep(lab, "--until-ci", "5%") == (0, [])


def test_a_host_that_stays_away_keeps_nobody_from_later_blocks(lab: Lab) -> None:
    lab.away = "h3"
    assert sweep(lab, "--blocks", "2") == (1, [1, 2])
    assert sweep(lab, "--blocks", "4") == (1, [1, 3, 4])
    assert sweep(lab, "--blocks", "4") == (1, [1])
    lab.away = ""
    assert sweep(lab, "--blocks", "4") == (0, [1])


def test_one_more_block_every_night_although_a_host_stays_away(lab: Lab) -> None:
    lab.away = "h3"
    assert sweep(lab, "--more", "1") == (1, [1])
    assert sweep(lab, "--more", "1") == (1, [1, 2])
    assert sweep(lab, "--more", "1") == (1, [1, 3])
    lab.away = ""
    assert sweep(lab, "--more", "1") == (0, [1])
    assert sweep(lab, "--more", "1") == (0, [4])


def test_what_a_host_that_is_away_has_missed_does_not_use_up_the_time_of_a_night(lab: Lab) -> None:
    """Two blocks without h3 lack three of three rounds each: 15 s by the plan, though nothing can be measured."""
    lab.away = "h3"
    assert sweep(lab, "--blocks", "2") == (1, [1, 2])
    assert sweep(lab, "--more", "1", "--for", "8s") == (1, [1, 3])
    lab.away = ""
    assert sweep(lab, "--more", "1", "--for", "8s") == (0, [1])
    assert lab.stop_at is not None  # hosts that have come back: as much as there is time for
    assert sweep(lab, "--more", "1", "--for", "8s") == (0, [4]) and lab.stop_at is None
    assert sweep(lab, "--more", "1", "--for", "7s") == (0, []), "a new block is not begun when there is no time for it"


def test_whether_it_converged_is_said_although_something_is_missing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.away = "h3"
    width = Width("iperf3 case, h1 <- h2", "throughput_received", 0.2)
    monkeypatch.setattr(sweep_command.Sweep, "_widths", lambda _self: [width])
    assert sweep(lab, "--until-ci", "5%", "--max-blocks", "6") == (1, [1, 2, 3, 4, 5, 6])
    assert "NOT CONVERGED after 6 blocks: 1 intervals are wider than 5 %" in capsys.readouterr().out
    assert sweep(lab, "--until-ci", "30%") == (1, [1])
    assert "Converged after 6 blocks" in capsys.readouterr().out
    lab.away = ""
    assert sweep(lab, "--until-ci", "5%", "--max-blocks", "6") == (3, [1])


def test_a_first_block_of_unknown_length_is_ended_when_the_time_is_over(lab: Lab) -> None:
    assert sweep(lab, "--for", "1h", "--max-blocks", "1") == (0, [1]) and lab.stop_at is not None
    assert sweep(lab, "--for", "1h", "--max-blocks", "2") == (0, [2]) and lab.stop_at is None


def test_a_block_that_was_ended_in_time_has_not_failed(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.away = "h1 h2"
    lab.takes = 0.02
    assert sweep(lab, "--for", "0.01s", "--max-blocks", "2")[1] == [1]
    shown = capsys.readouterr()
    assert "measured nothing" not in shown.err and "No time for block 2" in shown.out
