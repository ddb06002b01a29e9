"""What hosts return: everything wrong that can be said, in every place, and what comes of it."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import empty_end, execution_name
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import Observers
from ansible_collections.pairbench.lab.plugins.module_utils._session.spool import entry_name
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.assembler import RecordAssembler
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import end_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import (
    MOST_IGNORED,
    OUTPUT_CHARACTERS,
    answer,
    claim_reply,
    facts_of_ours,
    interpreter_facts,
    not_run,
    observe_reply,
    probe_reply,
    session_reply,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.plain_text import printable
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import END_FIELDS, Trouble, new_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.reasons import REASONS
from clone import ROOT
from hypothesis import given
from hypothesis import strategies as st

MODULES = ROOT / "plugins" / "module_utils"
PARAMETERS = {
    "protocol": "tcp", "parallel": 1, "seconds": 1, "bitrate": "", "length": "", "window": "", "omit_seconds": 0,
    "reverse": False, "congestion": "", "zerocopy": False, "extra_args": [],
}  # fmt: skip
PLAN = make_plan(
    sweep="s", configuration="c", hosts={name: f"10.0.0.{number}" for number, name in enumerate("abc", 1)}, blocks=1, seed=1,
    cases={"iperf3": [CaseSpec("iperf3", name, PARAMETERS, 1.0) for name in ("P1", "P2")]},
    directions={"iperf3": "first_serves"},
)
STEP = PLAN.steps[0]
SESSION = STEP.sessions[0]
TOKEN, FORGET = "the token of this session", ["an old entry.json"]
EXECUTION = execution_name(TOKEN)
WATCHED = {"server": (SESSION.server, "hv1"), "client": (SESSION.client, "hv2")}
MISSING = object()
MOMENT = "2026-01-01T00:00:00.000000Z"


def arguments(host: str) -> dict[str, Any]:
    """What the action tells the session module of a host, as far as an END depends on it."""
    end = end_of(PLAN, SESSION, host, {"iperf3": 5201}, 30)
    return end | {
        "host": host, "token": TOKEN, "tool_version": "iperf 3.18", "trace_mode": "count", "forget": FORGET,
        "observers": {"server": "", "client": ""} if end["role"] == "server" else {},
    }  # fmt: skip


def observation(side: str, run_id: str) -> dict[str, Any]:
    guest, hypervisor = WATCHED[side]
    return {
        "run_id": run_id, "guest": guest, "hypervisor": hypervisor, "pid": 7, "comm": "qemu", "command": "qemu -name x",
        "arch": "x86_64", "mode": "count", "probe": "tracepoint:raw_syscalls:sys_enter", "version": "v", "output": "{}",
        "stderr": "", "returncode": 0, "started_at": MOMENT, "ended_at": MOMENT, "seconds": 1.5, "problem": None,
    }  # fmt: skip


def good_end(asked: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """An END with everything in it, made by the module's own code as far as that goes."""
    end = empty_end(asked, run)
    end.update(
        stdout="out", stderr="err", returncode=0, started_at=MOMENT, ended_at=MOMENT, seconds=1.25, trace_unavailable=None,
        figures={"cpu_jiffies_before": [1] * 10, "cpu_jiffies_after": [2] * 10, "memory_total_bytes": 2,
                 "memory_available_bytes": 1},
        settings={"cpus": "0-1", "interface": "eth0", "mtu_bytes": 1500, "user": "nobody"},
        problem={"reason": "timed_out", "detail": "a sentence"},
        output_bytes={"stdout": 1 << 30, "stderr": None, "trace": None},
    )  # fmt: skip
    if run["traced"]:
        end["trace"] = {"mode": "count", "probe": "p", "version": "v", "output": "{}", "returncode": 0}
        if asked["role"] == "server":
            end["vmm"] = {side: observation(side, run["run_id"]) for side in WATCHED}
    return end


