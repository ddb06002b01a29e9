# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""One end of a session: all runs of one benchmark on one pair, in one task.

For every run the server end starts a fresh server, proves through the kernel's socket table that it listens and
is ours, says "ready", waits for "done", stops the server, proves that it has gone and says "over". The client
end waits for "ready", runs the client and says "done". Neither knows what the benchmark is: argument lists, the
port to watch and the way the server ends come from the controller. What happened is returned as one END a run
(docs/data.md), whatever went wrong.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import signal
import time

from ansible_collections.pairbench.lab.plugins.module_utils import _host_settings, _rendezvous, _tracer
from ansible_collections.pairbench.lab.plugins.module_utils._children import (
    FILE_BYTES,
    KILL_AFTER_SECONDS,
    Child,
    Interrupted,
    group_members,
    kept_text,
    process_comm,
    size_of,
    too_large,
)
from ansible_collections.pairbench.lab.plugins.module_utils._figures import HostFigures
from ansible_collections.pairbench.lab.plugins.module_utils._host_lock import Claim, HostBusy, HostLock, utc_now
from ansible_collections.pairbench.lab.plugins.module_utils._observer import ARM_SECONDS, Observers
from ansible_collections.pairbench.lab.plugins.module_utils._ports import listening_inodes, socket_owners
from ansible_collections.pairbench.lab.plugins.module_utils._private_files import RunFolder
from ansible_collections.pairbench.lab.plugins.module_utils._spool import Spool

LISTEN_POLL_SECONDS = 0.02
PORT_FREE_SECONDS = 3.0
SERVER_EXIT_SECONDS = 10.0
MESSAGE_SLACK_SECONDS = 15.0
OBSERVER_SECONDS = 20.0
SPACE_BYTES = 16 << 20  # an hour of iperf3's reports on 128 streams, or a trace, fits several times
COMPLAINT = re.compile(r"\b(error|invalid|unrecognized|unknown|cannot|can't|unable|denied|failed)\b", re.I)
HARMLESS = "couldn't set RLIMIT_MEMLOCK"  # every old bpftrace says so on a new kernel


class RunProblem(Exception):
    """One run cannot go on. ``reason`` is a word of the gate's list."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.end = None  # what there is of the END, where a process was started


def execution_name(token):
    """Tells the attempts of a run apart; both ends of one attempt have the same. The token stays a secret."""
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
        try:
            self._settings = _host_settings.HostSettings(run, self._argv[0])
            self._child_argv = self._wrap(spec, run)
            self._settings.apply(spec["address"])  # the last step, because only finish() takes it back
        except _host_settings.SettingProblem as error:
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
        tracer = spec["tracer"]
        if not tracer.get("available"):
            self.end["trace_unavailable"] = tracer.get("reason") or "the tracer was not tested on this host"
            return command
        probe = tracer["probe"] if spec["trace_mode"] == "count" else _tracer.TIME_PROBE
        try:
            argv = _tracer.command(
                tracer["path"], spec["trace_mode"], probe, command, self._trace_path,
                os.path.join(self._directory, "trace.bt"),
            )
        except ValueError as error:
            self.end["trace_unavailable"] = str(error)
            return command
        self._trace = {"mode": spec["trace_mode"], "probe": probe, "version": tracer.get("version")}
        self._environment = _tracer.environment()
        return self._settings.tracer_prefix + argv

    def start(self, name):
        self.end["started_at"] = utc_now()
        self._figures = HostFigures()
        environment = self._settings.environment(self._environment or dict(os.environ, LC_ALL="C"))
        self.child = Child(self._child_argv, self._run["limit_seconds"], self._directory, name, environment)

    def mark_measured(self):
        """The measured part is over: read the host's figures before anything is cleaned up."""
        self.end["figures"] = self._figures.finish()

    def benchmark_pids(self):
        """Pids of the benchmark itself: members of our process group other than guard and tracer."""
        if self._trace is None:
            return [pid for pid in group_members(self.child.session_id) if pid != self.child.session_id]
        name = os.path.basename(self._argv[0])[:15]
        return [pid for pid in group_members(self.child.session_id) if process_comm(pid) == name]

    def interrupt_benchmark(self):
        for pid in self.benchmark_pids():
            try:
                os.kill(pid, signal.SIGINT)
            except ProcessLookupError:
                pass

    def finish(self):
        """Make sure that nothing is left, write down what there is, and put the host's settings back."""
        try:
            self._finish_child()
        finally:
            self.end["problem"] = self._settings.restore() or self.end["problem"]

    def _finish_child(self):
        if self.child is None:
            return
        self.child.stop()
        self.end.update(
            ended_at=utc_now(),
            seconds=time.monotonic() - self.child.started,
            stdout=self.child.stdout(),
            stderr=self.child.stderr(),
            returncode=self.child.returncode(),
            timed_out=self.child.timed_out,
        )
        if self._trace is not None:
            self._trace.update(output=kept_text(self._trace_path), returncode=self.end["returncode"])
            self.end["trace"] = self._trace
        self._judge_sizes(dict(self.child.sizes(), trace=size_of(self._trace_path)))

    def _judge_sizes(self, sizes):
        excess = too_large(sizes)
        if excess:
            self.end["output_bytes"] = sizes
        elif self.child.wrote_too_much:
            excess = "a file that it wrote reached the largest size that is allowed, %d bytes" % FILE_BYTES
        if excess and not self.end["problem"]:
            self.end["problem"] = {"reason": "output_too_large", "detail": excess}


