"""A look at a sweep's folder costs what has changed since the last one, and says what a first look would say."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store import looking
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked, remember
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.judged import JudgedRecord, judged_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.looking import RECENT_NS, Synced, left_out
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.store import Store
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import Document, captured
from record_files import document_in, record_file, unpack_all, write_document

NAMES = ("iperf3_tcp_untraced", "sockperf_udp", "iperf3_udp")
RUNS = ("run1", "run2", "run3")


def documents() -> list[Document]:
    found = [captured(name) for name in NAMES]
    for run_id, document in zip(RUNS, found, strict=True):
        document["run"]["run_id"] = run_id
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three records that nobody has touched for a moment."""
    for document in documents():
        write_record(tmp_path, record_of(document))
    settled()
    return tmp_path


def settled() -> None:
    """Wait until a file system gives another time to whatever is touched."""
    time.sleep(2 * RECENT_NS / 1e9)


def looked(sweep: Path) -> tuple[int, int]:
    """What a look cost: files that were read, records that were judged."""
    synced = asked(sweep, lambda _store, synced: synced)
    return synced.read, synced.judged


def state(sweep: Path) -> tuple[dict[str, JudgedRecord], list[str], dict[str, str]]:
    """Everything that is known of a sweep."""

    def read(store: Store, _synced: Synced) -> tuple[dict[str, JudgedRecord], list[str], dict[str, str]]:
        return store.judged([*RUNS, "other"]), *left_out(sweep, store)

    return asked(sweep, read)


def afresh(sweep: Path) -> tuple[dict[str, JudgedRecord], list[str], dict[str, str]]:
    """The same by a store that knows nothing yet."""
    SweepFolder(sweep).derived.unlink()
    return state(sweep)


def test_a_second_look_at_what_has_not_changed_reads_and_judges_nothing(sweep: Path) -> None:
    assert looked(sweep) == (3, 3)
    assert [looked(sweep) for _time in range(3)] == [(0, 0)] * 3
    found, sentences, doubled = state(sweep)
    assert [found[run_id].judgement for run_id in RUNS] == [judge(document) for document in documents()]
    assert not sentences and not doubled


def test_one_new_record_is_read_and_judged_alone(sweep: Path) -> None:
    looked(sweep)
    document = captured(NAMES[0])
    document["run"]["run_id"] = "other"
    write_record(sweep, record_of(document))
    settled()
    assert looked(sweep) == (1, 1) and looked(sweep) == (0, 0)
    before = state(sweep)
    assert set(before[0]) == {*RUNS, "other"} and before == afresh(sweep)


def test_what_a_pass_has_judged_is_not_even_read(sweep: Path) -> None:
    looked(sweep)
    document = documents()[0] | {"error": {"reason": "unreachable", "detail": "no route"}}
    stored = write_record(sweep, record_of(document))
    remember(sweep, [(SweepFolder(sweep).record(stored.run_id, 2), stored, judged_record(stored))])
    assert looked(sweep) == (0, 0)
    before = state(sweep)
    assert before[0]["run1"].judgement.reason == "unreachable" and before == afresh(sweep)


