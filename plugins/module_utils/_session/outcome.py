# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What one end of a session leaves."""

from __future__ import annotations

import contextlib
import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Interrupted
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import empty_end
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem, problem_of
from ansible_collections.pairbench.lab.plugins.module_utils._session.spool import Spool


class Outcome:
    """What one end of a session leaves: an END for each run, and what went wrong with the session as a whole."""

    def __init__(self, spec):
        self._spec = spec
        self._spool = Spool(spec["spool"], spec["sweep"], spec["host"]) if spec.get("spool") else None
        self.ends = {}
        self.kept = {}
        self.met = False
        self.problem = None
        self.spool_problem = None
        self.forgotten = []

    def forget(self):
        """Remove from the spool what the controller has in records."""
        if self._spool is None:
            return
        try:
            self.forgotten = self._spool.forget(self._spec.get("forget", []))
        except OSError as error:
            self.spool_problem = "outputs could not be removed from %s: %s" % (self._spec["spool"], error)

    def add(self, run, end):
        """Keep the END of a run on this host until the controller has it. A later END of the same run replaces it."""
        self.ends[run["run_id"]] = end
        if self._spool is None:
            return
        try:
            self.kept[run["run_id"]] = self._spool.keep(run["run_id"], end["execution"], self._spec["role"], end)
        except (OSError, MemoryError) as error:
            # The run has been measured and its END is on its way to the controller: only the second copy is missing.
            self.spool_problem = "outputs could not be kept in %s: %s" % (self._spec["spool"], error)


@contextlib.contextmanager
def kept(execution, run, outcome):
    """Whatever happens to the run in the body, nothing is left of its process, and its END is kept with what there is.

    An END that is finished stays as it is, except that it also says when the other end's closing word did not come.
    """
    try:
        yield
    except BaseException as error:
        whole = execution.end["ended_at"] is not None
        execution.finish()
        if not whole or isinstance(error, (PeerLost, Interrupted)):
            execution.end["problem"] = execution.end["problem"] or problem_of(error)
        outcome.add(run, execution.end)
        raise


@contextlib.contextmanager
def refusals():
    """What the operating system refuses is a problem of this run only: it may allow the next one."""
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise RunProblem(**problem_of(error)) from error


def keep_empty(spec, run, outcome, error):
    """Keep an END for a run that has left nothing else."""
    if run["run_id"] not in outcome.ends:
        outcome.add(run, empty_end(spec, run, problem_of(error)))
