"""What hosts return, as typed and bounded data: the one place between what a host says and everything that uses it.

A host under test may lie, and so may whoever has taken it over. So nothing that it returns is used before it has been
looked at here: kinds, sizes, ranges and words, and that it speaks of itself and of what it was asked for alone. Who it is,
which side it has and which runs there are comes from the plan, never from the reply, and no path is made of a reply.

Every ``…_reply`` takes what Ansible made of a module's output and gives a new dictionary with known keys. Of a session
each run is judged alone: where its END cannot be used, the run fails with ``malformed_reply`` and a sentence that names the
host and the field; the other runs stand. ``ignored`` has sentences about what was left out because nobody asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..benchmarks import BENCHMARKS
from ..model import HELD, REFUSED, SIDES, Plan, Run
from ..plain_text import printable
from ..planning.plan import planned_runs
from ..records.record import END_FIELDS
from ..shapes import (
    LONGEST_LINE,
    LONGEST_NAME,
    Check,
    WrongShape,
    either,
    fields,
    flag_of,
    kind_of,
    list_of,
    listing,
    mapping,
    moment_of,
    number,
    object_of,
    optional,
    raw_text,
    same,
    small_object_of,
    whole,
    word,
)
from ..validity.reasons import REASONS

OUTPUT_CHARACTERS = 17 << 20
"""The longest text of a program's output: what a host keeps of it (16 MiB), and the line that says what is missing."""
MOST_IGNORED = 10
LONGEST_TEXT = 8000

