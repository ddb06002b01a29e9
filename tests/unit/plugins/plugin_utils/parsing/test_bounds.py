"""What a figure can be at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Sample
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.bounds import BOUNDS, beyond
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from clone import CAPTURES

Document = dict[str, Any]


def read(text: str) -> list[Finding]:
    return list(scan(text.splitlines(keepends=True)))


def changed(change: Callable[[Document], None], name: str = "3.12/tcp.client.json") -> Finding:
    document: Document = json.loads((CAPTURES / "iperf3" / name).read_text())
    change(document)
    (finding,) = read(json.dumps(document, indent=1))
    return finding


def sums(**figures: float) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        for name in ("sum_sent", "sum_received"):
            document["end"][name].update(figures)

    return change


@pytest.mark.parametrize(
    "change",
    [
        sums(bits_per_second=1e308),
        sums(bits_per_second=1e15),
        sums(bytes=1e30),
        sums(seconds=1e300),
        sums(retransmits=1e19),
        lambda document: document["end"]["cpu_utilization_percent"].update(host_total=1e7),
    ],
)
def test_a_figure_that_cannot_be_is_refused(change: Callable[[Document], None]) -> None:
    finding = changed(change)
    assert (finding.status, finding.reason) == ("invalid", "out_of_bounds")
    assert finding.samples == ()


def test_text_with_a_figure_that_cannot_be_is_refused() -> None:
    text = (CAPTURES / "iperf3" / "synthetic" / "summary-4-streams.txt").read_text()
    (finding,) = read(text.replace(" GBytes", " TBytes").replace(" Gbits", " Tbits").replace("23.5 T", "23500 T"))
    assert (finding.status, finding.reason) == ("invalid", "out_of_bounds")
    (finding,) = read("@calls[dd, 0]: 99999999999999999999\n@calls[dd, 1]: 5\n")
    assert (finding.status, finding.reason, finding.calls) == ("invalid", "out_of_bounds", ())


@pytest.mark.parametrize("unit", BOUNDS)
def test_every_unit_has_bounds(unit: str) -> None:
    least, most = BOUNDS[unit]
    for value in (least - 1e-9, most * 1.01, float("nan"), float("inf"), -float("inf")):
        assert beyond([Sample("figure", unit, value)])
    for value in (least, most / 2):
        assert not beyond([Sample("figure", unit, value)])


def test_no_message_takes_longer_than_the_run() -> None:
    assert not beyond([Sample("rtt_max", "us", 9e6)], {"seconds": 9.55})
    assert "rtt_max" in beyond([Sample("rtt_max", "us", 11e6)], {"seconds": 9.55})


def test_a_rate_that_does_not_follow_from_bytes_and_seconds_is_refused() -> None:
    finding = changed(lambda document: document["end"]["sum_received"].update(bits_per_second=1e9))
    assert (finding.status, finding.reason) == ("invalid", "malformed")


def test_streams_that_do_not_add_up_are_refused() -> None:
    def change(document: Document) -> None:
        document["end"]["streams"][0]["receiver"]["bytes"] //= 2

    finding = changed(change, "3.18/parallel.client.json")
    assert (finding.status, finding.reason) == ("invalid", "streams_disagree")
    finding = changed(lambda document: document["intervals"][0]["streams"].pop(), "3.18/parallel.client.json")
    assert (finding.status, finding.reason) == ("invalid", "streams_disagree")


ROWS = (CAPTURES / "iperf3" / "synthetic" / "summary-4-streams.txt").read_text().splitlines(keepends=True)


@pytest.mark.parametrize("number", range(1, len(ROWS)))
@pytest.mark.parametrize("times", [0, 2])
def test_rows_of_a_summary_are_as_many_as_streams(number: int, times: int) -> None:
    """A receiver's row doubled once gave one stream's rate as the total of four."""
    (whole,) = read("".join(ROWS))
    received = {sample.value for sample in whole.samples if sample.metric == "throughput_received"}
    for finding in read("".join([*ROWS[:number], *ROWS[number : number + 1] * times, *ROWS[number + 1 :]])):
        if finding.status == "valid":
            assert {sample.value for sample in finding.samples if sample.metric == "throughput_received"} <= received


def test_a_doubled_or_changed_row_of_a_summary_is_named() -> None:
    for text in ("".join([*ROWS[:3], ROWS[2], *ROWS[3:]]), "".join(ROWS).replace("19.4 GBytes  5.56", "9.4 GBytes  2.69")):
        (finding,) = read(text)
        assert (finding.status, finding.reason) == ("invalid", "streams_disagree"), finding.detail