def _require_space(directory):
    """What the processes of a run write must not stop in the middle: it would be taken for what they had to say."""
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    if free < SPACE_BYTES:
        raise RunProblem(
            "disk_full",
            "%s has %d MiB free, a run needs %d: free some space there" % (directory, free >> 20, SPACE_BYTES >> 20),
        )


def _port_holder(run):
    inodes = listening_inodes(run["protocol"], run["port"])
    if not inodes:
        return None
    owners = ["%s (pid %d)" % (process_comm(pid), pid) for pid in socket_owners(inodes)]
    return ", ".join(owners) or "a process that cannot be seen from here"


def _require_free_port(run):
    holder = _port_holder(run)
    if holder:
        raise RunProblem(
            "port_taken",
            "%s port %d is taken by %s: stop it or choose another port" % (run["protocol"], run["port"], holder),
        )


def _await_listening(execution, run, wakeup):
    deadline = time.monotonic() + run["ready_seconds"]
    while time.monotonic() < deadline:
        if execution.child.returncode() is not None:
            raise RunProblem("server_died", "the server ended before it listened: %s" % _last_words(execution))
        inodes = listening_inodes(run["protocol"], run["port"])
        if inodes and socket_owners(inodes, group_members(execution.child.session_id)):
            return
        wakeup.wait([], LISTEN_POLL_SECONDS)
    raise RunProblem("server_not_listening", "the server did not listen within %s s" % run["ready_seconds"])


def _last_words(execution):
    """What a server complained of, else the last that it said: sockperf prints pages of usage after its complaint."""
    text = execution.child.stdout() + "\n" + execution.child.stderr()
    lines = [line.strip() for line in text.splitlines() if line.strip() and HARMLESS not in line]
    complaints = [line for line in lines if COMPLAINT.search(line)]
    return (complaints[:1] or lines[-1:] or ["it said nothing"])[0][:300]


def _await_port_free(run):
    deadline = time.monotonic() + PORT_FREE_SECONDS
    while _port_holder(run):
        if time.monotonic() > deadline:
            raise RunProblem("port_not_released", "after the run the port is still held by %s" % _port_holder(run))
        time.sleep(LISTEN_POLL_SECONDS)


def _problem(error):
    return {"reason": error.reason, "detail": error.detail}


def _message_deadline(run):
    return (
        time.monotonic() + run["limit_seconds"] + run["ready_seconds"] + KILL_AFTER_SECONDS
        + SERVER_EXIT_SECONDS + ARM_SECONDS + MESSAGE_SLACK_SECONDS
    )


def _start_server(spec, run, directory, wakeup):
    _require_free_port(run)
    execution = Execution(spec, run, directory)
    try:
        execution.start("server")
        _await_listening(execution, run, wakeup)
    except RunProblem as error:
        execution.finish()
        told = execution.end["problem"] or {}
        error.end = dict(execution.end, problem=told if told.get("reason") == "output_too_large" else _problem(error))
        raise
    except BaseException:
        execution.finish()
        raise
    return execution