def good_reply(asked: dict[str, Any]) -> dict[str, Any]:
    ends = {run["run_id"]: good_end(asked, run) for run in asked["runs"]}
    return {
        "changed": True, "role": asked["role"], "ends": ends, "met": True, "kept": dict.fromkeys(ends, "x"),
        "forgotten": list(FORGET), "spool_problem": None, "problem": None,
    }  # fmt: skip


def taken(returned: Any, host: str) -> dict[str, Any]:
    asked = arguments(host)
    return session_reply(answer(lambda: returned, host), asked, EXECUTION, WATCHED if asked["observers"] else {})


HOSTS = (SESSION.server, SESSION.client)


@pytest.mark.parametrize("host", HOSTS)
def test_what_an_honest_host_returns_is_taken_as_it_is(host: str) -> None:
    asked = arguments(host)
    returned = good_reply(asked)
    reply = taken(json.loads(json.dumps(returned)), host)
    assert reply["ends"] == {run_id: end | {"vmm": end["vmm"]} for run_id, end in returned["ends"].items()}
    assert not reply["malformed"] and not reply["ignored"] and reply["error"] is None
    assert (reply["met"], reply["forgotten"], reply["problem"]) == (True, FORGET, None)


@pytest.mark.parametrize("host", HOSTS)
def test_an_end_in_which_nothing_was_measured_is_one_too(host: str) -> None:
    asked = arguments(host)
    problem = {"reason": "peer_lost", "detail": "the other end did not come"}
    ends = {run["run_id"]: empty_end(asked, run, problem) for run in asked["runs"]}
    reply = taken({"ends": ends, "met": False, "forgotten": [], "problem": problem}, host)
    assert reply["ends"].keys() == ends.keys() and not reply["malformed"] and not reply["ignored"]
    assert reply["problem"] == problem


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document: every key and every list, but only the first item of a list."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    if not path:
        return value
    at = changed
    for key in path[:-1]:
        at = at[key]
    if value is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


def shows_as_it_is(sentence: str) -> bool:
    """Whether a terminal shows a sentence and obeys nothing in it."""
    return printable(sentence, 500) == sentence


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _level in range(levels):
        found = [found]
    return found


OTHER_RUNS = [run.run_id for run in PLAN.runs if run.run_id not in {run.run_id for run in SESSION.runs}]
WRONG = [
    None, MISSING, True, False, 0, -1, 1 << 70, -(1 << 70), 1.5, 1e308, float("nan"), float("inf"), "", "x", "\x1b[2J\0\x07",
    "half \ud800", "../../../group_vars/all", "/etc/passwd", "{{ lookup('pipe', 'id') }}", "run", "server", "client", *HOSTS,
    OTHER_RUNS[0], SESSION.runs[0].run_id, "0" * 16, "9999-99-99T99:99:99Z", [], {}, [[]], [None], {"": None},
    {"run_id": OTHER_RUNS[0]}, deep(500), {"a": {"b": deep(200)}}, ["x"] * 5000,
    {str(number): number for number in range(20000)}, "x" * 100_000,
]  # fmt: skip
GOOD = {host: good_reply(arguments(host)) for host in HOSTS}
LIES = [(host, path) for host in HOSTS for path in places(GOOD[host])]


@given(lie=st.sampled_from(LIES), value=st.sampled_from(WRONG))
def test_a_wrong_field_costs_the_run_in_which_it_stands_and_no_other(lie: tuple[str, tuple[Any, ...]], value: Any) -> None:
    check_lie(*lie, value)


@given(lie=st.sampled_from(LIES), value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20,
))  # fmt: skip
def test_so_does_any_json_in_any_place(lie: tuple[str, tuple[Any, ...]], value: Any) -> None:
    check_lie(*lie, value)


@pytest.mark.parametrize("value", [*WRONG[:10], WRONG[16], deep(500)], ids=lambda value: repr(value)[:20])
def test_each_field_is_looked_at(value: Any) -> None:
    """Everywhere once, whatever the property test draws."""
    for host, path in LIES:
        check_lie(host, path, value)


