"""The summary table: per configuration, pair, case and metric, what the runs say together (pandas)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .results import Row

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_COLUMNS = (
    "configuration", "server", "client", "benchmark", "case", "metric", "n_tried", "n_valid", "median", "ci_low",
    "ci_high", "mad", "min", "max", "unit", "verdict", "trace_cost", "trace_cost_low", "trace_cost_high", "level",
)  # fmt: skip

# numpy, pandas and scipy are imported where they are used: loading them takes a second, and whoever has none of them needs
# the columns all the same.


def summarise(runs: pd.DataFrame, samples: pd.DataFrame, configuration: str, every_run: bool) -> list[Row]:
    """Rows of summary.csv, in the order of the plan's cases and of the samples within a run.

    ``runs`` has a row for each planned run in the order of the plan, with the columns ``server``, ``client``,
    ``benchmark``, ``case`` (categories), ``level`` (whole or missing), ``block`` and ``traced`` (what was done). ``samples``
    are those of valid runs, in the order of the runs and as they stand within one: ``run`` (position among ``runs``),
    ``metric``, ``unit`` (categories) and ``value``. Headline figures come from untraced runs; those that need a trace
    come from traced ones. ``n_tried`` counts the planned runs of that kind. With ``every_run`` all runs count alike:
    handwritten notes have no twins. Raises ImportError where pandas or scipy is not installed.
    """
    from .metrics import Cases, Samples, figures_by_case

    cases, figures = Cases.of(runs), Samples.of(samples)
    found = [
        (place, {column: row.get(column) for column in SUMMARY_COLUMNS} | {"configuration": configuration})
        for metric in range(len(figures.metrics))
        for place, row in figures_by_case(cases, figures, metric, every_run)
    ]
    return [row for _place, row in sorted(found, key=lambda item: item[0])]
