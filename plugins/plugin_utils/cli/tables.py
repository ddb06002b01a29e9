"""``pairbench tables``: build the tables of a sweep again from its records."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..storage.files import shown_path
from ..tables.results import load_results
from ..tables.tables import make_tables, write_tables
from .console import NOT_VALID, WELL, complain


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
    results = load_results(directory)
    tables = make_tables(results)
    write_tables(directory, tables)
    for sentence in tables.notes:
        complain(sentence)
    print(f"tables are in {shown_path(directory)}")
    return NOT_VALID if results.problems else WELL
