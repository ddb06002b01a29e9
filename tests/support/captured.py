"""Sweeps of real records: their documents, a plan that fits them, and the short way from a folder to what is made of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan, Run, Session, Step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import StoredRecord, stored_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.judged import JudgedRecord, judged_record, transfer_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.looking import Synced, left_out
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.store import Store
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.overview import Overview
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import JudgedRun, judged_run, judged_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import overview_of, update_tables
from clone import CAPTURES

RECORDS = CAPTURES / "records"
Document = dict[str, Any]


def captured(name: str) -> Document:
    """The document of one real record, to be changed at will."""
    document: Document = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def all_captured() -> list[Document]:
    """The documents of all real records, sorted by their names, to be changed at will."""
    return [captured(path.stem) for path in sorted(RECORDS.glob("*.json"))]


def run_of(document: Document) -> Run:
    """The run of a record as a plan would have it."""
    return Run(**{name: document["run"].get(name) for name in Run.__dataclass_fields__})


def sweep_of(documents: list[Document]) -> Plan:
    """A plan whose runs are those of the records, one step each; the records get the names of these runs."""
    steps = []
    for number, document in enumerate(documents, 1):
        document["run"]["run_id"] = f"run{number}"
        run = run_of(document)
        steps.append(Step(run.block, run.round, run.benchmark, (Session(run.server, run.client, (run,)),)))
    hosts = dict.fromkeys(host for step in steps for host in (step.sessions[0].server, step.sessions[0].client))
    addresses = {host: f"10.0.0.{number}" for number, host in enumerate(hosts, 1)}
    return Plan("s", "c", 1, "rounds", 1, addresses, ListedSteps(tuple(steps)))


def write_documents(folder: Path, documents: Iterable[Document]) -> list[StoredRecord]:
    """Records on disk."""
    return [write_record(folder, record_of(document)) for document in documents]


def judged(document: Document) -> JudgedRun:
    """A run with its record and what the gate says of it, placed in time whether it has a level or not."""
    stored = stored_record(document | {"attempt": 1}, "")
    found = judged_record(stored)
    if stored.record is not None:
        found = replace(found, transfer=transfer_of(stored.record, found.judgement))
    return judged_run(run_of(document), found)


def tables_of(folder: Path) -> Overview:
    """What is told of a sweep, with its tables written."""
    return update_tables(folder)[0]


class Known(NamedTuple):
    """What is known of the records of a sweep."""

    records: tuple[JudgedRecord, ...]
    """Those that count, sorted by their runs."""
    problems: list[str]
    doubled: dict[str, str]


def known_of(folder: Path) -> Known:
    """What a look at a folder of records tells."""

    def read(store: Store, synced: Synced) -> Known:
        found = store.judged(sorted(run_id for run_id, _name in store.counting()))
        sentences, doubled = left_out(folder, store)
        return Known(tuple(found[run_id] for run_id in sorted(found)), [*synced.problems, *sentences], doubled)

    return asked(folder, read)


def runs_of(folder: Path) -> list[JudgedRun]:
    """What became of every planned run of a sweep."""
    plan = load_plan(folder)

    def read(store: Store, _synced: Synced) -> list[JudgedRun]:
        doubled = left_out(folder, store)[1]
        return [item for _part, steps in plan.steps.parts() for item in judged_runs(store, plan, steps, doubled)]

    return asked(folder, read)


def shown(folder: Path) -> str:
    """The closing summary of a sweep."""
    return render_sweep(folder, overview_of(folder))


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