def _serve_run(spec, run, channel, wakeup, observers):
    """The server end of one run. Returns its END; PeerLost and Interrupted carry on to the caller.

    Observers count from when the server listens to when the client has ended.
    """
    with RunFolder() as directory:
        try:
            execution = _start_server(spec, run, directory, wakeup)
        except RunProblem as error:
            channel.send(kind="ready", run_id=run["run_id"], problem=_problem(error))
            return error.end or empty_end(spec, run, _problem(error))
        try:
            wakeup.controller_needed = False
            observed = observers.arm(run["run_id"]) if run["traced"] else {}
            channel.send(kind="ready", run_id=run["run_id"], problem=None)
            done = channel.expect("done", run["run_id"], _message_deadline(run))
            execution.mark_measured()
            if run["traced"]:
                observers.disarm(run["run_id"], observed)
            if run["stop"] == "interrupt" or not done.get("measured"):
                execution.interrupt_benchmark()
            if not execution.child.wait(wakeup, time.monotonic() + SERVER_EXIT_SECONDS):
                execution.interrupt_benchmark()
                execution.child.wait(wakeup, time.monotonic() + SERVER_EXIT_SECONDS)
        finally:
            execution.finish()
        if run["traced"]:
            execution.end["vmm"] = observers.observations(run["run_id"], observed) or None
        try:
            _await_port_free(run)
        except RunProblem as error:
            execution.end["problem"] = _problem(error)
        channel.send(kind="over", run_id=run["run_id"])
        wakeup.controller_needed = True
        return execution.end


def _drive_run(spec, run, channel, wakeup):
    """The client end of one run. Returns its END."""
    ready = channel.expect("ready", run["run_id"], _message_deadline(run))
    if ready.get("problem"):
        return empty_end(spec, run, {"reason": "server_not_ready", "detail": ready["problem"]["detail"]})
    with RunFolder() as directory:
        try:
            execution = Execution(spec, run, directory)
        except RunProblem as error:
            channel.send(kind="done", run_id=run["run_id"], measured=False)
            channel.expect("over", run["run_id"], _message_deadline(run))
            return empty_end(spec, run, _problem(error))
        try:
            wakeup.controller_needed = False
            execution.start("client")
            deadline = time.monotonic() + run["limit_seconds"] + KILL_AFTER_SECONDS + MESSAGE_SLACK_SECONDS
            if not execution.child.wait(wakeup, deadline, [channel]):
                channel.fail_reading("while the client was running")
            execution.mark_measured()
        finally:
            execution.finish()
        # A client that was ended by its limit has not released the server.
        channel.send(kind="done", run_id=run["run_id"], measured=not execution.end["timed_out"])
        channel.expect("over", run["run_id"], _message_deadline(run))
        wakeup.controller_needed = True
        return execution.end


def _open_channel(spec, wakeup, observers):
    deadline = time.monotonic() + spec["rendezvous_seconds"]
    if spec["role"] == "client":
        return _rendezvous.connect(
            spec["peer_address"], spec["control_port"], spec["address"], spec["token"], wakeup, deadline
        )
    try:
        door = _rendezvous.Door(
            spec["address"], spec["control_port"], spec["token"], wakeup, expected=spec["peer_address"]
        )
    except OSError as error:
        raise RunProblem(
            "control_port",
            "cannot listen on %s port %d for the other end: %s" % (spec["address"], spec["control_port"], error),
        ) from error
    _rendezvous.make_known(spec["address"], spec["peer_address"], spec["control_port"])
    try:
        return _meet(door, deadline, observers)
    finally:
        door.close()


