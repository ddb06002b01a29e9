# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""One end of a session: all runs of one benchmark on one pair, in one task.

For every run the server end starts a fresh server, proves through the kernel's socket table that it listens and
is ours, says "ready", waits for "done", stops the server, proves that it has gone and says "over". The client
end waits for "ready", runs the client and says "done". Neither knows what the benchmark is: argument lists, the
port to watch and the way the server ends come from the controller. What happened is returned as one END a run
(docs/data.md), whatever went wrong.

An END is kept from the moment that it is there: before the other end is waited for, and with what was printed until then
where the run was cut short. An end that does not hear the closing word says ``peer_lost`` in its END; whether the run was
whole all the same, the outputs of both ends tell.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host import settings
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import (
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
from ansible_collections.pairbench.lab.plugins.module_utils._host.figures import HostFigures
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import Claim, HostBusy, HostLock, utc_now
from ansible_collections.pairbench.lab.plugins.module_utils._host.ports import listening_inodes, socket_owners
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import RunFolder, remove_stale_run_folders
from ansible_collections.pairbench.lab.plugins.module_utils._session import rendezvous
from ansible_collections.pairbench.lab.plugins.module_utils._session.fate import stopped_members, stopped_problem, why_ended
from ansible_collections.pairbench.lab.plugins.module_utils._session.observer import ARM_SECONDS, END_SECONDS, Observers
from ansible_collections.pairbench.lab.plugins.module_utils._session.spool import Spool
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer

LISTEN_POLL_SECONDS = 0.02
PORT_FREE_SECONDS = 3.0
STOP_SECONDS = 12.0  # the longest that Child.stop takes
LOOK_BEFORE_SECONDS = 1.0  # the guard continues what is stopped, so whoever wants to see it has to look before
PATIENCE_SECONDS = 15.0
OBSERVER_SECONDS = 20.0
SPACE_BYTES = 16 << 20  # an hour of reports on 128 streams, or a trace, fits several times
FULL_BYTES = 4 << 20  # a benchmark may give back 128 KiB a stream as it ends, so a full disk is not quite full any more
COMPLAINT = re.compile(r"\b(error|invalid|unrecognized|unknown|cannot|can't|unable|denied|failed)\b", re.I)
HARMLESS = "couldn't set RLIMIT_MEMLOCK"  # every old bpftrace says so on a new kernel


class RunProblem(Exception):
    """One run cannot go on. ``reason`` is a word of the gate's list."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


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
        """Whether a process is stopped, which is then the run's problem."""
        names = stopped_members(self.child.session_id)
        if names:
            self._note(stopped_problem(names))
        return bool(names)

    def resume(self):
        """Continue what is stopped, so that it can end in order."""
        with contextlib.suppress(OSError):
            os.killpg(self.child.session_id, signal.SIGCONT)

    def overrun(self):
        """The guard has not ended the run at its limit, so it falls to us."""
        self._overran = True

    def why_ended(self):
        """The problem where all processes have ended, and not by themselves or because we asked them to."""
        returncode = self.child.returncode()
        if returncode is None or self.child.timed_out:
            return None
        trace_output = None if self._trace is None else self._trace_output()
        complaint = last_words(self) if returncode > 0 else "it said nothing"
        return why_ended(self._name, returncode, trace_output, self._interrupted, complaint)

    def finish(self):
        """Make sure that nothing is left, write down what there is, and put the host's settings back; once."""
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
            self._note(_told(error))

    def _finish_child(self):
        ended = None
        try:
            ended = self.why_ended()
            self.child.stop()
        except (OSError, MemoryError) as error:
            # Not even /proc can be read. The group can be killed without; the guard would do it too, a little later.
            with contextlib.suppress(OSError):
                os.killpg(self.child.session_id, signal.SIGKILL)
            self._note(_told(error))
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
            self._note(_told(error))
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
    """What the processes of a run write must not stop in the middle: it would be taken for what they had to say."""
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


def _ports(run):
    """(protocol, number) of each port of the server: the one on which it listens for the client, then others."""
    return [(port["protocol"], port["port"]) for port in (run, *run.get("other_ports", ()))]


def _port_holder(protocol, port):
    inodes = listening_inodes(protocol, port)
    if not inodes:
        return None
    owners = ["%s (pid %d)" % (process_comm(pid), pid) for pid in socket_owners(inodes)]
    return ", ".join(owners) or "a process that cannot be seen from here"


def _require_free_ports(run):
    for protocol, port in _ports(run):
        holder = _port_holder(protocol, port)
        if holder:
            raise RunProblem(
                "port_taken", "%s port %d is taken by %s: stop it or choose another port" % (protocol, port, holder)
            )


def _await_listening(execution, run, wakeup):
    deadline = time.monotonic() + run["ready_seconds"]
    while time.monotonic() < deadline:
        if execution.child.returncode() is not None:
            problem = execution.why_ended()
            if problem:
                raise RunProblem(problem["reason"], problem["detail"])
            raise RunProblem("server_died", "the server ended before it listened: %s" % last_words(execution))
        inodes = listening_inodes(run["protocol"], run["port"])
        if inodes and socket_owners(inodes, group_members(execution.child.session_id)):
            return
        wakeup.wait([], LISTEN_POLL_SECONDS)
    if not execution.note_stopped():
        raise RunProblem("server_not_listening", "the server did not listen within %s s" % run["ready_seconds"])
    execution.resume()
    problem = execution.end["problem"]
    raise RunProblem(problem["reason"], problem["detail"])


def last_words(execution):
    """What a process complained of, else the last that it said: usage may follow a complaint for pages."""
    text = execution.child.stdout() + "\n" + execution.child.stderr()
    lines = [line.strip() for line in text.splitlines() if line.strip() and HARMLESS not in line]
    complaints = [line for line in lines if COMPLAINT.search(line)]
    return (complaints[:1] or lines[-1:] or ["it said nothing"])[0][:300]


def _await_ports_free(run):
    deadline = time.monotonic() + PORT_FREE_SECONDS
    for protocol, port in _ports(run):
        while True:
            holder = _port_holder(protocol, port)
            if not holder:
                break
            if time.monotonic() > deadline:
                raise RunProblem("port_not_released", "after the run the port is still held by %s" % holder)
            time.sleep(LISTEN_POLL_SECONDS)


def _problem(error):
    return {"reason": error.reason, "detail": error.detail}


def _told(error):
    """An exception as the problem of a run or a session: whatever it is, it becomes data."""
    if isinstance(error, RunProblem):
        return _problem(error)
    if isinstance(error, HostBusy):
        return {"reason": "host_busy", "detail": str(error)}
    if isinstance(error, rendezvous.PeerLost):
        return {"reason": error.reason, "detail": str(error)}
    if isinstance(error, Interrupted):
        return {"reason": "interrupted", "detail": "the session was stopped: %s" % error}
    if isinstance(error, OSError):
        reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "host_error"
        return {"reason": reason, "detail": "%s" % error}
    return {"reason": "host_error", "detail": "%s: %s" % (type(error).__name__, error)}


class Deadlines:
    """How long the other end is waited for: what it may take at most, and the patience that the session asks for."""

    def __init__(self, spec, run):
        self.patience = spec.get("patience_seconds") or PATIENCE_SECONDS
        self._run = run
        # Only the server end knows whether somebody observes; both wait as if.
        self._arming = ARM_SECONDS if run["traced"] else 0.0
        self._observed = 2 * END_SECONDS if run["traced"] else 0.0

    def ready(self):
        """A server that listens, and observers that count."""
        return time.monotonic() + self._run["ready_seconds"] + STOP_SECONDS + self._arming + self.patience

    def done(self):
        """A client that has ended, at the latest by its limit."""
        return time.monotonic() + self._run["limit_seconds"] + KILL_AFTER_SECONDS + STOP_SECONDS + 2 * self.patience

    def over(self):
        """A server that has gone: asked twice, then killed."""
        return time.monotonic() + 3 * self.patience + STOP_SECONDS + PORT_FREE_SECONDS + self._observed

    def exit(self):
        """A server that was asked to end."""
        return time.monotonic() + self.patience


@contextlib.contextmanager
def _kept(execution, run, outcome):
    """Whatever happens to the run inside, nothing is left of its process, and its END is kept with what there is.

    A finished END is as it is: it only says in addition that the other end's closing word did not come.
    """
    try:
        yield
    except BaseException as error:
        whole = execution.end["ended_at"] is not None
        execution.finish()
        if not whole or isinstance(error, (rendezvous.PeerLost, Interrupted)):
            execution.end["problem"] = execution.end["problem"] or _told(error)
        outcome.add(run, execution.end)
        raise


@contextlib.contextmanager
def _refusals():
    """What the operating system refuses is a problem of this run: the next one may be let."""
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        raise RunProblem(**_told(error)) from error


def _serve_run(spec, run, channel, wakeup, observers, outcome):
    """The server end of one run. PeerLost and Interrupted carry on to the caller; the END is kept in any case."""
    wakeup.wait([], 0)  # nothing begins for a controller that has gone
    with contextlib.ExitStack() as stack:
        try:
            with _refusals():
                _require_free_ports(run)
                execution = Execution(spec, run, stack.enter_context(RunFolder()))
                with _kept(execution, run, outcome):
                    execution.start("server")
                    _await_listening(execution, run, wakeup)
        except RunProblem as error:
            _keep_empty(spec, run, outcome, error)
            channel.send(kind="ready", run_id=run["run_id"], problem=_problem(error))
            return
        with _kept(execution, run, outcome):
            _measure_as_server(spec, run, execution, channel, wakeup, observers, outcome)
    wakeup.controller_needed = True


def _keep_empty(spec, run, outcome, error):
    """The END of a run of which there is nothing else."""
    if run["run_id"] not in outcome.ends:
        outcome.add(run, empty_end(spec, run, _problem(error)))


def _measure_as_server(spec, run, execution, channel, wakeup, observers, outcome):
    """From a server that listens to one that has gone. Observers count until the client has ended."""
    deadlines = Deadlines(spec, run)
    wakeup.controller_needed = False
    observed = observers.arm(run["run_id"]) if run["traced"] else {}
    channel.send(kind="ready", run_id=run["run_id"], problem=None)
    done = channel.expect("done", run["run_id"], deadlines.done())
    execution.mark_measured()
    if run["traced"]:
        observers.disarm(run["run_id"], observed)
    _end_server(run, execution, wakeup, deadlines, bool(done.get("measured")))
    execution.finish()
    outcome.add(run, execution.end)
    _look_after_server(run, execution, observers, observed, outcome)
    channel.send(kind="over", run_id=run["run_id"])


def _end_server(run, execution, wakeup, deadlines, measured):
    """Have the server end in order, whether it was to end by itself or not."""
    stopped = execution.note_stopped()
    if stopped or run["stop"] == "interrupt" or not measured:
        execution.interrupt_benchmark()
    if stopped:
        execution.resume()
    if not execution.child.wait(wakeup, deadlines.exit()):
        execution.interrupt_benchmark()
        execution.child.wait(wakeup, deadlines.exit())


def _look_after_server(run, execution, observers, observed, outcome):
    """What is known only after the server has gone."""
    vmm = observers.observations(run["run_id"], observed) or None if run["traced"] else None
    problem = None
    try:
        _await_ports_free(run)
    except RunProblem as error:
        problem = _problem(error)
    if vmm or problem:
        execution.end.update(vmm=vmm, problem=execution.end["problem"] or problem)
        outcome.add(run, execution.end)


def _drive_run(spec, run, channel, wakeup, outcome):
    """The client end of one run. PeerLost and Interrupted carry on to the caller; the END is kept in any case."""
    deadlines = Deadlines(spec, run)
    ready = channel.expect("ready", run["run_id"], deadlines.ready())
    if ready.get("problem"):
        outcome.add(run, empty_end(spec, run, {"reason": "server_not_ready", "detail": _detail(ready["problem"])}))
        return
    try:
        with contextlib.ExitStack() as stack:
            with _refusals():
                execution = Execution(spec, run, stack.enter_context(RunFolder()))
            with _kept(execution, run, outcome):
                wakeup.controller_needed = False
                with _refusals():
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
        _keep_empty(spec, run, outcome, error)
        channel.send(kind="done", run_id=run["run_id"], measured=False)
        channel.expect("over", run["run_id"], deadlines.over())
    wakeup.controller_needed = True


def _await_client(run, execution, channel, wakeup, deadlines):
    """Wait for the end of the client, by itself, by its guard, or by us where the guard itself is stopped.

    The only time that we wake before is shortly before the limit, long after a run in order has ended.
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


def _open_channel(spec, wakeup, observers):
    deadline = time.monotonic() + spec["rendezvous_seconds"]
    if spec["role"] == "client":
        return rendezvous.connect(
            spec["peer_address"], spec["control_port"], spec["address"], spec["token"], wakeup, deadline
        )
    try:
        door = rendezvous.Door(
            spec["address"], spec["control_port"], spec["token"], wakeup, expected=spec["peer_address"]
        )
    except OSError as error:
        raise RunProblem(
            "control_port",
            "cannot listen on %s port %d for the other end: %s" % (spec["address"], spec["control_port"], error),
        ) from error
    rendezvous.make_known(spec["address"], spec["peer_address"], spec["control_port"])
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
        except rendezvous.PeerLost:
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
        """Keep the END of a run on this host until the controller has it. What is said of a run later replaces it."""
        self.ends[run["run_id"]] = end
        if self._spool is None:
            return
        try:
            self.kept[run["run_id"]] = self._spool.keep(run["run_id"], end["execution"], self._spec["role"], end)
        except (OSError, MemoryError) as error:
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
                    _serve_run(spec, run, channel, wakeup, observers, outcome)
                else:
                    _drive_run(spec, run, channel, wakeup, outcome)
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


def run_session(spec, wakeup):
    """Execute this host's end of a session.

    ``spec``: ``role`` (server or client), ``host``, ``address``, ``peer_address``, ``control_port``, ``token``,
    ``rendezvous_seconds``, ``tool_version``, ``tracer`` (the self-test's result), ``trace_mode``, ``owner``, perhaps
    ``patience_seconds`` (for what takes no time on a host that is not busy: a word that is due, a server's end), and
    ``runs``: a list of ``run_id``, ``argv``, ``protocol``, ``port``, ``stop`` (``exits`` or ``interrupt``),
    ``traced``, ``limit_seconds``, ``ready_seconds``, and where they are asked for ``other_ports``, ``mtu``, ``cpus``,
    ``user``, ``congestion`` and ``capabilities``. Where they are given, ``observers`` (server end) maps each side whose
    hypervisor is to count to an empty text, or to why nobody does, ``sweep`` and ``lease_seconds`` claim the host,
    ``boot_id`` must be that of the host, ``spool`` is where outputs are kept and ``forget`` what of it may go.

    Returns an Outcome. Every run has an END, with a problem where it did not take place.
    """
    outcome = Outcome(spec)
    try:
        outcome.forget()
        _require_same_boot(spec)
        with HostLock(spec["owner"]):
            _claim(spec)
            remove_stale_run_folders()
            settings.restore_leftovers()
            _execute(spec, wakeup, outcome)
    except Interrupted as error:
        outcome.problem = _told(error)
        _unclaim(spec)
    except Exception as error:  # a fault of ours, too, must not take along what was measured
        outcome.problem = _told(error)
    for run in spec["runs"]:
        if run["run_id"] not in outcome.ends:
            outcome.ends[run["run_id"]] = empty_end(spec, run, outcome.problem)
    return outcome
