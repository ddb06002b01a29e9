"""qperf's text: every capture, every failure, and no text that is believed wrongly."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.qperf.output import iterate, parse_qperf
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from hypothesis import given, settings
from hypothesis import strategies as st

CAPTURES = Path(__file__).parents[5] / "captures" / "qperf" / "0.4.11-debian12"

# What the client's two outputs are read as, standard error where nothing is found in the other.
CLIENT = {
    "tcp_lat": "valid",
    "tcp_lat-traced": "valid",
    "tcp_lat-large": "valid",
    "tcp_bw": "valid",
    "tcp_bw-traced": "valid",
    "udp_lat": "valid",
    "udp_lat-traced": "valid",
    "udp_bw": "valid",
    "udp_bw-traced": "valid",
    "without-quit": "valid",
    "two-tests": "valid valid",
    # The client cannot know that another server answered.
    "port-taken": "valid",
    "one-udp_lat": "invalid message_lost",
    "short-report": "invalid uncounted invalid uncounted",
    "units-of-its-own": "invalid uncounted invalid uncounted",
    "conf": "",
    "lost-request": "invalid message_lost",
    "lost-reply": "invalid message_lost",
    "outage-udp_lat": "invalid tool_error",
    "outage-udp_bw": "invalid tool_error",
    "outage-tcp_bw": "failed peer_lost",
    "refused": "failed refused",
    "too-large": "failed no_messages",
    "empty-messages": "invalid uncounted",
    "bad-option": "failed bad_option",
    "bad-test": "failed bad_option",
    "bad-size": "failed bad_option",
    "no-test": "failed bad_option",
    "server-killed": "failed peer_lost",
    "server-killed-udp": "failed peer_lost",
    "interrupted": "",
    "client-held": "invalid long_run",
    "data-port-refused": "failed refused",
    "data-port-dropped": "",
    "data-port-dropped-udp_lat": "failed no_messages",
    "data-port-dropped-udp_bw": "failed no_data",
    "data-port-taken": "failed no_data",
    "data-port-taken-udp": "failed no_data",
}
SERVER = {
    "conf": "invalid truncated",
    "outage-tcp_bw": "failed peer_lost",
    "refused": "",
    "bad-option": "failed no_data",
    "bad-test": "failed no_data",
    "bad-size": "failed no_data",
    "no-test": "failed no_data",
    "server-killed": "invalid truncated",
    "server-killed-udp": "invalid truncated",
    "interrupted": "failed peer_lost",
    "data-port-refused": "failed refused",
    "data-port-dropped": "invalid truncated",
    "data-port-taken": "failed address_in_use",
    "data-port-taken-udp": "failed address_in_use",
    "port-taken": "failed address_in_use",
}
ROWS = re.findall(
    r"\w+",
    "latency bw send_bw recv_bw msg_rate msg_size time port loc_real_time rem_real_time loc_send_msgs loc_recv_msgs "
    "rem_send_msgs rem_recv_msgs loc_send_bytes loc_recv_bytes rem_send_bytes rem_recv_bytes loc_send_errors",
)
ONE_RUN = sorted(name for name, told in CLIENT.items() if told == "valid")


def text_of(name: str, side: str, stream: str) -> str:
    path = CAPTURES / name / f"{side}-{stream}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def found(name: str, side: str) -> list[Finding]:
    """As the gate reads an end: standard error only where the other has nothing."""
    return list(iterate(text_of(name, side, "stdout"))) or list(iterate(text_of(name, side, "stderr")))


def figures(finding: Finding) -> dict[str, float]:
    result = {sample.metric: sample.value for sample in finding.samples}
    assert len(result) == len(finding.samples), "a metric is there twice"
    return result


def believed(text: str) -> set[tuple[str, float]]:
    """Every figure of a text that is believed."""
    return {(f"{one.mode} {metric}", value) for one in iterate(text) for metric, value in figures(one).items()}


def blocks_of(text: str) -> list[str]:
    """The text of each test."""
    return re.split(r"^(?=\w+:$)", text, flags=re.M)


def told(findings: list[Finding]) -> str:
    return " ".join(f"{finding.status} {finding.reason}".strip() for finding in findings)


def test_every_capture_is_expected() -> None:
    assert sorted(path.name for path in CAPTURES.iterdir()) == sorted(CLIENT)


@pytest.mark.parametrize("name", sorted(CLIENT))
def test_every_capture_is_judged(name: str) -> None:
    findings = found(name, "client")
    assert told(findings) == CLIENT[name], [finding.detail for finding in findings]
    for finding in findings:
        assert finding.tool == "qperf"
        assert bool(finding.samples) == (finding.status == "valid")
        assert bool(finding.detail) == (finding.status != "valid")
    assert told(found(name, "server")) == SERVER.get(name, "valid")


@pytest.mark.parametrize("name", ["data-port-taken", "data-port-taken-udp"])
def test_the_servers_word_is_on_standard_error(name: str) -> None:
    assert told(list(iterate(text_of(name, "client", "stderr")))) == "failed address_in_use"


@pytest.mark.parametrize("name", ONE_RUN)
def test_figures_are_those_printed(name: str) -> None:
    """The results that qperf prints, read without the parser, are those made of the counts."""
    text = text_of(name, "client", "stdout")
    finding = parse_qperf(text)
    shown = figures(finding)

    def printed(row: str) -> list[float]:
        return [float(value) for value in re.findall(rf"^ +{row} += +([\d.]+)", text, re.M)]

    assert sum(printed("loc_send_msgs")) == shown["messages_sent"] == finding.measured["sends"]
    assert sum(printed("rem_recv_msgs")) == finding.measured["receives"]
    assert len(printed("time")) == finding.measured["tests"]
    if finding.mode.endswith("_lat"):
        # Tests of equal length: the mean of all messages is the harmonic mean of the tests' means.
        mean = 1 / fmean(1 / value for value in printed("latency"))
        assert shown["latency_mean"] == pytest.approx(mean / 1e3, rel=0.01)
        assert "throughput_received" not in shown
        assert "bytes_received" not in finding.measured
    else:
        row = "bw" if finding.mode == "tcp_bw" else "recv_bw"
        assert shown["throughput_received"] == pytest.approx(8 * printed(row)[0], rel=1e-10)
        assert "latency_mean" not in shown
        assert "messages_sent" not in finding.measured


@pytest.mark.parametrize("name", ONE_RUN)
def test_parameters_are_those_of_the_command(name: str) -> None:
    words = (CAPTURES / name / "argv").read_text(encoding="utf-8").splitlines()[0].split()
    finding = parse_qperf(text_of(name, "client", "stdout"))
    assert finding.parameters["test"] in words
    assert finding.parameters["message_bytes"] == int(words[words.index("-m") + 1])
    assert finding.parameters["data_port"] == int(words[words.index("-ip") + 1])
    tests = words.count(finding.parameters["test"])
    assert finding.parameters["seconds"] == tests * int(words[words.index("-t") + 1])


@pytest.mark.parametrize("name", [name for name in ONE_RUN if name != "port-taken"])
def test_the_servers_log_tells_what_it_served(name: str) -> None:
    client, (server,) = parse_qperf(text_of(name, "client", "stdout")), found(name, "server")
    assert server.side == "server"
    assert not server.samples
    for parameter in ("test", "protocol", "seconds"):
        assert server.parameters[parameter] == client.parameters[parameter]
    assert server.measured == {"tests": client.measured["tests"]}


@pytest.mark.parametrize("name", sorted(CLIENT))
def test_a_text_without_any_one_line_gives_no_other_figure(name: str) -> None:
    lines = text_of(name, "client", "stdout").splitlines(keepends=True)
    whole = believed("".join(lines))
    for index, line in enumerate(lines):
        before, after = "".join(lines[:index]), "".join(lines[index + 1 :])
        second, rest = "".join(lines[index + 1 : index + 2]), "".join(lines[index + 2 :])
        # The row that counts failures is the only evidence of them.
        if "_errors " not in line:
            assert believed(before + after) <= whole, f"without line {index + 1}"
        assert believed(before + line + line + after) <= whole, f"line {index + 1} twice"
        assert believed(before + second + line + rest) <= whole, f"line {index + 1} behind the next"


@pytest.mark.parametrize("name", ONE_RUN)
def test_a_text_that_was_cut_off_gives_no_other_figure(name: str) -> None:
    text = text_of(name, "client", "stdout")
    whole = believed(text)
    for end in {*range(0, len(text), 11), *range(max(0, len(text) - 300), len(text))}:
        assert believed(text[:end]) <= whole, f"cut off behind {text[max(0, end - 40) : end]!r}"


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(ONE_RUN), st.data())
def test_a_text_that_was_damaged_gives_no_other_figure(name: str, data: st.DataObject) -> None:
    text = text_of(name, "client", "stdout")
    place = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 3))
    damage = data.draw(st.text(st.sampled_from("0123456789. \n=_:,%abcdelmnqrstuvGMK"), max_size=3))
    assert believed(text[:place] + damage + text[place + length :]) <= believed(text)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ONE_RUN), st.data())
def test_a_text_with_a_piece_cut_out_gives_no_other_figure(name: str, data: st.DataObject) -> None:
    """As where a log lost its middle. Only the gate knows of whole tests that are missing."""
    text = text_of(name, "client", "stdout")
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    rest = text[:first] + text[last:]
    if set(blocks_of(rest)) <= set(blocks_of(text)):
        return
    assert believed(rest) <= believed(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_no_text_makes_it_raise(text: str) -> None:
    assert not parse_qperf(text).samples


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["tcp_lat", "udp_lat", "tcp_bw", "udp_bw"]),
    st.lists(
        st.tuples(
            st.sampled_from(ROWS),
            st.sampled_from(["0", "1", "2", "1000000000", "0.0", "9" * 25, "64"]),
            st.sampled_from(["", "ns", "bytes", "/sec", "bytes/sec", "us"]),
        ),
        max_size=20,
    ),
)
def test_no_rows_make_it_raise(test: str, rows: list[tuple[str, str, str]]) -> None:
    parse_qperf(f"{test}:\n" + "".join(f"    {name}  =  {value} {unit}\n" for name, value, unit in rows) + "quit:\n")


def lossy(share: float, tests: int = 10) -> str:
    """A run of udp_lat whose first test lost a message after that share of its time."""
    blocks = []
    for number in range(tests):
        count = int(20000 * (share if number == 0 else 1))
        rows = {
            "latency": f"{1e9 / (2 * count):.9f} ns",
            "msg_rate": f"{2 * count} /sec",
            "msg_size": "64 bytes",
            "time": "1000000000 ns",
            "loc_real_time": "1000000000 ns",
            "rem_real_time": "1000000000 ns",
        }
        for end in ("loc_send", "loc_recv", "rem_send", "rem_recv"):
            rows |= {f"{end}_bytes": f"{64 * count} bytes", f"{end}_msgs": f"{count} "}
        blocks.append("udp_lat:\n" + "".join(f"    {name:<14}  =  {value}\n" for name, value in rows.items()))
    return "".join(blocks) + "quit:\n"


@pytest.mark.parametrize("share", [0.001, 0.1, 0.49])
def test_a_lost_datagram_is_found(share: float) -> None:
    assert told([parse_qperf(lossy(share))]) == "invalid message_lost"


@pytest.mark.parametrize("share", [0.5, 0.7, 1.0])
def test_a_datagram_that_is_lost_late_moves_the_mean_by_no_more_than_documented(share: float) -> None:
    mean = figures(parse_qperf(lossy(share)))["latency_mean"]
    assert 25.0 <= mean <= 25.0 / (1 - 1 / 20) + 1e-9


def test_too_few_tests_cannot_show_a_loss() -> None:
    assert told([parse_qperf(lossy(1.0, tests=4))]) == "invalid message_lost"
    assert told([parse_qperf(lossy(1.0, tests=5))]) == "valid"


def test_other_peoples_text_is_not_taken() -> None:
    text = "tcp:\n    port = 80\n    time = 3 ns\nwarning: x\nresult: failed to connect to nobody\n[1] ready\nquit:\n"
    assert list(iterate(text)) == []
