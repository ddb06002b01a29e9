"""A sweep read and judged."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import all_captured, runs_of, sweep_of, write_documents


def test_every_planned_run_has_what_became_of_it(tmp_path: Path) -> None:
    documents = all_captured()
    store_plan(tmp_path, sweep_of(documents))
    write_documents(tmp_path, documents[1:])
    runs = runs_of(tmp_path)
    assert [item.run.run_id for item in runs] == [f"run{number}" for number in range(1, len(documents) + 1)]
    assert (runs[0].found, runs[0].judgement.reason) == (None, "not_run")
    assert [item.judgement for item in runs[1:]] == [judge(document) for document in documents[1:]]


def test_the_traced_runs_are_those_that_were_traced_or_tried(tmp_path: Path) -> None:
    documents = all_captured()
    planned = [bool(document["run"]["traced"]) for document in documents]
    for document in documents:
        for side in ("server", "client"):
            document[side] |= {"trace": None, "trace_unavailable": None}
    documents[0]["client"]["trace_unavailable"] = "no kernel headers"
    store_plan(tmp_path, sweep_of(documents))
    assert [item.traced for item in runs_of(tmp_path)] == planned
    write_documents(tmp_path, documents)
    assert [item.traced for item in runs_of(tmp_path)] == [False, *planned[1:]]
