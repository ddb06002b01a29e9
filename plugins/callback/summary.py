# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Write records, tables and a summary of a sweep
version_added: 0.1.0
description:
  - Takes the results of M(pairbench.lab.session) as they come, writes each run's record at once, shows how far the
    sweep is, and at the end writes the tables and prints a summary.
requirements:
  - enabled in C(callbacks_enabled); the plan refuses to start without it
"""

import atexit
import concurrent.futures.thread  # noqa: F401 - pandas needs it, and at exit, after Ctrl-C, it can no more be imported
import multiprocessing
import os
import signal
import time
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.callback import CallbackBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.processes import descriptors_problem
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.watchdog import Watchdog
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import RecordAssembler
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.deadlines import Deadlines
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import session_of, side_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.kept import Kept, records_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import LivePass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.progress import Progress
from ansible_collections.pairbench.lab.plugins.plugin_utils.plain_text import printable
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, withdraw_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import read_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import (
    write_host,
    write_record,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, SweepLock, identity
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import load_results
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.tables import write_tables
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import completed, note_status

COLLECTION = str(Path(__file__).resolve().parents[2])
WORKERS_END_SECONDS = 5.0
CALLBACK_MARK = "PAIRBENCH_SUMMARY_CALLBACK_PID"
PLAN, PROBE, CLAIM, STEP = (f"pairbench.lab.{name}" for name in ("plan", "probe", "claim", "step"))


class CallbackModule(CallbackBase):
    """Results in; records, progress, tables and a summary out."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pairbench.lab.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        os.environ[CALLBACK_MARK] = str(os.getpid())
        self._owner = os.getpid()
        self._live = None
        self._lock = None
        self._assembler = None
        self._progress = None
        self._kept = []
        self._untouched = False  # a plan of this pass of which no session has begun
        self._finished = False
        self._watchdog = Watchdog(_worker_of, lambda: os.kill(self._owner, signal.SIGINT))
        self._deadlines = None
        atexit.register(self._finish_broken_off)

    # What Ansible tells us

    def v2_playbook_on_task_start(self, task, is_conditional):
        if self._live is None:
            return
        self._flush()
        if task.action == STEP:
            self._begin_step(task.get_vars()["_bench_step"]["index"])

    def v2_runner_on_start(self, host, task):
        """A worker is about to be started. Tasks of others, in the same play, may take as long as they like."""
        if self._deadlines is not None and os.path.realpath(task.get_path() or "").startswith(COLLECTION):
            name = host.get_name()
            self._watchdog.begin(name, task._uuid, task.get_name(), self._seconds_for(name, task))

    def v2_runner_on_ok(self, result):
        self._take(result, self._watchdog.end(result._host.get_name()))

    def v2_runner_on_skipped(self, result):
        self._watchdog.end(result._host.get_name())

    def v2_runner_on_failed(self, result, ignore_errors=False):
        host = result._host.get_name()
        why = self._watchdog.end(host)
        if self._live is None:
            return
        if why:
            self._lose(host, {"reason": "no_answer", "detail": why}, result._task.action)
        elif result._task.action == PROBE:
            self._live.lose(host, "the host could not be looked at")

    def v2_runner_on_unreachable(self, result):
        host = result._host.get_name()
        why = self._watchdog.end(host)
        if self._live is not None:
            message = printable(str(result._result.get("msg", "no message")))
            error = {"reason": "no_answer", "detail": why} if why else {"reason": "unreachable", "detail": message}
            self._lose(host, error, result._task.action)

    def v2_playbook_on_stats(self, stats):
        self._withdraw()
        self._finish()

    # What we make of it

    def _take(self, result, no_answer):
        action, values = result._task.action, result._result
        if values.get("skipped") or result._task.check_mode:
            return
        host = result._host.get_name()
        if action == PLAN:
            self._begin(values)
        elif self._live is None:
            return
        elif action in (PROBE, CLAIM, STEP):
            self._take_reply(action, host, values, no_answer)

    def _take_reply(self, action, host, values, no_answer):
        """What the actions of this collection made of a host's reply: nothing raw of a host comes here (`replies`)."""
        for sentence in values.get("ignored", ()):
            self._display.warning(sentence)
        if action != STEP and values.get("malformed"):
            self._note_lost(lambda: self._live.lose(host, f"malformed reply: {values['malformed']}"))
        elif action == PROBE:
            self._live.prepared.add(host)
            self._store(write_host, self._live.sweep_dir, host, _host_facts(values))
        elif action == CLAIM:
            self._forget(host, values)
            self._kept += [Kept.from_module(host, entry) for entry in values.get("spooled", ())]
        elif action == STEP:
            self._take_session(host, values, no_answer)

    def _begin(self, values):
        self._finish()  # a play may measure one sweep after another
        self._finished = False
        self._deadlines = Deadlines(values)
        sweep_dir = Path(values["sweep_dir"])
        plan = load_plan(sweep_dir)
        only = values.get("only")
        self._live = LivePass(
            plan, sweep_dir, completed(sweep_dir), None if only is None else frozenset(only), identity()
        )
        live_pass.begin(self._live)
        self._lock = SweepLock(sweep_dir)
        try:
            self._lock.acquire()
        except (SweepHeld, OSError) as error:
            self._live.refusal = f"{error}"
            self._finished = True  # what is there belongs to the other controller
            return
        self._untouched = bool(values.get("fresh")) and not values.get("plan_only")
        self._assembler = RecordAssembler(plan)
        self._progress = Progress(plan, what_remains(plan, self._live.done, self._live.only))
        self._display.display(self._progress.opening(str(sweep_dir)))

    def _begin_step(self, index):
        step = self._live.begin_step(index)
        # Ansible passes over a worker that it cannot start, so one end of a session would wait for nobody.
        problem = descriptors_problem()
        if problem and not self._live.refusal:
            self._display.error(problem)
            self._live.refusal = problem
        if step is not None:
            if not all(self._live.why_left_out(session) for session in step.sessions):
                self._untouched = False
            self._assembler.expect(run for session in step.sessions for run in session.runs)
            self._progress.begin_step(step, time.monotonic())

    def _take_session(self, host, values, no_answer):
        session = session_of(self._live.step, host)
        if no_answer:
            self._note_lost(lambda: self._live.lose(host, no_answer))
        if session is None:  # a hypervisor: what it counted is in the ends of its guests
            for guest, problem in (values.get("problems") or {}).items():
                self._display.warning(f"{host}: the process of {guest} was not observed: {problem}")
            return
        self._forget(host, values)
        if values.get("spool_problem"):
            self._display.warning(f"{host}: {printable(values['spool_problem'])}")
        if values["error"]:
            self._fail_end(host, {"reason": "no_answer", "detail": no_answer} if no_answer else values["error"])
            return
        self._hasten_other_end(session, host, bool(values.get("met")))
        problem = values.get("problem") or {}
        if values.get("met"):
            self._live.met(session.server, session.client)
        elif problem.get("reason") == "peer_lost":
            self._note_lost(lambda: self._live.missed(session.server, session.client))
        elif problem.get("reason") in ("host_rebooted", "disk_full"):
            self._note_lost(lambda: self._live.lose(host, printable(problem["detail"])))
        side = side_of(session, host)
        for run_id, end in values["ends"].items():
            if no_answer and end.get("problem"):  # it was told to end when its time was over
                end["problem"] = {"reason": "no_answer", "detail": f"{host}: {no_answer}"}
            self._write(self._assembler.add_end(run_id, side, end))
        for sentence in sorted(set(values["malformed"].values()))[:3]:
            self._display.warning(sentence)
        for run_id, why in values["malformed"].items():
            self._write(self._assembler.add_error(run_id, side, {"reason": "malformed_reply", "detail": why}))

    def _lose(self, host, error, action):
        self._note_lost(lambda: self._live.lose(host, error["detail"]))
        if action == STEP and self._live.step is not None and session_of(self._live.step, host) is not None:
            self._fail_end(host, error)

    def _hasten_other_end(self, session, host, met):
        """The other end sees that nobody answers any more: it has to return soon."""
        other = session.client if host == session.server else session.server
        self._watchdog.hasten(other, self._deadlines.of_other_end(session, met))

    def _seconds_for(self, host, task):
        if task.action == STEP:
            return self._deadlines.of_step(self._live.step, host)
        if task.action == CLAIM:
            return self._deadlines.of_giving_back if task.args.get("state") == "absent" else self._deadlines.of_claim
        return self._deadlines.of_preparing

    def _note_lost(self, change):
        before = set(self._live.lost)
        change()
        for host in sorted(set(self._live.lost) - before):
            self._display.warning(f"{host} fell away: {self._live.lost[host]}. Its sessions wait for the next block.")

    def _fail_end(self, host, error):
        session = session_of(self._live.step, host)
        self._hasten_other_end(session, host, met=True)
        for run in session.runs:
            self._write(self._assembler.add_error(run.run_id, side_of(session, host), error))

    def _forget(self, host, values):
        self._live.recorded.get(host, set()).difference_update(values.get("forgotten", ()))

    def _write(self, record):
        """Store a complete record, judge it, and tell how far the sweep is."""
        judgement = self._keep(record) if record is not None else None
        if judgement is not None:
            for line in self._progress.advance(record, judgement, time.monotonic()):
                self._display.display(line)

    def _keep(self, record):
        """Store a record; its judgement, or None when it could not be written (then the hosts still have it)."""
        live, run = self._live, record["run"]
        record["written_at"] = datetime.now(timezone.utc).isoformat()
        path = self._store(write_record, live.sweep_dir, record)
        if path is None:
            return None
        record["attempt"] = SweepFolder(live.sweep_dir).last_attempt(run["run_id"])
        judgement = judge(record)
        note_status(live.sweep_dir, path, record, judgement)
        if judgement.status != "failed":
            live.done.add(run["run_id"])
        for side in ("server", "client"):
            if record[side] is not None:
                name = f"{run['run_id']}.{record[side]['execution']}.{side}.json"
                live.note_recorded(run[side], [name])
        return judgement

    def _store(self, write, *arguments):
        """Write something; where that cannot be done no further session begins."""
        try:
            return write(*arguments)
        except StorageError as error:
            if not self._live.refusal:
                self._display.error(f"{error}. What was measured is kept on the hosts and will be collected.")
            self._live.refusal = str(error)
            return None

    def _collect(self):
        """Make records of what hosts kept of runs whose results never came back."""
        kept, self._kept = self._kept, []
        written = {item.run_id: self._latest(item.run_id) for item in kept}
        count = 0
        for record in records_of(self._live.plan, kept, self._live.done, written):
            count += self._keep(record) is not None
        if count:
            runs = "1 run" if count == 1 else f"{count} runs"
            self._display.display(f"Collected {runs} that ended while no controller was there")
            self._progress.replan(what_remains(self._live.plan, self._live.done, self._live.only))
        if not self._live.refusal:
            for item in kept:
                self._live.note_recorded(item.host, [item.name])

    def _latest(self, run_id):
        folder = SweepFolder(self._live.sweep_dir)
        attempt = folder.last_attempt(run_id)
        return read_record(folder.record(run_id, attempt))[0] if attempt else None

    def _flush(self):
        if os.getpid() != self._owner or self._assembler is None:
            return
        for record in self._assembler.flush():
            self._write(record)
        if self._kept:
            self._collect()

    def _withdraw(self):
        """Forget a plan that the play refused to begin, so that what was wrong can be fixed under the same name.

        Not after an interrupt: then the hosts are still claimed for it, and the same command continues.
        """
        if self._finished or not self._untouched or os.getpid() != self._owner:
            return
        self._finished = True
        withdraw_plan(self._live.sweep_dir)
        self._display.display(f"No session has begun, so no plan is kept in {self._live.sweep_dir}")
        self._lock.release()

    def _finish_broken_off(self):
        """The play was interrupted, or lost a worker: write what there is, whatever else is asked of this process now."""
        if os.getpid() != self._owner:
            return
        if not self._finished and self._live is not None:
            # A second Ctrl-C must not keep what was measured from its table; SIGTERM still ends this at once.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            problem = descriptors_problem()
            for sentence in [*self._watchdog.killed, *([problem] if problem else [])]:
                self._say_error(sentence)
            self._say_error(
                "The play was broken off. What the hosts had measured is in the records, or kept on the hosts; the same "
                "command collects it and continues."
            )
        self._watchdog.stop()
        _end_workers()
        self._finish()

    def _say_error(self, sentence):
        """Like ``display.error``, which at exit shows the way through this program to it."""
        self._display.display(f"[ERROR]: {sentence}", color="red", stderr=True)

    def _finish(self):
        """Write the tables and the summary once, also when the play was interrupted."""
        if self._finished or self._live is None or os.getpid() != self._owner:
            return
        self._finished = True
        self._deadlines = None
        self._flush()
        results = load_results(self._live.sweep_dir, self._live.plan)
        for note in self._store(write_tables, self._live.sweep_dir, results) or ():
            if note not in results.problems:  # these are in the summary
                self._display.warning(note)
        self._display.display(render_sweep(self._live.sweep_dir, results))
        self._lock.release()


def _worker_of(host, task):
    """The pid of the living worker that executes a task on a host, or None."""
    for child in multiprocessing.active_children():
        if (getattr(child, "_host", None), getattr(child, "_task", None)) == (None, None):
            continue
        if child._host.get_name() == host and child._task._uuid == task:
            return child.pid
    return None


def _end_workers():
    """Leave no worker behind, also none that waits to be heard: nobody listens any more."""
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
        os.kill(worker.pid, signal.SIGCONT)
    deadline = time.monotonic() + WORKERS_END_SECONDS
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            worker.kill()


def _host_facts(values):
    return {name: values.get(name) for name in ("fingerprint", "tools", "tracer")}
