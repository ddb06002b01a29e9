# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The client end of a run: from a server that is ready to one that has gone."""

from __future__ import annotations

import contextlib
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import KILL_AFTER_SECONDS
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import RunFolder
from ansible_collections.pairbench.lab.plugins.module_utils._session.deadlines import Deadlines
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import Execution, empty_end
from ansible_collections.pairbench.lab.plugins.module_utils._session.outcome import keep_empty, kept, refusals
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem

LOOK_BEFORE_SECONDS = 1.0  # the guard continues what is stopped, so whoever wants to see it has to look before


def drive_run(spec, run, channel, wakeup, outcome):
    """The client end of one run. PeerLost and Interrupted carry on to the caller; the END is kept in any case."""
    deadlines = Deadlines(spec, run)
    ready = channel.expect("ready", run["run_id"], deadlines.ready())
    if ready.get("problem"):
        outcome.add(run, empty_end(spec, run, {"reason": "server_not_ready", "detail": _detail(ready["problem"])}))
        return
    try:
        with contextlib.ExitStack() as stack:
            with refusals():
                execution = Execution(spec, run, stack.enter_context(RunFolder()))
            with kept(execution, run, outcome):
                wakeup.controller_needed = False
                with refusals():
                    execution.start("client")
                _await_client(run, execution, channel, wakeup, deadlines)
                execution.mark_measured()
                execution.finish()
                # A client that was ended from outside has not released the server.
                measured = not execution.end["timed_out"] and execution.end["problem"] is None
                channel.send(kind="done", run_id=run["run_id"], measured=measured)
                outcome.add(run, execution.end)
                channel.expect("over", run["run_id"], deadlines.over())
    except RunProblem as error:
        keep_empty(spec, run, outcome, error)
        channel.send(kind="done", run_id=run["run_id"], measured=False)
        channel.expect("over", run["run_id"], deadlines.over())
    wakeup.controller_needed = True


def _await_client(run, execution, channel, wakeup, deadlines):
    """Wait for the end of the client, by itself, by its guard, or by us where the guard itself is stopped.

    We wake only once before that, shortly before the limit, when a proper run has long ended.
    """
    limit = execution.child.started + run["limit_seconds"]
    look = max(limit - LOOK_BEFORE_SECONDS, limit - run["limit_seconds"] / 2)
    for deadline in (look, limit + KILL_AFTER_SECONDS + deadlines.patience):
        if execution.child.wait(wakeup, deadline, [channel]):
            return
        if time.monotonic() < deadline:
            channel.fail_reading("while the client was running")
        if execution.note_stopped():
            execution.resume()
    execution.overrun()


def _detail(problem):
    return str(problem.get("detail") if isinstance(problem, dict) else problem)[:1000]
