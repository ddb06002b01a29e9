"""What the tracer of one end counted, and whether it can be the run beside it.

The trace never decides about throughput or latency. A trace that is lost, cut off or of another run gives a
check and no rows: missing, not 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model import Sample, Side, SyscallCount, Target
from ..parsing.finding import CallCount
from ..records.record import End, Observation, Record
from .output import parse_trace
from .syscall_names import resolve

BEFORE_EXEC = frozenset({"bpftrace", "setpriv", "taskset"})
"""Thread names of the tracer and its launchers: what the child did before it became the benchmark."""

WRITES = ("write", "sendto", "sendmsg", "sendmmsg", "writev", "sendfile", "sendfile64")
READS = ("read", "recvfrom", "recvmsg", "recvmmsg", "readv")
PREFIX: Mapping[Target, str] = {"process": "", "vmm": "vmm_"}
"""What stands before the name of a figure of each target."""
MESSAGE_SLACK = 3
"""Messages that may be between two counters when a run is stopped."""


@dataclass(frozen=True)
class Evidence:
    """Rows of one end's trace that may be believed, or the check that says why there are none."""

    rows: tuple[SyscallCount, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)

    @property
    def belongs(self) -> bool:
        """Whether the rows were counted during the run beside them, so that they may be related to it."""
        return bool(self.rows) and "trace_mismatch" not in self.checks


Mismatch = Callable[[Record, End, Sequence[SyscallCount], Mapping[str, float]], "str | None"]
"""Says why the rows of one end cannot be of the run whose figures (``Finding.measured``) stand beside them, or None."""


def examine(record: Record, end: End, figures: Mapping[str, float], mismatch_of: Mismatch) -> Evidence:
    """Read one end's trace and compare it with what the tool said it did.

    ``figures`` has the names of ``Finding.measured``, where the tool printed them. ``mismatch_of`` compares.
    """
    if end.trace_unavailable is not None:
        return _nothing(end, "tracing_unavailable", f"could not trace: {end.trace_unavailable}")
    if end.trace is None or not (end.trace.output or "").strip():
        why = "the notes have no counts" if record.imported else "the tracer left nothing, as after a kill"
        return _nothing(end, "trace_missing", why)
    finding = parse_trace(end.trace.output or "")
    if finding.status != "valid":
        word = "trace_missing" if finding.status == "failed" else "trace_lost"
        return _nothing(end, word, finding.detail or finding.reason)
    rows = _rows(end, finding.calls)
    if not rows:
        return _nothing(end, "trace_missing", "the tracer counted no call of the benchmark")
    checks: dict[str, str] = {}
    partial = _partial(record, rows)
    if partial is not None:
        checks["trace_partial"] = f"{end.side}: {partial}"
    mismatch = mismatch_of(record, end, rows, figures) if _comparable(end, rows) else None
    if mismatch is not None:
        checks["trace_mismatch"] = f"{end.side}: {mismatch}"
    # Handwritten notes are kept as they were written: that their tables belong to the run is only assumed.
    return Evidence(rows if record.imported or not checks else (), checks)


def examine_vmm(observation: Observation) -> Evidence:
    """Read what was counted of the process that carries the guest of one side.

    Nothing the benchmark prints can be compared with it: what proves it are the two marks around the run, both of
    which the tracer saw.
    """
    if observation.trace is None:
        why = observation.problem.detail if observation.problem else "nothing was counted"
        return _nothing(observation, "vmm_untraced", why)
    output = observation.trace.output or ""
    if any(f'"{mark}\\n"' not in output for mark in ("armed", "disarmed")):
        return _nothing(observation, "vmm_untraced", "the tracer did not see both marks around the run")
    finding = parse_trace(output)
    if finding.status != "valid":
        return _nothing(observation, "vmm_untraced", finding.detail or finding.reason)
    return Evidence(_rows(observation, finding.calls, "vmm"))


def calls_per(
    unit: str, amount: float, rows: Iterable[SyscallCount], side: Side, target: Target = "process"
) -> Sample:
    """All system calls of one target of one side divided by ``amount``, named by what that is: ``message``, ``gib``."""
    return Sample(f"{PREFIX[target]}syscalls_per_{unit}_{side}", "count", sum(row.calls or 0 for row in rows) / amount)


def calls_of(rows: Iterable[SyscallCount], names: Iterable[str]) -> int:
    """How many calls of some names were counted; names are those of system calls: ``sendto``."""
    wanted = {f"sys_enter_{name}" for name in names}
    return sum(row.calls or 0 for row in rows if row.syscall in wanted)


def _nothing(end: End | Observation, word: str, sentence: str) -> Evidence:
    return Evidence((), {word: f"{end.side}: {sentence}"})


def _rows(end: End | Observation, calls: Iterable[CallCount], target: Target = "process") -> tuple[SyscallCount, ...]:
    """Rows in a fixed order, one for each thread name and call, without what happened before exec."""
    sums: dict[tuple[str, str], tuple[int | None, int | None]] = {}
    for call in calls:
        if call.comm in BEFORE_EXEC:
            continue
        key = (call.comm or "", _name(end, call))
        count, time_ns = sums.get(key, (None, None))
        sums[key] = (_add(count, call.calls), _add(time_ns, call.time_ns))
    return tuple(
        SyscallCount(end.side, target, comm, name, *sums[comm, name]) for comm, name in sorted(sums)
    )


def _name(end: End | Observation, call: CallCount) -> str:
    if call.syscall is not None:
        return call.syscall
    name = resolve(call.number, end.arch) if call.number is not None and end.arch is not None else None
    return name if name is not None else f"syscall_{call.number}"


def _add(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _partial(record: Record, rows: Iterable[SyscallCount]) -> str | None:
    """Why the counts cannot be from exec to exit: a call that every such process makes is not there.

    Notes are often kept with a filter on the thread name, so for them the call that starts the program and
    the one that ends it are looked for too.
    """
    names = {row.syscall.removeprefix("sys_enter_") for row in rows}
    if any(name.startswith("syscall_") for name in names):
        return None
    wanted = [("socket", {"socket", "socketcall"})]
    if record.imported:
        wanted = [("execve", {"execve", "execveat"}), *wanted, ("exit_group", {"exit_group"})]
    missing = [name for name, alternatives in wanted if not names & alternatives]
    if not missing:
        return None
    return f"no {', '.join(missing)} counted, so counting began after the start or stopped before the end"


def _comparable(end: End, rows: Iterable[SyscallCount]) -> bool:
    """Whether the calls have names, by which they can be compared with what the tool printed."""
    return end.arch is not None or not any(row.syscall.startswith("syscall_") for row in rows)
