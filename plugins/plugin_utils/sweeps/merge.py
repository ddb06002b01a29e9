"""Bring the records of one plan together that several controllers have written, each into a folder of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..planning.plan import PlanError
from ..planning.stored import load_plan, store_plan
from ..records.reading import RECORD_BYTES, StoredRecord, read_attempt, read_hosts, read_record, record_files
from ..records.writing import write_host
from ..storage.files import UnreadableFile, read_bytes, shown_path, write_whole_bytes
from ..storage.sweep_folder import SweepFolder


@dataclass(frozen=True)
class Merged:
    """How many records came from a folder, and what could not be taken from it."""

    source: Path
    records: int
    problems: tuple[str, ...]


def merge(target: Path, sources: list[Path]) -> list[Merged]:
    """Copy what ``target`` lacks, one result for each source. Nothing that is there is changed.

    A target without a plan gets that of the first source. Raises PlanError when the plans are not copies of one, and
    StorageError when a file cannot be written.
    """
    for source in sources:
        _require_plan(source)
    if not SweepFolder(target).has_plan:
        store_plan(target, load_plan(sources[0]))
    plan = load_plan(target)
    for source in sources:
        other = load_plan(source)
        if other.uid != plan.uid:
            raise PlanError(
                f"{source} is of another plan ({other.sweep}, {other.uid}) than {target} ({plan.sweep}, {plan.uid}): only "
                "folders that began as copies of one plan can be brought together"
            )
        if other.blocks > plan.blocks:  # the same plan, grown by somebody who asked for more blocks
            store_plan(target, other)
            plan = other
    return [_take(target, source) for source in sources]


def _require_plan(source: Path) -> None:
    folder = SweepFolder(source)
    if not folder.has_plan:
        raise PlanError(f"{source} has no {folder.plan.name}: name the folder of a sweep, results/<sweep>")


def _take(target: Path, source: Path) -> Merged:
    problems: list[str] = []
    copied = 0
    for path in record_files(source, problems):
        stored, problem = read_record(path)
        if stored is None:
            problems.append(problem)
        elif _copy(path, target, stored, problems):
            copied += 1
    hosts, host_problems = read_hosts(source)
    for host, facts in hosts.items():
        if not os.path.lexists(SweepFolder(target).host(host)):
            write_host(target, host, facts)
    return Merged(source, copied, (*problems, *host_problems))


def _copy(path: Path, target: Path, stored: StoredRecord, problems: list[str]) -> bool:
    """Whether the record was copied, byte by byte, to where neither form of it was."""
    mine = read_attempt(target, stored.run_id, stored.attempt)
    if mine is None:
        return _copied(path, SweepFolder(target).records / path.name, problems)
    if mine.stored is None:
        problems.append(f"{mine.problem} {shown_path(path)} is not put in its place: move the other away first.")
    elif mine.stored.document != stored.document:
        problems.append(
            f"{shown_path(path)} differs from {shown_path(mine.path)}, which is kept: the run was measured twice, by two "
            "controllers."
        )
    return False


def _copied(path: Path, there: Path, problems: list[str]) -> bool:
    try:
        content = read_bytes(path, RECORD_BYTES)
    except (FileNotFoundError, UnreadableFile) as error:  # it was a record a moment ago
        problems.append(f"{error}. It is left out.")
        return False
    write_whole_bytes(there, content)
    return True
