"""bpftrace's maps: every version's captures, awkward keys, and no count that is believed after a loss."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing import lines
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import CallCount, Finding
from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing.output import (
    BpftraceRecogniser,
    parse_trace,
    split_keys,
)
from hypothesis import given, settings
from hypothesis import strategies as st

CAPTURES = clone.CAPTURES / "bpftrace"
VERSIONS = sorted(path for path in CAPTURES.iterdir() if path.is_dir() and path.name != "synthetic")
FILES = sorted(path for path in CAPTURES.glob("*/*") if path.suffix in (".json", ".text"))

# By file name: what the capture shows. In a text output the newer versions tell of a full map on standard
# error only, and 0.17 and before tell it nowhere unless asked (-k).
EXPECTED = {
    "count": ("valid", ""),
    "time": ("valid", ""),
    "total-and-interval": ("valid", ""),
    "thread-name": ("valid", ""),
    "nothing-matched": ("failed", "tracer_killed"),
    "killed": ("failed", "tracer_killed"),
    "histogram": ("invalid", "histogram"),
    "statistics": ("invalid", "histogram"),
    "map-full": ("invalid", "map_full"),
    "map-full-warned": ("invalid", "map_full"),
    "no-such-probe": ("failed", "tracer_error"),
    "lost-events": ("invalid", "lost_events"),
    "lost-events-0.17": ("invalid", "lost_events"),
    "lost-events-0.27": ("invalid", "lost_events"),
    "runtime-error": ("invalid", "tracer_error"),
    "time-beyond-double": ("valid", ""),
}
SILENT_WHEN_FULL = ("0.11", "0.17")


def iterate(text: str) -> Iterator[Finding]:
    """Every output of a tracer in a text, one after another."""
    recogniser = BpftraceRecogniser()
    for number, line in enumerate(text.splitlines(), 1):
        yield from recogniser.feed(lines.clean(line, lines.prompts_of(["bpftrace"])), number)
    yield from recogniser.close()


def label(path: Path) -> str:
    return "/".join(path.parts[-2:])


def read(path: Path) -> Finding:
    errors = path.with_name(path.name + ".stderr")
    return parse_trace(
        path.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8") if errors.exists() else ""
    )


def table(finding: Finding) -> dict[tuple[str | None, int | str | None], tuple[int | None, int | None]]:
    rows = {
        (row.comm, row.number if row.syscall is None else row.syscall): (row.calls, row.time_ns)
        for row in finding.calls
    }
    assert len(rows) == len(finding.calls), "a row is there twice"
    return rows


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_capture_is_judged(path: Path) -> None:
    finding = read(path)
    expected = EXPECTED[path.stem]
    if path.stem == "map-full" and path.parent.name.startswith(SILENT_WHEN_FULL):
        expected = ("valid", "")
    assert (finding.status, finding.reason) == expected, finding.detail
    assert bool(finding.calls) == (finding.status == "valid")
    assert bool(finding.detail) == (finding.status != "valid")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("form", ["json", "text"])
def test_production_script(version: Path, form: str) -> None:
    rows = table(read(version / f"count.{form}"))
    assert rows["dd", 0][0] in range(1000, 1010) and rows["dd", 1][0] in range(1000, 1010)
    assert rows["bpftrace", 59] == (1, None)
    assert all(calls for calls, _ in rows.values())


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("form", ["json", "text"])
def test_time_is_beside_the_count(version: Path, form: str) -> None:
    rows = table(read(version / f"time.{form}"))
    calls, nanoseconds = rows["dd", 0]
    assert calls in range(1000, 1010)
    assert nanoseconds is not None and nanoseconds > 1000 * 20
    assert rows["dd", 231] == (1, None), "exit_group never returns: it has a count and no time"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("form", ["json", "text"])
def test_intervals_are_not_added_to_the_total(version: Path, form: str) -> None:
    finding = read(version / f"total-and-interval.{form}")
    rows = table(finding)
    assert rows["dd", "sys_enter_read"][0] in range(40_000, 40_010)
    assert rows["dd", "sys_enter_write"][0] in range(40_000, 40_010)
    assert "@interval" not in finding.parameters["maps"]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("form", ["json", "text"])
def test_awkward_thread_name(version: Path, form: str) -> None:
    (row,) = read(version / f"thread-name.{form}").calls
    assert row.number == 230 and row.calls is not None and row.calls > 10
    # From 0.25 on the spaces of a key are left out in JSON.
    assert row.comm in ("CPU 0/KVM, a:b", "CPU0/KVM,a:b")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["dd,0", "bpftrace,59"], [("dd", 0, None, None), ("bpftrace", 59, None, None)]),
        (["dd, 0"], [("dd", 0, None, None)]),
        (["0, dd"], [("dd", 0, None, None)]),
        (["0", "59"], [(None, 0, None, None), (None, 59, None, None)]),
        (["CPU 0/KVM,16", "vhost-1234,1"], [("CPU 0/KVM", 16, None, None), ("vhost-1234", 1, None, None)]),
        (["kworker/0:1, 3"], [("kworker/0:1", 3, None, None)]),
        (
            ["a,b, 3", "x,12,5", "dd,7"],
            [("a,b", 3, None, None), ("x,12", 5, None, None), ("dd", 7, None, None)],
        ),
        (["123, dd, 5"], [("dd", 5, None, 123)]),
        (["dd, 123, 5", "a,1,2"], [("dd", 5, None, 123), ("a", 2, None, 1)]),
        (["123, 5, CPU 0/KVM, a:b"], [("CPU 0/KVM, a:b", 5, None, 123)]),
        (["123,5"], [(None, 5, None, 123)]),
        (["iperf3, tracepoint:syscalls:sys_enter_read"], [("iperf3", None, "sys_enter_read", None)]),
        (["tracepoint:syscalls:sys_enter_read, iperf3"], [("iperf3", None, "sys_enter_read", None)]),
        (["sys_enter_read"], [(None, None, "sys_enter_read", None)]),
        (["t:syscalls:sys_exit_read, a, b"], [("a, b", None, "sys_enter_read", None)]),
        (["iperf3, 77, tracepoint:syscalls:sys_enter_read"], [("iperf3", None, "sys_enter_read", 77)]),
        (["77, tracepoint:syscalls:sys_enter_read, iperf3"], [("iperf3", None, "sys_enter_read", 77)]),
        (["dd"], None),
        (["dd, 1, 2, 3"], None),
        (["dd, 1", "tracepoint:syscalls:sys_enter_read, dd"], None),
        ([""], None),
    ],
)
def test_keys(keys: list[str], expected: object) -> None:
    assert split_keys(keys) == expected


def json_lines(*documents: object) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


ATTACHED = {"type": "attached_probes", "data": {"probes": 1}}
CALLS = {"type": "map", "data": {"@calls": {"dd,0": 20003, "bpftrace,59": 1}}}


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([ATTACHED, {"type": "lost_events", "data": {"events": 1}}, CALLS], "lost_events"),
        ([ATTACHED, CALLS, {"type": "lost_events", "count": 1}], "lost_events"),
        ([ATTACHED, {"type": "helper_error", "helper": "map_update_elem", "retcode": -7}, CALLS], "map_full"),
        ([ATTACHED, {"type": "helper_error", "helper": "probe_read", "retcode": -14}, CALLS], "tracer_error"),
        ([ATTACHED, {"type": "hist", "data": {"@ns": [{"min": 0, "max": 0, "count": 1}]}}], "histogram"),
        ([ATTACHED, {"type": "map", "data": {"@calls": {"dd,0": {"count": 1}}}}], "histogram"),
        ([ATTACHED, {"type": "map", "data": {"@calls": {"dd,0": 1.5}}}], "histogram"),
        ([ATTACHED, {"type": "map", "data": {"@calls": {"dd": 1}}}], "malformed"),
        ([ATTACHED, {"type": "map", "data": {"@calls": {"dd,0": -1}}}], "malformed"),
        ([ATTACHED, {"type": "map", "data": 5}], "malformed"),
        ([ATTACHED, {"type": "map", "data": {"@a": {"dd,0": 1}, "@b": {"dd,0": 1}}}], "malformed"),
        ([ATTACHED, {"type": "map", "data": {"@bytes": {"dd,0": 131072}}}], "malformed"),
        ([ATTACHED, {"type": "map", "data": {"@calls": {f"a{i},{i}": 1 for i in range(4096)}}}], "map_full"),
        ([ATTACHED], "tracer_killed"),
        ([ATTACHED, {"type": "map", "data": {}}], "tracer_killed"),
        ([ATTACHED, CALLS, ATTACHED, CALLS], "malformed"),
    ],
)
def test_what_spoils_the_counts(documents: list[object], reason: str) -> None:
    finding = parse_trace(json_lines(*documents))
    assert (finding.reason, finding.calls) == (reason, ())
    assert finding.status != "valid" and finding.detail


def test_what_does_not_spoil_them() -> None:
    finding = parse_trace(json_lines(ATTACHED, {"type": "time", "data": "13:10:49"}, CALLS))
    assert finding.status == "valid"
    assert finding.calls == (
        CallCount(comm="dd", number=0, calls=20003),
        CallCount(comm="bpftrace", number=59, calls=1),
    )


def test_working_maps_are_not_counts() -> None:
    finding = parse_trace(json_lines(ATTACHED, CALLS, {"type": "map", "data": {"@start": {"77": 123456}}}))
    assert finding.status == "valid" and len(finding.calls) == 2


def test_key_that_is_there_twice_in_json() -> None:
    text = '{"type": "map", "data": {"@calls": {"dd,0": 1, "dd,0": 2}}}\n'
    assert parse_trace(text).reason == "malformed"


def test_map_that_was_printed_twice_counts_once() -> None:
    text = "@total[dd, 0]: 5\n\n@total[dd, 0]: 9\n\n"
    assert table(parse_trace(text)) == {("dd", 0): (9, None)}
    assert parse_trace("@total[dd, 0]: 9\n\n@total[dd, 0]: 5\n\n").reason == "malformed"


def test_standard_error_is_heard() -> None:
    text = "@calls[dd, 0]: 5\n"
    assert parse_trace(text).status == "valid"
    warning = "stdin:1:76-83: WARNING: Map full; can't update element. Try increasing max_map_keys config\n"
    assert parse_trace(text, warning).reason == "map_full"
    assert parse_trace(text, "Attached 1 probe\n1000+0 records in\n").status == "valid"
    assert parse_trace("", "stdin:1:1-38: ERROR: tracepoint not found: x:y\n").reason == "tracer_error"
    harmless = "ERROR: Unknown error -1: couldn't set RLIMIT_MEMLOCK for bpftrace.\n"
    assert parse_trace("", harmless).reason == "tracer_killed"


def test_last_number_without_a_line_ending_may_be_cut() -> None:
    finding = parse_trace("@calls[dd, 0]: 5\n@calls[dd, 1]: 10")
    assert (finding.status, finding.reason) == ("invalid", "truncated")


def test_notes_with_a_wrapper_around_every_row() -> None:
    text = (
        "[STDOUT] @total[sockperf, tracepoint:syscalls:sys_enter_recvfrom]: 455731\n"
        "[STDOUT] @total[sockperf, tracepoint:syscalls:sys_enter_sendto]: 455731\n```\n"
    )
    assert table(parse_trace(text)) == {
        ("sockperf", "sys_enter_recvfrom"): (455731, None),
        ("sockperf", "sys_enter_sendto"): (455731, None),
    }


@pytest.mark.parametrize("output", ["@calls[dd, 0]: 5\n", "Lost 5 events\n@calls[dd, 0]: 5\n", ""])
def test_version_that_was_kept_before_the_output(output: str) -> None:
    [finding] = iterate("$ bpftrace --version\nbpftrace v0.23.2\nAttaching 1 probe...\n" + output)
    assert finding.version == "0.23.2"


def test_several_outputs_in_one_file() -> None:
    text = (
        "### server\n```\n@total[a, 0]: 1\n@total[a, 1]: 2\n```\n### client\n```\n"
        "@total[a, 0]: 1\n\nAttaching 1 probe...\nwords of the traced program\n@total[c, 0]: 4\n\n"
    )
    findings = list(iterate(text))
    assert [finding.line for finding in findings] == [3, 8, 10]
    assert [[(row.comm, row.number) for row in finding.calls] for finding in findings] == [
        [("a", 0), ("a", 1)],
        [("a", 0)],
        [("c", 0)],
    ]


def test_other_json_is_left_alone() -> None:
    assert list(iterate('{"event":"start","data":{}}\n{"type": "something"}\n{\n  "start": {\n')) == []


@pytest.mark.parametrize("kind", ["[]", '["map"]', "{}", "1", "null", "true"])
def test_a_type_that_is_no_word_is_of_somebody_else(kind: str) -> None:
    assert list(iterate(f'{{"type": {kind}, "data": {{}}}}\n')) == []


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(FILES), st.data())
def test_a_cut_output_never_raises_and_no_count_is_wrong(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    whole = table(parse_trace(content.decode()))
    finding = parse_trace(content[: data.draw(st.integers(0, len(content)))].decode(errors="replace"))
    if finding.status != "valid" or EXPECTED[path.stem][0] != "valid":
        return
    for key, (calls, nanoseconds) in table(finding).items():
        assert calls in (whole[key][0], None) and nanoseconds in (whole[key][1], None)


NAMES = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\u2028\x85"),
    min_size=1,
    max_size=15,
).filter(lambda name: name.strip() == name and not re.search(r"sys_(enter|exit)_", name))


@settings(deadline=None)
@given(st.dictionaries(st.tuples(NAMES, st.integers(0, 500)), st.integers(0, 2**53), min_size=1, max_size=30))
def test_rendered_maps_parse_back(counts: dict[tuple[str, int], int]) -> None:
    # One plain name, as there always is, shows how many columns there are.
    counts[("bpftrace", 59)] = 1
    expected = {key: (value, None) for key, value in counts.items()}
    document = {
        "type": "map",
        "data": {"@calls": {f"{name},{id}": value for (name, id), value in counts.items()}},
    }
    finding = parse_trace(json_lines(ATTACHED, document))
    assert finding.status == "valid", finding.detail
    assert table(finding) == expected


@settings(deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.from_regex(r"[a-zA-Z][\w :/.-]{0,13}[a-z]", fullmatch=True), st.integers(0, 500)),
        st.integers(0, 2**63),
        min_size=1,
        max_size=30,
    )
)
def test_rendered_text_maps_parse_back(counts: dict[tuple[str, int], int]) -> None:
    text = "".join(f"@calls[{name}, {id}]: {value}\n" for (name, id), value in counts.items())
    finding = parse_trace("Attaching 1 probe...\n" + text + "\n\n")
    assert finding.status == "valid", finding.detail
    assert table(finding) == {key: (value, None) for key, value in counts.items()}


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('@calls[d,0]: 123\n{}"typemaphist'), max_size=300))
def test_any_text_is_survived(text: str) -> None:
    parse_trace(text)


def test_memory_does_not_grow_with_foreign_lines() -> None:
    recogniser = BpftraceRecogniser()
    assert not list(recogniser.feed("@total[dd, 0]: 5", 1))
    done = [finding for number in range(2, 1000) for finding in recogniser.feed("[  5]  0.00-1.00", number)]
    assert [finding.status for finding in done] == ["valid"]
    assert recogniser._output is None
