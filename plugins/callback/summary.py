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
import os
import time
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.callback import CallbackBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.plan import remaining
from ansible_collections.pairbench.lab.plugins.plugin_utils.plan_store import load_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.progress import Progress
from ansible_collections.pairbench.lab.plugins.plugin_utils.records import (
    RecordAssembler,
    completed,
    write_host,
    write_record,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables import write_tables
from ansible_collections.pairbench.lab.plugins.plugin_utils.terminal import render_sweep

CALLBACK_MARK = "PAIRBENCH_SUMMARY_CALLBACK_PID"
PLAN, PROBE, SESSION = "pairbench.lab.plan", "pairbench.lab.probe", "pairbench.lab.session"


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
        self._sweep_dir = None
        self._assembler = None
        self._progress = None
        self._step = None
        self._finished = False
        atexit.register(self._finish)

    # What Ansible tells us

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._flush()
        if task.action == SESSION:
            self._step = task.get_vars().get("_bench_step")
            self._progress.start(time.monotonic())

    def v2_runner_on_ok(self, result):
        self._take(result, None)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._take(result, {"reason": "module_failed", "detail": str(result._result.get("msg", "no message"))})

    def v2_runner_on_unreachable(self, result):
        self._take(result, {"reason": "unreachable", "detail": str(result._result.get("msg", "no message"))})

    def v2_playbook_on_stats(self, stats):
        self._finish()

    # What we make of it

    def _take(self, result, error):
        action, values = result._task.action, result._result
        if action == PLAN and error is None and not values.get("skipped") and not result._task.check_mode:
            self._begin(values)
        elif self._sweep_dir is None:
            return
        elif action == PROBE and error is None:
            write_host(self._sweep_dir, result._host.get_name(), _host_facts(values))
        elif action == SESSION and not values.get("skipped"):
            self._take_session(result._host.get_name(), values, error)

    def _begin(self, values):
        self._sweep_dir = Path(values["sweep_dir"])
        plan = load_plan(self._sweep_dir)
        self._assembler = RecordAssembler(plan)
        self._progress = Progress(plan, remaining(plan, completed(self._sweep_dir)))
        self._display.display(self._progress.opening(str(self._sweep_dir)))

    def _take_session(self, host, values, error):
        if error is not None or "ends" not in values:
            error = error or {"reason": "module_failed", "detail": "the module returned no ends"}
            if self._step and host in self._step["hosts"]:
                end = self._step["hosts"][host]
                for run in end["runs"]:
                    self._write(self._assembler.add_error(run["run_id"], end["role"], error))
            return
        for run_id, end in values["ends"].items():
            self._write(self._assembler.add_end(run_id, values["role"], end))

    def _write(self, record):
        if record is None:
            return
        record["written_at"] = datetime.now(timezone.utc).isoformat()
        write_record(self._sweep_dir, record)
        for line in self._progress.advance(record, time.monotonic()):
            self._display.display(line)

    def _flush(self):
        if self._assembler is not None and os.getpid() == self._owner:
            for record in self._assembler.flush():
                self._write(record)

    def _finish(self):
        """Write the tables and the summary once, also when the play was interrupted."""
        if self._finished or self._sweep_dir is None or os.getpid() != self._owner:
            return
        self._finished = True
        self._flush()
        for note in write_tables(self._sweep_dir):
            self._display.warning(note)
        self._display.display(render_sweep(self._sweep_dir))


def _host_facts(values):
    return {name: values.get(name) for name in ("fingerprint", "tools", "tracer")}
