"""The plan on disk: read back as it was, grown, never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import (
    load_or_create,
    load_plan,
    store_new,
    store_plan,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError, make_directory
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import held_by
from plans import plan


def test_a_stored_plan_reads_back_and_grows_but_never_changes(tmp_path: Path) -> None:
    def create(seed: int, blocks: int) -> Any:
        return plan(12, seed=seed, blocks=blocks)

    made, new = load_or_create(tmp_path, create, blocks=2, seed=0)
    assert new and made.seed > 0
    store_plan(tmp_path, made)
    assert load_plan(tmp_path) == made
    assert list(load_plan(tmp_path).hosts) == list(made.hosts) and made.uid
    assert load_or_create(tmp_path, create, blocks=2, seed=0) == (made, False)
    assert load_or_create(tmp_path, create, blocks=1, seed=0) == (made, False)
    grown, new = load_or_create(tmp_path, create, blocks=4, seed=made.seed)
    assert new and list(grown.steps[: len(made.steps)]) == list(made.steps) and grown.uid == made.uid

    def other(seed: int, blocks: int) -> Any:
        return plan(3, seed=seed, blocks=blocks, settings={"a": 2, "b": True})

    with pytest.raises(PlanError) as caught:
        load_or_create(tmp_path, other, blocks=2, seed=made.seed + 1)
    for sentence in ("a was 1 and is now 2", "b was not set and is now true", "h2 (10.0.0.3)", "pairbench_seed was",
                     "pairbench_sweep=NAME"):
        assert sentence in str(caught.value)


def test_cases_that_differ_are_named(tmp_path: Path) -> None:
    def create(name: str) -> Any:
        return lambda seed, blocks: plan(2, seed=seed, blocks=blocks, settings={"iperf3_cases": {name: {"seconds": 3}}})

    store_plan(tmp_path, load_or_create(tmp_path, create("tcp_P4_t3"), blocks=1, seed=0)[0])
    with pytest.raises(PlanError, match=r"iperf3_cases was tcp_P4_t3 and is now tcp_P1_t3\. Choose another name"):
        load_or_create(tmp_path, create("tcp_P1_t3"), blocks=1, seed=0)


def test_results_below_a_file_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    folder = tmp_path / "results" / "default"
    assert held_by(folder) == ""
    with pytest.raises(StorageError) as caught:
        make_directory(folder)
    mend = "check that the folder may be written and run again"
    assert str(caught.value) == f"{folder} could not be written (Not a directory): {mend}"


def test_two_controllers_that_begin_together_go_by_one_plan(tmp_path: Path) -> None:
    """Both find no plan, and the second one stores its own after the first."""
    sweep = tmp_path / "results" / "s"

    def again() -> tuple[Any, bool]:
        return load_or_create(sweep, lambda seed, blocks: plan(3, seed=seed, blocks=blocks), blocks=2, seed=0)

    (one, _new), (other, _new) = again(), again()
    assert one.uid != other.uid
    assert store_new(sweep, one, again) == (one, True)
    assert store_new(sweep, other, again) == (one, False) and load_plan(sweep) == one
    grown = load_or_create(sweep, lambda seed, blocks: plan(3, seed=seed, blocks=blocks), blocks=4, seed=0)[0]
    assert store_new(sweep, grown, again) == (grown, True) and load_plan(sweep) == grown
    assert held_by(sweep) == ""


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 99}', "[]", '{"schema": 1, "steps": [1]}'])
def test_a_damaged_plan_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(PlanError, match=r"plan\.json"):
        load_plan(tmp_path)
