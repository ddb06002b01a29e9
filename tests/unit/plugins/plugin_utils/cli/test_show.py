"""``pairbench show``: a record as it is stored, an output as it was printed, and errors that help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.show import MOST_COMPARED, close_names
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import record_content
from captured import Document, captured, sweep_of, write_documents
from record_files import document_in, files_of_records, record_file, unpack_all, write_document

EVIL = "a\tb\x1b[2J\x9b1m\x7f\r\u202e\u2028é\n" + "long " * 5000


@pytest.fixture
def documents() -> list[Document]:
    found = [captured(name) for name in ("iperf3_tcp", "sockperf_udp")]
    found[0]["client"]["stdout"] = EVIL
    return found


@pytest.fixture
def sweep(documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two attempts of run1 and one of run2, in the one sweep of ``results``."""
    sweep_of(documents)
    folder = tmp_path / "results" / "s"
    write_documents(folder, [documents[0] | {"client": None}, *documents])
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured is printed to a terminal."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _stream: True)


def test_the_record_is_shown_as_it_is_stored_in_either_form(sweep: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    stored = record_content(record_file(sweep, "run1", 2))
    for asked in (["run1"], [str(sweep), "run1"], ["results/s", "run1", "--attempt", "2"]):
        assert main(["show", *asked]) == 0
        assert capsysbinary.readouterr().out == stored
    unpack_all(sweep)
    assert main(["show", "run1"]) == 0
    assert capsysbinary.readouterr().out == stored
    assert main(["show", "run1", "--attempt", "1"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["client"] is None


def test_a_terminal_obeys_nothing_of_a_record_and_the_document_is_the_same(
    sweep: Path, terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "run1"]) == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\x7f", "\r", "\u202e", "\u2028"} & set(shown) and "é" in shown
    assert json.loads(shown) == document_in(record_file(sweep, "run1", 2))


def test_an_output_is_shown_as_the_tool_printed_it(
    sweep: Path, documents: list[Document], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for name, text in {
        "client": EVIL, "server": documents[0]["server"]["stdout"], "server.stderr": documents[0]["server"]["stderr"],
        "client.trace": documents[0]["client"]["trace"]["output"],
    }.items():  # fmt: skip
        assert main(["show", "run1", "--output", name]) == 0
        assert capsysbinary.readouterr().out.decode("utf-8") == text


def test_a_terminal_shows_all_of_an_output_and_obeys_none(
    sweep: Path, terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "run1", "--output", "client"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("a       b\\x1b[2J\\x9b1m\\x7f\\x0d\\u202e\\u2028é\n") and shown.endswith("long " * 5000 + "\n")


def test_what_was_counted_under_a_guest_is_an_output_too(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_file(sweep, "run2")
    document = document_in(path)
    document["server"]["vmm"] = {"client": {"output": "counted\n"}, "server": {"problem": {}}}
    write_document(path, document)
    assert main(["show", "run2", "--output", "client.vmm"]) == 0
    assert capsys.readouterr().out == "counted\n"
    assert main(["show", "run2", "--output", "server.vmm"]) == 2


def test_an_output_that_is_not_there_is_said_with_those_that_are(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "run1", "--attempt", "1", "--output", "client"]) == 2
    told = capsys.readouterr()
    assert not told.out and "attempt 1 of the run run1 has no output client; it has server, server.stderr" in told.err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["run3"], "no sweep in results has a record of the run run3: did you mean run"),
        (["run"], "did you mean run1 or run2?"),
        (["nothing-like-it"], "no sweep in results has a record of the run nothing-like-it."),
        (["results/s", "1"], "results/s has no record of the run 1: did you mean run1?"),
        (["results/s", "../s/run1"], "has no record of the run ../s/run1"),
        (["run1", "--attempt", "3"], "the run run1 has no attempt 3: the latest is 2."),
        (["run1", "--attempt", "0"], "the run run1 has no attempt 0: the latest is 2."),
        (["results/none", "run1"], "there are no records in results/none: name the folder of a sweep"),
        (["run\x1b[2J"], "run\\x1b[2J"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    asked: list[str], told: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *asked]) == 2
    printed = capsys.readouterr()
    assert not printed.out and told in printed.err and "\x1b" not in printed.err and printed.err.count("\n") == 1


def test_a_run_of_two_sweeps_is_shown_of_the_one_that_is_named(
    sweep: Path, documents: list[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    write_documents(sweep.with_name("t"), documents)
    assert main(["show", "run2"]) == 2
    assert "in several sweeps (results/s, results/t): name one" in capsys.readouterr().err
    assert main(["show", "results/t", "run2"]) == 0


def test_without_any_sweep_the_folder_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", "run1"]) == 2
    assert "there is no sweep in results: name the folder of one" in capsys.readouterr().err


def test_a_damaged_record_is_named(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_file(sweep, "run2")
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["show", "run2"]) == 1
    assert "run2.json.gz is not a record" in capsys.readouterr().err


def test_a_document_that_is_no_record_is_shown_too(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = {"run": {"run_id": "run2"}, "attempt": 1, "server": ["an END"]}
    write_document(record_file(sweep, "run2"), odd)
    assert main(["show", "run2"]) == 0
    assert json.loads(capsys.readouterr().out) == odd
    assert main(["show", "run2", "--output", "server"]) == 2


def test_a_later_attempt_is_no_run_and_a_run_that_is_named_like_one_is(
    sweep: Path, documents: list[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    documents[1]["run"]["run_id"] = "host.7"
    write_documents(sweep, [documents[1]])
    main(["show", "run1."])
    assert "run1.2" not in capsys.readouterr().err
    main(["show", "host.8"])
    assert "did you mean host.7" in capsys.readouterr().err
    assert len(files_of_records(sweep)) == 4


def test_of_a_million_names_only_neighbours_are_compared() -> None:
    names = [f"b{number:06d}" for number in range(10 * MOST_COMPARED)]
    assert "b012344" in close_names("b012344x", names) and close_names("012345", names) == ["b012345"]


def test_a_reader_that_stops_early_is_no_error(sweep: Path) -> None:
    script = f"import sys; from {main.__module__} import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", script, "show", "run1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
