"""Text of iperf3 that no capture has: cut by people, mixed, or of versions that differ in one thing."""

from __future__ import annotations

from itertools import pairwise

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.text_output import (
    TextRecogniser,
    receivers_datagrams,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding

CAPTURES = clone.CAPTURES / "iperf3"
HEADER = "[ ID] Interval           Transfer     Bitrate         Retr"
SENDER = "[  5]   0.00-30.00  sec  21.7 GBytes  6.21 Gbits/sec   12             sender"
RECEIVER = "[  5]   0.00-30.00  sec  21.7 GBytes  6.21 Gbits/sec                  receiver"


def recognise(*lines: str) -> list[Finding]:
    recogniser = TextRecogniser()
    found = [one for number, line in enumerate(lines, 1) for one in recogniser.feed(line, number)]
    return [*found, *recogniser.close()]


def metrics(finding: Finding) -> dict[str, float]:
    return {sample.metric: sample.value for sample in finding.samples}


def test_one_streams_summary_is_certain_when_something_follows() -> None:
    (finding,) = recognise(HEADER, SENDER, RECEIVER, "", "### next")
    assert finding.status == "valid"
    assert metrics(finding) == {"throughput_received": 6.21e9, "throughput_sent": 6.21e9, "retransmits": 12}


def test_one_streams_summary_at_the_end_of_the_text_may_lack_others() -> None:
    (finding,) = recognise(HEADER, SENDER, RECEIVER)
    assert (finding.status, finding.reason) == ("invalid", "truncated")


def test_several_streams_without_their_sum() -> None:
    others = [line.replace("[  5]", "[  7]") for line in (SENDER, RECEIVER)]
    (finding,) = recognise(HEADER, SENDER, RECEIVER, *others, "iperf Done.")
    assert (finding.status, finding.reason, finding.samples) == ("failed", "truncated", ())


def test_an_interval_that_a_busy_machine_stretched_is_no_fault() -> None:
    ends = [*range(20), 20.3, *range(21, 31)]
    rows = [f"[  5]   {start:.2f}-{end:.2f}  sec  741 MBytes  6.21 Gbits/sec    0" for start, end in pairwise(ends)]
    started = "[  5] local 10.0.0.2 port 50000 connected to 10.0.0.1 port 5201"
    (finding,) = recognise("Connecting to host 10.0.0.1, port 5201", started, HEADER, *rows, HEADER, SENDER, RECEIVER,
                           "", "iperf Done.")
    assert (finding.status, finding.detail) == ("valid", "")


def test_two_summaries_are_two_runs() -> None:
    found = recognise(HEADER, SENDER, RECEIVER, HEADER, SENDER, RECEIVER, "text")
    assert [one.status for one in found] == ["valid", "valid"]


def test_rows_of_several_runs_without_anything_between_them_are_never_mixed() -> None:
    runs = [
        [line.replace("21.7 G", f"{moved} G").replace("6.21 G", f"{rate} G") for line in (SENDER, RECEIVER)]
        for rate, moved in ((6.21, 21.7), (7.21, 25.2))
    ]
    found = recognise(*runs[0], *runs[1], "text")
    assert [metrics(one)["throughput_received"] for one in found] == [6.21e9, 7.21e9]
    first, second = recognise(*runs[0], runs[1][0], "text")
    assert metrics(first) == {"throughput_received": 6.21e9, "throughput_sent": 6.21e9, "retransmits": 12}
    assert "throughput_received" not in metrics(second)
    sums = [line.replace("[  5]", "[SUM]") for line in (*runs[0], *runs[1])]
    assert [metrics(one)["throughput_sent"] for one in recognise(*sums)] == [6.21e9, 7.21e9]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("6.21 Gbits/sec", 6.21e9),
        ("6210 Mbits/sec", 6.21e9),
        ("6210000 Kbits/sec", 6.21e9),
        ("6210000000 bits/sec", 6.21e9),
        ("0.01 Tbits/sec", 1e10),
        ("740 MBytes/sec", 8 * 740 * 2**20),
        ("0.72 GBytes/sec", 8 * 0.72 * 2**30),
        ("1234 KBytes/sec", 8 * 1234 * 2**10),
        ("12 Bytes/sec", 96),
    ],
)
def test_units_of_rates(rate: str, expected: float) -> None:
    row = RECEIVER.replace("6.21 Gbits/sec", rate).replace("21.7 GBytes", f"{30 * expected / 8:.0f} Bytes")
    (finding,) = recognise(HEADER, row, "text")
    assert metrics(finding)["throughput_received"] == pytest.approx(expected)


def test_a_zero_is_not_a_figure() -> None:
    sender = "[  5]   0.00-30.00  sec  0.00 Bytes  0.00 bits/sec                  sender"
    (finding,) = recognise(HEADER, sender, RECEIVER, "text")
    assert set(metrics(finding)) == {"throughput_received"}


