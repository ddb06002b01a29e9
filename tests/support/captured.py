"""Sweeps of real records: their documents, a plan that fits them, and the short way from a folder to what is made of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan, Run, Session, Step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import StoredRecord
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import JudgedRun, load_results
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import Tables, make_tables, write_tables
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
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
    """A run with its record and what the gate says of it."""
    return JudgedRun(run_of(document), record_of(document), judge(document))


def tables_of(folder: Path) -> Tables:
    """The tables of a sweep, written too."""
    tables = make_tables(load_results(folder))
    write_tables(folder, tables)
    return tables


def shown(folder: Path) -> str:
    """The closing summary of a sweep."""
    results = load_results(folder)
    return render_sweep(folder, results, make_tables(results))


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
