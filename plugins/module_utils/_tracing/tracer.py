# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Exact system-call counts of one process from exec to exit, with one probe.

``bpftrace -c`` starts the command only when the probe is attached, so a benchmark that listens is a benchmark
that is being counted. ``count()`` is per processor and loses nothing (``++`` does), once its key is in the map. Two
threads that make the same call for the first time at the same moment both try to add the key, and bpftrace 0.23 drops
the call that comes second: so the thread's number is part of every key, and no thread can race with itself. The thread
name is part of it too: it separates what happened before exec (thread name ``bpftrace``) from the benchmark itself.
System calls stay numbers here; the controller names them for this host's architecture, and adds the threads up.

A benchmark whose work is done by processes that it makes is counted as a family: each fork is noted in the kernel before
the new process can make a call, so none is missed. What outlives the first process is counted until that has gone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import kept_text, limit_files
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import RunFolder
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import proven

PROBES = {
    # The faster of the two comes first; it does not exist in every bpftrace, so each host tests it.
    "rawtracepoint:sys_enter": "arg1",
    "tracepoint:raw_syscalls:sys_enter": "args->id",
}
ONE, FAMILY = "pid == cpid", "pid == cpid || @family[pid]"
"""Whose calls are counted: of the process alone, or of all that descend from it too."""
FAMILY_CLAUSES = """tracepoint:sched:sched_process_fork /%s/ { @family[args->child_pid] = 1; }
tracepoint:sched:sched_process_exit /@family[tid]/ { delete(@family[tid]); }
""" % FAMILY
COUNT_SCRIPT = "%(probe)s /%(whose)s/ { @calls[tid, comm, %(id)s] = count(); }\n"
# The number is kept from the entry: on the way out of rt_sigreturn the kernel shows -1.
TIME_SCRIPT = """tracepoint:raw_syscalls:sys_enter /%(whose)s/ {
  @calls[tid, comm, args->id] = count();
  @call[tid] = args->id;
  @entered[tid] = nsecs;
}
tracepoint:raw_syscalls:sys_exit /@entered[tid]/ {
  @time[tid, comm, @call[tid]] = sum(nsecs - @entered[tid]);
  delete(@entered[tid]);
}
"""
TIME_PROBE = "tracepoint:raw_syscalls:sys_enter"
MAP_KEYS = "16384"
SELF_TEST_COUNTS = (2000, 5000)
COST_COUNT = 100000
COST_REPEATS = 4
SELF_TEST_LIMIT_SECONDS = 30


def script_text(mode, probe, family=False):
    """The bpftrace program for ``count`` or ``time``; with ``family`` it follows forks."""
    values = {"probe": probe, "id": PROBES[probe], "whose": FAMILY if family else ONE}
    passing = (["@entered", "@call"] if mode == "time" else []) + (["@family"] if family else [])
    end = "END { %s }\n" % " ".join("clear(%s);" % name for name in passing) if passing else ""
    return (FAMILY_CLAUSES if family else "") + (TIME_SCRIPT if mode == "time" else COUNT_SCRIPT) % values + end


def environment():
    """Environment of the tracer: room for keys under both names that its versions use."""
    return dict(
        os.environ, LC_ALL="C", BPFTRACE_MAP_KEYS_MAX=MAP_KEYS, BPFTRACE_MAX_MAP_KEYS=MAP_KEYS
    )


def command(bpftrace, mode, probe, argv, output_path, script_path, family=False):
    """The argument list that runs ``argv`` traced, after its script has been written.

    Raises ValueError when an argument cannot be passed: bpftrace splits ``-c`` at spaces and knows no quotes.
    """
    for argument in argv:
        if not argument or re.search(r"[\s\"'\\]", argument):
            raise ValueError(
                "the argument %r cannot be traced: bpftrace -c splits at spaces and knows no quotes" % argument
            )
    with open(script_path, "w") as handle:
        handle.write(script_text(mode, probe, family))
    return [bpftrace, "-f", "json", "-o", output_path, script_path, "-c", " ".join(argv)]


def _map_value(output, thread, number):
    """How often the one thread of that name made call ``number``; None when the map has no such key."""
    for line in output.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if document.get("type") == "map" and "@calls" in document.get("data", {}):
            wanted = ",%s,%d" % (thread, number)
            return next((calls for key, calls in document["data"]["@calls"].items() if key.endswith(wanted)), None)
    return None


def _dd(dd, count):
    return [dd, "if=/dev/zero", "of=/dev/null", "bs=1", "count=%d" % count]


def _dd_of_a_family(dd, count):
    """The same as a child of another process."""
    return [shutil.which("timeout"), str(SELF_TEST_LIMIT_SECONDS), *_dd(dd, count)]


