"""What holds for any output of iperf3, whole, cut off, surrounded by other text, or damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.json_output import (
    parse_document,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from hypothesis import given, settings
from hypothesis import strategies as st
from recognised import recognise

CAPTURES = clone.CAPTURES / "iperf3"
FILES = sorted(
    path for path in CAPTURES.rglob("*.*") if path.suffix in (".json", ".txt") and path.name != "golden.txt"
)
NAMES = [str(path.relative_to(CAPTURES)) for path in FILES]
EVERY_BYTE = [
    "3.9/bidir.client.json",
    "3.12/tcp.client.json",
    "3.12/udp.server.json",
    "3.22/udp.client.json",
    "3.22/stream.client.json",
    "synthetic/no-newline.json",
    *(name for name in NAMES if name.endswith(".txt") and ("3.12" in name or "synthetic" in name)),
]


@cache
def text_of(name: str) -> str:
    return (CAPTURES / name).read_text()


@cache
def whole(name: str) -> list[Finding]:
    return recognise(text_of(name))


def metrics(finding: Finding) -> dict[str, float]:
    return {sample.metric: sample.value for sample in finding.samples}


def assert_no_wrong_figures(cut: list[Finding], complete: list[Finding]) -> None:
    """A valid finding of a part has the figures that the whole has at the same place."""
    figures = {finding.line: metrics(finding) for finding in complete if finding.status == "valid"}
    for finding in cut:
        if finding.status == "valid":
            assert metrics(finding).items() <= figures[finding.line].items()


@pytest.mark.parametrize("name", EVERY_BYTE)
def test_cut_off_at_any_byte(name: str) -> None:
    text = text_of(name)
    for length in range(len(text)):
        assert_no_wrong_figures(recognise(text[:length]), whole(name))


@given(name=st.sampled_from(NAMES), share=st.floats(0, 1))
def test_cut_off_anywhere(name: str, share: float) -> None:
    text = text_of(name)
    cut = text[: int(share * len(text))]
    assert_no_wrong_figures(recognise(cut), whole(name))
    finding = parse_document(cut)
    if finding.status == "valid":
        assert_no_wrong_figures([finding], whole(name))


FAULTLESS = [name for name in NAMES if not any(fault in name for fault in ("interrupted", "stopped", "busy"))]


@given(name=st.sampled_from(FAULTLESS), share=st.floats(0, 1))
def test_the_end_alone_is_no_other_figure(name: str, share: float) -> None:
    """Text without its beginning, cut at a line, may still be read, but not as something else.

    Where the beginning is an error's message, what is left of a run broken off can look like a run.
    """
    lines = text_of(name).splitlines()
    figures = [metrics(finding) for finding in whole(name) if finding.status == "valid"]
    for finding in recognise("\n".join(lines[int(share * len(lines)) :])):
        if finding.status == "valid" and "throughput_received" in metrics(finding):
            assert any(
                metrics(finding)["throughput_received"] == figure.get("throughput_received")
                for figure in figures
            )


JUNK = st.lists(
    st.one_of(
        st.text(
            st.characters(codec="utf-8", exclude_characters="[]{}\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
        ),
        st.sampled_from(
            [
                "WARNING:  Size of data read does not correspond to offered length",
                "warning: this system does not seem to support IPv6 - trying IPv4",
                "```",
                "# Throughput",
                "$ iperf3 -c 192.0.2.1 -t 2",
                "@total[iperf3, tracepoint:syscalls:sys_enter_read]: 17",
                '{"type": "map", "data": {"@calls": {"iperf3,0": 5}}}',
                "sockperf: Summary: Latency is 32.867 usec",
            ]
        ),
    ),
    max_size=4,
)


def without_line(finding: Finding) -> tuple[object, ...]:
    return (
        finding.status,
        finding.reason,
        finding.mode,
        finding.side,
        dict(finding.parameters),
        finding.samples,
    )


@given(name=st.sampled_from([name for name in NAMES if "summary" not in name]), before=JUNK, after=JUNK)
def test_junk_around_changes_nothing(name: str, before: list[str], after: list[str]) -> None:
    text = "\n".join([*before, text_of(name).rstrip("\n"), *after])
    assert [without_line(one) for one in recognise(text)] == [without_line(one) for one in whole(name)]


@given(name=st.sampled_from([name for name in NAMES if name.endswith(".json")]), before=JUNK, after=JUNK)
def test_junk_around_one_document_changes_nothing(name: str, before: list[str], after: list[str]) -> None:
    text = "\n".join([*before, text_of(name).rstrip("\n"), *after])
    if parse_document(text_of(name)).reason not in ("malformed",):
        assert without_line(parse_document(text)) == without_line(parse_document(text_of(name)))


@given(first=st.sampled_from(NAMES), second=st.sampled_from([n for n in NAMES if "client" in n]))
def test_two_outputs_in_one_file_stay_apart(first: str, second: str) -> None:
    together = recognise(text_of(first).rstrip("\n") + "\n" + text_of(second))
    valid = [metrics(one) for name in (first, second) for one in whole(name) if one.status == "valid"]
    assert all(metrics(one) in valid for one in together if one.status == "valid")


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_damage_never_raises(data: st.DataObject, name: str) -> None:
    text = text_of(name)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        text = text[:at] + data.draw(st.text(max_size=6)) + text[at + data.draw(st.integers(0, 6)) :]
    recognise(text)
    parse_document(text)


@given(st.text())
def test_any_text_is_a_failed_run_as_a_document(text: str) -> None:
    assert parse_document(text).status == "failed"
    recognise(text)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (object, key) of a document; of a list the first two items."""
    inside = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inside = list(enumerate(value))[:2]
    for key, inner in inside:
        yield value, key
        yield from places(inner)


