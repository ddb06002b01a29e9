"""The samples of a whole sweep as two frames, for the summary: numbers as they are packed, names as categories."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..model import Plan, Run
from ..store.columns import TRACED, UNTRACEABLE, ForeignRow
from ..store.store import ALL_BLOCKS, Measured, Store

if TYPE_CHECKING:
    import pandas as pd


class _Codes:
    """Values as numbers, in the order in which they first come."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.of.setdefault(value, len(self.of))

    def categories(self, codes: Any) -> Any:
        """A categorical column of these numbers."""
        import pandas as pd

        return pd.Categorical.from_codes(codes, categories=pd.Index(list(self.of), dtype=object))


def frames_of(store: Store, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The planned runs and the samples of the valid ones, as `summary.summarise` takes them.

    Raises ImportError where pandas is not installed, and ForeignRow.
    """
    import pandas as pd  # noqa: F401 - before anything is read

    frames = _Frames(store)
    for part, positions in plan.steps.parts():
        found = {one.run_id: one for one in store.measured((part, part) if part else ALL_BLOCKS)}
        for run in _runs(plan, positions):
            frames.add(run, found.get(run.run_id))
    return frames.runs(), frames.samples()


def _runs(plan: Plan, positions: range) -> Iterator[Run]:
    steps = (plan.steps[position] for position in positions)
    return (run for step in steps for session in step.sessions for run in session.runs)


class _Frames:
    """The columns of both frames while they grow."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names = {name: _Codes() for name in ("server", "client", "benchmark", "case")}
        self._columns = {name: array("i") for name in (*self._names, "level", "block")}
        self._flags = {"traced": bytearray(), "valid": bytearray()}
        self._positions = array("i")
        self._sets = array("i")
        self._values = bytearray()

    def add(self, run: Run, found: Measured | None) -> None:
        """A planned run with what is stored of it; in plan order."""
        position = len(self._columns["block"])
        for name, codes in self._names.items():
            self._columns[name].append(codes(getattr(run, name)))
        self._columns["level"].append(-1 if run.level is None else run.level)
        self._columns["block"].append(run.block)
        if found is not None and not self._store.matches(run, found.shared, found.own):
            found = None
        self._flags["traced"].append(_traced(run, found))
        self._flags["valid"].append(found is not None and found.valid)
        if found is not None and found.valid and found.values:
            if len(found.values) != 8 * len(self._store.metrics(found.metrics)):
                raise ForeignRow("values of other metrics")
            self._positions.append(position)
            self._sets.append(found.metrics)
            self._values += found.values

    def runs(self) -> pd.DataFrame:
        """One row for each planned run."""
        import numpy as np
        import pandas as pd

        level = np.frombuffer(self._columns["level"], dtype=np.int32)
        columns: dict[str, Any] = {
            name: codes.categories(np.frombuffer(self._columns[name], dtype=np.int32)) for name, codes in self._names.items()
        }
        columns["level"] = pd.arrays.IntegerArray(level.astype(np.int32), level < 0)
        columns["block"] = np.frombuffer(self._columns["block"], dtype=np.int32)
        columns |= {name: np.frombuffer(flags, dtype=np.bool_) for name, flags in self._flags.items()}
        frame: pd.DataFrame = pd.DataFrame(columns, copy=False)
        return frame

    def samples(self) -> pd.DataFrame:
        """One row for each figure of a valid run."""
        import numpy as np
        import pandas as pd

        metric, unit = _Codes(), _Codes()
        by_set = {
            number: np.array([(metric(name), unit(its)) for name, its in self._store.metrics(number)], dtype=np.int16)
            for number in dict.fromkeys(self._sets)
        }
        codes = np.concatenate([np.empty((0, 2), dtype=np.int16), *(by_set[number] for number in self._sets)])
        counts = np.array([len(by_set[number]) for number in self._sets], dtype=np.int32)
        frame: pd.DataFrame = pd.DataFrame(
            {
                "run": np.repeat(np.frombuffer(self._positions, dtype=np.int32), counts),
                "metric": metric.categories(codes[:, 0]),
                "unit": unit.categories(codes[:, 1]),
                "value": np.frombuffer(self._values, dtype="<f8"),
            },
            copy=False,
        )
        return frame


def _traced(run: Run, found: Measured | None) -> bool:
    """As `JudgedRun.traced`."""
    flags = 0 if found is None else found.flags
    return bool(flags & TRACED) or (run.traced and not flags & UNTRACEABLE)
