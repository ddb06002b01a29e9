# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The process of one run on one end of a session, and the END that it leaves (docs/data.md)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host import settings
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import (
    FILE_BYTES,
    Child,
    group_members,
    kept_text,
    process_comm,
    size_of,
    too_large,
)
from ansible_collections.pairbench.lab.plugins.module_utils._host.figures import HostFigures
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import utc_now
from ansible_collections.pairbench.lab.plugins.module_utils._session.fate import stopped_members, stopped_problem, why_ended
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem, problem_of
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer

SPACE_BYTES = 16 << 20  # an hour of reports on 128 streams, or a trace, fits several times
FULL_BYTES = 4 << 20  # a benchmark may give back 128 KiB a stream as it ends, so a full disk is not quite full any more
COMPLAINT = re.compile(r"\b(error|invalid|unrecognized|unknown|cannot|can't|unable|denied|failed)\b", re.I)
HARMLESS = "couldn't set RLIMIT_MEMLOCK"  # every old bpftrace says so on a new kernel


def execution_name(token):
    """A name that tells the attempts of a run apart, the same on both ends of one attempt. The token stays a secret."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def empty_end(spec, run, problem=None):
    """An END in which nothing has been measured yet."""
    return {
        "host": spec["host"],
        "execution": execution_name(spec["token"]),
        "address": spec["address"],
        "port": run["port"],
        "arch": os.uname().machine,
        "tool_version": spec["tool_version"],
        "argv": run["argv"],
        "stdout": "",
        "stderr": "",
        "returncode": None,
        "started_at": None,
        "ended_at": None,
        "seconds": None,
        "timed_out": False,
        "trace": None,
        "trace_unavailable": None,
        "problem": problem,
        "figures": None,
        "settings": None,
        "output_bytes": None,
        "vmm": None,
    }


class Execution:
    """The process of one run on one end, traced or not, and the END that it leaves."""

    def __init__(self, spec, run, directory):
        _require_space(directory)
        self._run = run
        self.end = empty_end(spec, run)
        self._trace = None
        self._trace_path = os.path.join(directory, "trace.json")
        self._directory = directory
        self._environment = None
        self._argv = self._resolve(run["argv"])
        self.child = None
        self._figures = None
        self._interrupted = False
        self._overran = False
        self._finished = False
        try:
            self._settings = settings.HostSettings(run, self._argv[0])
            self._child_argv = self._wrap(spec, run)
            self._settings.apply(spec["address"])  # the last step, because only finish() takes it back
        except settings.SettingProblem as error:
            raise RunProblem(error.reason, error.detail) from error
        self.end["settings"] = self._settings.recorded

    @staticmethod
    def _resolve(argv):
        path = argv[0] if os.path.isabs(argv[0]) else shutil.which(argv[0])
        if path is None or not os.path.exists(path):
            raise RunProblem("tool_missing", "%s is not installed on this host" % argv[0])
        return [os.path.realpath(path), *list(argv[1:])]

    def _wrap(self, spec, run):
        command = self._settings.prefix + self._argv
        if not run["traced"]:
            return command
        tested = spec["tracer"]
        if not tested.get("available"):
            self.end["trace_unavailable"] = tested.get("reason") or "the tracer was not tested on this host"
            return command
        probe = tested["probe"] if spec["trace_mode"] == "count" else tracer.TIME_PROBE
        try:
            argv = tracer.command(
                tested["path"], spec["trace_mode"], probe, command, self._trace_path,
                os.path.join(self._directory, "trace.bt"), run.get("family", False),
            )
        except ValueError as error:
            self.end["trace_unavailable"] = str(error)
            return command
        self._trace = {"mode": spec["trace_mode"], "probe": probe, "version": tested.get("version")}
        self._environment = tracer.environment()
        return self._settings.tracer_prefix + argv

    def start(self, name):
        self.end["started_at"] = utc_now()
        self._figures = HostFigures()
        environment = self._settings.environment(self._environment or dict(os.environ, LC_ALL="C"))
        self.child = Child(self._child_argv, self._run["limit_seconds"], self._directory, name, environment)

    def mark_measured(self):
        """The measured part is over: read the host's figures before anything is cleaned up."""
        self.end["figures"] = self._figures.finish()

    @property
    def _name(self):
        """The thread name of the benchmark."""
        return os.path.basename(self._argv[0])[:15]

    def benchmark_pids(self):
        """Pids of the benchmark itself: members of our process group other than guard and tracer."""
        if self._trace is None:
            return [pid for pid in group_members(self.child.session_id) if pid != self.child.session_id]
        return [pid for pid in group_members(self.child.session_id) if process_comm(pid) == self._name]

    def interrupt_benchmark(self):
        for pid in self.benchmark_pids():
            try:
                os.kill(pid, signal.SIGINT)
                self._interrupted = True
            except ProcessLookupError:
                pass

    def note_stopped(self):
        """Whether a process of the run is stopped; if so, this becomes the run's problem."""
        names = stopped_members(self.child.session_id)
        if names:
            self._note(stopped_problem(names))
        return bool(names)

    def resume(self):
        """Continue what is stopped, so that it can end properly."""
        with contextlib.suppress(OSError):
            os.killpg(self.child.session_id, signal.SIGCONT)

    def overrun(self):
        """The guard has not ended the run at its limit, so it falls to us."""
        self._overran = True

    def why_ended(self):
        """The problem when all processes have ended, but neither by themselves nor because we asked them to."""
        returncode = self.child.returncode()
        if returncode is None or self.child.timed_out:
            return None
        trace_output = None if self._trace is None else self._trace_output()
        complaint = last_words(self) if returncode > 0 else "it said nothing"
        return why_ended(self._name, returncode, trace_output, self._interrupted, complaint)

    def finish(self):
        """Leave no process, note what there is, and put the host's settings back. A second call does nothing."""
        if self._finished:
            return
        self._finished = True
        try:
            if self.child is not None:
                self._finish_child()
        finally:
            self._restore_settings()

    def _restore_settings(self):
        try:
            self._note(self._settings.restore())
        except OSError as error:  # whoever uses the host next puts them back
            self._note(problem_of(error))

    def _finish_child(self):
        ended = None
        try:
            ended = self.why_ended()
            self.child.stop()
        except (OSError, MemoryError) as error:
            # Not even /proc can be read. The group can be killed without; the guard would do it too, a little later.
            with contextlib.suppress(OSError):
                os.killpg(self.child.session_id, signal.SIGKILL)
            self._note(problem_of(error))
        self.end.update(
            ended_at=utc_now(), seconds=time.monotonic() - self.child.started, returncode=self.child.returncode(),
            timed_out=self._overran or self.child.timed_out,
        )
        try:
            self.end.update(stdout=self.child.stdout(), stderr=self.child.stderr())
            if self._trace is not None:
                self.end["trace"] = dict(self._trace, output=self._trace_output(), returncode=self.end["returncode"])
            self._judge_sizes(dict(self.child.sizes(), trace=size_of(self._trace_path)))
            self._note(_full_disk(self._directory))
        except (OSError, MemoryError) as error:
            self._note(problem_of(error))
        self._note(ended)

    def _note(self, problem):
        """The first problem explains the others."""
        self.end["problem"] = self.end["problem"] or problem

    def _judge_sizes(self, sizes):
        excess = too_large(sizes)
        if excess:
            self.end["output_bytes"] = sizes
        elif self.child.wrote_too_much:
            excess = "a file that it wrote reached the largest size that is allowed, %d bytes" % FILE_BYTES
        if excess:
            self._note({"reason": "output_too_large", "detail": excess})

    def _trace_output(self):
        return kept_text(self._trace_path)


def _free_bytes(directory):
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def _require_space(directory):
    """Raise RunProblem when the disk is so full that outputs could be cut off: they would be taken for complete."""
    free = _free_bytes(directory)
    if free < SPACE_BYTES:
        raise RunProblem(
            "disk_full",
            "%s has %d MiB free, a run needs %d: free some space there" % (directory, free >> 20, SPACE_BYTES >> 20),
        )


def _full_disk(directory):
    """The problem where somebody else filled the disk during the run, so that the outputs may be cut off."""
    if _free_bytes(directory) >= FULL_BYTES:
        return None
    return {"reason": "disk_full", "detail": "%s became full during the run: free some space there" % directory}


def last_words(execution):
    """What a process complained of, else its last line: usage may follow a complaint for pages."""
    text = execution.child.stdout() + "\n" + execution.child.stderr()
    lines = [line.strip() for line in text.splitlines() if line.strip() and HARMLESS not in line]
    complaints = [line for line in lines if COMPLAINT.search(line)]
    return (complaints[:1] or lines[-1:] or ["it said nothing"])[0][:300]
