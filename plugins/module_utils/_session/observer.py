# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The third party of a session: it counts, on a hypervisor, the system calls of the process that carries a guest.

An observer joins the control connection of the session. Before a traced run the server end says *arm*: the tracer is
attached and proves it; when the client has ended the server end says *disarm*. In between, and only then, calls are
counted, and what was counted goes to the server end, which keeps it in its END, so that it is kept, collected and judged
like everything else in there.

The tracer cannot start the process here, as it does with a benchmark. Two system calls that this process makes at no
other time open and close the window: the tracer sees them in the same stream as the calls that it counts, so the window
has no slack, and seeing the first one proves that the tracer is attached.
"""

from __future__ import annotations

import os
import signal
import time

from ansible_collections.pairbench.lab.plugins.module_utils._control.dialling import connect
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost, PeerUnfit, TooLarge
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import (
    Child,
    Interrupted,
    die_with_parent,
    too_large,
)
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import utc_now
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import RunFolder
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import NotEntered, enter
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import ARM_SECONDS, END_SECONDS, not_observed
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import guest_process, tracer

POLL_SECONDS = 0.02

MARKS = {  # getpriority opens the window, sched_getscheduler closes it
    "x86_64": (140, 145), "aarch64": (141, 120), "riscv64": (141, 120), "loongarch64": (141, 120),
}
OTHER_MARKS = (96, 157)  # 32-bit x86 and ARM, PowerPC, System z
COUNT_CLAUSE = "%(probe)s /pid == %(pid)d && @on/ { @calls[tid, comm, %(id)s] = count(); }\n"
TIME_CLAUSES = """%(probe)s /pid == %(pid)d && @on/ {
  @calls[tid, comm, %(id)s] = count();
  @call[tid] = %(id)s;
  @entered[tid] = nsecs;
}
tracepoint:raw_syscalls:sys_exit /@entered[tid]/ {
  @time[tid, comm, @call[tid]] = sum(nsecs - @entered[tid]);
  delete(@entered[tid]);
}
"""
MARK_CLAUSES = """%(probe)s /pid == %(self)d && %(id)s == %(open)d/ { @on = 1; printf("armed\\n"); }
%(probe)s /pid == %(self)d && %(id)s == %(close)d/ { @on = 0; printf("disarmed\\n"); }
END { clear(@on); %(clear)s}
"""


class ObserverProblem(Exception):
    """The calls of a guest's process cannot be counted; the text says why."""


def script_text(mode, probe, pid, own_pid):
    """The bpftrace program that counts calls of ``pid`` between the two marks of ``own_pid``."""
    opens, closes = MARKS.get(os.uname().machine, OTHER_MARKS)
    probe = probe if mode == "count" else tracer.TIME_PROBE
    values = {
        "probe": probe, "id": tracer.PROBES[probe], "pid": pid, "self": own_pid, "open": opens, "close": closes,
        "clear": "clear(@entered); clear(@call); " if mode == "time" else "",
    }
    return ((TIME_CLAUSES if mode == "time" else COUNT_CLAUSE) + MARK_CLAUSES) % values


