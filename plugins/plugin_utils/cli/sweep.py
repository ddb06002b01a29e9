"""``pairbench sweep``: repeat the playbook block by block until enough has been measured."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..model import HELD
from ..planning.stored import load_plan
from ..report.terminal import render_sweep
from ..storage.sweep_folder import SweepFolder
from ..sweeps.decisions import (
    FEWEST_BLOCKS,
    WORST_SHOWN,
    BadValue,
    Goal,
    Width,
    blocks_tried,
    command_line,
    duration,
    relative_width,
    too_wide,
)
from ..sweeps.inventory import hosts_of_limit
from ..sweeps.loop import Outcome, Sweep
from ..sweeps.playbook import PLAYBOOK, SIGNALS, Pass, PassResult
from ..tables.completeness import completeness_of
from .console import NOT_CONVERGED, NOT_VALID, SOMEBODY_HOLDS, USAGE, WELL, complain, say

EXIT_STATUS = """exit status: 0 everything planned is measured and valid; 1 something is missing, invalid or failed;
2 wrong usage, or the playbook refused to start; 3 the intervals are wider than --until-ci at the last block;
4 another controller holds the sweep, or another sweep a host; 130 and 143 interrupted (SIGINT, SIGTERM)"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser(
        "sweep", help="repeat bench.yml block by block, with a budget or until the intervals are narrow",
        epilog=EXIT_STATUS, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("-i", "--inventory", action="append", required=True, metavar="INVENTORY")
    parser.add_argument("--sweep", default="default", metavar="NAME", help="pairbench_sweep; default: default")
    parser.add_argument("--results", default=Path("results"), type=Path, metavar="DIR", help="default: results")
    number = parser.add_mutually_exclusive_group()
    number.add_argument("--blocks", type=int, metavar="N",
                        help="blocks in all; default: 6, without --for and --until-ci")
    number.add_argument("--more", type=int, metavar="N", help="blocks more than there are, as for a nightly timer")
    parser.add_argument("--every", type=_duration, metavar="TIME",
                        help="from the start of a block to the start of the next: 30m, 1d")
    parser.add_argument("--for", dest="budget", type=_duration, metavar="TIME",
                        help="begin no block that would end later, and end what was begun without knowing: 8h")
    parser.add_argument("--until-ci", type=_width, metavar="WIDTH",
                        help="until every headline's 95 %% interval is at most this wide, relative to its median: 5%%")
    parser.add_argument("--max-blocks", type=int, default=30, metavar="N",
                        help="with --until-ci or --for: not more blocks than this; default: 30")
    parser.add_argument("--limit", metavar="HOSTS", help="as for ansible-playbook")
    parser.add_argument("--forks", type=int, metavar="N", help="as for ansible-playbook")
    parser.add_argument("-e", "--extra-vars", action="append", default=[], metavar="VAR=VALUE",
                        help="as for ansible-playbook")
    parser.add_argument("--playbook", default=PLAYBOOK, help=f"default: {PLAYBOOK}")
    parser.set_defaults(command=run)


def _duration(text: str) -> float:
    try:
        return duration(text)
    except BadValue as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _width(text: str) -> float:
    try:
        return relative_width(text)
    except BadValue as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def goal_of(arguments: argparse.Namespace, tried: int = 0) -> Goal:
    """What was asked for, when so many blocks have had their turn. Raises BadValue."""
    open_ended = arguments.until_ci is not None or arguments.budget is not None
    blocks = arguments.blocks
    if arguments.more is not None:
        if arguments.more < 1:
            raise BadValue(f"--more is {arguments.more}; it must be at least 1")
        blocks = arguments.more + tried
    if blocks is None:
        blocks = arguments.max_blocks if open_ended else FEWEST_BLOCKS
    if blocks < 1:
        raise BadValue(f"--blocks is {blocks}; it must be at least 1")
    if arguments.until_ci is not None and blocks < FEWEST_BLOCKS:
        raise BadValue(f"--until-ci needs at least {FEWEST_BLOCKS} blocks for an interval; the most here are {blocks}")
    return Goal(blocks, arguments.every, arguments.budget, arguments.until_ci)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    try:
        import ansible_runner  # noqa: F401
    except ImportError:
        complain("sweep needs ansible-runner (pip install ansible-runner); the same by hand, block by block: "
                 + " ".join(command_line(arguments.playbook, options_of(arguments), 1)))  # fmt: skip
        return USAGE
    sweep_dir = arguments.results.absolute() / arguments.sweep
    try:
        only = hosts_of_limit(arguments.inventory, arguments.limit) if arguments.limit else None
        goal = goal_of(arguments, blocks_tried(sweep_dir, only))
    except BadValue as error:
        complain(str(error))
        return USAGE
    return _repeat(arguments, sweep_dir, goal, only)


