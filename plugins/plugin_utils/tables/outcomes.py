"""What became of the runs of one part of a plan: counted when the part has changed, and remembered until it does again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model import Plan
from ..store.columns import ForeignRow
from .levels import LEVEL_COLUMNS, level_rows
from .results import JudgedRun, Row


@dataclass(frozen=True)
class Outcomes:
    """Of one part, or of a whole sweep."""

    statuses: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many runs have this status, reason and detail."""
    checks: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many runs have this check with this sentence."""
    strangers: list[tuple[str, str]] = field(default_factory=list)
    """File name and run of records of runs that the plan does not have."""
    levels: list[Row] = field(default_factory=list)
    """Rows of ``levels`` of a concurrent sweep."""

    @property
    def planned(self) -> int:
        """Runs."""
        return self.statuses.total()

    @property
    def valid(self) -> int:
        """Of them, those that may be believed."""
        return sum(count for (status, _reason, _detail), count in self.statuses.items() if status == "valid")

    def add(self, other: Outcomes) -> None:
        """Take in those of another part."""
        self.statuses.update(other.statuses)
        self.checks.update(other.checks)
        self.strangers.extend(other.strangers)
        self.levels.extend(other.levels)

    def as_document(self) -> dict[str, Any]:
        """What is remembered of them."""
        return {
            "statuses": [[*words, count] for words, count in self.statuses.items()],
            "checks": [[*words, count] for words, count in self.checks.items()],
            "strangers": self.strangers,
            "levels": [[row[name] for name in LEVEL_COLUMNS] for row in self.levels],
        }


class Tally:
    """Counts one part while its runs go by."""

    def __init__(self, plan: Plan, counting: Mapping[str, str]) -> None:
        """``counting``: by run, the name of the file that counts of it, of all runs that may be in the part."""
        self._plan = plan
        self._strangers = dict(counting)
        self._concurrent: list[JudgedRun] = []
        self._outcomes = Outcomes()

    def see(self, item: JudgedRun) -> None:
        """Count a run."""
        judgement = item.judgement
        self._outcomes.statuses[judgement.status, judgement.reason, judgement.detail] += 1
        self._outcomes.checks.update(judgement.checks.items())
        self._strangers.pop(item.run.run_id, None)
        if self._plan.mode == "concurrent":
            self._concurrent.append(item)

    def outcomes(self) -> Outcomes:
        """What it came to."""
        self._outcomes.strangers.extend((name, run) for run, name in self._strangers.items())
        self._outcomes.levels.extend(level_rows(self._plan, self._concurrent))
        return self._outcomes


def outcomes_of(document: str) -> Outcomes:
    """What was remembered. Raises ForeignRow for what `Outcomes.as_document` cannot have been."""
    try:
        found = json.loads(document)
        return Outcomes(
            Counter({(str(status), str(reason), str(detail)): _count(count)
                     for status, reason, detail, count in found["statuses"]}),
            Counter({(str(name), str(text)): _count(count) for name, text, count in found["checks"]}),
            [(str(name), str(run)) for name, run in found["strangers"]],
            [_level_row(values) for values in found["levels"]],
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise ForeignRow(f"outcomes: {fault}") from None


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ForeignRow("no count")
    return value


def _level_row(values: Iterable[Any]) -> Row:
    row = dict(zip(LEVEL_COLUMNS, values, strict=True))
    numbers = (row["level"], row["value"])
    if not all(isinstance(value, (int, float)) or value is None for value in numbers) or not row["level"]:
        raise ForeignRow("no level")
    return row