def _meet(door, deadline, observers):
    """Wait for the client end, and for the observers as far as they come in time."""
    channel = None
    while channel is None or observers.awaited:
        roles = [] if channel else ["client"]
        roles += ["observer-" + side for side in sorted(observers.awaited)]
        try:
            role, found = door.admit(roles, deadline)
        except _rendezvous.PeerLost:
            if channel is None:
                raise
            observers.give_up()
            break
        if role == "client":
            channel = found
            # The client end is waiting: whoever observes has had the same time to come.
            deadline = min(deadline, time.monotonic() + OBSERVER_SECONDS)
        else:
            observers.join(role, found)
    return channel


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
        self.forgotten = self._spool.forget(spec.get("forget", [])) if self._spool else []

    def add(self, run, end):
        """A run is over: keep its END on this host until the controller has it."""
        self.ends[run["run_id"]] = end
        if self._spool is None:
            return
        try:
            self.kept[run["run_id"]] = self._spool.keep(run["run_id"], end["execution"], self._spec["role"], end)
        except OSError as error:
            # The run has been measured and its END is on its way to the controller: only the second copy is missing.
            self.spool_problem = "outputs could not be kept in %s: %s" % (self._spec["spool"], error)


def _execute(spec, wakeup, outcome):
    observers = Observers(spec.get("observers") or {})
    try:
        channel = _open_channel(spec, wakeup, observers)
        outcome.met = True
        try:
            for run in spec["runs"]:
                if spec["role"] == "server":
                    end = _serve_run(spec, run, channel, wakeup, observers)
                else:
                    end = _drive_run(spec, run, channel, wakeup)
                outcome.add(run, end)
        finally:
            channel.close()
        wakeup.wait([], 0)  # whether anybody is there to take what was measured
    finally:
        observers.close()


def _require_same_boot(spec):
    expected = spec.get("boot_id")
    if not expected:
        return
    with open("/proc/sys/kernel/random/boot_id") as handle:
        found = handle.read().strip()
    if found != expected:
        raise RunProblem(
            "host_rebooted",
            "the host has been restarted since it was looked at: what was said of it does not hold any more. "
            "Run the same command again",
        )


def _claim(spec):
    if spec.get("sweep"):
        Claim(spec.get("claim") or spec["sweep"], spec["owner"]).take(spec["lease_seconds"], time.monotonic())


def _unclaim(spec):
    """Whoever stopped us will not give the host back: a controller that was stopped, or has gone."""
    if spec.get("sweep"):
        try:
            Claim(spec.get("claim") or spec["sweep"], spec["owner"]).release()
        except OSError:
            return  # it expires by itself


def _os_problem(error):
    reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "host_error"
    return {"reason": reason, "detail": "%s" % error}


def run_session(spec, wakeup):
    """Execute this host's end of a session.

    ``spec``: ``role`` (server or client), ``host``, ``address``, ``peer_address``, ``control_port``, ``token``,
    ``rendezvous_seconds``, ``tool_version``, ``tracer`` (the self-test's result), ``trace_mode``, ``owner``, and
    ``runs``: a list of ``run_id``, ``argv``, ``protocol``, ``port``, ``stop`` (``exits`` or ``interrupt``),
    ``traced``, ``limit_seconds``, ``ready_seconds``, and where they are asked for ``mtu``, ``cpus``, ``user``,
    ``congestion`` and ``capabilities``. Where they are given, ``observers`` (server end) maps each side whose hypervisor
    is to count to an empty text, or to why nobody does, ``sweep`` and ``lease_seconds`` claim the host, ``boot_id`` must
    be that of the host, ``spool`` is where outputs are kept and ``forget`` what of it may go.

    Returns an Outcome. Every run has an END, with a problem where it did not take place.
    """
    outcome = Outcome(spec)
    try:
        _require_same_boot(spec)
        with HostLock(spec["owner"]):
            _claim(spec)
            _host_settings.restore_leftovers()
            _execute(spec, wakeup, outcome)
    except HostBusy as error:
        outcome.problem = {"reason": "host_busy", "detail": str(error)}
    except _rendezvous.PeerLost as error:
        outcome.problem = {"reason": error.reason, "detail": str(error)}
    except RunProblem as error:
        outcome.problem = _problem(error)
    except Interrupted as error:
        outcome.problem = {"reason": "interrupted", "detail": "the session was stopped: %s" % error}
        _unclaim(spec)
    except OSError as error:
        outcome.problem = _os_problem(error)
    for run in spec["runs"]:
        if run["run_id"] not in outcome.ends:
            outcome.ends[run["run_id"]] = empty_end(spec, run, outcome.problem)
    return outcome
