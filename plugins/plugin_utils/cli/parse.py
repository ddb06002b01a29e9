"""``pairbench parse``: find the output of the tools in files and say what may be believed."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ..benchmarks import in_words
from ..benchmarks.scan import TRACER, scan
from ..parsing.finding import Finding
from ..report.findings import describe
from .console import NOT_VALID, USAGE, WELL, complain, json_as_shown
from .inputs import lines_of


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser(
        "parse",
        help=f"find the output of {in_words('and', TRACER)} in files and say what may be believed",
        description="Exit status: 0 all valid, 1 something is invalid or failed, 2 nothing was recognised.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument("--format", choices=("json", "table"), default="json", help="default: json, one array")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    show = _JsonArray() if arguments.format == "json" else _Table()
    read = [_show_file(name, show) for name in arguments.files]
    show.close()
    statuses = set().union(*(found for found in read if found is not None))
    if None in read or not statuses:
        return USAGE
    return WELL if statuses == {"valid"} else NOT_VALID


def _show_file(name: str, show: _JsonArray | _Table) -> set[str] | None:
    """Show what is in a file; the statuses of what was found, None where it cannot be read."""
    statuses: set[str] = set()
    try:
        with lines_of(name) as lines:
            _show_findings(name, lines, show, statuses)
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"cannot read {name}: {error.strerror or error}.")
        return None
    if not statuses:
        complain(f"{name} holds no output of {in_words('or', TRACER)}.")
    return statuses


def _show_findings(name: str, lines: Iterable[str], show: _JsonArray | _Table, statuses: set[str]) -> None:
    for finding in scan(lines):
        statuses.add(finding.status)
        show.add(name, finding)


class _JsonArray:
    """Prints one JSON array, an element at a time, so that memory does not grow with the input."""

    def __init__(self) -> None:
        self._first = True

    def add(self, name: str, finding: Finding) -> None:
        print("[" if self._first else ",")
        self._first = False
        text = json.dumps(as_document(name, finding), ensure_ascii=False, allow_nan=False)
        print(json_as_shown(text), end="")

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
