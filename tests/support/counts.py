"""Reading what a tracer wrote, independently of the parsers under test."""

from __future__ import annotations

import json
from collections import Counter


def by_thread_name(output: str, of: str = "@calls") -> dict[tuple[str, int], int]:
    """A map of the tracer by (thread name, system-call number), the threads of one name added up."""
    documents = [json.loads(line) for line in output.splitlines() if line.strip()]
    keys = next(item["data"][of] for item in documents if item["type"] == "map" and of in item["data"])
    result: Counter[tuple[str, int]] = Counter()
    for key, value in keys.items():
        _thread, rest = key.split(",", 1)
        name, number = rest.rsplit(",", 1)
        result[name, int(number)] += value
    return dict(result)