_EXECUTION = re.compile(r"[0-9a-f]{16}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BOOT_ID = re.compile(r"[0-9a-f-]{1,64}")
_INTERPRETER_FACT = re.compile(r"(ansible_)?discovered_interpreter_[a-z0-9_]{1,40}")
_PROGRAM = re.compile(r"/[A-Za-z0-9_.+/-]{1,255}")
# Facts lose the prefix ``ansible_`` where they are kept.
_ROLES = "|".join(map(re.escape, ("pairbench", "vm_lab", "netns_lab", *BENCHMARKS, "bpftrace")))
_OURS = re.compile(rf"(_?({_ROLES})|_bench|_install|(ansible_)?netns)(_|$)")

# What is looked at.

COUNT = whole(0, 2**63 - 1)
SECONDS = number(0, 1e9)
OUTPUT = raw_text(OUTPUT_CHARACTERS)
LINE, TEXT = raw_text(LONGEST_LINE), raw_text(LONGEST_TEXT)
RETURNCODE = whole(-(2**31), 2**32 - 1)
PROBLEM = fields({"reason": word(REASONS), "detail": TEXT})
PLAIN = optional(either(flag_of, COUNT, number(-1e300, 1e300), raw_text(LONGEST_TEXT)))
"""A fact: null, true or false, a number, a text."""

TRACE: Mapping[str, Check] = {
    "probe": LINE,
    "version": optional(LINE),
    "output": OUTPUT,
    "returncode": optional(RETURNCODE),
}
END: Mapping[str, Check] = {
    "arch": raw_text(64, _WORD),
    "stdout": OUTPUT,
    "stderr": OUTPUT,
    "returncode": optional(RETURNCODE),
    "started_at": optional(moment_of),
    "ended_at": optional(moment_of),
    "seconds": optional(SECONDS),
    "timed_out": flag_of,
    "trace_unavailable": optional(TEXT),
    "problem": optional(PROBLEM),
    "figures": optional(
        fields(
            {
                "cpu_jiffies_before": listing(COUNT, 64),
                "cpu_jiffies_after": listing(COUNT, 64),
                "memory_total_bytes": optional(COUNT),
                "memory_available_bytes": optional(COUNT),
            }
        )
    ),
    "settings": optional(
        fields(
            {
                "cpus": optional(LINE),
                "interface": optional(raw_text(64)),
                "mtu_bytes": optional(whole(0, 2**31)),
                "user": optional(LINE),
            }
        )
    ),
    "output_bytes": optional(fields({name: optional(COUNT) for name in ("stdout", "stderr", "trace")})),
}
OBSERVATION: Mapping[str, Check] = {
    "pid": whole(1, 2**31),
    "comm": raw_text(64),
    "command": raw_text(LONGEST_TEXT),
    "arch": raw_text(64, _WORD),
    "mode": word(("count", "time")),
    "probe": LINE,
    "version": optional(LINE),
    "output": OUTPUT,
    "stderr": OUTPUT,
    "returncode": optional(RETURNCODE),
    "started_at": optional(moment_of),
    "ended_at": optional(moment_of),
    "seconds": optional(SECONDS),
    "problem": optional(PROBLEM),
}
PROGRAM = raw_text(4096, re.compile(r"/[A-Za-z0-9_.+/-]*"))
PATH = raw_text(4096, re.compile(r"/[^\0]*"))
TOOL: Mapping[str, Check] = {"path": PATH, "version": LINE, "sha256": raw_text(64, re.compile("[0-9a-f]{64}"))}
TRACER: Mapping[str, Check] = {
    "available": flag_of,
    "reason": optional(TEXT),
    "probe": optional(LINE),
    "path": optional(PATH),
    "version": optional(LINE),
    "cost_ns_per_call": optional(number(0, 1e12)),
    "attach_seconds": optional(SECONDS),
    "rejected": optional(mapping(TEXT, 20)),
}


# Replies.


def answer(execute: Callable[[], Any], host: str) -> Mapping[str, Any]:
    """What a module returned; ``failed`` with ``msg`` where that is nothing that can be looked at.

    ``execute`` has Ansible execute the module. What Ansible raises on its own account (a host that is not reached, a module
    that is not there) is left to it.
    """
    try:
        returned = execute()
    except RecursionError:
        return {"failed": True, "malformed": f"{host}: the reply is nested too deep to be read"}
    if not isinstance(returned, Mapping):
        return {"failed": True, "malformed": f"{host}: the reply is {kind_of(returned)} and not an object"}
    return returned


def failure_of(returned: Mapping[str, Any]) -> str:
    """Why a module failed, as it, or what started it, says: one line; empty where it did not fail."""
    if not returned.get("failed"):
        return ""
    told = [part.strip() for part in (returned.get("msg"), returned.get("module_stderr")) if isinstance(part, str)]
    return " ".join(printable(" ".join(part[-LONGEST_LINE:].split()), LONGEST_LINE) for part in told if part) or "no message"


def cut_off(returned: Mapping[str, Any]) -> dict[str, Any]:
    """The result where the connection was killed, as the watchdog does at the deadline: nothing was said of the host."""
    if returned.get("failed") and isinstance(returned.get("rc"), int) and returned["rc"] < 0:
        return {"unreachable": True, "msg": f"the connection was ended by signal {-returned['rc']}"}
    return {}


def not_run(returned: Mapping[str, Any]) -> dict[str, Any]:
    """The result where the host could not execute the module at all (no Python, say): for us it is a host that is away."""
    ran = not {"module_stdout", "module_stderr"} & set(returned)
    return {} if ran or not returned.get("failed") else {"unreachable": True, "msg": failure_of(returned)}


def interpreter_facts(returned: Mapping[str, Any]) -> dict[str, Any]:
    """The only fact that a module of ours may set: which Python Ansible found on the host, so that it is found once."""
    facts = returned.get("ansible_facts")
    if not isinstance(facts, Mapping):
        return {}
    texts = {name: value for name, value in facts.items() if isinstance(name, str) and isinstance(value, str)}
    kept = {name: value for name, value in texts.items() if _INTERPRETER_FACT.fullmatch(name) and _PROGRAM.fullmatch(value)}
    return {"ansible_facts": kept} if kept else {}


def facts_of_ours(facts: Any) -> list[str]:
    """Facts of a host that would set a variable of this collection; a module that does not lie returns none of them.

    Ansible makes a variable of every fact (``inject_facts_as_vars``), and it counts more than what the inventory says.
    """
    if not isinstance(facts, Mapping):
        return []
    found = sorted(name for name in facts if isinstance(name, str) and _OURS.match(name))
    return [printable(name, 60) for name in found[:MOST_IGNORED]]


def session_reply(
    returned: Mapping[str, Any],
    asked: Mapping[str, Any],
    execution: str,
    watched: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """What one end of a session returned.

    ``asked`` are the arguments of the module, ``execution`` is the name of the execution that the token yields, and
    ``watched`` maps each observed side to its guest and hypervisor.

    Gives ``ends`` and ``malformed`` (a sentence) by run_id, each run that was asked for in one of them; ``met``,
    ``forgotten``, ``spool_problem`` and ``problem`` of the session; ``error`` where the module failed, and then there is no
    END; and ``ignored``.
    """
    host, ignored = asked["host"], _Ignored(asked["host"])
    reply: dict[str, Any] = {
        "changed": True, "ends": {}, "malformed": {}, "met": False, "forgotten": [], "spool_problem": None, "problem": None,
        "error": None, "ignored": ignored.sentences,
    }  # fmt: skip
    failure = failure_of(returned)
    if isinstance(returned.get("malformed"), str):
        why = printable(returned["malformed"])
        reply["malformed"] = {run["run_id"]: why for run in asked["runs"]}
    elif failure:
        reply["error"] = {"reason": "module_failed", "detail": failure}
    if reply["malformed"] or reply["error"]:
        return reply
    ends = returned.get("ends")
    for run in asked["runs"]:
        try:
            end = object_of(ends, "ends").get(run["run_id"])
            reply["ends"][run["run_id"]] = _end(end, asked, run, execution, watched, ignored)
        except WrongShape as fault:
            reply["malformed"][run["run_id"]] = f"{host}: {fault}"
    if isinstance(ends, Mapping):
        ignored.others("ends", ends, {run["run_id"] for run in asked["runs"]}, "a run that it was not asked for")
    reply["met"] = ignored.take(returned, "met", flag_of, False)
    reply["forgotten"] = _forgotten(returned, asked["forget"], ignored)
    reply["spool_problem"] = ignored.take(returned, "spool_problem", optional(TEXT), None)
    reply["problem"] = ignored.take(returned, "problem", optional(PROBLEM), None)
    return reply


def claim_reply(returned: Mapping[str, Any], host: str, plan: Plan, forget: Collection[str]) -> dict[str, Any]:
    """What the module that claims a host returned: ``failed`` with ``msg``, ``malformed``, or ``spooled`` and ``forgotten``.

    Of what the host keeps, ``spooled`` has the ENDs of runs of this plan in which it has that side. ``forget`` are the names
    that it was told to forget. ``program`` is the path of the program that stays on the host for its steps, or None.
    """
    ignored = _Ignored(host)
    refusal = _refusal(returned)
    if refusal:
        word_of_host = returned.get("refusal")
        return {"changed": False} | refusal | ({"refusal": word_of_host} if word_of_host in (HELD, REFUSED) else {})
    entries = ignored.take(returned, "spooled", list_of, [])
    runs = _runs(plan, entries)
    spooled = []
    for position, entry in enumerate(entries):
        try:
            spooled.append(_spooled(entry, f"spooled[{position}]", host, plan, runs, ignored))
        except WrongShape as fault:
            ignored.add(str(fault))
    return {
        "changed": False,
        "spooled": spooled,
        "forgotten": _forgotten(returned, forget, ignored),
        "program": ignored.take(returned, "program", optional(PROGRAM), None),
        "ignored": ignored.sentences,
    }


def probe_reply(returned: Mapping[str, Any], host: str, tools: Sequence[str], trace: bool) -> dict[str, Any]:
    """What a host says that it is and can do: ``failed`` with ``msg``, or what the module documents.

    ``tools`` are those that it was asked about, ``trace`` whether it was asked about the tracer; ``lacks`` names those of
    them that are missing or do not work, each by its role. Where the reply cannot be used, ``malformed`` says why, and
    nothing is lacking: such a host takes no part.
    """
    refusal = _refusal(returned)
    if refusal:
        return {"changed": False, "lacks": []} | refusal
    schema: dict[str, Check] = {
        "changed": flag_of,
        "restored": optional(TEXT),
        "euid": optional(whole(0, 2**32)),
        "boot_id": optional(raw_text(64, _BOOT_ID)),
        "fingerprint": mapping(PLAIN, 500),
        "tools": fields({name: optional(_open(TOOL)) for name in [*tools, "bpftrace"]}),
        "tracer": _open(TRACER),
        "problems": listing(TEXT, 100),
    }
    try:
        reply: dict[str, Any] = fields(schema)(returned, "the reply")
    except WrongShape as fault:
        return {"changed": False, "malformed": f"{host}: {fault}", "lacks": []}
    if "bpftrace" not in (returned.get("tools") or {}):
        del reply["tools"]["bpftrace"]
    reply["problems"] = [printable(problem, LONGEST_LINE) for problem in reply["problems"]]
    reply["tracer"]["reason"] = printable(reply["tracer"]["reason"] or "", LONGEST_LINE)
    reply["lacks"] = [name for name in tools if reply["tools"][name] is None]
    reply["lacks"] += ["bpftrace"] if trace and not reply["tracer"]["available"] else []
    return reply


def observe_reply(returned: Mapping[str, Any], hypervisor: str, guests: Collection[str]) -> dict[str, Any]:
    """Why guests of a hypervisor were not observed: ``problems`` by guest, of those that it was asked to observe."""
    ignored = _Ignored(hypervisor)
    for why in _refusal(returned).values():
        if isinstance(why, str):
            return {"changed": False, "problems": dict.fromkeys(guests, why), "ignored": ignored.sentences}
    problems = ignored.take(returned, "problems", small_object_of, {})
    ignored.others("problems", problems, guests, "a guest that it was not asked about")
    told = {guest: ignored.take(problems, guest, optional(TEXT), None) for guest in guests}
    kept = {guest: printable(problem, 500) for guest, problem in told.items() if problem}
    return {"changed": False, "problems": kept, "ignored": ignored.sentences}


# The parts of replies.


class _Ignored:
    """Sentences about what a host returned and nobody asked for: not many, however much there is of it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.sentences: list[str] = []

    def add(self, what: str) -> None:
        if len(self.sentences) < MOST_IGNORED:
            self.sentences.append(f"{self._host}: {what}: ignored")
        elif len(self.sentences) == MOST_IGNORED:
            self.sentences.append(f"{self._host}: and more of that kind")

    def others(self, where: str, found: Mapping[Any, Any], known: Collection[str], what: str) -> None:
        """Everything in an object that is not known."""
        for key in found:
            if key not in known:
                self.add(f"{where} has {kind_of(key)}, {what}")
                if len(self.sentences) > MOST_IGNORED:
                    return

    def take(self, returned: Mapping[str, Any], name: str, check: Check, otherwise: Any) -> Any:
        """A field that no run hangs on; something else where it cannot be used."""
        try:
            return check(returned.get(name), name)
        except WrongShape as fault:
            self.add(str(fault))
            return otherwise


def _refusal(returned: Mapping[str, Any]) -> dict[str, Any]:
    """``malformed`` of a reply that could not be read, ``failed`` and ``msg`` of a module that failed, else nothing."""
    if isinstance(returned.get("malformed"), str):
        return {"malformed": printable(returned["malformed"])}
    failure = failure_of(returned)
    return {"failed": True, "msg": failure} if failure else {}


def _open(schema: Mapping[str, Check]) -> Check:
    """An object with these fields, and others of which each is a plain value: they go back to the host they came from."""
    known, others = fields(schema), mapping(PLAIN, 40)

    def check(value: Any, where: str) -> Any:
        found = known(value, where)
        return others({key: item for key, item in value.items() if key not in schema}, where) | found

    return check


def _forgotten(returned: Mapping[str, Any], asked: Collection[str], ignored: _Ignored) -> list[str]:
    known = set(asked)
    found = ignored.take(returned, "forgotten", listing(raw_text(LONGEST_NAME), len(known)), [])
    return [name for name in found if name in known]


def _end(
    end: Any,
    asked: Mapping[str, Any],
    run: Mapping[str, Any],
    execution: str,
    watched: Mapping[str, tuple[str, str]],
    ignored: _Ignored,
) -> dict[str, Any]:
    """The END of a run that was asked for. Raises WrongShape."""
    where = f"ends.{run['run_id']}"
    small_object_of(end, where)
    told = {
        "host": asked["host"],
        "execution": execution,
        "address": asked["address"],
        "port": run["port"],
        "tool_version": asked["tool_version"],
        "argv": list(run["argv"]),
    }
    modes = (asked["trace_mode"],) if run["traced"] else ()
    schema = {name: same(value) for name, value in told.items()} | dict(END) | {"trace": _trace(modes)}
    found: dict[str, Any] = fields(schema)(end, where)
    ignored.others(where, end, END_FIELDS, "which no END has")
    return found | {"vmm": _observations(end.get("vmm"), run["run_id"], watched, ignored)}


def _spooled(
    entry: Any, where: str, host: str, plan: Plan, runs: Mapping[str, Run], ignored: _Ignored
) -> dict[str, Any]:
    """One END that a host kept. Raises WrongShape for what is none, or of a run in which it has not that side."""
    small_object_of(entry, where)
    run_id = raw_text(LONGEST_NAME)(entry.get("run_id"), f"{where}.run_id")
    if run_id not in runs:
        raise WrongShape(f"{where}.run_id is {kind_of(run_id)}, which is no run of this sweep")
    run = runs[run_id]
    role = word(SIDES)(entry.get("role"), f"{where}.role")
    if getattr(run, role) != host:
        raise WrongShape(f"{where} is of the {role} of {run_id}, which is another host")
    execution = raw_text(16, _EXECUTION)(entry.get("execution"), f"{where}.execution")
    end = small_object_of(entry.get("end"), f"{where}.end")
    schema = {
        "host": same(host),
        "execution": same(execution),
        "address": same(plan.hosts[host]),
        "port": whole(1, 65535),
        "tool_version": LINE,
        "argv": listing(raw_text(4096), 1000),
    }
    traced = ("count", "time") if run.traced else ()
    found: dict[str, Any] = fields(schema | dict(END) | {"trace": _trace(traced)})(end, f"{where}.end")
    ignored.others(f"{where}.end", end, END_FIELDS, "which no END has")
    watched: dict[str, tuple[str, str]] = {side: (getattr(run, side), "") for side in (SIDES if role == "server" else ())}
    found["vmm"] = _observations(end.get("vmm"), run_id, watched, ignored)
    return {
        "name": raw_text(LONGEST_NAME, _spool_name(execution, role))(entry.get("name"), f"{where}.name"),
        "run_id": run_id,
        "role": role,
        "execution": execution,
        "end": found,
    }


def _spool_name(execution: str, role: str) -> re.Pattern[str]:
    """The names that a host's spool gives to what is of one side of an execution."""
    return re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.{execution}\.{role}\.json")


def _runs(plan: Plan, entries: Sequence[Any]) -> dict[str, Run]:
    """The runs of the plan that entries of a spool name."""
    named = (entry.get("run_id") for entry in entries if isinstance(entry, Mapping))
    wanted = {run_id for run_id in named if isinstance(run_id, str)}
    return {run.run_id: run for run in planned_runs(plan) if run.run_id in wanted} if wanted else {}


def _trace(modes: Collection[str]) -> Check:
    """The trace of a run in one of some modes; none of a run that was not to be traced."""
    known = fields({"mode": word(modes)} | dict(TRACE))

    def check(value: Any, where: str) -> Any:
        if value is None:
            return None
        if not modes:
            raise WrongShape(f"{where} is there, and the run was not to be traced")
        return known(value, where)

    return check


def _observations(
    value: Any, run_id: str, watched: Mapping[str, tuple[str, str]], ignored: _Ignored
) -> dict[str, Any] | None:
    """What hypervisors counted of the processes under the guests, by side; why nothing was, where it cannot be used.

    It comes to the host of the END from elsewhere, so the run does not hang on it.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        ignored.add(f"vmm of {run_id} is {kind_of(value)} and not an object")
        return None
    ignored.others(f"vmm of {run_id}", value, watched, "which is not observed")
    return {side: _observation(value[side], side, run_id, *watched[side]) for side in watched if side in value} or None


def _observation(value: Any, side: str, run_id: str, guest: str, hypervisor: str) -> dict[str, Any]:
    try:
        small_object_of(value, f"vmm.{side}")
        if set(value) == {"problem"}:
            return {"problem": PROBLEM(value["problem"], f"vmm.{side}.problem")}
        named = same(hypervisor) if hypervisor else raw_text(LONGEST_NAME)
        told: dict[str, Check] = {"run_id": same(run_id), "guest": same(guest), "hypervisor": named}
        found: dict[str, Any] = fields(told | dict(OBSERVATION))(value, f"vmm.{side}")
    except WrongShape as fault:
        detail = f"what was counted under {guest} is malformed: {fault}"
        return {"problem": {"reason": "vmm_not_traced", "detail": detail}}
    return found
