"""``pairbench merge``: bring the records of several controllers together, and build the tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..plain_text import printable
from ..storage.files import shown_path
from ..sweeps.merge import merge
from ..tables.completeness import completeness_of
from ..tables.tables import update_tables
from .console import LONGEST_SENTENCE, NOT_VALID, WELL


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser("merge", help="bring the records of several controllers together, and build the tables")
    parser.add_argument("target", metavar="SWEEP_DIR", type=Path, help="where they go; may be new")
    parser.add_argument("sources", metavar="SWEEP_DIR", type=Path, nargs="+", help="where they come from")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    for part in merge(arguments.target, arguments.sources):
        print(f"{shown_path(part.source)}: {part.records} records taken")
        for problem in part.problems:
            print(f"  {printable(problem, LONGEST_SENTENCE)}")
    update_tables(arguments.target)
    completeness = completeness_of(arguments.target)
    print(f"{shown_path(arguments.target)}: {printable(completeness.sentence, LONGEST_SENTENCE)}")
    return WELL if completeness.complete else NOT_VALID
