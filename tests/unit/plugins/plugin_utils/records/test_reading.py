"""What is read back of a sweep: the latest attempts, and the facts of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import (
    latest_record,
    read_hosts,
    read_record,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host
from captured import Document, all_captured, known_of, sweep_of, write_documents
from record_files import record_file, write_document


@pytest.fixture
def records() -> list[Document]:
    found = all_captured()
    assert found
    return found


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path: Path, records: list[Document]) -> None:
    sweep_of(records)
    write_documents(tmp_path, records[:2])
    path = record_file(tmp_path, "run1")
    path.write_bytes(path.read_bytes()[:100])
    stored = known_of(tmp_path)
    assert [record.run_id for record in stored.records] == ["run2"]
    assert len(stored.problems) == 1 and str(path) in stored.problems[0]


def test_hosts_of_like_names_keep_their_own_facts(tmp_path: Path) -> None:
    for host in ("a b", "a_b", "a/b", ".."):
        write_host(tmp_path, host, {"fingerprint": {"kind": host}})
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "hosts"}
    hosts, problems = read_hosts(tmp_path)
    assert not problems
    assert {host: facts["fingerprint"]["kind"] for host, facts in hosts.items()} == {
        host: host for host in ("a b", "a_b", "a/b", "..")
    }


def test_the_latest_attempt_is_that_of_the_highest_number(tmp_path: Path, records: list[Document]) -> None:
    sweep_of(records)
    assert latest_record(tmp_path, "run1") is None
    write_documents(tmp_path, [records[0] | {"server": None}, records[0]])
    latest = latest_record(tmp_path, "run1")
    assert latest is not None and latest.attempt == 2 and latest.server is not None


def test_a_document_that_is_no_record_is_read_and_has_none(tmp_path: Path, records: list[Document]) -> None:
    sweep_of(records)
    write_documents(tmp_path, records[:1])
    path = record_file(tmp_path, "run1")
    write_document(path, records[0] | {"attempt": 1, "server": ["an END"]})
    stored, problem = read_record(path)
    assert stored is not None and not problem
    assert (stored.run_id, stored.attempt, stored.record) == ("run1", 1, None)
    assert latest_record(tmp_path, "run1") is None
