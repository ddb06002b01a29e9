"""``pairbench tables``: build the tables of a sweep again from its records."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..formatting import counted
from ..storage.files import shown_path
from ..tables.rebuilding import Rebuilt, rebuild
from .console import NOT_VALID, WELL, complain

MOST_SHOWN = 12


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser("tables", help="build the tables of a sweep again from its records")
    parser.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="results/<sweep>")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    return build_tables(arguments.sweep)


def build_tables(directory: Path) -> int:
    """Write the tables; the exit status says whether a file of the sweep had to be left out."""
    rebuilt = rebuild(directory)
    for sentence in (*rebuilt.overview.problems, *rebuilt.overview.notes):
        complain(sentence)
    print(_judged_again(rebuilt))
    print(f"tables are in {shown_path(directory)}")
    return NOT_VALID if rebuilt.overview.problems else WELL


def _judged_again(rebuilt: Rebuilt) -> str:
    """What judging everything again showed of the figures that were stored."""
    again = f"{counted(rebuilt.judged, 'record')} judged again"
    if not rebuilt.compared:
        return f"{again}; this version had stored no figures"
    if not rebuilt.differing:
        return f"{again}; the stored figures are the same"
    named = ", ".join(rebuilt.differing[:MOST_SHOWN])
    more = f" and {len(rebuilt.differing) - MOST_SHOWN} more" if len(rebuilt.differing) > MOST_SHOWN else ""
    return f"{again}; the stored figures were others of {named}{more}: they are replaced"
