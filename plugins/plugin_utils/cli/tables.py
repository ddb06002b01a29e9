"""``pairbench tables``: build the tables of a sweep again from its records."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..formatting import counted
from ..storage.files import shown_path
from ..tables.overview import Overview
from ..tables.rebuilding import Rebuilt, rebuild
from ..tables.tables import update_tables
from .console import NOT_VALID, WELL, complain

MOST_SHOWN = 12


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser("tables", help="build the tables of a sweep again from its records")
    parser.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="results/<sweep>")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    rebuilt = rebuild(arguments.sweep)
    print(_judged_again(rebuilt))
    return _said(arguments.sweep, rebuilt.overview)


def build_tables(directory: Path) -> int:
    """Write the tables as far as they are not there; the exit status says whether a file of the sweep had to be left out."""
    return _said(directory, update_tables(directory)[0])


def _said(directory: Path, told: Overview) -> int:
    for sentence in (*told.problems, *told.notes):
        complain(sentence)
    print(f"tables are in {shown_path(directory)}")
    return NOT_VALID if told.problems else WELL


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
