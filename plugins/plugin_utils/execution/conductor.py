"""Conducts one pass: takes what happens on the hosts, and decides what becomes of it.

Nothing of Ansible comes here: hosts are names, replies are what `replies` made of them. The clock, the voice and the
watchdog are given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..controller.processes import descriptors_problem
from ..controller.watchdog import Watchdog
from ..model import HELD, JsonObject, Session
from ..plain_text import printable
from ..planning.remaining import what_remains
from ..planning.stored import load_plan, withdraw_plan
from ..records.record import Record, Trouble
from ..records.writing import write_host
from ..storage.lock import SweepHeld, SweepLock, identity
from ..store.statuses import completed
from ..tables.overview import Overview
from ..tables.tables import overview_of, update_tables
from .assembler import RecordAssembler
from .deadlines import Deadlines
from .ends import session_of, side_of
from .keeping import Keeper
from .live_pass import LivePass
from .orders import Orders
from .progress import Progress

PLAN, PROBE, CLAIM, STEP = (f"pairbench.lab.{name}" for name in ("plan", "probe", "claim", "step"))
HOST_FACTS = ("fingerprint", "tools", "tracer")
MOST_MALFORMED = 3
"""How many different sentences about malformed replies of one session are said."""
BROKEN_OFF = (
    "The play was broken off. What the hosts had measured is in the records, or kept on the hosts; the same command "
    "collects it and continues."
)

Closing = Callable[[Path, Overview], str]


@dataclass(frozen=True)
class Voice:
    """Tells people one sentence: how it goes on, what is odd, what went wrong."""

    say: Callable[[str], None]
    warn: Callable[[str], None]
    complain: Callable[[str], None]


class Conductor:
    """The one that writes to a `LivePass`, to the records and to the tables of its sweep."""

    def __init__(
        self,
        orders: Orders,
        voice: Voice,
        watchdog: Watchdog,
        closing: Closing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``closing`` makes the text at the end from the folder and what is told of it. Raises PlanError without a plan."""
        plan = load_plan(orders.sweep_dir)
        self.live = LivePass(plan, orders, completed(orders.sweep_dir), identity())
        self._voice, self._watchdog, self._closing, self._clock = voice, watchdog, closing, clock
        self._deadlines = Deadlines(orders)
        self._lock = SweepLock(orders.sweep_dir)
        self._assembler = RecordAssembler(plan)
        self._keeper = Keeper(self.live, voice.complain)
        self._progress = Progress(plan, what_remains(plan, self.live.done, self.live.only))
        self._untouched = orders.fresh and not orders.plan_only  # a plan of this pass of which no session has begun
        self._holds = False
        self._watches = True

    @property
    def holds(self) -> bool:
        """Whether the sweep is this pass's own, from `begin` until it has finished or withdrawn."""
        return self._holds

    # The course of a pass

    def begin(self) -> None:
        """Take the sweep. Where another controller has it, `LivePass.refusal` says so, and nothing there is touched."""
        try:
            self._lock.acquire()
        except (SweepHeld, OSError) as error:
            self.live.refusal, self.live.held = str(error), isinstance(error, SweepHeld)
            return
        self._holds = True
        self._voice.say(self._progress.opening(str(self.live.sweep_dir)))

    def begin_step(self, index: int) -> None:
        """The sessions of a step are about to begin."""
        step = self.live.begin_step(index)
        # Ansible passes over a worker that it cannot start, so one end of a session would wait for nobody.
        problem = descriptors_problem()
        if problem and not self.live.refusal:
            self._voice.complain(problem)
            self.live.refusal = problem
        if step is None:
            return
        if not all(self.live.why_left_out(session) for session in step.sessions):
            self._untouched = False
        self._assembler.expect(run for session in step.sessions for run in session.runs)
        self._progress.begin_step(step, self._clock())

    def await_host(self, host: str, task: str, what: str, action: str, state: str = "") -> None:
        """A worker is started for a task of a host, which has its time from now on.

        ``task`` tells the tasks of a host apart, ``what`` is its name for people, ``state`` its argument of that name.
        """
        if self._watches:
            self._watchdog.begin(host, task, what, self._seconds_for(host, action, state))

    def flush(self) -> None:
        """Nobody is at work now: make records of what has only one end, and of what hosts had kept."""
        if self._holds:
            self._flush()

    def withdraw(self) -> None:
        """Forget a plan that the play refused to begin, so that what was wrong can be fixed under the same name.

        Not after an interrupt: then the hosts are still claimed for it, and the same command continues.
        """
        if not self._holds or not self._untouched:
            return
        self._holds = False
        withdraw_plan(self.live.sweep_dir)
        self._voice.say(f"No session has begun, so no plan is kept in {self.live.sweep_dir}")
        self._lock.release()

    def break_off(self, complain: Callable[[str], None]) -> None:
        """The play was interrupted, or lost a worker: say so. `finish` comes next."""
        problem = descriptors_problem()
        for sentence in [*self._watchdog.killed, *([problem] if problem else []), BROKEN_OFF]:
            complain(sentence)

    def finish(self) -> None:
        """Write the tables and the summary once, also when the play was interrupted."""
        if not self._holds:
            return
        self._holds = self._watches = False
        self._flush()
        self._close()
        self._lock.release()

    def _flush(self) -> None:
        for record in self._assembler.flush():
            self._write(record)
        count = self._keeper.collect()
        if count:
            runs = "1 run" if count == 1 else f"{count} runs"
            self._voice.say(f"Collected {runs} that ended while no controller was there")
            self._progress.replan(what_remains(self.live.plan, self.live.done, self.live.only))
        self._keeper.note_judged()

    # What hosts came back with

    def take(self, host: str, action: str, values: JsonObject, no_answer: str = "") -> None:
        """What an action of this collection made of a host's reply: nothing raw of a host comes here (`replies`).

        ``no_answer`` says why the host counts as one that gave no answer in time; empty when it did.
        """
        if action not in (PROBE, CLAIM, STEP):
            return
        for sentence in values.get("ignored", ()):
            self._voice.warn(sentence)
        if action == STEP:
            self._take_step(host, values, no_answer)
        elif values.get("malformed"):
            self._lose(host, f"malformed reply: {values['malformed']}")
        elif action == PROBE:
            self.live.prepared[host] = values
            facts = {name: values.get(name) for name in HOST_FACTS}
            self._keeper.store(write_host, self.live.sweep_dir, host, facts)
        else:
            self._keeper.forgotten(host, values.get("forgotten", ()))
            self._keeper.take(host, values.get("spooled", ()))
            if values.get("program") and values.get("interpreter"):
                self.live.residents[host] = (values["interpreter"], values["program"])

    def take_failure(self, host: str, action: str, values: JsonObject, no_answer: str = "") -> None:
        """A task failed for a host, with what an action of this collection made of the host's reply."""
        if no_answer:
            self._take_silence(host, action, Trouble("no_answer", no_answer))
        elif action == PROBE:
            self.live.lose(host, "the host could not be looked at")
        elif action == CLAIM and values.get("refusal") and host not in self.live.prepared and not self.live.refusal:
            self.live.refusal, self.live.held = str(values["msg"]), values["refusal"] == HELD

    def take_unreachable(self, host: str, action: str, message: str, no_answer: str = "") -> None:
        """A host was not reached, with what Ansible says of that."""
        unreachable = Trouble("unreachable", printable(message))
        self._take_silence(host, action, Trouble("no_answer", no_answer) if no_answer else unreachable)

    def _take_silence(self, host: str, action: str, error: Trouble) -> None:
        self._lose(host, error.detail)
        session = self._session_of(host) if action == STEP else None
        if session is not None:
            self._fail_end(session, host, error)

    def _take_step(self, host: str, values: JsonObject, no_answer: str) -> None:
        if no_answer:
            self._lose(host, no_answer)
        session = self._session_of(host)
        if session is not None:
            self._take_session(session, host, values, no_answer)
            return
        for guest, problem in (values.get("problems") or {}).items():  # a hypervisor: its counts are in the guests' ends
            self._voice.warn(f"{host}: the process of {guest} was not observed: {problem}")

    def _take_session(self, session: Session, host: str, values: JsonObject, no_answer: str) -> None:
        self._keeper.forgotten(host, values.get("forgotten", ()))
        if values.get("spool_problem"):
            self._voice.warn(f"{host}: {printable(values['spool_problem'])}")
        if values["error"]:
            error = Trouble(values["error"]["reason"], values["error"]["detail"])
            self._fail_end(session, host, Trouble("no_answer", no_answer) if no_answer else error)
            return
        met = bool(values.get("met"))
        self._hasten_other_end(session, host, met)
        self._take_meeting(session, host, met, values.get("problem") or {})
        self._take_ends(session, host, values["ends"], no_answer)
        self._take_malformed(session, host, values["malformed"])

    def _take_meeting(self, session: Session, host: str, met: bool, problem: Mapping[str, str]) -> None:
        """Whether the two ends met; where they did not, it may be a host that can take part in nothing."""
        if met:
            self.live.met(session.server, session.client)
        elif problem.get("reason") == "peer_lost":
            self._note_lost(lambda: self.live.missed(session.server, session.client))
        elif problem.get("reason") in ("host_rebooted", "disk_full"):
            self._lose(host, printable(problem["detail"]))

    def _take_ends(self, session: Session, host: str, ends: Mapping[str, JsonObject], no_answer: str) -> None:
        for run_id, end in ends.items():
            if no_answer and end.get("problem"):  # it was told to end when its time was over
                end["problem"] = {"reason": "no_answer", "detail": f"{host}: {no_answer}"}
            self._write(self._assembler.add_end(run_id, side_of(session, host), end))

    def _take_malformed(self, session: Session, host: str, malformed: Mapping[str, str]) -> None:
        for sentence in sorted(set(malformed.values()))[:MOST_MALFORMED]:
            self._voice.warn(sentence)
        for run_id, why in malformed.items():
            self._write(self._assembler.add_error(run_id, side_of(session, host), Trouble("malformed_reply", why)))

    def _fail_end(self, session: Session, host: str, error: Trouble) -> None:
        self._hasten_other_end(session, host, met=True)
        for run in session.runs:
            self._write(self._assembler.add_error(run.run_id, side_of(session, host), error))

    def _hasten_other_end(self, session: Session, host: str, met: bool) -> None:
        """The other end sees that nobody answers any more: it has to return soon."""
        other = session.client if host == session.server else session.server
        self._watchdog.hasten(other, self._deadlines.of_other_end(session, met))

    def _session_of(self, host: str) -> Session | None:
        return session_of(self.live.step, host) if self.live.step else None

    def _seconds_for(self, host: str, action: str, state: str) -> float:
        if action == STEP:
            return self._deadlines.of_step(self.live.step, host)
        if action == CLAIM:
            return self._deadlines.of_giving_back if state == "absent" else self._deadlines.of_claim
        return self._deadlines.of_preparing

    # What becomes of it

    def _lose(self, host: str, why: str) -> None:
        self._note_lost(lambda: self.live.lose(host, why))

    def _note_lost(self, change: Callable[[], None]) -> None:
        before = set(self.live.lost)
        change()
        for host in sorted(set(self.live.lost) - before):
            self._voice.warn(f"{host} fell away: {self.live.lost[host]}. Its sessions wait for the next block.")

    def _write(self, record: Record | None) -> None:
        """Store a complete record, judge it, and tell how far the sweep is."""
        judgement = self._keeper.keep(record) if record is not None else None
        if record is not None and judgement is not None:
            for line in self._progress.advance(record, judgement, self._clock()):
                self._voice.say(line)

    def _close(self) -> None:
        """Tables and the closing words, which are there also where no table can be written."""
        self._keeper.store(update_tables, self.live.sweep_dir, self.live.plan)
        told = overview_of(self.live.sweep_dir, self.live.plan)
        for note in told.notes:
            self._voice.warn(note)
        self._voice.say(self._closing(self.live.sweep_dir, told))