def _run(argv, directory):
    """Run a command to its end and return its standard error; whatever it started ends with it.

    A bpftrace that fails while it attaches can leave the forked child of ``-c`` behind, so the output goes to a file
    (a pipe would wait for that child) and the process group is ended.
    """
    path = os.path.join(directory, "stderr")
    with open(path, "wb") as stderr:
        process = subprocess.Popen(
            ["timeout", "-s", "INT", "-k", "5", str(SELF_TEST_LIMIT_SECONDS), *argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=environment(),
            start_new_session=True, preexec_fn=limit_files,
        )
    try:
        process.wait()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    return kept_text(path)


def _dd_seconds(stderr):
    found = re.search(r"copied, ([0-9.e+-]+) s", stderr)
    return float(found.group(1)) if found else None


def _traced_dd(bpftrace, dd, probe, count, directory, family=False):
    """(bpftrace output, its stderr, wall seconds) of one traced ``dd``."""
    output_path = os.path.join(directory, "selftest.json")
    if os.path.exists(output_path):
        os.unlink(output_path)
    words = _dd_of_a_family(dd, count) if family else _dd(dd, count)
    argv = command(
        bpftrace, "count", probe, words, output_path, os.path.join(directory, "selftest.bt"), family
    )
    before = time.monotonic()
    stderr = _run(argv, directory)
    wall = time.monotonic() - before
    return kept_text(output_path), stderr, wall


def _exactness_problem(bpftrace, dd, probe, directory, family=False):
    """None when two block counts of ``dd`` differ by exactly the difference, else a sentence."""
    read_number, write_number = _read_write_numbers()
    seen = []
    for count in SELF_TEST_COUNTS:
        output, stderr, _wall = _traced_dd(bpftrace, dd, probe, count, directory, family)
        reads, writes = _map_value(output, "dd", read_number), _map_value(output, "dd", write_number)
        if reads is None or writes is None:
            return "%s counted nothing: %s" % (probe, _telling_line(stderr))
        seen.append((reads, writes))
    expected = SELF_TEST_COUNTS[1] - SELF_TEST_COUNTS[0]
    found = (seen[1][0] - seen[0][0], seen[1][1] - seen[0][1])
    if found != (expected, expected):
        return "%s is not exact: %d more blocks counted as %d reads and %d writes" % ((probe, expected, *found))
    return None


def _telling_line(stderr):
    """What the tracer complained of: an error rather than the line of the program that it underlines."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip(" ~^\t")]
    errors = [line for line in lines if re.search(r"error|cannot|could not|denied", line, re.I) and "RLIMIT" not in line]
    return (errors or lines or ["no output"])[-1][:300]


def _read_write_numbers():
    """Numbers of read and write on this architecture (the two generic numberings and 32-bit ones)."""
    machine = os.uname().machine
    if machine == "x86_64":
        return 0, 1
    if machine in ("aarch64", "riscv64", "loongarch64"):
        return 63, 64
    return 3, 4


def _cost_ns(bpftrace, dd, probe, directory):
    """Nanoseconds that counting adds to one system call: the difference between the fastest of several runs."""
    plain, traced = [], []
    for _repeat in range(COST_REPEATS):
        plain.append(_dd_seconds(_run(_dd(dd, COST_COUNT), directory)))
        traced.append(_dd_seconds(_traced_dd(bpftrace, dd, probe, COST_COUNT, directory)[1]))
    if None in plain or None in traced:
        return None
    cost = (min(traced) - min(plain)) / (2 * COST_COUNT) * 1e9
    return cost if cost > 0 else None  # on a busy host the difference can drown: then it was not measured


def mount_tracefs_problem():
    """None when the kernel's tracing files can be read, else a sentence with the remedy."""
    for root in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        if os.path.exists(os.path.join(root, "events/raw_syscalls/sys_enter/format")):
            return None
    return (
        "tracefs is not mounted or holds no system-call events "
        "(mend: mount -t tracefs tracefs /sys/kernel/tracing; the kernel needs CONFIG_FTRACE_SYSCALLS)"
    )


def self_test(family=False):
    """Can this host count system calls exactly, with which probe, at what cost? With ``family``, also those of children?

    Returns a dict: ``available`` (bool), ``reason`` (str, empty when available), ``probe``, ``path``,
    ``cost_ns_per_call`` (float or None), ``attach_seconds`` (float or None), ``rejected`` (probe to reason).
    """
    result = {
        "available": False, "reason": "", "probe": None, "path": shutil.which("bpftrace"),
        "cost_ns_per_call": None, "attach_seconds": None, "rejected": {},
    }
    dd = shutil.which("dd")
    if result["path"] is None or dd is None:
        result["reason"] = "%s is not installed" % ("bpftrace" if result["path"] is None else "dd")
        return result
    if os.geteuid() != 0:
        result["reason"] = "bpftrace needs root (mend: set ansible_become for this host)"
        return result
    tracefs = mount_tracefs_problem()
    if tracefs:
        result["reason"] = tracefs
        return result
    try:
        result.update(_proved(result["path"], dd, family))
    except (OSError, subprocess.SubprocessError) as error:
        result.update(available=False, reason="the tracer's self-test failed: %s" % error)
    return result


def _proved(bpftrace, dd, family):
    """What the self-test finds out when there is a tracer, or has found out under the same conditions."""
    name = "tracer-family" if family else "tracer"
    scripts = [script_text("count", probe, following) for probe in PROBES for following in (False, family)]
    conditions = proven.conditions([bpftrace, dd], scripts)
    known = proven.recall(name, conditions)
    if known is None:
        with RunFolder() as directory:
            known = _tested(bpftrace, dd, directory, family)
        if known.get("available") and known["cost_ns_per_call"] is not None:
            proven.remember(name, conditions, known)
    return known


def _tested(bpftrace, dd, directory, family):
    """What the self-test finds out when there is a tracer."""
    rejected = {}
    for probe in PROBES:
        problem = _exactness_problem(bpftrace, dd, probe, directory)
        if problem is None and family:
            problem = _exactness_problem(bpftrace, dd, probe, directory, family)
        if problem is None:
            return {
                "available": True, "probe": probe, "rejected": rejected,
                "attach_seconds": _traced_dd(bpftrace, dd, probe, 1, directory)[2],
                "cost_ns_per_call": _cost_ns(bpftrace, dd, probe, directory),
            }
        rejected[probe] = problem
    return {"rejected": rejected, "reason": "; ".join(rejected.values())}
