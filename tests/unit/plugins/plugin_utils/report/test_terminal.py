"""What a person reads before and after a sweep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_plan, render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.outcomes import Outcomes
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import overview_of
from captured import all_captured, sweep_of, tables_of, write_documents


def test_a_plan_reads_as_a_plan() -> None:
    records = all_captured()
    plan = replace(sweep_of(records), blocks=4)
    text = render_plan(plan, what_remains(plan))
    assert f"{len(records)} of {len(records)} runs to do" in text and "pbcapture-s (10.0.0.1)" in text
    assert "2 hosts, 4 blocks, " in text and "one pair at a time" in text


def test_a_large_plan_is_shown_whole_when_that_is_asked_for() -> None:
    made = make_plan(
        sweep="s", configuration="c", hosts={f"h{number}": f"10.0.0.{number}" for number in range(20)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "first_serves"}, blocks=2, seed=7,
        trace=False,
    )
    short, long = (render_plan(made, what_remains(made), everything=everything) for everything in (False, True))
    assert short.count("\nPair: ") == 12 and "... and 178 more (all with -v)" in short and "and 6 more pairs" in short
    assert long.count("\nPair: ") == 190 and long.count("\n  block ") == 2 * 19 and " more" not in long
    assert all(long.count(f"{one} <- {other}: case untraced") == 2 for one, other in (("h0", "h1"), ("h5", "h19")))
    assert "pairbench_seed=7" not in long
    assert "with -e pairbench_seed=7 the sweep is the one shown here" in render_plan(made, what_remains(made), drawn=True)


def test_the_summary_shows_the_tables_that_it_is_given_and_makes_none(tmp_path: Path) -> None:
    documents = all_captured()
    store_plan(tmp_path, sweep_of(documents))
    write_documents(tmp_path, documents)
    told = tables_of(tmp_path)
    whole = render_sweep(tmp_path, told)
    assert "throughput received" in whole
    assert whole.endswith("runs.csv  samples.csv  syscalls.csv  hosts.csv  summary.csv  records/")
    bare = render_sweep(tmp_path, replace(told, summary=()))
    assert "throughput received" not in bare and "runs valid" in bare


def test_totals_of_levels_are_medians_of_the_untraced_blocks(tmp_path: Path) -> None:
    documents = all_captured()
    store_plan(tmp_path, sweep_of(documents))
    rows = [
        {"case": "P4", "level": 2, "value": value, "traced": traced}
        for value, traced in ((2e9, False), (4e9, False), (3e9, False), (9e9, True), (None, False))
    ]
    told = render_sweep(tmp_path, replace(overview_of(tmp_path), outcomes=Outcomes(levels=rows)))
    [line] = [line.split() for line in told.splitlines() if line.strip().startswith("P4")]
    assert line == ["P4", "2", "3", "Gbit/s", "1.5", "Gbit/s", "3"]