def test_nothing_in_an_end_is_taken_unseen() -> None:
    for host, path in LIES:
        if path[:1] == ("ends",) and len(path) > 2 and "vmm" not in path:
            assert path[1] in taken(replaced(GOOD[host], path, deep(500)), host)["malformed"], path


def check_lie(host: str, path: tuple[Any, ...], value: Any) -> None:
    """Replace one place of a good reply, put it together with the honest end, and look at what would be written."""
    asked = arguments(host)
    ids = [run["run_id"] for run in asked["runs"]]
    reply = taken(replaced(GOOD[host], path, value), host)
    assert set(reply["ends"]) | set(reply["malformed"]) == set(ids) or reply["error"]
    assert not set(reply["ends"]) & set(reply["malformed"])
    spoiled = {path[1]} if len(path) > 1 and path[0] == "ends" else set(ids) if path in ((), ("ends",)) else set()
    assert set(reply["malformed"]) <= spoiled
    for run_id in reply["ends"]:
        end = reply["ends"][run_id]
        assert (end["host"], end["execution"], end["address"]) == (host, EXECUTION, PLAN.hosts[host])
        if run_id not in spoiled:
            assert end == GOOD[host]["ends"][run_id]
    for sentence in [*reply["malformed"].values(), *reply["ignored"]]:
        assert sentence.startswith(f"{host}: ") and shows_as_it_is(sentence) and len(sentence) < 500
    assert len(reply["ignored"]) <= MOST_IGNORED + 1
    check_records(host, reply)


@pytest.mark.parametrize("host", HOSTS)
def test_an_end_that_is_taken_has_every_field(host: str) -> None:
    assert all(set(end) == set(END_FIELDS) for end in taken(GOOD[host], host)["ends"].values())


def check_records(host: str, reply: dict[str, Any]) -> None:
    assembler = RecordAssembler(PLAN)
    assembler.expect(SESSION.runs)
    other = next(name for name in HOSTS if name != host)
    honest = taken(GOOD[other], other)
    side, other_side = ("server", "client") if host == SESSION.server else ("client", "server")
    for run_id, end in honest["ends"].items():
        assembler.add_end(run_id, other_side, end)
    written = [assembler.add_end(run_id, side, end) for run_id, end in reply["ends"].items()]
    written += [
        assembler.add_error(run_id, side, Trouble("malformed_reply", why))
        for run_id, why in reply["malformed"].items()
    ]
    for record in written:
        assert record is not None
        run_id = record.run_id
        assert run_id in {run.run_id for run in SESSION.runs} and set(record.document) == {
            "schema", "sweep", "configuration", "run", "server", "client", "error",
        }  # fmt: skip
        assert record.document[other_side]["host"] == other
        json.dumps(record.document, ensure_ascii=False, allow_nan=False).encode("utf-8")
        judgement = judge(record)
        assert judgement.reason not in ("malformed", "gate_error"), judgement.detail
        if run_id in reply["malformed"]:
            assert (judgement.status, judgement.reason) == ("failed", "malformed_reply")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("stdout",), "x" * (OUTPUT_CHARACTERS + 1), "stdout has 17825793 characters"),
        (("host",), SESSION.client, "host is"),
        (("execution",), "0" * 16, "execution is"),
        (("address",), "10.9.9.9", "address is"),
        (("port",), 1, "port is"),
        (("argv",), ["rm", "-rf"], "argv is"),
        (("trace", "mode"), "time", "trace.mode is"),
        (("seconds",), float("nan"), "seconds is no finite number"),
        (("problem",), {"reason": "valid", "detail": ""}, "problem.reason is"),
        (("figures", "cpu_jiffies_after"), [1] * 65, "cpu_jiffies_after has 65 items"),
        (("started_at",), "2026-02-30T00:00:00Z", "no time of day"),
        (("stderr",), "\ud800", "lone surrogates"),
        ((), MISSING, "is missing"),
    ],
)
def test_the_sentence_names_the_host_and_the_field(path: tuple[str, ...], value: Any, field: str) -> None:
    run_id = next(run.run_id for run in SESSION.runs if run.traced)
    reply = taken(replaced(GOOD[SESSION.server], ("ends", run_id, *path), value), SESSION.server)
    assert set(reply["malformed"]) == {run_id}
    assert reply["malformed"][run_id].startswith(f"{SESSION.server}: ends.{run_id}")
    assert field in reply["malformed"][run_id]


