"""The rules by which an iperf3 document is judged, one at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.json_output import (
    JsonRecogniser,
    load,
    parse_document,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.measured import (
    classify_error,
    version_number,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding

CAPTURES = clone.CAPTURES / "iperf3"
Document = dict[str, Any]


def text_of(name: str) -> str:
    return (CAPTURES / name).read_text()


def changed(change: Callable[[Document], None], name: str = "3.12/tcp.client.json") -> Finding:
    document: Document = json.loads(text_of(name))
    change(document)
    return parse_document(json.dumps(document, indent="\t"))


def metrics(finding: Finding) -> dict[str, float]:
    return {sample.metric: sample.value for sample in finding.samples}


def recognise(text: str) -> list[Finding]:
    recogniser = JsonRecogniser()
    found = [one for number, line in enumerate(text.splitlines(), 1) for one in recogniser.feed(line, number)]
    return [*found, *recogniser.close()]


def seconds(value: float) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        received = document["end"]["sum_received"]
        received.update(seconds=value, bits_per_second=8 * received["bytes"] / value)
        document["intervals"] = []

    return change


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        (2.0, "valid", ""),
        (1.81, "valid", ""),
        (2.19, "valid", ""),
        (1.79, "invalid", "short_run"),
        (2.21, "invalid", "long_run"),
    ],
)
def test_seconds_must_be_those_asked_for(value: float, status: str, reason: str) -> None:
    finding = changed(seconds(value))
    assert (finding.status, finding.reason) == (status, reason)


def test_two_percent_of_a_long_run_may_be_missing() -> None:
    def change(document: Document) -> None:
        seconds(98.1)(document)
        document["start"]["test_start"]["duration"] = 100

    assert changed(change).status == "valid"


def test_missing_stream() -> None:
    finding = changed(lambda document: document["end"]["streams"].pop(), "3.12/parallel.client.json")
    assert (finding.status, finding.reason) == ("invalid", "missing_streams")


def test_missing_intervals() -> None:
    def change(document: Document) -> None:
        document["start"]["test_start"]["duration"] = 10
        document["end"]["sum_received"]["seconds"] = 10.0

    finding = changed(change)
    assert (finding.status, finding.reason) == ("invalid", "short_run")


def test_an_interval_that_a_busy_machine_stretched_is_no_fault() -> None:
    """Up to 3.16 the length of an interval that was asked for is not printed, and the next one is shorter instead."""

    def change(document: Document) -> None:
        document["start"]["test_start"]["duration"] = 30
        first = document["intervals"][0]
        ends = [*range(20), 20.3, *range(21, 31)]
        document["intervals"] = [
            first | {"sum": first["sum"] | {"start": start, "end": end, "seconds": end - start}}
            for start, end in itertools.pairwise(ends)
        ]
        moved = 30 * first["sum"]["bytes"]
        for role in ("sender", "receiver"):
            document["end"]["streams"][0][role]["bytes"] = moved
        for name in ("sum_sent", "sum_received"):
            document["end"][name].update(bytes=moved, seconds=30.0, bits_per_second=8 * moved / 30)

    assert changed(change).status == "valid"


def test_nothing_received_is_invalid_and_has_no_throughput() -> None:
    finding = changed(lambda document: document["end"]["sum_received"].update(bytes=0, bits_per_second=0))
    assert (finding.status, finding.reason) == ("invalid", "no_data")
    assert "throughput_received" not in metrics(finding)


def test_no_end_is_failed() -> None:
    finding = changed(lambda document: document.update(end={}))
    assert (finding.status, finding.reason) == ("failed", "no_data")
    assert finding.samples == ()


def test_retransmits_absent_where_not_reported() -> None:
    def change(document: Document) -> None:
        del document["end"]["sum_sent"]["retransmits"]

    assert "retransmits" not in metrics(changed(change))
    assert "retransmits" not in metrics(
        changed(lambda document: document["end"]["sum_sent"].update(retransmits=-1))
    )


def test_no_round_trip_time_is_a_figure() -> None:
    for path in CAPTURES.rglob("*.json"):
        for finding in recognise(path.read_text()):
            assert not any("rtt" in sample.metric for sample in finding.samples)


def test_duplicate_keys_that_nothing_explains() -> None:
    text = text_of("3.12/tcp.client.json").replace('"sum_received":', '"sum_sent":')
    finding = parse_document(text)
    assert (finding.status, finding.reason) == ("invalid", "duplicate_keys")


def test_equal_duplicates_are_no_problem() -> None:
    text = text_of("3.12/tcp.client.json").replace('"reverse":\t0,', '"reverse":\t0,\n"reverse":\t0,')
    assert parse_document(text).status == "valid"


def test_nan_is_not_a_figure() -> None:
    text = text_of("3.12/udp.client.json")
    jitter = json.loads(text)["end"]["sum_received"]["jitter_ms"]
    finding = parse_document(text.replace(f"{jitter}", "-nan"))
    assert finding.status == "valid"
    assert "jitter" not in metrics(finding)


def test_a_document_cut_off_before_another_begins() -> None:
    first, second = text_of("3.12/tcp.client.json"), text_of("3.12/udp.client.json")
    cut = first.splitlines()[:40]
    found = recognise("\n".join([*cut, second]))
    assert [(one.status, one.reason) for one in found] == [("failed", "truncated"), ("valid", "")]
    assert found[0].version == "3.12"
    assert found[1].line == 41


def test_warnings_inside_and_after_a_document() -> None:
    lines = text_of("3.12/tcp.client.json").splitlines()
    lines[10:10] = [
        "iperf3: warning: something",
        "WARNING: Size of data read does not correspond",
    ]
    finding = parse_document("\n".join([*lines[:-1], "}iperf3: exiting"]))
    assert finding.status == "valid"
    assert metrics(finding) == metrics(parse_document(text_of("3.12/tcp.client.json")))


def test_other_programs_json_is_passed_over() -> None:
    text = '{"error": "x"}\n{\n  "title": "x",\n  "a": {}\n}\n'
    text += '{"event": "done"}\n{"type": "map", "data": {"@": {}}}\n'
    assert recognise(text) == []


def test_foreign_text_after_a_cut_off_document_is_not_kept() -> None:
    recogniser = JsonRecogniser()
    lines = text_of("3.12/tcp.client.json").splitlines()[:30] + ["not of this document"] * 100
    found = [one for number, line in enumerate(lines, 1) for one in recogniser.feed(line, number)]
    assert [one.reason for one in found] == ["truncated"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_output"),
        (" \n\n", "no_output"),
        ("hello", "malformed"),
        ("{", "truncated"),
        ('{\n\t"start":\t{\n', "truncated"),
        ('{"start": {"version": "iperf 3.9"} x}', "malformed"),
        ("iperf3: error - unable to connect to server: Connection refused", "refused"),
        ("iperf3: error - unrecognized option", "tool_error"),
    ],
)
def test_output_without_a_document(text: str, reason: str) -> None:
    finding = parse_document(text)
    assert (finding.status, finding.reason, finding.samples) == ("failed", reason, ())
    document, problems = load(text)
    assert problems[0].reason == reason
    assert document is None or "end" not in document


def test_two_runs_in_what_should_be_one_documents_output() -> None:
    finding = parse_document(text_of("3.12/tcp.client.json") * 2)
    assert (finding.status, finding.reason) == ("invalid", "malformed")


def test_a_server_stopped_after_its_run_has_one_run() -> None:
    stopped = '{\n"start": {"connected": [], "version": "iperf 3.12"}, "intervals": [], "end": {},\n'
    stopped += '"error": "interrupt - the server has terminated"}\n'
    assert parse_document(text_of("3.12/tcp.server.json") + stopped).status == "valid"


def test_the_servers_own_losses_are_preferred() -> None:
    def change(document: Document) -> None:
        received = document["server_output_json"]["end"]["sum_received"]
        received.update(lost_packets=received["packets"] // 4)

    finding = changed(change, "3.12/udp-server-output.client.json")
    assert metrics(finding).get("loss") is None  # the bytes say that nothing was lost

    def consistent(document: Document) -> None:
        end = document["end"]["sum_received"]
        document["server_output_json"]["start"]["version"] = "iperf 3.9"
        end.update(lost_packets=0)
        for received in (end, document["server_output_json"]["end"]["sum_received"]):
            received.update(
                bytes=received["bytes"] * 3 // 4, bits_per_second=received["bits_per_second"] * 3 / 4
            )
        document["server_output_json"]["end"]["sum_received"].update(lost_packets=end["packets"] // 4)

    finding = changed(consistent, "3.12/udp-server-output.client.json")
    assert metrics(finding)["loss"] == pytest.approx(25, abs=0.1)
    assert any("3.9" in note for note in finding.notes)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("error - the server is busy running a test. try again later", "busy"),
        ("unable to connect to server: Connection refused", "refused"),
        ("control socket has closed unexpectedly", "interrupted"),
        ("interrupt - the client has terminated by signal Interrupt(2)", "interrupted"),
        ("error - unable to receive cookie at server: Bad file descriptor", "tool_error"),
        ("unable to connect to server: No route to host", "address_missing"),
        ("error - unable to start listener for connections: Address already in use", "address_in_use"),
        ("error - unable to send control message: Bad file descriptor", "refused"),
        ("the client has unexpectedly closed the connection", "interrupted"),
        ("parameter error - must either be a client (-c) or server (-s)", "bad_option"),
        ("unrecognized option '--bidir'", "bad_option"),
        ("option requires an argument -- 'c'", "bad_option"),
    ],
)
def test_errors_are_sorted(message: str, reason: str) -> None:
    assert classify_error(message) == reason


def test_loss_of_a_short_run_is_compared_with_its_bytes_too() -> None:
    def change(document: Document) -> None:
        received = document["end"]["sum_received"]
        received.update(packets=90, lost_packets=0, bytes=27 * document["start"]["test_start"]["blksize"])

    finding = changed(change, "3.22/udp.client.json")
    assert "loss" not in metrics(finding)
    assert any(note.startswith("loss is left out") for note in finding.notes)


def test_versions_sort_as_numbers() -> None:
    assert version_number("3.9") < version_number("3.10.1+") < version_number("3.21")
    assert version_number(None) == ()


def test_documents_of_files_without_a_last_line_ending_are_all_found() -> None:
    texts = [(CAPTURES / name).read_text().strip() for name in ("3.12/tcp.client.json", "3.22/udp.client.json")]
    texts.append(json.dumps(json.loads(texts[0])))
    findings = recognise("".join(texts) + "\n")
    assert [(found.status, found.mode) for found in findings] == [
        ("valid", "tcp"),
        ("valid", "udp"),
        ("valid", "tcp"),
    ]
    first = texts[0].count("\n") + 1
    assert [found.line for found in findings] == [1, first, first + texts[1].count("\n")]


def test_many_documents_in_one_line_take_no_recursion() -> None:
    assert recognise('{"start": 0, "end": 1}' * 20_000) == []


def test_a_receivers_figure_that_is_no_number_is_no_valid_run() -> None:
    finding = changed(lambda document: document["end"]["sum_received"].update(bits_per_second="1"))
    assert (finding.status, finding.reason) == ("invalid", "no_data")


def test_what_cannot_be_believed_has_no_figures() -> None:
    finding = changed(lambda document: document["start"]["test_start"].update(duration=60))
    assert (finding.status, finding.reason, finding.samples) == ("invalid", "short_run", ())


def test_another_programs_large_document_is_not_kept() -> None:
    recogniser = JsonRecogniser()
    for number, line in enumerate(["{", '"title": "report",', *['"count": 1,'] * 5000], 1):
        assert not list(recogniser.feed(line, number))
    assert len(recogniser._scanner._lines) <= 100
    assert not list(recogniser.close())


def test_sorted_keys_make_no_difference() -> None:
    for name in ("3.12/parallel.client.json", "3.22/udp-bidir.client.json"):
        text = json.dumps(json.loads(text_of(name)), indent=4, sort_keys=True)
        (finding,), (expected,) = recognise(text), recognise(text_of(name))
        assert (finding.status, metrics(finding)) == ("valid", metrics(expected))


@pytest.mark.parametrize("value", ["[]", "{}", "[true]"])
def test_a_list_where_a_word_stands_otherwise_never_raises(value: str) -> None:
    assert recognise(f'{{"start": {{}}, "event": {value}}}') == []
    (finding,) = recognise(
        text_of("3.12/tcp.client.json").replace('"sum_sent":\t{', f'"sum_sent":\t{{"sender": {value}}},\n"sum_sent":\t{{', 1)
    )
    assert finding.reason == "duplicate_keys"