def _repeat(arguments: argparse.Namespace, sweep_dir: Path, goal: Goal, only: frozenset[str] | None) -> int:
    options = options_of(arguments)

    def make_pass(block: int, log: Path) -> Pass:
        return Pass(arguments.playbook, [*options, "-e", f"pairbench_blocks={block}"], log, say)

    sweep = Sweep(sweep_dir, goal, make_pass, say, only, arguments.more)
    with _signals(sweep.interrupt):
        outcome = sweep.run()
        if outcome.signal or outcome.refused or not SweepFolder(sweep_dir).has_plan:
            return _said_end(outcome)
        return _said_result(sweep, sweep_dir, goal.width, only)


@contextlib.contextmanager
def _signals(interrupt: Callable[[int], None]) -> Iterator[None]:
    """Signals that would end this program go to ``interrupt`` instead."""
    before = {number: signal.signal(number, lambda got, _frame: interrupt(got)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def options_of(arguments: argparse.Namespace) -> list[str]:
    """Options of ansible-playbook that are the same in every pass."""
    options = [item for name in arguments.inventory for item in ("-i", name)]
    options += ["-e", f"pairbench_sweep={arguments.sweep}", "-e", f"pairbench_results={arguments.results.absolute()}"]
    options += [item for text in arguments.extra_vars for item in ("-e", text)]
    if arguments.limit:
        options += ["--limit", arguments.limit]
    if arguments.forks:
        options += ["--forks", str(arguments.forks)]
    return options


def _said_end(outcome: Outcome) -> int:
    """Say why there is nothing to show; the exit status."""
    if outcome.signal:
        say("Interrupted. What was measured is kept; the same command continues: pairbench " + shlex.join(sys.argv[1:]))
        return 128 + outcome.signal
    if outcome.refused is not None:
        return _said_refusal(outcome.refused)
    say("Nothing was measured")
    return NOT_VALID


def _said_refusal(result: PassResult) -> int:
    for line in result.errors:
        complain(line)
    complain(f"the playbook ended with {result.returncode} and measured nothing; see {result.log}")
    if result.refusal == HELD:
        return SOMEBODY_HOLDS
    return USAGE if result.refusal or not SweepFolder(result.log.parent.parent).has_plan else NOT_VALID


def _said_result(sweep: Sweep, sweep_dir: Path, width: float | None, only: frozenset[str] | None) -> int:
    """Show what has been measured; the exit status."""
    say(render_sweep(sweep_dir, sweep.look()))
    completeness = completeness_of(sweep_dir, only)
    if only is not None:
        say(f"Of the hosts of --limit: {completeness.sentence}")
    status = WELL if width is None else _said_convergence(sweep.widths(), width, load_plan(sweep_dir).blocks)
    return status if completeness.complete else NOT_VALID


def _said_convergence(found: list[Width], width: float, blocks: int) -> int:
    wide = too_wide(found, width)
    if not wide:
        say(f"Converged after {blocks} blocks: every headline interval is at most {100 * width:.3g} % wide. Looking "
            "after each block and stopping makes such intervals a little too narrow (docs/sweeps.md)")  # fmt: skip
        return WELL
    say(f"NOT CONVERGED after {blocks} blocks: {len(wide)} intervals are wider than {100 * width:.3g} % of their median. "
        "The widest:")  # fmt: skip
    for item in wide[:WORST_SHOWN]:
        say(f"  {item}")
    return NOT_CONVERGED