def test_a_client_without_its_last_line_was_cut_off() -> None:
    text = (CAPTURES / "3.12/tcp.client.txt").read_text().replace("iperf Done.\n", "")
    (finding,) = recognise(*text.splitlines())
    assert (finding.status, finding.reason) == ("invalid", "truncated")


def test_loss_that_the_bytes_contradict() -> None:
    (finding,) = recognise(
        "[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams",
        "[  5]   0.00-2.00   sec   500 MBytes  2.10 Gbits/sec  0.000 ms  0/390986 (0%)  sender",
        "[  5]   0.00-2.00   sec   150 MBytes   629 Mbits/sec  0.009 ms  0/390986 (0%)  receiver",
        "",
        "iperf Done.",
    )
    assert finding.status == "valid"
    assert set(metrics(finding)) == {"throughput_received", "throughput_sent"}


def test_loss_of_nothing_is_not_zero() -> None:
    (finding,) = recognise(
        "[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams",
        "[  5]   0.00-2.00   sec   500 MBytes  2.10 Gbits/sec  0.000 ms  0/390986 (0%)  sender",
        "[  5]   0.00-2.00   sec  0.00 Bytes  0.00 bits/sec  0.000 ms  0/0 (-nan%)  receiver",
        "",
        "iperf Done.",
    )
    assert (finding.status, finding.reason) == ("invalid", "no_data")
    assert set(metrics(finding)) == {"throughput_sent"}


def test_an_interval_printed_twice_is_a_run_broken_off() -> None:
    text = (CAPTURES / "3.12/interrupted.server.txt").read_text()
    (finding,) = recognise(*[line for line in text.splitlines() if "terminated" not in line])
    assert (finding.status, finding.reason) == ("invalid", "interrupted")


def test_an_error_between_a_logs_runs_is_a_run_of_its_own() -> None:
    log = (CAPTURES / "3.12/log.server.txt").read_text().splitlines()
    log.insert(14, "iperf3: error - unable to receive cookie at server: Bad file descriptor")
    assert [one.reason for one in recognise(*log)] == ["", "tool_error", "", ""]


def test_each_refused_client_is_a_run() -> None:
    refused = "iperf3: error - unable to connect to server: Connection refused"
    found = recognise(refused, refused, HEADER, SENDER, RECEIVER, "text")
    assert [one.reason for one in found] == ["refused", "refused", ""]
    assert [one.line for one in found] == [1, 2, 3]


def test_an_interrupted_client_without_rows_after_a_good_one() -> None:
    good = (CAPTURES / "3.12/tcp.client.txt").read_text().splitlines()
    found = recognise(*good, "iperf3: interrupt - the client has terminated", *good)
    assert sorted(one.reason for one in found) == ["", "", "interrupted"]


def test_output_of_iperf_2_is_not_read() -> None:
    assert (
        recognise("[  3]  0.0-10.0 sec  1.10 GBytes   943 Mbits/sec", "[  3]  0.0000-10.0011 sec  1 GBytes")
        == []
    )


def test_a_server_that_waits_is_no_run() -> None:
    assert recognise("-----", "Server listening on 5201 (test #1)", "-----") == []


def test_a_server_stopped_before_any_run() -> None:
    (finding,) = recognise("Server listening on 5201", "iperf3: interrupt - the server has terminated")
    assert (finding.status, finding.reason, finding.mode) == ("failed", "interrupted", "")


def test_packet_counts_of_a_servers_output() -> None:
    counts = receivers_datagrams((CAPTURES / "3.12/udp-parallel.server.txt").read_text())
    assert counts is not None
    assert counts.packets > 1000
    assert receivers_datagrams("") is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("iperf3: parameter error - must either be a client (-c) or server (-s)", "bad_option"),
        ("iperf3: unrecognized option '--bidir'", "bad_option"),
        ("iperf3: option requires an argument -- 'c'", "bad_option"),
        ("iperf3: error - unable to start listener for connections: Address already in use", "address_in_use"),
    ],
)
def test_a_start_that_came_to_nothing_is_a_failed_run(line: str, reason: str) -> None:
    (finding,) = recognise(line, "", "Usage: iperf3 [-s|-c host] [options]")
    assert (finding.status, finding.reason, finding.detail) == ("failed", reason, line.removeprefix("iperf3: "))


def test_a_client_that_vanished_interrupts_the_servers_run() -> None:
    start = "Accepted connection from 192.0.2.2, port 40000"
    row = "[  5]   0.00-1.00   sec  1.10 GBytes  9.41 Gbits/sec"
    end = "iperf3: the client has unexpectedly closed the connection"
    (finding,) = recognise(start, row, end)
    assert (finding.status, finding.reason) == ("failed", "interrupted")