def test_an_untraced_run_has_no_trace() -> None:
    run_id = next(run.run_id for run in SESSION.runs if not run.traced)
    trace = {"mode": "count", "probe": "p", "version": "v", "output": "{}", "returncode": 0}
    reply = taken(replaced(GOOD[SESSION.server], ("ends", run_id, "trace"), trace), SESSION.server)
    assert "was not to be traced" in reply["malformed"][run_id]


def test_what_a_hypervisor_counted_is_malformed_alone() -> None:
    """The host of the END only passes it on: the run does not hang on it."""
    run_id = next(run.run_id for run in SESSION.runs if run.traced)
    for name, value in (("guest", "c"), ("hypervisor", "hv9"), ("output", 1), ("run_id", OTHER_RUNS[0])):
        reply = taken(replaced(GOOD[SESSION.server], ("ends", run_id, "vmm", "client", name), value), SESSION.server)
        assert not reply["malformed"]
        vmm = reply["ends"][run_id]["vmm"]
        assert vmm["server"] == observation("server", run_id)
        problem = vmm["client"]["problem"]
        assert problem["reason"] == "vmm_not_traced" and f"vmm.client.{name}" in problem["detail"]


def test_a_module_that_failed_is_an_error_of_the_session_in_one_line() -> None:
    reply = taken({"failed": True, "msg": "MODULE\x1b[31m FAILURE", "module_stderr": "x" * 3000, "rc": 1}, SESSION.server)
    assert reply["error"]["reason"] == "module_failed" and not reply["ends"] and not reply["malformed"]
    assert reply["error"]["detail"].startswith(r"MODULE\x1b[31m FAILURE x") and len(reply["error"]["detail"]) < 1100


@pytest.mark.parametrize("returned", [None, [], "text", 7, {}, {"ends": None}, {"ends": []}])
def test_a_reply_without_ends_is_malformed_for_every_run(returned: Any) -> None:
    reply = taken(returned, SESSION.server)
    assert set(reply["malformed"]) == {run.run_id for run in SESSION.runs}


def test_a_reply_too_deep_to_be_read_is_malformed() -> None:
    def execute() -> Any:
        raise RecursionError

    asked = arguments(SESSION.server)
    reply = session_reply(answer(execute, SESSION.server), asked, EXECUTION, {})
    assert set(reply["malformed"]) == {run.run_id for run in SESSION.runs}
    assert "nested too deep" in next(iter(reply["malformed"].values()))


def test_what_a_host_returns_never_speaks_to_ansible() -> None:
    """Nor can it leave the play, be skipped, add hosts, or set variables."""
    facts = {"pairbench_results": "/"}
    words = {"unreachable": True, "skipped": True, "add_host": {}, "ansible_facts": facts, "results": []}
    reply = taken(GOOD[SESSION.server] | words, SESSION.server)
    assert not set(reply) & set(words) and reply["ends"]


def test_a_large_session_is_looked_at_in_no_time() -> None:
    """Texts are measured, not copied. Far above what it takes, so that a busy machine fails no test."""
    asked = arguments(SESSION.server)
    asked["runs"] = [asked["runs"][0] | {"run_id": f"run{number}"} for number in range(12)]
    reply = good_reply(asked)
    for end in reply["ends"].values():
        end["stdout"] = "x" * (1 << 20)
    began = time.process_time()
    assert len(session_reply(reply, asked, EXECUTION, {})["ends"]) == 12
    assert time.process_time() - began < 0.5


