"""Whether a sweep is complete, and what is missing."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of
from captured import all_captured, sweep_of, write_documents


def test_what_is_missing_is_said_by_reason(tmp_path: Path) -> None:
    documents = all_captured()[:4]
    store_plan(tmp_path, sweep_of(documents))
    documents[1]["client"]["timed_out"] = True
    documents[2]["error"] = {"reason": "unreachable", "detail": "no route"}
    write_documents(tmp_path, documents[:3])
    found = completeness_of(tmp_path)
    assert (found.planned, found.valid, found.complete) == (4, 1, False)
    assert found.sentence == (
        "1 of 4 planned runs are valid; 1 failed: unreachable, 1 invalid: timed_out, 1 not run"
    )


def test_a_limit_asks_for_the_pairs_of_its_hosts_alone(tmp_path: Path) -> None:
    documents = all_captured()[:2]
    documents[1]["run"] |= {"server": "other"}
    store_plan(tmp_path, sweep_of(documents))
    write_documents(tmp_path, documents[:1])
    run = documents[0]["run"]
    assert completeness_of(tmp_path, frozenset({run["server"], run["client"]})).complete
    assert not completeness_of(tmp_path).complete
