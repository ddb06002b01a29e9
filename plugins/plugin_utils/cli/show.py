"""``pairbench show``: print the record of a run, or one output that is in it."""

from __future__ import annotations

import argparse
import bisect
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model import RUN_ID
from ..records.reading import StoredAttempt, StoredRecord, read_attempt, record_files
from ..storage.files import json_text, shown_path
from ..storage.sweep_folder import DOCUMENT, SweepFolder, document_name
from .console import NOT_VALID, WELL, UsageError, complain, json_as_shown, show_verbatim, text_as_shown

RESULTS = Path("results")
OUTPUTS: dict[str, tuple[str, ...]] = {
    f"{side}{what}": place
    for side in ("server", "client")
    for what, place in {
        "": (side, "stdout"),
        ".stderr": (side, "stderr"),
        ".trace": (side, "trace", "output"),
        ".vmm": ("server", "vmm", side, "output"),
    }.items()
}
"""By the name of an output, where it is in a record (docs/data.md)."""
LATER_ATTEMPT = re.compile(r"\.[0-9]+$")
MOST_NAMED = 3
MOST_COMPARED = 2000
"""Names are compared letter by letter with so many neighbours in the alphabet: a sweep may have a million."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser(
        "show", help="print the record of a run, or one output that is in it",
        description="Print the record of a run as JSON, or one output that is in it as the tool printed it. On a terminal, "
        "characters that it would obey are shown as escapes.",
    )  # fmt: skip
    parser.add_argument("sweep", metavar="SWEEP_DIR", nargs="?", type=Path,
                        help=f"results/<sweep>; default: the one sweep in {RESULTS} that has the run")  # fmt: skip
    parser.add_argument("run_id", metavar="RUN_ID", help="as in runs.csv")
    parser.add_argument("--attempt", metavar="N", type=int, help="default: the latest")
    parser.add_argument("--output", choices=OUTPUTS, metavar="OUTPUT",
                        help="what one side printed, instead of the record: server or client for standard output, "
                        "or one of these with .stderr, .trace or .vmm behind it")  # fmt: skip
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    found = _found(arguments.sweep or _sweep_with(arguments.run_id), arguments.run_id, arguments.attempt)
    if found.stored is None:
        complain(found.problem)
        return NOT_VALID
    if arguments.output:
        show_verbatim(_output(found.stored, arguments.output), text_as_shown)
    else:
        show_verbatim(json_text(found.stored.document), json_as_shown)
    return WELL


def _sweep_with(run_id: str) -> Path:
    """The one folder of a sweep in `RESULTS` that has a record of a run. Raises UsageError."""
    sweeps = sorted(folder.parent for folder in RESULTS.glob("*/records"))
    having = [sweep for sweep in sweeps if _last_attempt(sweep, run_id)]
    if len(having) == 1:
        return having[0]
    if having:
        named = ", ".join(map(shown_path, having))
        raise UsageError(f"the run {run_id} is in several sweeps ({named}): name one, pairbench show SWEEP_DIR RUN_ID.")
    if not sweeps:
        raise UsageError(f"there is no sweep in {RESULTS}: name the folder of one, pairbench show SWEEP_DIR RUN_ID.")
    raise UsageError(f"no sweep in {RESULTS} has a record of the run {run_id}{_near(run_id, sweeps)}")


def _found(sweep: Path, run_id: str, asked: int | None) -> StoredAttempt:
    """The attempt that is asked for, or the latest. Raises UsageError where none is there."""
    last = _last_attempt(sweep, run_id)
    wanted = last if asked is None else asked
    found = read_attempt(sweep, run_id, wanted) if wanted > 0 and RUN_ID.fullmatch(run_id) else None
    if found:
        return found
    if last:
        raise UsageError(f"the run {run_id} has no attempt {asked}: the latest is {last}.")
    if not SweepFolder(sweep).records.is_dir():
        raise UsageError(f"there are no records in {shown_path(sweep)}: name the folder of a sweep, results/<sweep>.")
    raise UsageError(f"{shown_path(sweep)} has no record of the run {run_id}{_near(run_id, [sweep])}")


def _last_attempt(sweep: Path, run_id: str) -> int:
    return SweepFolder(sweep).last_attempt(run_id) if RUN_ID.fullmatch(run_id) else 0


def _near(run_id: str, sweeps: Sequence[Path]) -> str:
    """How a sentence ends that did not find a run: with those of nearly this name."""
    near = close_names(run_id, sorted({name for sweep in sweeps for name in _names(sweep)}))
    return f": did you mean {' or '.join(near)}?" if near else "."


def _names(sweep: Path) -> set[str]:
    """The names of the runs that have records."""
    stems = {document_name(path).removesuffix(DOCUMENT) for path in record_files(sweep, [])}
    return {stem for stem in stems if (first := LATER_ATTEMPT.sub("", stem)) == stem or first not in stems}


def close_names(asked: str, names: Sequence[str]) -> list[str]:
    """Of sorted names the few that hold what was asked for, or else are written most like it."""
    holding = [name for name in names if asked in name]
    place = bisect.bisect(names, asked)
    neighbours = names[max(0, place - MOST_COMPARED // 2) : place + MOST_COMPARED // 2]
    return holding[:MOST_NAMED] or difflib.get_close_matches(asked, neighbours, MOST_NAMED)


def _output(stored: StoredRecord, name: str) -> str:
    """One output as the tool printed it. Raises UsageError where the record has none."""
    found = _text_at(stored.document, OUTPUTS[name])
    if found is None:
        there = [other for other, place in OUTPUTS.items() if _text_at(stored.document, place) is not None]
        raise UsageError(f"{stored} has no output {name}; it has {', '.join(there) or 'none'}.")
    return found


def _text_at(document: Any, place: Sequence[str]) -> str | None:
    for key in place:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) else None
