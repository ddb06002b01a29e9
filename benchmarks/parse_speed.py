"""How long finding every tool's output in a large mixed file takes, against reading the same lines.

Usage: ``.venv/bin/python benchmarks/parse_speed.py [--megabytes 100]``. Prints seconds, the ratio and the
memory that parsing added at its peak. The file is made of real captures with log lines between them, in the
proportion that ``--junk`` says.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan

CAPTURES = Path(__file__).parent.parent / "tests" / "captures"
JUNK = (
    "2026-03-01T10:00:{second:02d}Z vm1 systemd[1]: Started session {number} of user root.\n",
    "Mar  1 10:00:{second:02d} vm1 kernel: [ 123.{number:06d}] eth0: link becomes ready [ OK ] sec\n",
    "ok: [vm{number}] => changed=false item={{'name': 'a', 'value': [1, 2, 3]}}\n",
    "\n",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--junk", type=float, default=0.5, help="share of lines that no tool printed")
    arguments = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".log", encoding="utf-8") as file:
        size = 0
        for text in _mixed(arguments.junk):
            size += file.write(text)
            if size >= arguments.megabytes * 2**20:
                break
        file.flush()
        read_seconds, lines = _timed_read(Path(file.name))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        parse_seconds, findings = _timed_parse(Path(file.name))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{size / 2**20:.0f} MiB, {lines} lines, {findings} findings")
    print(f"read line by line  {read_seconds:7.2f} s")
    print(f"parse              {parse_seconds:7.2f} s, {parse_seconds / read_seconds:.1f} times reading")
    print(f"peak memory        {grown / 1024:7.1f} MiB more than before")


def _mixed(junk_share: float) -> Iterator[str]:
    """Captures over and over, with log lines between their outputs. Never ends."""
    outputs = [(CAPTURES / "notes" / "notes.md").read_text(encoding="utf-8")]
    for path in sorted((CAPTURES / "records").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        outputs += [record[side]["stdout"] for side in ("client", "server")]
        outputs += [record["client"]["trace"]["output"]] if record["client"]["trace"] else []
    number = 0
    while True:
        for output in outputs:
            lines = output.count("\n")
            yield output if output.endswith("\n") else output + "\n"
            for _ in range(round(lines * junk_share / (1 - junk_share))):
                number += 1
                yield JUNK[number % len(JUNK)].format(number=number % 1000000, second=number % 60)


def _timed_read(path: Path) -> tuple[float, int]:
    start = time.perf_counter()
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = sum(1 for _ in file)
    return time.perf_counter() - start, lines


def _timed_parse(path: Path) -> tuple[float, int]:
    start = time.perf_counter()
    with path.open(encoding="utf-8", errors="replace") as file:
        findings = sum(1 for _ in scan(file))
    return time.perf_counter() - start, findings


if __name__ == "__main__":
    main()
