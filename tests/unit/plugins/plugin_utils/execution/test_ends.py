"""Steps in batches: no claim to a host lapses while its sweep goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import MOST_STEPS, Batch, batches
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import (
    longest_step_seconds,
    make_plan,
    planned_runs,
)

LEASE_SECONDS = 600.0


def plan(hosts: int, mode: str, seconds: float = 30.0) -> Plan:
    return make_plan(
        sweep="s", configuration="c", hosts={f"h{number}": f"10.0.0.{number}" for number in range(1, hosts + 1)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, seconds)]}, directions={"iperf3": "both"}, blocks=2, seed=1,
        mode=mode,
    )


def silences(made: Plan, found: list[Batch]) -> Iterator[float]:
    """Seconds for which a host gives no sign of life."""
    longest = longest_step_seconds(made)
    signs = dict.fromkeys(made.hosts, 0.0)
    now = 0.0
    for batch in found:
        if batch.renew:
            yield from (now - sign for sign in signs.values())
            signs = dict.fromkeys(made.hosts, now)
        for index, _title in batch.steps:
            now += longest
            for session in made.steps[index].sessions:
                for host in (session.server, session.client):
                    yield now - longest - signs[host]
                    signs[host] = now
    yield from (now - sign for sign in signs.values())


@pytest.mark.parametrize(("hosts", "mode"), [(6, "isolated"), (12, "isolated"), (8, "concurrent"), (9, "rounds")])
def test_every_host_gives_a_sign_of_life_within_half_of_the_lease(hosts: int, mode: str) -> None:
    made = plan(hosts, mode)
    found = batches(made, (), None, LEASE_SECONDS)
    assert [index for batch in found for index, _title in batch.steps] == list(range(len(made.steps)))
    assert max(silences(made, found)) <= LEASE_SECONDS / 2


def test_a_mesh_in_which_hardly_anybody_rests_needs_no_renewals() -> None:
    made = plan(9, "rounds")
    found = batches(made, (), None, LEASE_SECONDS)
    assert [len(batch.steps) for batch in found] == [len(made.steps)] and not found[0].renew
    assert {len(batch.steps) for batch in batches(plan(60, "rounds", 1.0), (), None, LEASE_SECONDS)} == {MOST_STEPS, 36}


def test_only_what_is_left_counts() -> None:
    made = plan(6, "isolated")
    ends = {"h1", "h2"}
    done = {run.run_id for run in planned_runs(made) if {run.server, run.client} != ends}
    (left,) = batches(made, done, None, LEASE_SECONDS)
    assert len(left.steps) == 4 and not left.renew
    assert batches(made, (), frozenset(ends), LEASE_SECONDS) == [left]
    assert batches(made, {run.run_id for run in planned_runs(made)}, None, LEASE_SECONDS) == []
