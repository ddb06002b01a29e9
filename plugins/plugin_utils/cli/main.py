"""The console script ``pairbench``: repeat sweeps, parse captured output, import notes, build tables again, show records."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from ..notes.importer import NotesError
from ..planning.plan import PlanError
from ..storage.files import StorageError
from . import import_notes, merge, parse, rootless, shards, show, sweep, tables
from .console import INTERRUPTED, NOT_VALID, USAGE, UsageError, complain

VERBS = (parse, import_notes, sweep, shards, merge, rootless, tables, show)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 0 well, 1 something is not valid, 2 nothing could be done."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a terminal's encoding lacks is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
        return status
    except (UsageError, NotesError, PlanError, StorageError) as error:
        complain(str(error))
        return USAGE
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_VALID
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pairbench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for verb in VERBS:
        verb.add_parser(commands)
    return parser
