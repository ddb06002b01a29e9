# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The server end of a run: from a server that listens to one that has gone."""

from __future__ import annotations

import contextlib
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import group_members, process_comm
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import RunFolder
from ansible_collections.pairbench.lab.plugins.module_utils._network.ports import listening_inodes, socket_owners
from ansible_collections.pairbench.lab.plugins.module_utils._session.deadlines import PORT_FREE_SECONDS, Deadlines
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import Execution, last_words
from ansible_collections.pairbench.lab.plugins.module_utils._session.outcome import keep_empty, kept, refusals
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem, problem_of

LISTEN_POLL_SECONDS = 0.02


def serve_run(spec, run, channel, wakeup, observers, outcome):
    """The server end of one run. PeerLost and Interrupted carry on to the caller; the END is kept in any case."""
    wakeup.wait([], 0)  # nothing begins for a controller that has gone
    with contextlib.ExitStack() as stack:
        try:
            with refusals():
                _require_free_ports(run)
                execution = Execution(spec, run, stack.enter_context(RunFolder()))
                with kept(execution, run, outcome):
                    execution.start("server")
                    _await_listening(execution, run, wakeup)
        except RunProblem as error:
            keep_empty(spec, run, outcome, error)
            channel.send(kind="ready", run_id=run["run_id"], problem=problem_of(error))
            return
        with kept(execution, run, outcome):
            _measure_as_server(spec, run, execution, channel, wakeup, observers, outcome)
    wakeup.controller_needed = True


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
    """Have the server end properly, whether it was to end by itself or not."""
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
        problem = problem_of(error)
    if vmm or problem:
        execution.end.update(vmm=vmm, problem=execution.end["problem"] or problem)
        outcome.add(run, execution.end)


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
