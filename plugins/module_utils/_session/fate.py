# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""How the processes of a run ended, where they did not end by themselves.

A benchmark that is killed prints nothing, one that is stopped is late, and one whose tracer is killed says that somebody
interrupted it: none of them says what really happened. The kernel does: by the state of a process, by the exit status of
the dead man's guard, which is that of what it started, and by the trace, in which a process that ends by itself calls
exit_group.
"""

from __future__ import annotations

import json
import os
import signal

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import group_members, process_comm, process_stat

STOPPED_STATES = (b"T", b"t")  # by a signal, by a debugger
OWN_FAULTS = (
    signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP,
    signal.SIGPIPE, signal.SIGXCPU, signal.SIGXFSZ,
)
EXIT_GROUP = {"x86_64": 231, "aarch64": 94, "riscv64": 94, "loongarch64": 94}
FROM_WHERE = "by somebody, or by the kernel where there was no memory left"


def stopped_members(session_id):
    """Names of the processes of a session that are stopped: ``server (pid 123)``."""
    found = []
    for pid in group_members(session_id):
        fields = process_stat(pid)
        if fields and fields[0] in STOPPED_STATES:
            found.append("%s (pid %d)" % (process_comm(pid), pid))
    return found


def stopped_problem(names):
    """The problem of a run of which these processes were stopped."""
    return {
        "reason": "process_stopped",
        "detail": "stopped from outside (SIGSTOP or a debugger), and not continued in time: %s" % ", ".join(names),
    }


def why_ended(benchmark, returncode, trace_output, interrupted, last_words):
    """The problem of a run whose processes ended before we ended them, None where they ended by themselves.

    ``benchmark`` is the thread name of the benchmark, ``returncode`` the exit status of its guard (negative for a
    signal), ``trace_output`` what the tracer wrote (None where nothing was traced), ``interrupted`` whether we asked
    the benchmark to end, and ``last_words`` what was complained of. Crashes do not come from outside: as always, what
    such a benchmark printed decides.
    """
    if trace_output is None:
        return _killed(benchmark, returncode, interrupted)
    calls = _calls(trace_output)
    if calls is None:
        return _tracer_ended(returncode, last_words)
    if interrupted or _called_exit(calls, benchmark) is not False:
        return None
    return _problem("process_killed", "%s was killed, %s" % (benchmark, FROM_WHERE))


def _killed(name, returncode, interrupted):
    if returncode >= 0 or -returncode in OWN_FAULTS or (interrupted and returncode == -signal.SIGINT):
        return None
    return _problem("process_killed", "%s was killed by %s, %s" % (name, _signal_name(-returncode), FROM_WHERE))


def _tracer_ended(returncode, last_words):
    """A tracer that prints no counts has not ended properly. On a full disk it has, and only its counts are missing."""
    if returncode == 0:
        return None
    if returncode < 0 and -returncode not in OWN_FAULTS:
        detail = "the tracer (or its guard) was killed by %s, %s" % (_signal_name(-returncode), FROM_WHERE)
        return _problem("tracer_killed", detail)
    how = "was ended by %s" % _signal_name(-returncode) if returncode < 0 else "ended with status %d" % returncode
    return _problem("tracer_error", "the tracer %s before it printed its counts: %s" % (how, last_words))


def _calls(trace_output):
    """The map of calls in what the tracer wrote, None when there is none."""
    found = None
    for line in trace_output.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        data = document.get("data")
        if document.get("type") == "map" and isinstance(data, dict) and isinstance(data.get("@calls"), dict):
            found = data["@calls"]
    return found


def _called_exit(calls, benchmark):
    """Whether a thread of the benchmark ended the process; None where that cannot be told."""
    number = EXIT_GROUP.get(os.uname().machine)
    named = [key.partition(",")[2] for key in calls]
    own = [rest.rpartition(",")[2] for rest in named if rest.startswith(benchmark + ",")]
    if number is None or not own:
        return None
    return str(number) in own


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def _problem(reason, detail):
    return {"reason": reason, "detail": detail}
