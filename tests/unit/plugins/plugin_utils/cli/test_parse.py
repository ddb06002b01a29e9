"""``pairbench parse``: what it prints of which file, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
from clone import CAPTURES

NOTES = CAPTURES / "notes" / "notes.md"


def client_output(name: str) -> str:
    record = json.loads((CAPTURES / "records" / f"{name}.json").read_text(encoding="utf-8"))
    text: str = record["client"]["stdout"]
    return text


def parse(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, Any, str]:
    status = main(["parse", *argv])
    printed = capsys.readouterr()
    return status, json.loads(printed.out), printed.err


def test_parse_prints_one_array_with_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    status, findings, errors = parse(capsys, str(NOTES))
    assert status == 0
    assert errors == ""
    assert [finding["tool"] for finding in findings] == [
        "iperf3", "bpftrace", "bpftrace", "sockperf", "bpftrace", "bpftrace",
    ]  # fmt: skip
    for finding in findings:
        assert set(finding) == {
            "file", "line", "tool", "version", "mode", "side", "parameters", "status", "reason", "detail",
            "notes", "samples", "calls",
        }  # fmt: skip
        assert finding["file"] == str(NOTES)
    assert findings == sorted(findings, key=lambda finding: finding["line"])
    received = next(s for s in findings[0]["samples"] if s["metric"] == "throughput_received")
    assert received == {"metric": "throughput_received", "unit": "bit/s", "value": 23.5e9}
    assert {"comm": "iperf3", "syscall": "sys_enter_read", "calls": 1895228}.items() <= next(
        call for call in findings[1]["calls"] if call["syscall"] == "sys_enter_read"
    ).items()


def test_exit_status_one_when_something_is_not_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = client_output("sockperf_udp")
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(text, encoding="utf-8")
    bad.write_text(text[: text.index("---> percentile 50")], encoding="utf-8")
    assert parse(capsys, str(good))[0] == 0
    status, findings, _ = parse(capsys, str(good), str(bad))
    assert status == 1
    assert [finding["file"] for finding in findings] == [str(good), str(bad)]
    assert findings[1]["reason"]
    assert findings[1]["detail"]


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00\xff\xfe\x80" * 1000, b"{\n" * 100])
def test_exit_status_two_when_nothing_is_recognised(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    status, findings, errors = parse(capsys, str(file))
    assert (status, findings) == (2, [])
    assert f"{file} holds no output of iperf3, sockperf, qperf or bpftrace." in errors


def test_files_that_cannot_be_read_are_named_and_the_others_still_parsed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.txt"
    status, findings, errors = parse(capsys, str(missing), str(tmp_path), str(NOTES))
    assert status == 2
    assert len(findings) == 6
    assert f"cannot read {missing}: No such file or directory." in errors
    assert f"cannot read {tmp_path}: Is a directory." in errors


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_line_ends_make_no_difference(
    encoding: str, newline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.txt"
    file.write_text(client_output("sockperf_udp"), encoding=encoding, newline=newline)
    status, findings, _ = parse(capsys, str(file))
    assert status == 0
    assert len(findings) == 1


def test_the_table_fits_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    file = tmp_path / "run.txt"
    file.write_text(NOTES.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["parse", "--format", "table", "run.txt"]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "throughput_received" in out
    assert "23,500,000,000 bit/s" in out
    assert "VALID" in out
    assert "sys_enter_read" in out
    assert "1,895,228" in out


SCRIPT = """
import sys
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main
sys.exit(main())
"""


def run_script(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", SCRIPT, *argv]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def test_standard_input() -> None:
    done = run_script("parse", "-", stdin=client_output("iperf3_tcp").encode())
    assert done.returncode == 0, done.stderr
    (finding,) = json.loads(done.stdout)
    assert (finding["file"], finding["tool"], finding["status"]) == ("-", "iperf3", "valid")


def test_standard_input_that_is_closed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    status, findings, errors = parse(capsys, "-")
    assert (status, findings) == (2, [])
    assert "cannot read -: standard input is closed." in errors
