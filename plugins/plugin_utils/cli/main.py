"""The console script ``pairbench``: repeat sweeps, parse captured output, import notes, build tables again."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..benchmarks.scan import scan
from ..notes.importer import ImportedSweep, NotesError, read_notes
from ..parsing.finding import Finding
from ..plain_text import printable
from ..planning.plan import PlanError
from ..planning.stored import store_plan
from ..records.writing import write_record
from ..report.findings import describe
from ..storage.files import StorageError, shown_path
from ..tables.results import load_results
from ..tables.tables import write_tables
from . import rootless, shards, sweep

ALL_VALID = 0
SOMETHING_NOT_VALID = 1
NOTHING_TO_SAY = 2
INTERRUPTED = 130

LONGEST_LINE = 64 * 2**20
"""Characters read as one line at most, so that a file without line ends cannot fill the memory."""
LONGEST_NOTES = 64 * 2**20
"""Characters of notes, which are read as a whole."""
LONGEST_SENTENCE = 10_000
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What printable() escapes and JSON does not."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class UsageError(Exception):
    """Something the user can fix; the text is a sentence that says what is wrong and what to do."""


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
        _complain(str(error))
        return NOTHING_TO_SAY
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOMETHING_NOT_VALID
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(sentence: str) -> None:
    """Say on standard error what is wrong, in one line that a terminal does not obey."""
    print(f"pairbench: {printable(sentence, LONGEST_SENTENCE)}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pairbench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    parse = commands.add_parser(
        "parse",
        help="find the output of iperf3, sockperf and bpftrace in files and say what may be believed",
        description="Exit status: 0 all valid, 1 something is invalid or failed, 2 nothing was recognised.",
    )
    parse.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    parse.add_argument("--format", choices=("json", "table"), default="json", help="default: json, one array")
    parse.set_defaults(command=_parse)
    notes = commands.add_parser("import", help="turn hand-kept notes into a sweep")
    notes.add_argument(
        "file", metavar="FILE", help="notes in Markdown or plain text, or - for standard input"
    )
    notes.add_argument("--sweep", required=True, metavar="NAME", type=_name, help="the name of the new sweep")
    notes.add_argument("--configuration", required=True, metavar="NAME", type=_name, help="what the lab was")
    notes.add_argument("--results", default="results", metavar="DIR", type=Path, help="default: results")
    notes.set_defaults(command=_import)
    sweep.add_parser(commands)
    shards.add_parsers(commands)
    rootless.add_parser(commands)
    tables = commands.add_parser("tables", help="build the tables of a sweep again from its records")
    tables.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="results/<sweep>")
    tables.set_defaults(command=_tables)
    return parser


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name: use letters, digits, dots, dashes and underscores, at most 100"
        )
    return text


# parse


def _parse(arguments: argparse.Namespace) -> int:
    statuses: set[str] = set()
    unreadable = False
    show = _JsonArray() if arguments.format == "json" else _Table()
    for name in arguments.files:
        seen = False
        try:
            with _lines_of(name) as lines:
                for finding in scan(lines):
                    seen = True
                    statuses.add(finding.status)
                    show.add(name, finding)
        except BrokenPipeError:
            raise
        except OSError as error:
            unreadable = True
            _complain(f"cannot read {name}: {error.strerror or error}.")
            continue
        if not seen:
            _complain(f"{name} holds no output of iperf3, sockperf or bpftrace.")
    show.close()
    if unreadable or not statuses:
        return NOTHING_TO_SAY
    return ALL_VALID if statuses == {"valid"} else SOMETHING_NOT_VALID


class _JsonArray:
    """Prints one JSON array, an element at a time, so that memory does not grow with the input."""

    def __init__(self) -> None:
        self._first = True

    def add(self, name: str, finding: Finding) -> None:
        print("[" if self._first else ",")
        self._first = False
        text = json.dumps(as_document(name, finding), ensure_ascii=False, allow_nan=False)
        # They stand in texts only, so the document stays the same; JSON itself asks for C0 alone to be escaped.
        print(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text), end="")

    def close(self) -> None:
        print("[]" if self._first else "\n]")


class _Table:
    """Prints a block of lines for each finding, for people."""

    def __init__(self) -> None:
        self._width = max(80, shutil.get_terminal_size((100, 24)).columns)

    def add(self, name: str, finding: Finding) -> None:
        for line in describe(name, finding, self._width):
            print(line)

    def close(self) -> None:
        return


def as_document(name: str, finding: Finding) -> dict[str, Any]:
    """One finding as `pairbench parse` prints it in JSON: unknown is null, not measured is absent."""
    return {
        "file": name,
        "line": finding.line,
        "tool": finding.tool,
        "version": finding.version,
        "mode": finding.mode,
        "side": finding.side,
        "parameters": dict(finding.parameters),
        "status": finding.status,
        "reason": finding.reason,
        "detail": finding.detail,
        "notes": list(finding.remarks),
        "samples": [asdict(sample) for sample in finding.samples],
        "calls": [asdict(call) for call in finding.calls],
    }


@contextlib.contextmanager
def _lines_of(name: str) -> Iterator[Iterable[str]]:
    """The lines of a file or of standard input. Raises OSError where there is none to read."""
    if name == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "standard input is closed")
        with open(sys.stdin.fileno(), "rb", closefd=False) as binary:
            yield _decoded(binary)
        return
    with Path(name).open("rb") as binary:
        yield _decoded(binary)


def _decoded(binary: io.BufferedReader) -> Iterator[str]:
    """Lines of bounded length in the encoding that the file's first bytes announce, UTF-8 otherwise."""
    wide = binary.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    reader = io.TextIOWrapper(binary, encoding="utf-16" if wide else "utf-8-sig", errors="replace")
    while line := reader.readline(LONGEST_LINE):
        yield line


# import and tables


def _import(arguments: argparse.Namespace) -> int:
    text = _whole_text(arguments.file)
    written_at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    imported = read_notes(
        text, printable(Path(arguments.file).name), arguments.sweep, arguments.configuration, written_at
    )
    directory = arguments.results / arguments.sweep
    _store(imported, directory)
    for sentence in imported.left_out:
        _complain(f"left out: {sentence}")
    print(f"{len(imported.records)} runs are in {shown_path(directory)}")
    return _build_tables(directory)


def _whole_text(name: str) -> str:
    parts: list[str] = []
    left = LONGEST_NOTES
    try:
        with _lines_of(name) as lines:
            for line in lines:
                left -= len(line)
                if left < 0:
                    raise UsageError(f"{name} has more than {LONGEST_NOTES} characters: these are no notes kept by hand.")
                parts.append(line)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}.") from error
    return "".join(parts)


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


def _tables(arguments: argparse.Namespace) -> int:
    return _build_tables(arguments.sweep)


def _build_tables(directory: Path) -> int:
    """Write the tables; 1 where a file of the sweep had to be left out."""
    results = load_results(directory)
    for sentence in write_tables(directory, results):
        _complain(sentence)
    print(f"tables are in {shown_path(directory)}")
    return SOMETHING_NOT_VALID if results.problems else ALL_VALID
