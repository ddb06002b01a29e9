# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

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
from pathlib import Path

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.polling import Polling
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.processes import end_workers
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.watchdog import Watchdog
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.conductor import PLAN, STEP, Conductor, Voice
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.orders import Orders
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep

COLLECTION = str(Path(__file__).resolve().parents[2])
WORKERS_END_SECONDS = 5.0


class CallbackModule(CallbackBase):
    """Says to the conductor of the pass what Ansible says of hosts, in the process that Ansible was started as."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pairbench.lab.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._owner = os.getpid()
        self._conductor = None
        self._polling = Polling(constants)
        self._watchdog = Watchdog(_worker_of, lambda: os.kill(self._owner, signal.SIGINT))
        live_pass.announce_conductor()
        atexit.register(self._finish_broken_off)

    def v2_playbook_on_task_start(self, task, is_conditional):
        if self._conductor is not None and os.getpid() == self._owner:
            self._polling.restore()
            self._conductor.flush()
            if task.action == STEP:
                self._conductor.begin_step(task.get_vars()["_bench_step"]["index"])
                self._polling.wait_for_workers()

    def v2_runner_on_start(self, host, task):
        """A worker is about to be started. Tasks of others, in the same play, may take as long as they like."""
        if self._conductor is not None and os.path.realpath(task.get_path() or "").startswith(COLLECTION):
            state = task.args.get("state", "")
            self._conductor.await_host(host.get_name(), task._uuid, task.get_name(), task.action, state)

    def v2_runner_on_ok(self, result):
        host, task, values = result._host.get_name(), result._task, result._result
        no_answer = self._watchdog.end(host)
        if values.get("skipped") or task.check_mode:
            return
        if task.action == PLAN:
            self._begin(Orders.from_json(values))
        elif self._conductor is not None:
            self._conductor.take(host, task.action, values, no_answer)

    def v2_runner_on_skipped(self, result):
        self._watchdog.end(result._host.get_name())

    def v2_runner_on_failed(self, result, ignore_errors=False):
        host = result._host.get_name()
        no_answer = self._watchdog.end(host)
        if self._conductor is not None:
            self._conductor.take_failure(host, result._task.action, result._result, no_answer)

    def v2_runner_on_unreachable(self, result):
        host, message = result._host.get_name(), str(result._result.get("msg", "no message"))
        no_answer = self._watchdog.end(host)
        if self._conductor is not None:
            self._conductor.take_unreachable(host, result._task.action, message, no_answer)

    def v2_playbook_on_stats(self, stats):
        if self._conductor is not None and os.getpid() == self._owner:
            self._polling.restore()
            self._conductor.withdraw()
            self._conductor.finish()

    def _begin(self, orders):
        if self._conductor is not None:
            self._conductor.finish()  # a play may measure one sweep after another
        voice = Voice(self._display.display, self._display.warning, self._display.error)
        self._conductor = Conductor(orders, voice, self._watchdog, render_sweep)
        live_pass.begin(self._conductor.live)
        self._conductor.begin()

    def _finish_broken_off(self):
        """The play was interrupted, or lost a worker: write what there is, whatever else is asked of this process now."""
        if os.getpid() != self._owner:
            return
        if self._conductor is not None and self._conductor.holds:
            # A second Ctrl-C must not keep what was measured from its table; SIGTERM still ends this at once.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._conductor.break_off(self._say_error)
        self._watchdog.stop()
        end_workers(multiprocessing.active_children(), WORKERS_END_SECONDS)
        if self._conductor is not None:
            self._conductor.finish()

    def _say_error(self, sentence):
        """Like ``display.error``, which at exit shows the way through this program to it."""
        self._display.display(f"[ERROR]: {sentence}", color="red", stderr=True)


def _worker_of(host, task):
    """The pid of the living worker that executes a task on a host, or None."""
    for child in multiprocessing.active_children():
        if (getattr(child, "_host", None), getattr(child, "_task", None)) == (None, None):
            continue
        if child._host.get_name() == host and child._task._uuid == task:
            return child.pid
    return None