def test_all_words_that_hosts_say_are_known() -> None:
    said = set()
    for path in MODULES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        said |= set(re.findall(r"(?:RunProblem|SettingProblem)\(\s*\"([a-z_]+)\"", text))
        said |= set(re.findall(r"\"reason\": \"([a-z_]+)\"", text))
    assert len(said) > 10 and said <= set(REASONS)


def test_why_an_observer_did_not_come_is_taken_as_the_server_end_says_it() -> None:
    run_id = next(run.run_id for run in SESSION.runs if run.traced)
    absent = Observers({"client": "nobody reached it"}).arm(run_id)
    reply = taken(replaced(GOOD[SESSION.server], ("ends", run_id, "vmm"), absent), SESSION.server)
    assert reply["ends"][run_id]["vmm"] == absent


# What hosts keep.


def spooled(host: str, run_id: str = "", role: str = "", execution: str = EXECUTION) -> dict[str, Any]:
    asked = arguments(host)
    run = asked["runs"][0]
    run_id, role = run_id or run["run_id"], role or asked["role"]
    name = entry_name(run_id, execution, role)
    return {"name": name, "run_id": run_id, "role": role, "execution": execution, "end": good_end(asked, run)}


def claimed(entries: Any, host: str = SESSION.server) -> dict[str, Any]:
    returned = {"changed": False, "spooled": entries, "forgotten": list(FORGET)}
    return claim_reply(answer(lambda: returned, host), host, PLAN, FORGET)


def test_what_an_honest_host_kept_is_taken_as_it_is() -> None:
    for host in HOSTS:
        entry = spooled(host)
        reply = claimed([json.loads(json.dumps(entry))], host)
        assert reply["spooled"] == [entry] and not reply["ignored"] and reply["forgotten"] == FORGET


@pytest.mark.parametrize(
    "entry",
    [
        spooled(SESSION.server, run_id=OTHER_RUNS[0]),  # of a run in which it has no part, or not that side
        spooled(SESSION.server, run_id="../../../group_vars/all"),
        spooled(SESSION.server, role="client"),
        spooled(SESSION.server, role="run"),
        spooled(SESSION.server) | {"name": "../../etc/passwd"},
        spooled(SESSION.server) | {"name": f"x.{EXECUTION}.client.json"},
        spooled(SESSION.server) | {"execution": "0" * 16},
        spooled(SESSION.server) | {"execution": "../x"},
        spooled(SESSION.server) | {"end": None},
        None, [], "text", {}, deep(500),
    ],
)  # fmt: skip
def test_an_entry_of_a_stranger_is_left_out_with_a_warning_and_the_others_stand(entry: Any) -> None:
    other = next(run for run in PLAN.runs if run.server == SESSION.client or run.client == SESSION.client)
    if isinstance(entry, dict) and entry.get("run_id") in OTHER_RUNS:
        run = next(run for run in PLAN.runs if run.run_id == entry["run_id"])
        entry["role"] = "server" if run.server != SESSION.server else "client"
    reply = claimed([entry, spooled(SESSION.server)])
    assert [item["run_id"] for item in reply["spooled"]] == [SESSION.runs[0].run_id]
    assert len(reply["ignored"]) == 1 and reply["ignored"][0].startswith(f"{SESSION.server}: spooled[0]"), other


