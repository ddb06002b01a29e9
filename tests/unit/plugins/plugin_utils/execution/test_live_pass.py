from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass as passes_of_this_process
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import LivePass
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED, CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError, make_plan
from passes import orders


def live_pass(blocks: int = 2) -> LivePass:
    cases = {"iperf3": [CaseSpec("iperf3", "P1", {}, 1.0)]}
    hosts = {name: f"10.0.0.{number}" for number, name in enumerate("abcd", 1)}
    plan = make_plan(sweep="s", configuration="c", hosts=hosts, cases=cases, directions={"iperf3": "first_serves"},
                     blocks=blocks, seed=1)
    live = LivePass(plan, orders(), set())
    live.prepared = {host: {} for host in hosts}
    return live


def test_a_host_that_meets_several_peers_in_vain_is_left_out_until_the_next_block() -> None:
    live = live_pass()
    live.begin_step(0)
    live.missed("a", "b")
    assert not live.lost
    live.missed("c", "a")
    assert set(live.lost) == {"a"}
    live.begin_step(1)
    sessions = [session for session in live.step.sessions if "a" in (session.server, session.client)]
    assert live.why_left_out(sessions[0]).startswith("a fell away: its sessions with b, c")
    others = [session for session in live.step.sessions if session not in sessions]
    assert live.why_left_out(others[0]) == ""
    live.begin_step(len(live.plan.steps) - 1)
    assert not live.lost


def test_meeting_clears_what_was_held_against_a_host() -> None:
    live = live_pass()
    live.missed("a", "b")
    live.met("a", "d")
    live.missed("a", "c")
    assert not live.lost


def test_a_host_that_was_never_reached_takes_part_in_nothing() -> None:
    live = live_pass()
    del live.prepared["d"]
    live.begin_step(0)
    for session in live.step.sessions:
        assert bool(live.why_left_out(session)) == ("d" in (session.server, session.client))


def test_both_ends_work_out_the_same_token_and_nobody_else_does() -> None:
    live = live_pass()
    assert live.token(3, "a", "b") == live.token(3, "a", "b")
    assert len({live.token(3, "a", "b"), live.token(4, "a", "b"), live.token(3, "b", "a"),
                live_pass().token(3, "a", "b")}) == 4


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which nothing has been planned and nobody conducts."""
    monkeypatch.setattr(passes_of_this_process, "_current", [])
    monkeypatch.setattr(passes_of_this_process, "_conducted", [])


@pytest.mark.usefixtures("process")
def test_nothing_is_planned_for_which_nobody_takes_the_results() -> None:
    with pytest.raises(PlanError, match="The callback that writes the records is off"):
        passes_of_this_process.require_conductor()
    passes_of_this_process.announce_conductor()
    passes_of_this_process.require_conductor()


@pytest.mark.usefixtures("process")
def test_nothing_is_measured_without_a_pass_or_in_one_that_may_not_go_on() -> None:
    assert passes_of_this_process.refusal_now() == ("the callback pairbench.lab.summary is off", REFUSED)
    with pytest.raises(PlanError, match="No sweep has been planned in this play"):
        passes_of_this_process.required()
    live = live_pass()
    passes_of_this_process.begin(live)
    assert passes_of_this_process.required() is live and passes_of_this_process.refusal_now() == ("", "")
    live.refusal = "the disk is full"
    assert passes_of_this_process.refusal_now() == ("the disk is full", REFUSED)
    live.held = True
    assert passes_of_this_process.refusal_now() == ("the disk is full", HELD)
