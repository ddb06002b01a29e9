"""``pairbench import``: turn handwritten notes into a sweep."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timezone
from pathlib import Path

from ..notes.importer import ImportedSweep, read_notes
from ..plain_text import printable
from ..planning.stored import store_plan
from ..records.writing import write_record
from ..storage.files import shown_path
from .console import UsageError, complain
from .inputs import whole_text
from .tables import build_tables

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser("import", help="turn handwritten notes into a sweep")
    parser.add_argument("file", metavar="FILE", help="notes in Markdown or plain text, or - for standard input")
    parser.add_argument("--sweep", required=True, metavar="NAME", type=_name, help="the name of the new sweep")
    parser.add_argument("--configuration", required=True, metavar="NAME", type=_name, help="what the lab was")
    parser.add_argument("--results", default="results", metavar="DIR", type=Path, help="default: results")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    text = whole_text(arguments.file)
    written_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    imported = read_notes(
        text, printable(Path(arguments.file).name), arguments.sweep, arguments.configuration, written_at
    )
    directory = arguments.results / arguments.sweep
    _store(imported, directory)
    for sentence in imported.left_out:
        complain(f"left out: {sentence}")
    print(f"{len(imported.records)} runs are in {shown_path(directory)}")
    return build_tables(directory)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name: use letters, digits, dots, dashes and underscores, at most 100"
        )
    return text


def _store(imported: ImportedSweep, directory: Path) -> None:
    """Write plan and records. Records are immutable, so a sweep that exists is never written to."""
    try:
        taken = any(directory.iterdir())
    except FileNotFoundError:
        taken = False
    except OSError as error:
        raise UsageError(f"cannot use {directory} ({error.strerror}): choose another --results or --sweep.") from error
    if taken:
        raise UsageError(f"{directory} exists already: choose another --sweep, or remove it first.")
    store_plan(directory, imported.plan)
    for record in imported.records:
        write_record(directory, record)