@given(path=st.sampled_from(list(places(spooled(SESSION.server)))), value=st.sampled_from(WRONG))
def test_whatever_stands_in_an_entry_the_others_stand(path: tuple[Any, ...], value: Any) -> None:
    entry = replaced(spooled(SESSION.server), path, value)
    good = spooled(SESSION.server, execution="1" * 16)
    good["end"]["execution"] = "1" * 16
    reply = claimed([entry, good])
    assert good in reply["spooled"] and len(reply["spooled"]) <= 2
    for item in reply["spooled"]:
        assert item["run_id"] == SESSION.runs[0].run_id and item["role"] == "server" and "/" not in item["name"]
        json.dumps(item, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert len(reply["ignored"]) <= MOST_IGNORED + 1 and all(shows_as_it_is(sentence) for sentence in reply["ignored"])


def test_a_flood_of_strangers_is_told_of_in_a_few_lines() -> None:
    reply = claimed([{"run_id": f"x{number}"} for number in range(5000)])
    assert not reply["spooled"] and len(reply["ignored"]) == MOST_IGNORED + 1


def test_a_claim_that_failed_says_why_in_one_line() -> None:
    reply = claim_reply({"failed": True, "msg": "busy:\x1b[2J another"}, "a", PLAN, [])
    assert reply == {"changed": False, "failed": True, "msg": r"busy:\x1b[2J another"}
    assert "spooled" not in claim_reply(answer(lambda: 7, "a"), "a", PLAN, [])


def test_a_claim_that_is_refused_says_why_in_one_word() -> None:
    busy = {"failed": True, "msg": "busy"}
    for word in ("held", "refused"):
        assert claim_reply(busy | {"refusal": word}, "a", PLAN, [])["refusal"] == word
    for other in ("rejected", ["held"], {}, 7, None):
        assert "refusal" not in claim_reply(busy | {"refusal": other}, "a", PLAN, [])
    assert "refusal" not in claimed([]) and "refusal" not in claim_reply({"refusal": "held"}, "a", PLAN, [])


# What hosts say that they are.

PROBE = {
    "changed": False, "restored": None, "euid": 0, "boot_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "fingerprint": {"kernel": "6.1", "cpu_count": 2, "vulnerability.meltdown": "Mitigation: PTI", "link.offload.tso": "on"},
    "tools": {"iperf3": {"path": "/usr/bin/iperf3", "version": "iperf 3.18", "sha256": "0" * 64}, "sockperf": None,
              "bpftrace": {"path": "/usr/bin/bpftrace", "version": "v0.17", "sha256": "1" * 64}},
    "tracer": {"available": True, "reason": "", "probe": "rawtracepoint:sys_enter", "path": "/usr/bin/bpftrace",
               "cost_ns_per_call": None, "attach_seconds": 0.5, "rejected": {"tracepoint:x:y": "no"}, "version": "v0.17"},
    "problems": [],
}  # fmt: skip
TOOLS = ("iperf3", "sockperf")


def test_what_an_honest_host_says_of_itself_is_taken_as_it_is() -> None:
    assert probe_reply(copy.deepcopy(PROBE), "a", TOOLS, True) == PROBE | {"lacks": ["sockperf"]}
    without = copy.deepcopy(PROBE)
    del without["tools"]["bpftrace"]
    assert probe_reply(without, "a", TOOLS, False) == without | {"lacks": ["sockperf"]}


def test_what_a_host_lacks_is_what_it_has_not_or_cannot_use() -> None:
    bare = copy.deepcopy(PROBE)
    bare["tools"] = dict.fromkeys(bare["tools"])
    bare["tracer"]["available"] = False
    assert probe_reply(copy.deepcopy(bare), "a", TOOLS, True)["lacks"] == [*TOOLS, "bpftrace"]
    assert probe_reply(bare, "a", TOOLS, False)["lacks"] == [*TOOLS]
    assert probe_reply({"failed": True, "msg": "no"}, "a", TOOLS, True)["lacks"] == []


def test_a_host_that_cannot_execute_a_module_counts_as_one_that_is_away() -> None:
    absent = {"failed": True, "msg": "The module interpreter was not found.", "module_stderr": "sh: not found", "rc": 127}
    assert not_run(absent)["unreachable"] is True and "not found" in not_run(absent)["msg"]
    assert not_run({"failed": True, "msg": "another sweep has the host", "refusal": "held"}) == {}
    assert not_run({"spooled": []}) == {}


@pytest.mark.parametrize("told", ["/run/pairbench/code-1/start.py", None, "relative", "/a b", "/a;b", 7, ["/a"]])
def test_only_a_plain_path_is_taken_for_a_program(told: Any) -> None:
    reply = claim_reply({"spooled": [], "forgotten": [], "program": told}, "a", PLAN, [])
    good = told is None or (isinstance(told, str) and told.startswith("/run"))
    assert reply["program"] == (told if good else None) and bool(reply["ignored"]) != good


@given(path=st.sampled_from(list(places(PROBE))), value=st.sampled_from(WRONG))
def test_a_probe_is_typed_or_malformed(path: tuple[Any, ...], value: Any) -> None:
    reply = probe_reply(answer(lambda: replaced(PROBE, path, value), "a"), "a", TOOLS, True)
    if "malformed" in reply:
        assert set(reply) == {"changed", "malformed", "lacks"} and not reply["lacks"]
        sentence = reply["malformed"]
        assert sentence.startswith("a: ") and "the reply" in sentence and shows_as_it_is(sentence)
        return
    assert set(reply) == {*PROBE, "lacks"} and set(reply["tools"]) <= {*TOOLS, "bpftrace"}
    assert all(isinstance(fact, (str, int, float, bool, type(None))) for fact in reply["fingerprint"].values())
    assert isinstance(reply["tracer"]["available"], bool)
    json.dumps(reply, ensure_ascii=False, allow_nan=False).encode("utf-8")


def test_what_a_hypervisor_says_is_of_the_guests_that_it_was_asked_about() -> None:
    reply = observe_reply({"problems": {"a": "ended\x1b", "stranger": "x", "b": 7}}, "hv", ["a", "b"])
    assert reply["problems"] == {"a": r"ended\x1b"} and len(reply["ignored"]) == 2
    assert observe_reply({"failed": True, "msg": "no"}, "hv", ["a"])["problems"] == {"a": "no"}
    assert observe_reply({"problems": deep(500)}, "hv", ["a"])["problems"] == {}


def test_only_the_interpreter_that_ansible_found_becomes_a_fact() -> None:
    facts = {"discovered_interpreter_python": "/usr/bin/python3", "pairbench_results": "/", "ansible_connection": "local"}
    assert interpreter_facts({"ansible_facts": facts}) == {
        "ansible_facts": {"discovered_interpreter_python": "/usr/bin/python3"}
    }
    for value in ("python3; id", "$(id)", 7, None, "/usr/bin/python3\n"):
        assert interpreter_facts({"ansible_facts": {"discovered_interpreter_python": value}}) == {}
    assert interpreter_facts({"ansible_facts": []}) == {} == interpreter_facts({})


def test_facts_that_would_set_our_variables_are_found() -> None:
    lies = ["pairbench_results", "_bench_plan", "vm_lab_access", "_vm_lab_access", "iperf3_package", "netns_sudo"]
    honest = ["distribution", "user_uid", "pkg_mgr", "os_install_date", "env", "pythonpairbench", "benchmark"]
    assert facts_of_ours(dict.fromkeys([*lies, *honest])) == sorted(lies)
    assert facts_of_ours(None) == [] == facts_of_ours("pairbench_results")


def test_no_record_is_written_outside_its_folder(tmp_path: Path) -> None:
    for run_id in ("../x", "/etc/x", "", ".", "..", "a/b", "a\0b", ".hidden", "a\nb"):
        with pytest.raises(ValueError, match="is no run_id"):
            write_record(tmp_path, new_record("s", "c", {**vars(SESSION.runs[0]), "run_id": run_id}, {}))
    assert not list(tmp_path.rglob("*"))
    assembler = RecordAssembler(PLAN)
    assembler.expect(SESSION.runs)
    for side in ("run", "error", "sweep", ""):
        with pytest.raises(ValueError, match="is no side"):
            assembler.add_end(SESSION.runs[0].run_id, side, {})
        with pytest.raises(ValueError, match="is no side"):
            assembler.add_error(SESSION.runs[0].run_id, side, Trouble("", ""))
