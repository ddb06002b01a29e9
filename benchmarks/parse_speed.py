"""How long judging records takes against parsing their JSON, and finding outputs in a large file against reading its lines.

Usage: ``.venv/bin/python benchmarks/parse_speed.py [--megabytes 100] [--rounds 50]``. First it prints, for a run of 30
intervals made of a captured one and for the captured ones, what one record takes from its bytes to its judgement, in bytes a
second, and how many times what ``json.loads`` takes for the record and the JSON in it. Both are measured in turn, and the
fastest of all rounds counts. Then it prints the seconds and the ratio for the file, and the memory that parsing added at
its peak. The file is made of real captures with log lines between them, in the proportion that ``--junk`` says.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import checksum_of, stored_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import json_text, object_in
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge

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
    parser.add_argument("--rounds", type=int, default=50, help="how often each record is judged")
    arguments = parser.parse_args()
    _print_judging(arguments.rounds)
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


def _print_judging(rounds: int) -> None:
    for name, content in _records():
        document = json.loads(content)
        texts = [content, *(document[side]["stdout"] for side in ("server", "client") if _is_json(document[side]["stdout"]))]
        judging, loading = _fastest(
            rounds, lambda: _judged(content), lambda: [json.loads(text) for text in texts]  # noqa: B023 - called at once
        )
        print(
            f"{name:<22} {len(content):>7} B  {1e3 * judging:6.2f} ms  {len(content) / judging / 1e6:6.1f} MB/s, "
            f"{judging / loading:4.1f} times json.loads"
        )


def _judged(content: bytes) -> None:
    record = stored_record(object_in(Path("record"), content), checksum_of(content)).record
    if record is None or judge(record).status != "valid":
        raise SystemExit("a record that should be valid is not")


def _fastest(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Seconds of each piece of work in its fastest round; they take turns."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for index, work in enumerate(works):
            start = time.perf_counter()
            work()
            best[index] = min(best[index], time.perf_counter() - start)
    return best


def _records() -> Iterator[tuple[str, bytes]]:
    captured = {path.stem: path.read_bytes() for path in sorted((CAPTURES / "records").glob("*.json"))}
    yield "iperf3 -P 4, 30 s", json_text(_lengthened(json.loads(captured["iperf3_tcp"]), 30, 4)).encode()
    yield from captured.items()


def _lengthened(record: dict[str, Any], seconds: int, streams: int) -> dict[str, Any]:
    """The record of a run that went on like its first interval, on so many streams, for so many seconds."""
    record["run"]["parameters"] |= {"seconds": seconds, "parallel": streams}
    for side in ("server", "client"):
        document = json.loads(record[side]["stdout"])
        _lengthen(document, seconds, streams)
        record[side]["stdout"] = _as_printed(document)
    return record


def _lengthen(document: dict[str, Any], seconds: int, streams: int) -> None:
    first = document["intervals"][0]
    each, start, end = first["streams"][0], document["start"], document["end"]
    moved = each["bytes"]
    start["connected"] *= streams // len(start["connected"])
    start["test_start"] |= {"duration": seconds, "num_streams": streams}
    document["intervals"] = [
        {"streams": [each | times] * streams, "sum": first["sum"] | times | {"bytes": streams * moved}}
        for times in ({"start": second, "end": second + 1, "seconds": 1.0} for second in range(seconds))
    ]
    ways = {"start": 0, "end": seconds, "seconds": float(seconds)}
    end["streams"] = [
        {role: part | ways | {"bytes": seconds * moved} for role, part in end["streams"][0].items()} for _ in range(streams)
    ]
    for name in ("sum_sent", "sum_received"):
        end[name] |= ways | {"bytes": streams * seconds * moved, "bits_per_second": 8.0 * streams * moved}


def _as_printed(document: dict[str, Any]) -> str:
    """JSON as iperf3 prints it: tabs, and the brackets of lists of objects on the lines of those of the objects."""
    text = json.dumps(document, indent="\t", separators=(",", ":\t"))
    text = re.sub(r"\[\n\t+\{", "[{", text)
    return re.sub(r"\},\n\t+\{", "}, {", re.sub(r"\}\n\t+\]", "}]", text)) + "\n"


def _is_json(text: str) -> bool:
    return text.startswith("{")


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
