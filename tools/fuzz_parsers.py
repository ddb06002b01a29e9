"""Coverage-guided fuzzing of everything that reads untrusted text: the scan, the gate, the import of notes.

Atheris instruments the project's own modules and mutates the captures under tests/captures. An input that
makes a parser raise, gives a figure that is not finite, or gives a reason the gate does not know is a crash:
it is written to a file by libFuzzer and the run ends.

Usage (atheris is not part of the project's environment; give it one of its own)::

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    /tmp/fuzz/bin/python tools/link_collection.py /tmp/fuzz/bin
    /tmp/fuzz/bin/python tools/fuzz_parsers.py -max_total_time=300 CORPUS_DIRECTORY

The corpus directory is filled with the captures when it is empty.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["ansible_collections.pairbench"]):
    from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import scan
    from ansible_collections.pairbench.lab.plugins.plugin_utils.notes import importer
    from ansible_collections.pairbench.lab.plugins.plugin_utils.validity import gate

CAPTURES = Path(__file__).parent.parent / "tests" / "captures"
LARGEST_INPUT = 20_000


def check_text(text: str) -> None:
    """Whatever a text holds, figures are finite and a reason is given exactly when they are not valid."""
    for finding in scan.scan(text.splitlines(keepends=True)):
        assert (finding.status == "valid") == (finding.reason == ""), finding
        assert not finding.reason or finding.reason in gate.REASONS, finding.reason
        assert all(math.isfinite(sample.value) for sample in finding.samples), finding
        assert all(call.calls is None or call.calls >= 0 for call in finding.calls), finding


def check_record(text: str, benchmark: str) -> None:
    """A record with the text as everything an end may print is judged without a fault of the gate."""
    end: dict[str, Any] = {
        "argv": [], "arch": "x86_64", "stdout": text, "stderr": text,
        "trace": {"mode": "count", "output": text},
    }  # fmt: skip
    run = {"benchmark": benchmark, "case": "c", "parameters": {"seconds": 1}, "traced": True}
    judgement = gate.judge({"schema": 1, "run": run, "server": end, "client": end})
    assert judgement.reason in gate.REASONS or judgement.status == "valid", judgement
    assert judgement.reason != "gate_error", judgement.detail


def check_notes(text: str) -> None:
    """Notes become a sweep or are refused with `NotesError`; records made of them are judged."""
    try:
        imported = importer.read_notes(text, "notes", "sweep", "configuration", "2026-01-01T00:00:00Z")
    except importer.NotesError:
        return
    for record in imported.records:
        json.dumps(record)
        assert gate.judge(record).reason != "gate_error", gate.judge(record)


def test_one_input(data: bytes) -> None:
    """One input: its first byte says who reads the rest."""
    if not data:
        return
    text = data[1:].decode("utf-8", "replace")
    if data[0] % 4 == 0:
        check_notes(text)
    elif data[0] % 4 == 1:
        check_record(text, "iperf3" if data[0] & 4 else "sockperf")
    else:
        check_text(text)


def fill_corpus(directory: Path) -> None:
    """Write the captures as first inputs, each once for every reader."""
    if any(directory.iterdir()):
        return
    for number, path in enumerate(sorted(CAPTURES.rglob("*"))):
        if not path.is_file():
            continue
        for part, text in enumerate(_texts(path)):
            for reader in (b"\x00", b"\x01", b"\x05", b"\x02"):
                seed = reader + text.encode()[:LARGEST_INPUT]
                (directory / f"{number:03d}-{part}-{reader.hex()}").write_bytes(seed)


def _texts(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.parent.name != "records":
        return [text]
    record = json.loads(text)
    ends = [record[side] for side in ("server", "client")]
    return [end["stdout"] for end in ends] + [end["trace"]["output"] for end in ends if end["trace"]]


def main() -> None:
    for argument in sys.argv[1:]:
        if not argument.startswith("-") and Path(argument).is_dir():
            fill_corpus(Path(argument))
            break
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
