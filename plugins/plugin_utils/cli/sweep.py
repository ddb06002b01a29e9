"""``pairbench sweep``: repeat the playbook block by block until enough has been measured."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ..formatting import format_duration
from ..plain_text import printable
from ..planning.remaining import what_remains
from ..planning.stored import load_plan
from ..records.reading import record_files
from ..report.terminal import LONGEST_LINE, as_shown, render_sweep
from ..storage.sweep_folder import SweepFolder
from ..sweeps.decisions import (
    FEWEST_BLOCKS,
    WORST_SHOWN,
    BadValue,
    Goal,
    Width,
    block_after,
    blocks_tried,
    command_line,
    duration,
    first_block,
    fits,
    relative_width,
    too_wide,
    wait_before,
    widths,
)
from ..sweeps.playbook import SIGNALS, Pass, PassResult, next_log
from ..tables.results import SweepResults, load_results
from ..tables.tables import Tables, make_tables
from ..validity.completeness import completeness_of
from ..validity.statuses import Judgements, completed

WELL, NOT_VALID, USAGE, NOT_CONVERGED, HELD = 0, 1, 2, 3, 4
PLAYBOOK = "pairbench.lab.bench"
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
        only = hosts_of_limit(arguments.inventory, arguments.limit) if arguments.limit else None
        goal = goal_of(arguments, blocks_tried(arguments.results / arguments.sweep, only))
    except BadValue as error:
        print(f"pairbench: {printable(str(error), LONGEST_LINE)}", file=sys.stderr)
        return USAGE
    try:
        import ansible_runner  # noqa: F401
    except ImportError:
        print("pairbench: sweep needs ansible-runner (pip install ansible-runner); the same by hand, block by block: "
              + " ".join(command_line(arguments.playbook, options_of(arguments), 1)), file=sys.stderr)  # fmt: skip
        return USAGE
    return Sweep(arguments, goal, only).run()


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


class Sweep:
    """The loop over blocks, with its clock and its signals."""

    def __init__(self, arguments: argparse.Namespace, goal: Goal, only: frozenset[str] | None) -> None:
        self._arguments = arguments
        self._goal = goal
        self._sweep_dir: Path = arguments.results.absolute() / arguments.sweep
        self._options = options_of(arguments)
        self._only = only
        self._interrupted = 0
        self._pass: Pass | None = None
        self._longest_block: float | None = None
        self._passes = 0
        self._stop_at: float | None = None
        self._judgements = Judgements()
        self._seen: tuple[SweepResults, Tables] | None = None

    def run(self) -> int:
        """Run block after block; the exit status."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            return self._blocks()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _blocks(self) -> int:
        started = time.monotonic()
        last_start: float | None = None
        block = first_block(self._sweep_dir, self._goal, self._only)
        while block is not None and not (self._at_block_end(block) and self._converged()):
            delay = wait_before(self._goal, time.monotonic(), last_start)
            if not self._has_time(block, started, time.monotonic() + max(0.0, delay)):
                break
            self._wait(delay, block)
            if self._interrupted:
                break
            last_start = time.monotonic()
            refused = self._block(block)
            if refused is not None:
                return refused
            if self._interrupted:
                break
            block = block_after(max(block, load_plan(self._sweep_dir).blocks), self._goal)
        return self._end()

    def _has_time(self, block: int, started: float, begin: float) -> bool:
        """Whether a block may begin then, and when its pass has to be stopped where it may be longer than is known.

        Before the first plan nothing is known; and what is missing of earlier blocks takes long only where hosts that
        were away have come back.
        """
        budget, expected = self._goal.budget, self._expected_seconds(block)
        in_time = fits(self._goal, started, begin, expected)
        if not in_time and block > self._planned_blocks():
            _say(f"No time for block {block}: about {format_duration(expected)} would end after --for")
            return False
        self._stop_at = None if budget is None or (expected and in_time) else started + budget
        return True

    def _block(self, block: int) -> int | None:
        """One pass; an exit status where going on makes no sense."""
        log = next_log(self._sweep_dir)
        most = "at most " if self._goal.width or self._goal.budget else ""
        _say(f"Block {block} of {most}{self._goal.blocks}{self._left(block)}; log: {log}")
        had, records, measured = self._planned_blocks(), self._records(), self._measured()
        begin = time.monotonic()
        self._seen = None  # its records take memory that the pass may need
        self._pass = Pass(self._arguments.playbook, [*self._options, "-e", f"pairbench_blocks={block}"], log, _say)
        result = self._pass.run(self._stop_at)
        self._pass = None
        self._passes += 1
        if self._interrupted or (self._stop_at is not None and time.monotonic() >= self._stop_at):
            return None
        if result.returncode and block <= had and self._measured() == measured and not (result.held or result.refused):
            self._leave_behind(had)
            return None
        self._longest_block = max(self._longest_block or 0.0, time.monotonic() - begin)
        if result.returncode == 0 or self._records() > records:
            return None  # a pass that measured something has brought the sweep on, whatever failed in it
        return _refused(result)

    def _leave_behind(self, blocks: int) -> None:
        """A host that stays away, or a pair that always fails, must not keep the others from the blocks that follow."""
        _say(f"What is missing of the first {blocks} blocks cannot be measured now")
        if self._arguments.more:
            self._goal = replace(self._goal, blocks=blocks + self._arguments.more)

    def _at_block_end(self, block: int) -> bool:
        """Whether nothing that an earlier command left unfinished is due."""
        return bool(self._passes) or block > self._planned_blocks()

    def _planned_blocks(self) -> int:
        return load_plan(self._sweep_dir).blocks if SweepFolder(self._sweep_dir).has_plan else 0

    def _measured(self) -> int:
        return len(completed(self._sweep_dir))

    def _left(self, block: int) -> str:
        """Time left for all blocks, in words; nothing before anything is known."""
        expected = self._expected_seconds(block)
        if not expected:
            return ""
        between = max(expected, self._goal.every or 0.0)
        return f", {format_duration(expected + between * (self._goal.blocks - block))} left in all"

    def _records(self) -> int:
        return len(record_files(self._sweep_dir, []))

    def _expected_seconds(self, block: int) -> float:
        if self._longest_block is not None:
            return self._longest_block
        if not SweepFolder(self._sweep_dir).has_plan:
            return 0.0  # nothing is known before the first pass has planned
        plan = load_plan(self._sweep_dir)
        if block <= plan.blocks:
            return what_remains(plan, completed(self._sweep_dir), self._only).seconds
        return what_remains(plan, (), self._only).seconds / plan.blocks

    def _converged(self) -> bool:
        """Looked at between blocks only, and not before an interval is possible."""
        if self._goal.width is None or not SweepFolder(self._sweep_dir).has_plan:
            return False
        if load_plan(self._sweep_dir).blocks < FEWEST_BLOCKS:
            return False
        return not too_wide(self._widths(), self._goal.width)

    def _widths(self) -> list[Width]:
        results, tables = self._look()
        return widths(results.plan, tables.summary, self._only)

    def _look(self) -> tuple[SweepResults, Tables]:
        """What there is after the last pass, read and judged once."""
        if self._seen is None:
            results = load_results(self._sweep_dir, judgements=self._judgements)
            self._seen = results, make_tables(results)
        return self._seen

    def _wait(self, delay: float, block: int) -> None:
        if delay < 0:
            _say(f"Block {block} is {format_duration(-delay)} late: the one before took longer than --every")
        elif delay > 0:
            _say(f"Block {block} begins in {format_duration(delay)}")
        until = time.monotonic() + delay
        while not self._interrupted and time.monotonic() < until:
            time.sleep(min(0.5, max(0.0, until - time.monotonic())))

    def _end(self) -> int:
        if self._interrupted:
            _say("Interrupted. What was measured is kept; the same command continues: pairbench "
                 + shlex.join(sys.argv[1:]))  # fmt: skip
            return 128 + self._interrupted
        if not SweepFolder(self._sweep_dir).has_plan:
            _say("Nothing was measured")
            return NOT_VALID
        _say(render_sweep(self._sweep_dir, *self._look()))
        completeness = completeness_of(self._sweep_dir, self._only)
        if self._only is not None:
            _say(f"Of the hosts of --limit: {completeness.sentence}")
        status = WELL if self._goal.width is None else self._said_convergence(self._goal.width)
        return status if completeness.complete else NOT_VALID

    def _said_convergence(self, width: float) -> int:
        blocks = load_plan(self._sweep_dir).blocks
        wide = too_wide(self._widths(), width)
        if wide:
            _say(f"NOT CONVERGED after {blocks} blocks: {len(wide)} intervals are wider than {100 * width:.3g} % of "
                 "their median. The widest:")  # fmt: skip
            for item in wide[:WORST_SHOWN]:
                _say(f"  {item}")
            return NOT_CONVERGED
        _say(f"Converged after {blocks} blocks: every headline interval is at most {100 * width:.3g} % wide. Looking "
             "after each block and stopping makes such intervals a little too narrow (docs/sweeps.md)")  # fmt: skip
        return WELL

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """The first signal ends the playbook as Ctrl-C does; the second kills it."""
        again = bool(self._interrupted)
        self._interrupted = self._interrupted or number
        if self._pass is not None:
            self._pass.stop(signal.SIGKILL if again else signal.SIGINT)
        if not again:
            _say("Stopping: the sessions that are running are ended. Once more kills the playbook")


def hosts_of_limit(inventories: Sequence[str], limit: str) -> frozenset[str]:
    """The hosts that ``--limit`` leaves, as Ansible understands it. Raises BadValue."""
    command = [str(Path(sys.executable).parent / "ansible"), "all", "--list-hosts", "--limit", limit]
    command += [item for name in inventories for item in ("-i", name)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    hosts = frozenset(line.strip() for line in asked.stdout.splitlines()[1:] if line.strip())
    if asked.returncode or not hosts:
        raise BadValue(f"--limit {limit} leaves no host: {' '.join((asked.stderr or asked.stdout).split())}")
    return hosts


def _refused(result: PassResult) -> int:
    for line in result.errors:
        print(f"pairbench: {printable(line, LONGEST_LINE)}", file=sys.stderr)
    print(f"pairbench: the playbook ended with {result.returncode} and measured nothing; see {result.log}", file=sys.stderr)
    planned = SweepFolder(result.log.parent.parent).has_plan
    return HELD if result.held else USAGE if result.refused or not planned else NOT_VALID


def _say(text: str) -> None:
    """Print lines of which a terminal obeys nothing but their ends."""
    print(as_shown(text.split("\n")), flush=True)

