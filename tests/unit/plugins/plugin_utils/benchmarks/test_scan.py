"""Finding every tool's output in one pass over a text of anything."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import scan as scanning
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import outputs_of, scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from clone import CAPTURES
from hypothesis import given, settings
from hypothesis import strategies as st


def _outputs() -> dict[str, str]:
    found = {}
    for path in sorted((CAPTURES / "records").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for side in ("server", "client"):
            found[f"{path.stem}-{side}"] = record[side]["stdout"]
            if record[side]["trace"]:
                found[f"{path.stem}-{side}-trace"] = record[side]["trace"]["output"]
    return found


OUTPUTS = _outputs()
NOTES = (CAPTURES / "notes" / "notes.md").read_text(encoding="utf-8")


def findings_of(text: str) -> list[Finding]:
    return list(scan(text.splitlines(keepends=True)))


def without_lines(findings: list[Finding]) -> list[Finding]:
    return [replace(finding, line=1) for finding in findings]


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_output_is_one_valid_finding(name: str) -> None:
    (finding,) = findings_of(OUTPUTS[name])
    if name == "iperf3_reverse-server":
        # A server that only sends cannot say what arrived.
        assert (finding.status, finding.reason) == ("invalid", "no_data")
    else:
        assert finding.status == "valid", f"{finding.reason}: {finding.detail}"
    assert finding.tool == ("bpftrace" if name.endswith("-trace") else name.split("_")[0])


def test_the_notes_hold_six_in_order_of_first_line() -> None:
    findings = findings_of(NOTES)
    assert [finding.tool for finding in findings] == [
        "iperf3", "bpftrace", "bpftrace", "sockperf", "bpftrace", "bpftrace",
    ]  # fmt: skip
    lines = NOTES.splitlines()
    for finding, part in zip(
        findings, ("[ ID]", "sys_enter", "sys_enter", "Total Run", "sys_enter", "sys_enter"), strict=True
    ):
        assert part in lines[finding.line - 1]


def test_everything_behind_one_another_is_found_in_order() -> None:
    names = sorted(OUTPUTS)
    text = "".join(OUTPUTS[name].rstrip("\n") + "\n" for name in names)
    findings = findings_of(text)
    assert len(findings) == len(names)
    assert [finding.line for finding in findings] == sorted(finding.line for finding in findings)
    alone = [finding for name in names for finding in findings_of(OUTPUTS[name])]
    assert without_lines(findings) == without_lines(alone)


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("text", [*OUTPUTS.values(), NOTES, ""], ids=[*OUTPUTS, "notes", "empty"])
def test_one_benchmarks_outputs_are_the_same_alone_as_among_all(name: str, text: str) -> None:
    for damaged in (text, text * 2, NOTES + text, text[: len(text) // 2]):
        assert outputs_of(BENCHMARKS[name], damaged) == [one for one in findings_of(damaged) if one.tool == name]


def test_many_outputs_come_in_the_order_in_which_they_do_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "HELD_FINDINGS", 2)
    text = "".join(OUTPUTS[name] for name in sorted(OUTPUTS)) * 3
    for name, benchmark in BENCHMARKS.items():
        assert outputs_of(benchmark, text) == [one for one in findings_of(text) if one.tool == name]


def test_two_tables_with_the_same_rows_stay_apart() -> None:
    table = "@total[sockperf, tracepoint:syscalls:sys_enter_sendto]: 7\n"
    for between in ("```\n### Client\n```\n", "## Client\n"):
        findings = findings_of(table + between + table)
        assert [[call.calls for call in finding.calls] for finding in findings] == [[7], [7]]


JUNK = st.lists(
    st.sampled_from(
        [
            "",
            "Mar  1 10:00:00 vm1 kernel: eth0: link becomes ready [ OK ] sec",
            "changed: [vm1] => {'a': 1}",
            "PLAY RECAP *****",
            "some prose about the sender and the receiver of 10 messages",
            "```",
            "# Heading",
            "$ ls -l",
        ]
    )
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60).map(lambda text: "~ " + text),
    max_size=6,
)
WRAPPERS = st.sampled_from(["", "[STDOUT] ", "[OUTPUT] "])


@given(st.lists(st.tuples(st.sampled_from(sorted(OUTPUTS)), JUNK, WRAPPERS), min_size=1, max_size=4), JUNK)
@settings(max_examples=60, deadline=None)
def test_junk_and_wrappers_around_captures_change_nothing(
    parts: list[tuple[str, list[str], str]], last: list[str]
) -> None:
    text = ""
    expected: list[Finding] = []
    for name, junk, wrapper in parts:
        text += "".join(line + "\n" for line in junk)
        first = text.count("\n") + 1
        text += "".join(wrapper + line + "\n" for line in OUTPUTS[name].rstrip("\n").split("\n"))
        expected += [replace(found, line=first + found.line - 1) for found in findings_of(OUTPUTS[name])]
    text += "".join(line + "\n" for line in last)
    found = findings_of(text)
    assert [(f.tool, f.status, f.samples, f.calls) for f in found] == [
        (f.tool, f.status, f.samples, f.calls) for f in expected
    ]
    assert [f.line for f in found] == [f.line for f in expected]


@given(
    st.sampled_from(sorted(OUTPUTS)),
    st.sampled_from(["", "[STDOUT] ", "client-1  | ", "2026-03-01T10:00:00Z ", "> "]),
    st.integers(0, 20000),
)
@settings(max_examples=300, deadline=None)
def test_truncation_anywhere_never_gives_a_valid_wrong_figure(name: str, wrapper: str, length: int) -> None:
    text = "".join(wrapper + line for line in OUTPUTS[name].splitlines(keepends=True))
    whole = {
        sample.metric: sample.value for finding in findings_of(OUTPUTS[name]) for sample in finding.samples
    }
    calls = {(c.comm, c.number, c.syscall): c.calls for f in findings_of(OUTPUTS[name]) for c in f.calls}
    for finding in findings_of(text[:length]):
        if finding.status != "valid":
            assert finding.reason
            assert finding.detail
            continue
        for sample in finding.samples:
            assert sample.value == whole[sample.metric]
        for call in finding.calls:
            assert calls[call.comm, call.number, call.syscall] == call.calls


@given(st.lists(st.text(max_size=60), max_size=30))
def test_any_text_never_raises(lines: list[str]) -> None:
    list(scan(lines))


PIECES = """
{ } [ ] "start": "end": { "error": "x" [SUM] [ ID] [  5] 0.00-30.00 sec GBytes Gbits/sec sender receiver
iperf3: sockperf: [Total Run] RunTime= SentMessages= [Valid Duration] ====> avg-latency= percentile 99.999 =
@total[ @calls tracepoint:syscalls:sys_enter_read ]: 12 {"type": "map", "data": observation Summary:
Latency nan inf -1 1e999 99999999999999999999 , : ; - = # ```
"""
TOKENS = st.sampled_from(PIECES.split())


@given(st.lists(st.lists(TOKENS, max_size=12).map(" ".join), max_size=25))
@settings(deadline=None)
def test_shuffled_pieces_of_outputs_never_raise(lines: list[str]) -> None:
    for finding in scan(lines):
        for sample in finding.samples:
            assert sample.value == sample.value
            assert abs(sample.value) != float("inf")


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan"
    monkeypatch.setattr(f"{module}.HELD_FINDINGS", 9)

    def lines(repeats: int) -> Iterator[str]:
        for number in range(repeats):
            for name in ("iperf3_tcp-client", "sockperf_udp-client", "sockperf_udp-client-trace"):
                yield from OUTPUTS[name].splitlines(keepends=True)
            yield f"junk {number} [ in between ]\n"
            yield "{\n"

    def peak(repeats: int) -> int:
        tracemalloc.start()
        for _ in scan(lines(repeats)):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(60) < 2 * peak(6)


def test_a_table_of_calls_cut_within_its_last_number_is_not_valid() -> None:
    row = "@total[iperf3, tracepoint:syscalls:sys_enter_{}]: {}\n"
    whole = row.format("write", 12) + row.format("read", 345)
    for cut in (0, 1, 2, 3):
        text = whole[: len(whole) - cut]
        [found] = scan(text.splitlines(keepends=True))
        assert found.status == ("valid" if cut == 0 else "invalid"), cut
        assert (found.reason == "truncated") == (cut > 0)
        assert cut == 0 or not found.calls


SUMMARY = """[ ID] Interval           Transfer     Bitrate         Retr
[  5]   0.00-30.00  sec  21.7 GBytes  6.21 Gbits/sec    0             sender
[  5]   0.00-30.00  sec  21.7 GBytes  6.21 Gbits/sec                  receiver
"""


@pytest.mark.parametrize("wrapper", ["client-1  | ", "2026-03-01T10:00:00Z ", "[STDOUT] ", "user@vm1 $ ", "> "])
def test_a_wrapper_cut_off_behind_the_first_streams_rows_proves_nothing(wrapper: str) -> None:
    text = "".join(wrapper + line for line in SUMMARY.splitlines(keepends=True))
    for length in range(len(wrapper)):
        [found] = findings_of(text + wrapper[:length])
        assert found.reason == "truncated", wrapper[:length]


@pytest.mark.parametrize("fence", ["```", "```\n", "~~~\n", "# Next\n"])
def test_a_fence_behind_the_rows_of_one_stream_proves_them_whole(fence: str) -> None:
    [found] = findings_of("```\n" + SUMMARY + fence)
    assert found.status == "valid"
    assert "reverse" not in found.parameters, "the table is the same in both directions"


WARNED = """stdin:3:1-12: WARNING: Map full; can't update element. Try increasing max_map_keys config
Additional Info - helper: map_update_elem, retcode: -7
@[args->id] = count();
~~~~~~~~~~~
"""
ROW = "@[iperf3, 0]: {}\n"


@pytest.mark.parametrize("rows", ["", ROW.format(3), ROW.format(3) + WARNED.replace(":3:", ":4:")])
def test_source_quoted_by_a_warning_does_not_end_the_tracers_output(rows: str) -> None:
    """Its tildes are no fence: what follows would be a table of which nobody says that calls are missing."""
    for warned in (WARNED, WARNED.replace("Additional Info - helper: map_update_elem, retcode: -7\n", "")):
        [found] = findings_of("Attaching 1 probe...\n" + rows + warned + ROW.format(17))
        assert (found.reason, found.calls) == ("map_full", ())


@pytest.mark.parametrize(
    "words",
    ["WARNING: map @calls is full", "ERROR: failed to update map: No space left on device", "Lost 12 events"],
)
def test_any_word_of_a_loss_spoils_the_counts(words: str) -> None:
    [found] = findings_of("Attaching 1 probe...\n" + words + "\n\n" + ROW.format(17))
    assert found.reason == ("lost_events" if words.startswith("Lost") else "map_full")


@pytest.mark.parametrize(
    "line",
    [
        "sudo " + "a/" * 100_000 + " sockperf x",
        "sudo " + "a " * 100_000 + "sockperf",
        "@[iperf3, 0]: 5\nWARNING: " + "map " * 50_000,
        "a@b:" + "$" * 100_000,
        '{"start":' * 50_000,
        "{ " * 100_000,
    ],
    ids=lambda line: line[:12],
)
def test_a_long_line_takes_no_longer_than_its_length(line: str) -> None:
    start = time.process_time()
    list(scan((line + "\n").splitlines(keepends=True)))
    assert time.process_time() - start < 5
