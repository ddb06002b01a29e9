"""Reading files that anybody may have put there, and who may read what is written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import main as cli
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_host, write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage import files
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import (
    DEEPEST,
    FEW_BRACKETS,
    StorageError,
    UnreadableFile,
    append,
    make_directory,
    parse_json,
    read_bytes,
    read_json,
    read_object,
    write_json,
    write_whole,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepLock
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import next_log
from clone import CAPTURES
from hypothesis import given
from hypothesis import strategies as st
from record_files import documents_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\[{', max_size=3), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(document=JSON, ascii_only=st.booleans())
def test_every_document_that_we_write_is_read_as_it_was(document: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(content=st.binary(max_size=200) | st.text('[]{}",:\\ud80e1x-', max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_a_reason(content: bytes) -> None:
    try:
        found = parse_json(content)
    except ValueError as error:
        told = str(error)
        assert "is not a number" in told or told.startswith(("it is ", "the key ", "the number ", "a whole", "a text "))
    else:
        assert json.loads(content) == found


@pytest.mark.parametrize("text", ['"' + "[" * 1000 + '"', '["\\"' + "{" * 1000 + '\\\\"]', json.dumps([[[]]] * 10_000)])
def test_brackets_in_texts_and_beside_each_other_are_not_deep(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("nested", ["[", '{"a":', '[{"a\\\\":', '["\\"",'])
@pytest.mark.parametrize("closed", [True, False])
def test_deeper_than_a_record_can_be_is_refused(nested: str, closed: bool) -> None:
    def document(levels: int) -> bytes:
        pieces = (nested * levels)[: levels * len(nested)]
        closers = "".join({"[": "]", "{": "}"}[mark] for mark in reversed(pieces) if mark in "[{") if closed else ""
        return (pieces + "1" + closers).encode()

    per = sum(nested.count(mark) for mark in "[{")
    with pytest.raises(ValueError, match=f"deeper than {DEEPEST} levels"):
        parse_json(document(DEEPEST // per + 1))
    with pytest.raises(ValueError, match=f"deeper than {DEEPEST} levels"):
        parse_json(document(200_000))
    if closed:
        assert parse_json(document(DEEPEST // per)) is not None


@pytest.mark.parametrize("tail", ["", "1]", "}", "NaN", '{"a":1,"a":2}', '"\\ud800"'])
def test_depth_is_told_before_anything_else_however_many_brackets_there_are(tail: str) -> None:
    beside = "[]," * FEW_BRACKETS
    for text in ("[" * (DEEPEST + 1) + tail, "[" + beside + "[" * DEEPEST + tail):
        with pytest.raises(ValueError, match=f"deeper than {DEEPEST} levels"):
            parse_json(text.encode())


@given(document=JSON, cut=st.integers(0, 40), deepest=st.integers(1, 4))
def test_depth_is_the_same_before_and_after_parsing(document: Any, cut: int, deepest: int) -> None:
    content = json.dumps(document).encode()
    told = []
    for few in (0, FEW_BRACKETS):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(files, "DEEPEST", deepest)
            patched.setattr(files, "FEW_BRACKETS", few)
            try:
                told.append(repr(parse_json(content[: len(content) - cut])))
            except ValueError as error:
                told.append(str(error))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"), (b"{", "it is not JSON"), (b"\xff", "it is not UTF-8 at byte 0"), (b"[NaN]", "NaN is not"),
        (b"[-Infinity]", "-Infinity is not"), (b"[1e400]", "beyond all bounds"), (b"[-1e400]", "beyond all bounds"),
        (b"[" + b"1" * 5000 + b"]", "has 5000 digits"), (b'{"a":1,"b":{"c":1,"c":1}}', "the key 'c' is there twice"),
        (b'{"\\u001b":1,"\\u001b":1}', "x1b"), (b'["\\ud800"]', "surrogate"), (b'{"\\uDC00": 1}', "surrogate"),
        (b"\xef\xbb\xbf{}", "it is not JSON"), (b"{} {}", "it is not JSON"), (b"\0", "it is not JSON"),
    ],
)  # fmt: skip
def test_what_has_no_single_meaning_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_json(content)
    assert "\x1b" not in str(caught.value)


def test_a_sentence_names_the_file_in_one_line_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb\udcff.json"
    path.write_bytes(b"[")
    with pytest.raises(UnreadableFile, match=r"a\\x1b\[2J\\x0ab\\udcff\.json cannot be read: it is not JSON") as caught:
        read_json(path, 100)
    assert str(caught.value).isprintable()
    with pytest.raises(UnreadableFile, match="not an object"):
        path.write_bytes(b"[]")
        read_object(path, 100)
    path.write_bytes(b"x" * 101)
    with pytest.raises(UnreadableFile, match="it has 101 bytes, more than the 100"):
        read_bytes(path, 100)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "nothing", 100)
    with pytest.raises(UnreadableFile, match="Not a directory"):
        read_bytes(path / "below", 100)


def write_everything(results: Path) -> None:
    """One of every file that a sweep leaves on the controller."""
    notes = CAPTURES / "notes" / "notes.md"
    assert cli.main(["import", str(notes), "--sweep", "s", "--configuration", "c", "--results", str(results)]) == 0
    sweep = results / "s"
    write_record(sweep, record_of(documents_of(sweep)[0]))
    completed(sweep)
    write_host(sweep, "h", {"fingerprint": {}})
    lock = SweepLock(sweep)
    lock.acquire()
    lock.release()
    next_log(sweep)
    assert cli.main(["merge", str(results / "all"), str(sweep)]) in (0, 1)


@pytest.mark.parametrize(
    ("umask", "file_mode", "folder_mode"), [(0o022, 0o640, 0o750), (0o000, 0o640, 0o750), (0o077, 0o600, 0o700)]
)
def test_nothing_of_a_sweep_may_be_read_by_everybody(umask: int, file_mode: int, folder_mode: int, tmp_path: Path) -> None:
    results = tmp_path / "deep" / "results"
    before = os.umask(umask)
    try:
        write_everything(results)
    finally:
        os.umask(before)
    made = [results.parent, results, *results.rglob("*")]
    names = {path.name for path in made}
    assert {"plan.json", "lock", "derived.sqlite", "runs.csv", "pass-001.log", "h.json", "records", "logs"} <= names
    wrong = [
        f"{path.relative_to(tmp_path)}: {stat.S_IMODE(path.stat().st_mode):o}"
        for path in made
        if stat.S_IMODE(path.stat().st_mode) != (folder_mode if path.is_dir() else file_mode)
    ]
    assert not wrong


def test_what_stands_in_the_way_of_writing_is_named_and_nothing_else_is_touched(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        append(link, "x")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match=r"No such device|not a file"):
        append(tmp_path / "fifo", "x")
    write_whole(link, "ours")  # takes the place of the link
    assert target.read_text() == "mine" and link.read_text() == "ours" and not link.is_symlink()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder could not be written"):
        write_whole(tmp_path / "folder", "x")
    with pytest.raises(StorageError, match="could not be written"):
        make_directory(target / "below")
    with pytest.raises(UnicodeEncodeError):
        write_json(tmp_path / "half", {"a": "\ud800"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "folder", "link", "target"]
