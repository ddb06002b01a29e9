"""``pairbench sweep`` from its arguments to its exit status, over passes that only pretend to measure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import sweep as sweep_command
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps import loop
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import BadValue, Goal, Width
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import PassResult
from pretended_passes import Passes, plan


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


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Passes:
    made = Passes(tmp_path / "s")

    def make_pass(_playbook: str, options: list[str], log: Path, _say: object) -> Passes:
        return made(int(options[-1].removeprefix("pairbench_blocks=")), log)

    monkeypatch.setattr(sweep_command, "Pass", make_pass)
    monkeypatch.setattr(sweep_command, "render_sweep", lambda *_given: "")
    return made


def sweep(lab: Passes, *given: str) -> tuple[int, list[int]]:
    """Exit status, and the block that each pass was for."""
    lab.blocks.clear()
    status = sweep_command.run(arguments("--results", str(lab.sweep_dir.parent), "--sweep", lab.sweep_dir.name, *given))
    return status, list(lab.blocks)


def test_a_block_that_was_interrupted_is_finished_before_convergence_is_looked_at(
    lab: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Sweep, "widths", lambda _self: [])
    assert sweep(lab, "--blocks", "7") == (0, [1, 2, 3, 4, 5, 6, 7])
    lost = next(path for path in (lab.sweep_dir / "records").iterdir() if path.name.startswith("b007"))
    lost.unlink()
    assert sweep(lab, "--until-ci", "5%") == (0, [7])
    assert sweep(lab, "--until-ci", "5%") == (0, [])


def test_a_host_that_stays_away_keeps_nobody_from_later_blocks(lab: Passes) -> None:
    lab.away = "h3"
    assert sweep(lab, "--blocks", "2") == (1, [1, 2])
    assert sweep(lab, "--blocks", "4") == (1, [1, 3, 4])
    assert sweep(lab, "--blocks", "4") == (1, [1])
    lab.away = ""
    assert sweep(lab, "--blocks", "4") == (0, [1])


def test_one_more_block_every_night_although_a_host_stays_away(lab: Passes) -> None:
    lab.away = "h3"
    assert sweep(lab, "--more", "1") == (1, [1])
    assert sweep(lab, "--more", "1") == (1, [1, 2])
    assert sweep(lab, "--more", "1") == (1, [1, 3])
    lab.away = ""
    assert sweep(lab, "--more", "1") == (0, [1])
    assert sweep(lab, "--more", "1") == (0, [4])


def test_what_a_host_that_is_away_has_missed_does_not_use_up_the_time_of_a_night(lab: Passes) -> None:
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
    lab: Passes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.away = "h3"
    width = Width("iperf3 case, h1 <- h2", "throughput_received", 0.2)
    monkeypatch.setattr(loop.Sweep, "widths", lambda _self: [width])
    assert sweep(lab, "--until-ci", "5%", "--max-blocks", "6") == (1, [1, 2, 3, 4, 5, 6])
    assert "NOT CONVERGED after 6 blocks: 1 intervals are wider than 5 %" in capsys.readouterr().out
    assert sweep(lab, "--until-ci", "30%") == (1, [1])
    assert "Converged after 6 blocks" in capsys.readouterr().out
    lab.away = ""
    assert sweep(lab, "--until-ci", "5%", "--max-blocks", "6") == (3, [1])


def test_a_first_block_of_unknown_length_is_ended_when_the_time_is_over(lab: Passes) -> None:
    assert sweep(lab, "--for", "1h", "--max-blocks", "1") == (0, [1]) and lab.stop_at is not None
    assert sweep(lab, "--for", "1h", "--max-blocks", "2") == (0, [2]) and lab.stop_at is None


def test_a_block_that_was_ended_in_time_has_not_failed(lab: Passes, capsys: pytest.CaptureFixture[str]) -> None:
    lab.away = "h1 h2"
    lab.takes = 0.02
    assert sweep(lab, "--for", "0.01s", "--max-blocks", "2")[1] == [1]
    shown = capsys.readouterr()
    assert "measured nothing" not in shown.err and "No time for block 2" in shown.out


@pytest.mark.parametrize(
    ("refusal", "is_planned", "status"),
    [(HELD, False, 4), (HELD, True, 4), (REFUSED, True, 2), ("", False, 2), ("", True, 1)],
)
def test_the_exit_status_says_why_nothing_was_measured(
    lab: Passes, refusal: str, is_planned: bool, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if is_planned:
        store_plan(lab.sweep_dir, plan(blocks=1))
    lab.refuses = PassResult(2, refusal, ("h1: something", "[ERROR]: \x1b[2J"), lab.sweep_dir / "logs" / "pass-001.log")
    assert sweep(lab, "--blocks", "2") == (status, [1] if refusal or not is_planned else [1, 2])
    told = capsys.readouterr().err
    assert "pairbench: h1: something\npairbench: [ERROR]: \\x1b[2J\n" in told
    assert "the playbook ended with 2 and measured nothing; see " in told


def test_without_ansible_runner_the_same_is_told_by_hand(
    lab: Passes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ansible_runner", None)
    assert sweep(lab) == (2, [])
    assert "by hand, block by block: ansible-playbook pairbench.lab.bench -i lab" in capsys.readouterr().err
