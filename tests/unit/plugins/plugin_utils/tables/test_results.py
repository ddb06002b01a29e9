"""A sweep read and judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import load_results
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity import statuses
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import Judgements
from captured import all_captured, sweep_of, write_documents


def test_every_planned_run_has_what_became_of_it(tmp_path: Path) -> None:
    documents = all_captured()
    store_plan(tmp_path, sweep_of(documents))
    write_documents(tmp_path, documents[1:])
    results = load_results(tmp_path)
    assert [item.run.run_id for item in results.runs] == [f"run{number}" for number in range(1, len(documents) + 1)]
    assert (results.runs[0].record, results.runs[0].judgement.reason) == (None, "not_run")
    assert all(item.record is not None and item.judgement == judge(item.record) for item in results.runs[1:])


def test_what_is_looked_at_again_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after every block of --until-ci."""
    judged = []
    monkeypatch.setattr(statuses, "judge", lambda record: judged.append(record) or judge(record))
    documents = all_captured()
    store_plan(tmp_path, sweep_of(documents))
    judgements = Judgements()
    for count in range(1, len(documents) + 1):
        write_documents(tmp_path, documents[count - 1 : count])
        load_results(tmp_path, judgements=judgements)
        assert len(judged) == count
    assert load_results(tmp_path, judgements=judgements) == load_results(tmp_path)


def test_the_traced_runs_are_those_that_were_traced_or_tried(tmp_path: Path) -> None:
    documents = all_captured()
    planned = [bool(document["run"]["traced"]) for document in documents]
    for document in documents:
        for side in ("server", "client"):
            document[side] |= {"trace": None, "trace_unavailable": None}
    documents[0]["client"]["trace_unavailable"] = "no kernel headers"
    store_plan(tmp_path, sweep_of(documents))
    assert [item.traced for item in load_results(tmp_path).runs] == planned
    write_documents(tmp_path, documents)
    assert [item.traced for item in load_results(tmp_path).runs] == [False, *planned[1:]]