class Window:
    """One tracer attached to the process of a guest, for one run."""

    def __init__(self, watch, run_id, vmm, directory, wakeup):
        self._vmm = vmm
        self._wakeup = wakeup
        tested = watch["tracer"]
        if not tested.get("available"):
            raise ObserverProblem(tested.get("reason") or "the tracer was not tested on this host")
        probe = tested["probe"] if watch["trace_mode"] == "count" else tracer.TIME_PROBE
        script = os.path.join(directory, "vmm.bt")
        with open(script, "w") as handle:
            handle.write(script_text(watch["trace_mode"], probe, vmm["pid"], os.getpid()))
        self.observation = {
            "run_id": run_id, "guest": watch["guest"], "hypervisor": watch["hypervisor"],
            "pid": vmm["pid"], "comm": vmm["comm"], "command": vmm["command"], "arch": os.uname().machine,
            "mode": watch["trace_mode"], "probe": probe, "version": tested.get("version"),
            "output": "", "stderr": "", "returncode": None, "started_at": None, "ended_at": None, "seconds": None,
            "problem": None,
        }
        limit = watch["limit_seconds"] + ARM_SECONDS
        self._child = Child([tested["path"], "-f", "json", script], limit, directory, "vmm", tracer.environment())
        self._opened = None

    def open(self):
        """Return when calls are being counted. Raises ObserverProblem."""
        deadline = time.monotonic() + ARM_SECONDS
        while not self._child.has_said('"armed'):
            if self._child.returncode() is not None:
                raise ObserverProblem("the tracer ended before it was attached: %s" % self._last_words())
            if time.monotonic() > deadline:
                raise ObserverProblem("the tracer was not attached within %g s" % ARM_SECONDS)
            os.getpriority(os.PRIO_PROCESS, 0)
            self._wakeup.wait([], POLL_SECONDS)
        self.observation["started_at"] = utc_now()
        self._opened = time.monotonic()

    def shut(self):
        """Count no more. Fast: the benchmark waits for it."""
        os.sched_getscheduler(0)
        self.observation.update(ended_at=utc_now(), seconds=time.monotonic() - self._opened)

    def result(self):
        """End the tracer; the observation."""
        if not self._child.has_said('"disarmed') and self._child.returncode() is None:
            time.sleep(POLL_SECONDS)
        self._child.interrupt()
        self._child.wait(self._wakeup, time.monotonic() + END_SECONDS)
        self.observation.update(
            output=self._child.stdout(), stderr=self._child.stderr(), returncode=self._child.returncode()
        )
        excess = too_large(self._child.sizes())
        if excess:
            self.observation["problem"] = not_observed("the tracer printed too much: %s" % excess)
        elif not self._child.has_said('"disarmed'):
            self.observation["problem"] = not_observed("the tracer ended before the run did: %s" % self._last_words())
        elif not guest_process.still_there(self._vmm):
            self.observation["problem"] = not_observed("process %d of the guest ended during the run" % self._vmm["pid"])
        return self.observation

    def stop(self):
        """Make sure that nothing is left."""
        self._child.stop()

    def _last_words(self):
        lines = [line.strip() for line in self._child.stderr().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"


def observe(watch, wakeup):
    """Take part in one session as the observer of one guest. Returns a sentence about what went wrong, or None.

    ``watch``: ``guest``, ``side`` (server or client), ``hypervisor``, ``selector`` (see ``guest_process.find``), ``address``
    and ``control_port`` of the server end, ``namespace`` (from which it is reached, empty for this one), ``token``,
    ``rendezvous_seconds``, ``limit_seconds`` (longest time between two messages), ``tracer`` and ``trace_mode``.
    """
    try:
        if watch["namespace"]:
            enter(watch["namespace"])
        channel = connect(
            watch["address"], watch["control_port"], "", watch["token"], wakeup,
            time.monotonic() + watch["rendezvous_seconds"], role="observer-" + watch["side"],
        )
    except NotEntered as error:
        return "cannot enter the network namespace %s: %s" % (watch["namespace"], error.strerror)
    except PeerLost as error:
        return "no way to the control connection of %s: %s" % (watch["guest"], error)
    try:
        _answer(watch, channel, wakeup)
    except PeerLost as error:
        if error.reason != "peer_lost":
            return str(error)
        # How every session ends for an observer; whether it was too early is for the two ends to say.
    except Interrupted as error:
        return "stopped: %s" % error
    finally:
        channel.close()
    return None


def _answer(watch, channel, wakeup):
    """Do what the server end says until it says no more. Raises PeerLost then."""
    while True:
        message = channel.receive(time.monotonic() + watch["limit_seconds"])
        if message["kind"] != "arm":
            raise PeerUnfit("the server end said %s where arm was due" % message["kind"])
        with RunFolder() as directory:
            _observe_run(watch, message["run_id"], channel, wakeup, directory)


def _observe_run(watch, run_id, channel, wakeup, directory):
    window = None
    wakeup.controller_needed = False  # as for the two ends: a run under way is finished and kept
    try:
        try:
            window = Window(watch, run_id, guest_process.find(watch["selector"]), directory, wakeup)
            window.open()
        except (ObserverProblem, guest_process.VmmNotFound, OSError) as error:
            channel.send(kind="armed", run_id=run_id, problem=not_observed(str(error)))
            return
        channel.send(kind="armed", run_id=run_id, problem=None)
        channel.expect("disarm", run_id, time.monotonic() + watch["limit_seconds"])
        window.shut()
        channel.send(kind="disarmed", run_id=run_id)
        _tell(channel, run_id, window.result())
    finally:
        if window is not None:
            window.stop()
        wakeup.controller_needed = True


def _tell(channel, run_id, observation):
    """Hand over what was counted; the tracer's output as a whole or not at all, because a part would be wrong counts."""
    try:
        channel.send(kind="observed", run_id=run_id, observation=observation)
    except TooLarge as error:
        observation.update(output="", stderr="", problem=not_observed("what the tracer printed is too large: %s" % error))
        channel.send(kind="observed", run_id=run_id, observation=observation)


def observe_all(watches, make_wakeup):
    """Observe several guests of this host at once, in one process each. Returns what went wrong, as sentences by guest."""
    children = {}
    for watch in watches:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _observe_as_child(watch, make_wakeup, writer)
        os.close(writer)
        children[pid] = (watch["guest"], reader)
    wakeup = make_wakeup()
    wakeup.controller_needed = False  # each observer sees for itself when the controller has gone
    return _await(children, wakeup)


def _observe_as_child(watch, make_wakeup, writer):
    """The life of a process that observes one guest; it never returns."""
    status = 1
    try:
        die_with_parent()
        problem = observe(watch, make_wakeup())
        os.write(writer, (problem or "").encode())
        status = 0
    except BaseException as error:  # whatever it is has to be told; nobody else can
        os.write(writer, ("the observer failed: %r" % error).encode()[:4000])
    finally:
        os._exit(status)


def _await(children, wakeup):
    problems = {}
    try:
        for pid, (guest, reader) in list(children.items()):
            text = b""
            while True:
                if not wakeup.wait([reader], 3600.0):
                    continue
                chunk = os.read(reader, 65536)
                if not chunk:
                    break
                text += chunk
            os.close(reader)
            os.waitpid(pid, 0)
            del children[pid]
            if text:
                problems[guest] = text.decode("utf-8", "replace")
    except Interrupted as error:
        problems = dict.fromkeys((guest for guest, _reader in children.values()), "stopped: %s" % error)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
    return problems
