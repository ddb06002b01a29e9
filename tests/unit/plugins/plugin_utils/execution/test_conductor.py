"""What becomes of what happens on hosts: records, losses, tables, and what people are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import conductor as conducting
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.conductor import (
    CLAIM,
    PLAN,
    PROBE,
    STEP,
    Conductor,
    Voice,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.deadlines import Deadlines
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import read_hosts
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage import files
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, SweepLock
from ansible_collections.pairbench.lab.plugins.plugin_utils.store import judged as judged_records
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of
from conducted import HOSTS, Conducted


@pytest.fixture
def it(tmp_path: Path) -> Conducted:
    """A pass whose first step has begun."""
    return Conducted(tmp_path).begin()


def refuse(path: Path, *_arguments: Any) -> None:
    raise files.StorageError(28, f"{path} could not be written")


# The course of a pass


def test_a_pass_without_a_plan_does_not_begin(it: Conducted, tmp_path: Path) -> None:
    orders = replace(it.orders, sweep_dir=tmp_path / "nowhere")
    with pytest.raises(PlanError, match="there is no sweep in"):
        Conductor(orders, Voice(print, print, print), it.watchdog, render_sweep)


def test_a_pass_begins_with_what_is_to_do(tmp_path: Path) -> None:
    it = Conducted(tmp_path)
    assert not it.conductor.holds
    it.conductor.begin()
    assert it.conductor.holds and not it.live.refusal
    assert [line.partition(",")[0] for line in it.said] == ["Sweep s: 6 of 6 planned runs to do"]


def test_a_sweep_that_another_controller_holds_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(_lock: SweepLock) -> None:
        raise SweepHeld("the sweep is held by ada@desk")

    monkeypatch.setattr(SweepLock, "acquire", held)
    it = Conducted(tmp_path, fresh=True)
    it.conductor.begin()
    assert it.live.refusal == "the sweep is held by ada@desk" and it.live.held and not it.conductor.holds
    it.conductor.flush()
    it.conductor.withdraw()
    it.conductor.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json"] and not it.said


def test_both_ends_become_a_record_and_a_line(it: Conducted) -> None:
    it.reply("a")
    assert not it.folder.records.exists() and len(it.said) == 1
    it.reply(it.other())
    record = it.record()
    assert record["attempt"] == 1 and record["error"] is None and record["server"]["stdout"] and record["client"]["stdout"]
    assert it.said[1].startswith("[1/6 runs, 16 %,") and it.said[1].endswith(": 1 valid")
    [run] = it.session().runs
    assert it.live.done == {run.run_id} == completed(it.folder.path)
    assert {host: len(names) for host, names in it.live.recorded.items()} == {"a": 1, it.other(): 1}


def test_a_step_that_begins_later_asks_only_for_what_is_left(it: Conducted) -> None:
    it.reply("a")
    it.reply(it.other())
    it.conductor.begin_step(0)
    assert it.live.step is not None and len(it.live.step.sessions) == 1
    for host in [host for session in it.live.step.sessions for host in (session.server, session.client)]:
        it.reply(host)
    it.conductor.begin_step(0)
    assert it.live.step is None


def test_the_tables_and_the_closing_words_come_once(it: Conducted) -> None:
    it.reply("a")
    it.reply(it.other())
    it.conductor.finish()
    closing = it.said[-1]
    assert "1 of 6 planned runs are valid" in closing and it.folder.table("summary").exists()
    assert not it.conductor.holds
    it.conductor.finish()
    it.conductor.flush()
    it.conductor.withdraw()
    assert it.said[-1] is closing and it.folder.has_plan
    SweepLock(it.folder.path).acquire()


def test_a_lonely_end_becomes_a_record_before_the_next_task(it: Conducted) -> None:
    it.reply("a")
    it.conductor.flush()
    assert it.record()["error"]["reason"] == "no_end"
    it.conductor.flush()
    assert len(list(it.folder.records.iterdir())) == 1


@pytest.mark.parametrize(("fresh", "plan_only", "kept"), [(True, False, False), (False, False, True), (True, True, True)])
def test_a_new_plan_of_which_no_session_began_is_withdrawn(
    tmp_path: Path, fresh: bool, plan_only: bool, kept: bool
) -> None:
    it = Conducted(tmp_path, fresh=fresh, plan_only=plan_only).begin(step=None)
    it.conductor.withdraw()
    it.conductor.finish()
    assert it.folder.has_plan == kept == it.folder.table("runs").exists() == bool(list(it.folder.hosts.iterdir()))
    assert (it.said[-1] == f"No session has begun, so no plan is kept in {tmp_path}") != kept


def test_a_plan_is_kept_from_its_first_session_on(tmp_path: Path) -> None:
    it = Conducted(tmp_path, fresh=True).begin()
    it.conductor.withdraw()
    assert it.folder.has_plan and it.conductor.holds


def test_a_step_in_which_every_session_is_left_out_is_no_beginning(tmp_path: Path) -> None:
    it = Conducted(tmp_path, fresh=True).begin(step=None)
    for host in HOSTS:
        it.live.lose(host, "it is away")
    it.live._block = 1
    it.conductor.begin_step(0)
    it.conductor.withdraw()
    assert not it.folder.has_plan


def test_every_record_of_a_pass_is_judged_once_and_read_by_nobody(it: Conducted, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    real = judged_records.judge
    monkeypatch.setattr(judged_records, "judge", lambda record: judged.append(record.run_id) or real(record))
    for host in ("a", it.other()):
        it.reply(host)
    it.conductor.flush()
    for host in (session.server for session in it.live.step.sessions if "a" not in (session.server, session.client)):  # type: ignore
        it.reply(host)
    it.conductor.finish()
    synced = asked(it.folder.path, lambda _store, synced: synced)
    assert len(judged) == len(set(judged)) == 2 and (synced.read, synced.judged) == (0, 0)
    assert len(it.folder.table("samples").read_text(encoding="utf-8").splitlines()) > 1
    completed(it.folder.path), completeness_of(it.folder.path)
    assert len(judged) == 2


def test_what_was_measured_until_an_interrupt_is_in_the_tables(it: Conducted) -> None:
    it.reply("a")
    it.watchdog.killed.append("The process of Ansible that waited for b was stopped")
    errors: list[str] = []
    it.conductor.break_off(errors.append)
    it.conductor.finish()
    assert errors[0] == "The process of Ansible that waited for b was stopped"
    assert errors[1].startswith("The play was broken off")
    assert it.record()["error"]["reason"] == "no_end" and it.folder.table("runs").exists()


def test_an_interrupt_while_the_tables_are_written_does_not_begin_again(
    it: Conducted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conducting, "update_tables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        it.conductor.finish()
    assert not it.conductor.holds
    said = list(it.said)
    it.conductor.finish()
    assert it.said == said


def test_no_session_begins_where_a_worker_could_not_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = Conducted(tmp_path).begin(step=None)
    monkeypatch.setattr(conducting, "descriptors_problem", lambda: "too few files")
    it.conductor.begin_step(0)
    it.conductor.begin_step(1)
    assert it.live.refusal == "too few files" and it.complained == ["too few files"]


# What hosts say of themselves


def test_what_hosts_are_is_kept(it: Conducted) -> None:
    facts, problems = read_hosts(it.folder.path)
    assert facts.keys() == HOSTS.keys() == it.live.prepared.keys() and not problems
    assert facts["a"] == {"fingerprint": {"kernel": "6"}, "tools": {}, "tracer": {}}


@pytest.mark.parametrize("action", [PROBE, CLAIM])
def test_a_host_whose_reply_makes_no_sense_drops_out(it: Conducted, action: str) -> None:
    it.conductor.take("a", action, {"malformed": "a: the reply is a list", "ignored": ["a: more of it: ignored"]})
    assert it.live.lost == {"a": "malformed reply: a: the reply is a list"}
    assert it.warned == [
        "a: more of it: ignored",
        "a fell away: malformed reply: a: the reply is a list. Its sessions wait for the next block.",
    ]


def test_tasks_of_others_change_nothing(it: Conducted) -> None:
    it.conductor.take("a", "ansible.builtin.setup", {"malformed": "x", "ignored": ["x"], "ends": 7})
    it.conductor.take("a", PLAN, {"ignored": ["x"]})
    it.conductor.take_failure("a", STEP, {})
    assert not it.live.lost and not it.warned


def test_a_host_that_cannot_be_looked_at_takes_part_in_nothing(it: Conducted) -> None:
    it.conductor.take_failure("a", PROBE, {})
    assert it.live.lost == {"a": "the host could not be looked at"}


@pytest.mark.parametrize("word", [HELD, REFUSED])
def test_a_host_that_refuses_to_be_claimed_ends_the_pass_before_anything_is_prepared(it: Conducted, word: str) -> None:
    it.live.prepared.clear()
    it.conductor.take_failure("a", CLAIM, {"msg": "a: another sweep has the host", "refusal": word})
    it.conductor.take_failure("b", CLAIM, {"msg": "b: no root", "refusal": REFUSED})
    assert (it.live.refusal, it.live.held) == ("a: another sweep has the host", word == HELD)


def test_a_host_that_is_taken_over_later_costs_its_own_sessions_only(it: Conducted) -> None:
    assert "a" in it.live.prepared
    it.conductor.take_failure("a", CLAIM, {"msg": "a: another sweep has the host", "refusal": HELD})
    assert not it.live.refusal and not it.live.held


# Sessions


@pytest.mark.parametrize(("no_answer", "reason"), [("", "unreachable"), ("it gave no answer within 9 s", "no_answer")])
def test_a_host_that_goes_away_in_its_session_fails_its_runs_alone(it: Conducted, no_answer: str, reason: str) -> None:
    other = it.other()
    it.conductor.take_unreachable("a", STEP, "no \x1broute", no_answer)
    it.reply(other)
    error = it.record()["error"]
    assert error["reason"] == reason and "\x1b" not in error["detail"]
    assert it.live.lost == {"a": error["detail"]}
    session = it.session()
    assert it.watchdog.hastened[0] == (other, Deadlines(it.orders).of_other_end(session, True))
    [one] = [session for session in it.live.step.sessions if "a" not in (session.server, session.client)]  # type: ignore
    it.reply(one.server)
    it.reply(one.client)
    assert it.record(one.server)["error"] is None


def test_a_host_that_is_cut_off_while_it_is_claimed_has_no_runs_that_fail(it: Conducted) -> None:
    it.conductor.take_failure("a", CLAIM, {}, "it gave no answer within 9 s at: Claim")
    assert it.live.lost.keys() == {"a"} and not it.watchdog.hastened
    it.conductor.flush()
    assert not it.folder.records.exists()


def test_a_module_that_fails_fails_the_runs_of_its_end(it: Conducted) -> None:
    it.reply("a", ends={}, error={"reason": "module_failed", "detail": "no memory"})
    it.reply(it.other())
    assert it.record()["error"] == {"reason": "module_failed", "detail": "no memory"} and not it.live.lost


def test_an_end_that_was_told_to_end_when_its_time_was_over_gave_no_answer(it: Conducted) -> None:
    [run] = it.session().runs
    end = it.end("a") | {"problem": {"reason": "interrupted", "detail": "signal 15"}}
    it.reply("a", ends={run.run_id: end}, no_answer="it gave no answer within 9 s")
    it.reply(it.other())
    record, session = it.record(), it.session()
    side = "server" if session.server == "a" else "client"
    assert record[side]["problem"] == {"reason": "no_answer", "detail": "a: it gave no answer within 9 s"}
    assert it.live.lost == {"a": "it gave no answer within 9 s"}


def test_a_run_whose_end_is_malformed_fails_and_is_said(it: Conducted) -> None:
    [run] = it.session().runs
    it.reply("a", ends={}, malformed={run.run_id: "a: ends is a list"}, spool_problem="disk \x1bfull")
    it.reply(it.other())
    assert it.record()["error"] == {"reason": "malformed_reply", "detail": "a: ends is a list"}
    assert it.warned[0].startswith("a: disk ") and "\x1b" not in it.warned[0] and it.warned[1] == "a: ends is a list"


@pytest.mark.parametrize("reason", ["host_rebooted", "disk_full"])
def test_a_host_that_can_take_part_in_nothing_says_so(it: Conducted, reason: str) -> None:
    it.reply("a", met=False, problem={"reason": reason, "detail": "a sentence"})
    assert it.live.lost == {"a": "a sentence"}


def test_a_host_that_meets_nobody_drops_out_and_is_hastened_for(tmp_path: Path) -> None:
    it = Conducted(tmp_path).begin(step=None)
    met: set[str] = set()
    for index in (0, 1):
        it.conductor.begin_step(index)
        met.add(it.other())
        it.reply("a", met=False, problem={"reason": "peer_lost", "detail": "nobody came"})
    assert len(met) == 2 and it.live.lost.keys() == {"a"}
    assert it.warned[-1].startswith("a fell away: its sessions with ")
    it.conductor.begin_step(2)
    assert it.live.why_left_out(it.session()).startswith("a fell away")


def test_what_a_hypervisor_could_not_count_is_said(it: Conducted) -> None:
    it.conductor.take("hv", STEP, {"problems": {"a": "no such process"}, "ignored": []})
    assert it.warned == ["hv: the process of a was not observed: no such process"]


# What hosts kept


def test_two_kept_halves_become_a_record_and_shorten_what_is_left(it: Conducted) -> None:
    entries = [it.spool(host) for host in ("a", it.other())]
    it.conductor.flush()
    assert it.record()["collected"] == ["client", "server"] and it.record()["error"] is None
    assert it.said[-1] == "Collected 1 run that ended while no controller was there"
    assert it.live.recorded["a"] >= {entries[0]["name"]} and it.live.recorded[it.other()] >= {entries[1]["name"]}
    it.conductor.take("a", CLAIM, {"spooled": [], "forgotten": [entries[0]["name"]]})
    assert not it.live.recorded["a"]


def test_a_kept_half_joins_the_half_that_is_in_a_record(it: Conducted) -> None:
    it.reply("a")
    it.conductor.flush()
    assert it.record()["error"]["reason"] == "no_end"
    it.spool(it.other(), "0123456789abcdef")
    it.conductor.flush()
    record = it.record(attempt=2)
    assert record["error"] is None and record["attempt"] == 2 and len(record["collected"]) == 1


def test_hosts_forget_nothing_that_could_not_be_written(it: Conducted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing.write_whole_bytes", refuse)
    for host in ("a", it.other()):
        it.spool(host)
    it.conductor.flush()
    assert not it.live.recorded and not it.live.done and "could not be written" in it.live.refusal
    [sentence] = it.complained
    assert sentence.endswith("What was measured is kept on the hosts and will be collected.")


def test_tables_that_cannot_be_written_keep_nobody_from_the_closing_words(
    it: Conducted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables.Rewritten", refuse)
    it.conductor.finish()
    assert "0 of 6 planned runs are valid" in it.said[-1] and len(it.complained) == 1


# Deadlines


def test_every_task_has_its_time_until_the_pass_has_finished(it: Conducted) -> None:
    deadlines = Deadlines(it.orders)
    for action, state in ((STEP, ""), (CLAIM, "present"), (CLAIM, "absent"), (PROBE, "")):
        it.conductor.await_host("a", "id", "name", action, state)
    assert [seconds for *_task, seconds in it.watchdog.begun] == [
        deadlines.of_step(it.live.step, "a"), deadlines.of_claim, deadlines.of_giving_back, deadlines.of_preparing,
    ]
    assert it.watchdog.begun[0][:3] == ("a", "id", "name")
    it.conductor.finish()
    it.conductor.await_host("a", "id", "name", STEP)
    assert len(it.watchdog.begun) == 4