def test_what_could_not_be_remembered_is_found_by_the_next_look(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    SweepFolder(tmp_path).derived.mkdir()  # nothing can be kept there
    stored = write_record(tmp_path, record_of(documents()[0]))
    remember(tmp_path, [(SweepFolder(tmp_path).record("run1", 1), stored, judged_record(stored))])
    assert looked(tmp_path) == (1, 1) and looked(tmp_path) == (1, 1)


def test_a_file_that_was_only_touched_is_read_and_not_judged(sweep: Path) -> None:
    looked(sweep)
    os.utime(record_file(sweep, "run1"), ns=(1, 1))
    settled()
    assert looked(sweep) == (1, 0) and looked(sweep) == (0, 0)


def test_a_content_that_comes_back_with_its_size_and_time_is_judged_again(sweep: Path) -> None:
    """Whoever changes a file can put back its size and its time of modification, and not its time of change."""
    looked(sweep)
    path = record_file(sweep, "run1")
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    settled()
    assert looked(sweep)[0] == 1
    assert state(sweep) == afresh(sweep)


def test_what_was_written_within_the_grain_of_the_clock_is_looked_at_once_more(sweep: Path) -> None:
    looked(sweep)
    path = record_file(sweep, "run1")
    whole = path.read_bytes()
    for content in (whole[:-1] + b"x", whole):  # perhaps both within one tick
        path.write_bytes(content)
        looked(sweep)
    settled()
    assert looked(sweep) == (1, 0) and looked(sweep) == (0, 0)


def test_a_record_under_another_name_is_not_judged_again(sweep: Path) -> None:
    looked(sweep)
    path = record_file(sweep, "run1")
    path.rename(path.with_name("run1 (copy).json.gz"))
    assert looked(sweep) == (1, 0)
    found, [sentence], doubled = before = state(sweep)
    assert "run1" not in found and "rename it if it is to count" in sentence and not doubled
    assert before == afresh(sweep)
    (sweep / "records" / "run1 (copy).json.gz").rename(path)
    assert looked(sweep) == (1, 0) and not state(sweep)[1]


def test_records_that_are_unpacked_are_not_judged_again(sweep: Path) -> None:
    looked(sweep)
    before = state(sweep)
    unpack_all(sweep)
    assert looked(sweep) == (3, 0) and state(sweep) == before == afresh(sweep)


def test_two_copies_of_what_is_gone_are_both_known(sweep: Path) -> None:
    looked(sweep)
    path = record_file(sweep, "run1")
    shutil.copy(path, path.with_name("a.json.gz"))
    path.rename(path.with_name("b.json.gz"))
    looked(sweep)
    before = state(sweep)
    assert len(before[1]) == 2 and before == afresh(sweep)


def test_a_record_that_is_gone_is_forgotten_and_the_attempt_before_counts(sweep: Path) -> None:
    failed = documents()[0] | {"error": {"reason": "unreachable", "detail": "no route"}}
    write_record(sweep, record_of(failed))
    settled()
    assert state(sweep)[0]["run1"].attempt == 2
    SweepFolder(sweep).record("run1", 2).unlink()
    assert looked(sweep) == (0, 0) and state(sweep)[0]["run1"].attempt == 1
    record_file(sweep, "run1").unlink()
    assert looked(sweep) == (0, 0) and "run1" not in state(sweep)[0]
    assert state(sweep) == afresh(sweep)


def test_another_gate_judges_everything_again_once(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(sweep)
    monkeypatch.setattr(looking, "gate_version", lambda: "another")
    assert looked(sweep) == (3, 3) and looked(sweep) == (0, 0)
    monkeypatch.undo()
    assert looked(sweep) == (3, 3) and looked(sweep) == (0, 0)


def test_a_look_that_is_broken_off_has_kept_what_it_had_judged(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking.look, "__defaults__", (map, 2))
    read = looking.reading_of

    def broken(question: looking.Wanted) -> looking.Reading:
        if "run3" in question.path.name:
            raise KeyboardInterrupt
        return read(question)

    monkeypatch.setattr(looking, "reading_of", broken)
    with pytest.raises(KeyboardInterrupt):
        looked(sweep)
    monkeypatch.setattr(looking, "reading_of", read)
    assert looked(sweep) == (1, 1)


@pytest.mark.parametrize("kind", ["a FIFO", "a folder", "a link", "no JSON", "no record"])
def test_what_is_no_record_is_said_again_without_being_read_again(kind: str, sweep: Path) -> None:
    path = sweep / "records" / "bad.json"
    {
        "a FIFO": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a link": lambda: path.symlink_to("run1.json.gz"),
        "no JSON": lambda: path.write_text("{"),
        "no record": lambda: path.write_text("{}"),
    }[kind]()
    settled()
    assert looked(sweep) == (4, 3) and looked(sweep) == (0, 0)
    before = state(sweep)
    assert f"{path} is not a record" in before[1][0] and before == afresh(sweep)


def test_what_could_not_be_read_is_tried_again(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of somebody else: that it may be read now need not show in the file."""
    read = looking.record_content

    def refused(path: Path) -> bytes:
        if path.name.startswith("run1."):
            raise looking.UnreadableFile(path, "Permission denied")
        return read(path)

    monkeypatch.setattr(looking, "record_content", refused)
    assert looked(sweep) == (3, 2) and "Permission denied" in state(sweep)[1][0]
    monkeypatch.setattr(looking, "record_content", read)
    assert looked(sweep) == (1, 1) and looked(sweep) == (0, 0) and not state(sweep)[1]


def test_what_contradicts_a_record_is_compared_once(sweep: Path) -> None:
    mine = record_file(sweep, "run1")
    copied, other = mine.with_name("copy.json.gz"), mine.with_name("other.json.gz")
    shutil.copy(mine, copied)
    document = document_in(mine)
    spaced = mine.with_name("spaced.json")
    spaced.write_text(json.dumps(document, indent=7), encoding="utf-8")
    document["client"]["stdout"] += " "
    write_document(other, document)
    settled()
    looked(sweep)
    assert looked(sweep) == (0, 0)
    before = state(sweep)
    assert [sentence.partition("it is ")[2] for sentence in before[1]] == [
        "a copy of run1.json.gz.", "attempt 1 of the run run1 with other content than run1.json.gz, which counts.",
        "a copy of run1.json.gz.",
    ]  # fmt: skip
    assert before[2] == {"run1": "other.json.gz is attempt 1 of the run run1 with other content than the one that counts"}
    shutil.copy(other, mine)
    after = state(sweep)
    assert after[2]["run1"].startswith("spaced.json") and after == afresh(sweep)
    mine.unlink()
    assert all("under another name than run1.json" in sentence for sentence in state(sweep)[1])
    assert state(sweep) == afresh(sweep)


def test_a_folder_that_cannot_be_listed_is_said(sweep: Path) -> None:
    shutil.rmtree(sweep / "records")
    (sweep / "records").write_text("")
    problems = asked(sweep, lambda _store, synced: synced.problems)
    assert "its records are left out" in problems[0] and not state(sweep)[0]