@pytest.mark.parametrize("name", ["3.12/udp.client.json", "3.9/bidir.client.json"])
def test_another_kind_of_value_in_any_place_never_raises(name: str) -> None:
    document = json.loads(text_of(name))
    for holder, key in list(places(document)):
        kept = holder[key]
        for value in ([], {}, None, "x", -1, True, [[]]):
            holder[key] = value
            parse_document(json.dumps(document))
        holder[key] = kept


@given(data=st.data(), value=ANY_JSON)
def test_values_of_any_type_never_raise(data: st.DataObject, value: Any) -> None:
    document = json.loads(text_of("3.12/udp.client.json"))
    place = document
    for _ in range(data.draw(st.integers(0, 4))):
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    if isinstance(place, dict):
        place[data.draw(st.sampled_from(list(place)))] = value
    text = json.dumps(document)
    finding = parse_document(text)
    assert all(math.isfinite(sample.value) for sample in finding.samples)
    recognise(text)


def printed(value: float, unit: str) -> str:
    """Print as iperf3 does: four places at most, as many digits after the point as fit."""
    if value < 9.995:
        return f"{value:4.2f} {unit}"
    return f"{value:4.1f} {unit}" if value < 99.95 else f"{value:4.0f} {unit}"


def scaled(value: float, base: float, prefix: str) -> float:
    return value / base ** " KMGT".index(prefix or " ")


def adaptive(value: float, base: float) -> str:
    prefixes = ["", "K", "M", "G", "T"]
    while value >= base and len(prefixes) > 1:
        value /= base
        prefixes.pop(0)
    return prefixes[0]


def rendered(received: int, sent: int, seconds: int, prefix: str | None, unit: str, retransmits: int) -> str:
    rows = []
    for count, tail in (
        (sent, f"{retransmits:3d}             sender"),
        (received, "                receiver"),
    ):
        transfer = adaptive(count, 1024)
        rate = count / seconds * (8 if unit == "bits" else 1)
        base = 1000 if unit == "bits" else 1024
        shown = prefix if prefix is not None else adaptive(rate, base)
        rows.append(
            f"[  5] {0:6.2f}-{seconds:<6.2f} sec"
            f"  {printed(scaled(count, 1024, transfer), transfer + 'Bytes')}"
            f"  {printed(scaled(rate, base, shown), shown + unit)}/sec  {tail}"
        )
    return "\n".join(
        [
            "Connecting to host 192.0.2.1, port 5201",
            "[  5] local 192.0.2.2 port 40000 connected to 192.0.2.1 port 5201",
            "[ ID] Interval           Transfer     Bitrate         Retr",
            *rows,
            "",
            "iperf Done.",
        ]
    )


@given(
    received=st.integers(10**6, 10**13),
    seconds=st.integers(1, 3600),
    unit=st.sampled_from(["bits", "Bytes"]),
    retransmits=st.integers(0, 10**6),
)
def test_rendered_figures_parse_back(received: int, seconds: int, unit: str, retransmits: int) -> None:
    (finding,) = recognise(rendered(received, received, seconds, None, unit, retransmits))
    assert finding.status == "valid"
    found = metrics(finding)
    assert found["throughput_received"] == pytest.approx(8 * received / seconds, rel=0.006)
    assert found["throughput_sent"] == found["throughput_received"]
    assert found["retransmits"] == retransmits


@given(received=st.integers(10**10, 10**13))
def test_units_agree(received: int) -> None:
    rates = [
        metrics(recognise(rendered(received, received, 10, prefix, unit, 0))[0])["throughput_received"]
        for unit in ("bits", "Bytes")
        for prefix in ("K", "M", "G")
    ]
    assert max(rates) == pytest.approx(min(rates), rel=0.012)


@given(
    received=st.integers(1, 10**13),
    sent=st.integers(1, 10**13),
    retransmits=st.integers(0, 10**9) | st.none(),
    seconds=st.integers(1, 600),
    reverse=st.booleans(),
    indent=st.sampled_from([None, 2, "\t"]),
)
def test_rendered_documents_parse_back(
    received: int, sent: int, retransmits: int | None, seconds: int, reverse: bool, indent: int | str | None
) -> None:
    document = json.loads(text_of("3.12/tcp.client.json"))
    document["intervals"] = []
    test, end = document["start"]["test_start"], document["end"]
    test["duration"], test["reverse"] = seconds, int(reverse)
    for name, count in (("sum_sent", sent), ("sum_received", received)):
        end[name] |= {"bytes": count, "seconds": seconds, "bits_per_second": 8 * count / seconds}
    end["streams"] = [{"sender": {"bytes": sent}, "receiver": {"bytes": received}}]
    del end["sum_sent"]["retransmits"]
    if retransmits is not None:
        end["sum_sent"]["retransmits"] = retransmits
    text = json.dumps(document, indent=indent)
    for finding in (parse_document(text), *recognise(text)):
        assert finding.status == "valid"
        assert finding.mode == ("tcp-reverse" if reverse else "tcp")
        found = metrics(finding)
        assert found["throughput_received"] == 8 * received / seconds
        assert found["throughput_sent"] == 8 * sent / seconds
        assert found.get("retransmits") == retransmits
