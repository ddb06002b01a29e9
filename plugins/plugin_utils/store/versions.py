"""Which code said something: what another code said of a record, or made of it, is said or made again."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

JUDGED_BY = (
    "validity", "benchmarks", "tracing", "parsing", "records", "storage/files.py", "storage/packing.py", "shapes.py",
    "addresses.py", "store/judged.py",
)  # fmt: skip
"""The rooms, and the files, on which it depends what is said of a record."""
MADE_BY = (*JUDGED_BY, "store", "tables", "statistics", "planning", "plain_text.py", "model.py")
"""The same for what is made of many of them: tables, outcomes, the summary."""


def gate_version() -> str:
    """Changes with every change of what judges a record."""
    return code_version(JUDGED_BY)


def tables_version() -> str:
    """Changes with every change of what makes tables of judged records."""
    return code_version(MADE_BY)


@functools.cache
def code_version(places: Sequence[str]) -> str:
    """A digest of the sources in these rooms and files of the library."""
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for place in places:
        parts = [folder / place] if place.endswith(".py") else (folder / place).rglob("*")
        for part in sorted(path for path in parts if path.suffix in (".py", ".json")):
            digest.update(part.read_bytes())
    return digest.hexdigest()[:16]
