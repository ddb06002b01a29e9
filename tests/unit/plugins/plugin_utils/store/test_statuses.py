"""What became of runs."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from captured import all_captured, write_documents


def test_what_was_measured_is_done_and_what_failed_is_not(tmp_path: Path) -> None:
    documents = all_captured()[:3]
    for number, document in enumerate(documents, 1):
        document["run"]["run_id"] = f"run{number}"
    documents[1]["client"]["timed_out"] = True
    documents[2]["error"] = {"reason": "unreachable", "detail": "no route"}
    write_documents(tmp_path, documents)
    assert completed(tmp_path) == {"run1", "run2"}
    write_documents(tmp_path, [documents[2] | {"error": None}])
    assert completed(tmp_path) == {"run1", "run2", "run3"}, "the latest attempt counts"


def test_a_look_at_what_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    assert completed(tmp_path / "nothing") == completed(tmp_path) == set()
    assert not list(tmp_path.iterdir())
