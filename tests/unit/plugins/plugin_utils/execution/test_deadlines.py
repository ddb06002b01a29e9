"""No host is cut off that may still be at what it was asked for: the deadlines against the waits of the modules."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import HANDSHAKE_SECONDS
from ansible_collections.pairbench.lab.plugins.module_utils._host import children
from ansible_collections.pairbench.lab.plugins.module_utils._session import deadlines as waits
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import ARM_SECONDS, END_SECONDS
from ansible_collections.pairbench.lab.plugins.module_utils._session.session import OBSERVER_SECONDS
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.deadlines import Deadlines
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import (
    end_of,
    session_deadline_seconds,
    winding_up_seconds,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Session
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from hypothesis import given
from hypothesis import strategies as st
from passes import orders

PARAMETERS: dict[str, Any] = {
    "parallel": 4, "protocol": "tcp", "bitrate": "", "length": "", "window": "", "omit_seconds": 0, "reverse": False,
    "bidirectional": False, "congestion": "", "zerocopy": False, "extra_args": [],
}
STOP_SECONDS = waits.STOP_SECONDS
# To arm, to disarm, to hand over; each is waited for by one deadline, however many observe.
OBSERVER_WAITS = ARM_SECONDS + 4 * END_SECONDS


def plan(seconds: float = 30.0, repeats: int = 2, trace: bool = True) -> Plan:
    cases = [CaseSpec("iperf3", f"case{number}", PARAMETERS | {"seconds": seconds}, seconds) for number in range(repeats)]
    return make_plan(
        sweep="s", configuration="c", hosts={"h1": "10.0.0.1", "h2": "10.0.0.2", "h3": "10.0.0.3"},
        cases={"iperf3": cases}, directions={"iperf3": "first_serves"}, blocks=1, seed=1, mode="isolated", trace=trace,
    )  # fmt: skip


def wait_seconds(run: dict[str, Any], word: str) -> float:
    """The longest wait of an end for a word of the other end, as the module has it."""
    return float(getattr(waits.Deadlines({}, run), word)() - time.monotonic())


def longest(made: Plan, session: Session, host: str, ready: float, rendezvous: float, observers: int) -> float:
    """Every wait of one end to its end."""
    total = rendezvous + OBSERVER_SECONDS + 2 * HANDSHAKE_SECONDS
    for run in end_of(made, session, host, {"iperf3": 5201}, ready)["runs"]:
        if host == session.server:
            total += ready + STOP_SECONDS + wait_seconds(run, "done") + 2 * wait_seconds(run, "exit") + STOP_SECONDS
            total += waits.PORT_FREE_SECONDS + observers * OBSERVER_WAITS
        else:
            total += wait_seconds(run, "ready") + run["limit_seconds"] + children.KILL_AFTER_SECONDS
            total += waits.PATIENCE_SECONDS + STOP_SECONDS + wait_seconds(run, "over")
    return total


@given(
    seconds=st.floats(1, 3600), ready=st.floats(1, 600), rendezvous=st.floats(1, 3600), repeats=st.integers(1, 5),
    observers=st.integers(0, 2),
)
def test_a_session_may_take_every_wait_to_its_end(
    seconds: float, ready: float, rendezvous: float, repeats: int, observers: int
) -> None:
    made = plan(seconds, repeats)
    session = made.steps[0].sessions[0]
    for host in (session.server, session.client):
        may_take = longest(made, session, host, ready, rendezvous, observers)
        assert session_deadline_seconds(session, ready, rendezvous, observers) >= may_take


def test_the_end_that_is_left_may_stop_what_it_has_begun() -> None:
    made = plan()
    session = made.steps[0].sessions[0]
    [*_others, run] = end_of(made, session, session.server, {"iperf3": 5201}, 30.0)["runs"]
    ending = 2 * waits.PATIENCE_SECONDS + 2 * STOP_SECONDS + waits.PORT_FREE_SECONDS
    assert winding_up_seconds(session, 30.0, 60.0, met=False) >= 60.0 + 2 * HANDSHAKE_SECONDS
    assert winding_up_seconds(session, 30.0, 60.0, met=True) >= run["limit_seconds"] + ending
    observed = winding_up_seconds(session, 30.0, 60.0, met=True, observers=2)
    assert observed >= run["limit_seconds"] + ending + 2 * OBSERVER_WAITS


def test_every_task_has_a_deadline_of_its_own() -> None:
    made = plan()
    step = made.steps[0]
    session = step.sessions[0]
    [resting] = set(made.hosts) - {session.server, session.client}
    deadlines = Deadlines(orders())
    own = session_deadline_seconds(session, 30.0, 60.0) + 300
    assert deadlines.of_step(step, session.server) == deadlines.of_step(step, session.client) == own
    assert deadlines.of_step(step, resting) == own, "it may be a hypervisor, which observes any of them"
    assert deadlines.of_step(None, resting) == deadlines.of_giving_back == 300
    assert deadlines.of_preparing == 3600
    assert deadlines.of_other_end(session, True) < own
    assert deadlines.of_claim == 100 + 90 + 30 + 300


@pytest.mark.parametrize("wait", [0, 10, 7200])
def test_a_host_that_is_waited_for_may_be_waited_for_twice(wait: int) -> None:
    """First for the claim of another sweep, then for a session that a killed controller left."""
    assert Deadlines(orders(wait_seconds=wait)).of_claim >= 2 * wait + 300


def test_observed_sessions_may_take_longer() -> None:
    made = plan()
    step, host = made.steps[0], made.steps[0].sessions[0].server
    assert Deadlines(orders(hypervisors=("hv",))).of_step(step, host) > Deadlines(orders()).of_step(step, host)
