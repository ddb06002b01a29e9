"""The frames that the summary is made of hold what judged runs hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.figures import frames_of
from captured import all_captured, captured, runs_of, sweep_of, write_documents


def frames(sweep: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return asked(sweep, lambda store, _synced: frames_of(store, load_plan(sweep)))


def a_sweep_by_steps(sweep: Path) -> None:
    documents = [*all_captured(), *all_captured()]
    store_plan(sweep, sweep_of(documents))
    documents[3]["client"]["timed_out"] = True
    documents[4]["client"] |= {"trace": None, "trace_unavailable": "no headers"}
    documents[4]["server"]["trace"] = None
    documents[5]["run"]["server"] = "elsewhere"
    write_documents(sweep, documents[1:])


def a_sweep_by_design(sweep: Path) -> None:
    cases = {"iperf3": [CaseSpec("iperf3", "tcp", captured("iperf3_tcp")["run"]["parameters"], 5.0)]}
    plan = make_plan(
        sweep="s", configuration="c", hosts={f"h{n}": f"10.0.0.{n}" for n in range(1, 5)}, cases=cases,
        directions={"iperf3": "both"}, blocks=3, seed=3, mode="concurrent", levels=(1, 2),
    )  # fmt: skip
    store_plan(sweep, plan)
    documents = []
    for number, run in enumerate(planned_runs(plan)):
        document = captured("iperf3_tcp" if run.traced else "iperf3_tcp_untraced")
        document["run"] = dict(vars(run))
        documents += [document] if number % 5 else []
    write_documents(sweep, documents)


@pytest.mark.parametrize("make", [a_sweep_by_steps, a_sweep_by_design])
def test_frames_hold_every_planned_run_and_the_samples_of_the_valid_ones(make: Any, tmp_path: Path) -> None:
    make(tmp_path)
    runs, samples = frames(tmp_path)
    judged = runs_of(tmp_path)
    for name in ("server", "client", "benchmark", "case", "block"):
        assert runs[name].tolist() == [getattr(item.run, name) for item in judged]
    assert [None if level is pd.NA else level for level in runs["level"]] == [item.run.level for item in judged]
    assert runs["traced"].tolist() == [item.traced for item in judged]
    assert runs["valid"].tolist() == [item.judgement.status == "valid" for item in judged]
    assert not runs["valid"].all() and runs["valid"].any()
    assert list(samples.itertuples(index=False, name=None)) == [
        (number, sample.metric, sample.unit, float(sample.value))
        for number, item in enumerate(judged) for sample in item.judgement.samples
    ]  # fmt: skip
    assert {str(runs[name].dtype) for name in ("server", "client", "benchmark", "case")} == {"category"}
    assert str(samples["value"].dtype) == "float64"


def test_a_sweep_without_records_has_runs_and_no_samples(tmp_path: Path) -> None:
    store_plan(tmp_path, sweep_of(all_captured()))
    runs, samples = frames(tmp_path)
    assert len(runs) == len(all_captured()) and samples.empty and not runs["valid"].any()
