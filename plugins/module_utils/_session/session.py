# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""One end of a session: all runs of one benchmark on one pair, in one task.

For every run the server end starts a fresh server, proves through the kernel's socket table that it listens and
is ours, says "ready", waits for "done", stops the server, proves that it has gone and says "over". The client
end waits for "ready", runs the client and says "done". Neither knows what the benchmark is: argument lists, the
port to watch and the way the server ends come from the controller. What happened is returned as one END for each run
(docs/data.md), whatever went wrong.

An END is kept as soon as it exists: before the other end is waited for, and, when the run was cut short, with what was
printed until then. An end that does not hear the closing word says ``peer_lost`` in its END; the outputs of both ends tell
whether the run was complete all the same.
"""

from __future__ import annotations

import time

from ansible_collections.pairbench.lab.plugins.module_utils._control.dialling import connect, make_known
from ansible_collections.pairbench.lab.plugins.module_utils._control.door import Door
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._host.boot import boot_id
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Interrupted
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import Claim, HostLock
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import remove_stale_run_folders
from ansible_collections.pairbench.lab.plugins.module_utils._host.settings import restore_leftovers
from ansible_collections.pairbench.lab.plugins.module_utils._session.client_end import drive_run
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import empty_end
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import Observers
from ansible_collections.pairbench.lab.plugins.module_utils._session.outcome import Outcome
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem, problem_of
from ansible_collections.pairbench.lab.plugins.module_utils._session.server_end import serve_run

OBSERVER_SECONDS = 20.0


def _execute(spec, wakeup, outcome):
    observers = Observers(spec.get("observers") or {})
    try:
        channel = _open_channel(spec, wakeup, observers)
        outcome.met = True
        try:
            for run in spec["runs"]:
                if spec["role"] == "server":
                    serve_run(spec, run, channel, wakeup, observers, outcome)
                else:
                    drive_run(spec, run, channel, wakeup, outcome)
        finally:
            channel.close()
        wakeup.wait([], 0)  # whether anybody is there to take what was measured
    finally:
        observers.close()


def _require_same_boot(spec):
    if spec.get("boot_id") and spec["boot_id"] != boot_id():
        raise RunProblem(
            "host_rebooted",
            "the host has been restarted since it was looked at: what was said of it does not hold any more. "
            "Run the same command again",
        )


def _claim(spec):
    if spec.get("sweep"):
        Claim(spec.get("claim") or spec["sweep"], spec["owner"]).take(spec["lease_seconds"], time.monotonic())


def _unclaim(spec):
    """Give the host back for a controller that was stopped or has gone, and so will not do it itself."""
    if spec.get("sweep"):
        try:
            Claim(spec.get("claim") or spec["sweep"], spec["owner"]).release()
        except OSError:
            return  # it expires by itself


def run_session(spec, wakeup):
    """Execute this host's end of a session.

    ``spec``: ``role`` (server or client), ``host``, ``address``, ``peer_address``, ``control_port``, ``token``,
    ``rendezvous_seconds``, ``tool_version``, ``tracer`` (the self-test's result), ``trace_mode``, ``owner``, perhaps
    ``patience_seconds`` (how long to wait for what takes no time on an idle host: a word that is due, a server's end),
    and ``runs``: a list of ``run_id``, ``argv``, ``protocol``, ``port``, ``stop`` (``exits`` or ``interrupt``),
    ``traced``, ``limit_seconds``, ``ready_seconds``, and where they are asked for ``other_ports``, ``family``, ``mtu``,
    ``cpus``, ``user``, ``congestion`` and ``capabilities``. Where they are given, ``observers`` (server end) maps each
    side whose hypervisor is to count either to an empty text or to the reason why nobody does, ``sweep`` and
    ``lease_seconds`` claim the host, ``boot_id`` must be that of the host, ``spool`` is where outputs are kept, and
    ``forget`` names what may be removed from there.

    Returns an Outcome. Every run has an END, with a problem where it did not take place.
    """
    outcome = Outcome(spec)
    try:
        outcome.forget()
        _require_same_boot(spec)
        with HostLock(spec["owner"]):
            _claim(spec)
            remove_stale_run_folders()
            restore_leftovers()
            _execute(spec, wakeup, outcome)
    except Interrupted as error:
        outcome.problem = problem_of(error)
        _unclaim(spec)
    except Exception as error:  # a fault of ours, too, must not take along what was measured
        outcome.problem = problem_of(error)
    for run in spec["runs"]:
        if run["run_id"] not in outcome.ends:
            outcome.ends[run["run_id"]] = empty_end(spec, run, outcome.problem)
    return outcome


def _open_channel(spec, wakeup, observers):
    deadline = time.monotonic() + spec["rendezvous_seconds"]
    if spec["role"] == "client":
        return connect(
            spec["peer_address"], spec["control_port"], spec["address"], spec["token"], wakeup, deadline
        )
    try:
        door = Door(
            spec["address"], spec["control_port"], spec["token"], wakeup, expected=spec["peer_address"]
        )
    except OSError as error:
        raise RunProblem(
            "control_port",
            "cannot listen on %s port %d for the other end: %s" % (spec["address"], spec["control_port"], error),
        ) from error
    make_known(spec["address"], spec["peer_address"], spec["control_port"])
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
        except PeerLost:
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
