"""sockperf's text: every capture, every failure, and no text that is believed wrongly."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.sockperf import output
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.sockperf.output import (
    SockperfRecogniser,
    enough_observations,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing import lines
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from hypothesis import given, settings
from hypothesis import strategies as st

CAPTURES = clone.CAPTURES / "sockperf"
PROMPTS = lines.prompts_of(["sockperf"], read=["sockperf"])
FILES = sorted(CAPTURES.glob("*/*.txt"))

SEED = """\
[STDOUT] sockperf: [Total Run] RunTime=30.000 sec; Warm up time=400 msec; SentMessages=455731; ReceivedMessages=455730
[STDOUT] sockperf: ========= Printing statistics for Server No: 0
[STDOUT] sockperf: [Valid Duration] RunTime=29.550 sec; SentMessages=449213; ReceivedMessages=449213
[STDOUT] sockperf: ====> avg-latency=32.867 (std-dev=1.389)
[STDOUT] sockperf: # dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0
[STDOUT] sockperf: Summary: Latency is 32.867 usec
[STDOUT] sockperf: Total 449213 observations; each percentile contains 4492.13 observations
[STDOUT] sockperf: ---> <MAX> observation =  143.884
[STDOUT] sockperf: ---> percentile 99.999 =   59.501
[STDOUT] sockperf: ---> percentile 99.990 =   49.778
[STDOUT] sockperf: ---> percentile 99.900 =   44.733
[STDOUT] sockperf: ---> percentile 99.000 =   37.930
[STDOUT] sockperf: ---> percentile 90.000 =   34.654
[STDOUT] sockperf: ---> percentile 75.000 =   33.182
[STDOUT] sockperf: ---> percentile 50.000 =   32.300
[STDOUT] sockperf: ---> percentile 25.000 =   32.054
[STDOUT] sockperf: ---> <MIN> observation =   31.554
"""

# By file name: what the capture shows, in every version.
EXPECTED = {
    "ping-pong": ("valid", "", "latency"),
    "ping-pong-full-rtt": ("valid", "", "latency"),
    "ping-pong-logged": ("valid", "", "latency"),
    "ping-pong-tcp": ("valid", "", "latency"),
    "under-load": ("valid", "", "latency"),
    "playback": ("valid", "", "latency"),
    "full-log-rtt": ("valid", "", "latency"),
    "full-log-latency": ("valid", "", "latency"),
    "throughput": ("valid", "", "throughput"),
    "throughput-fragments": ("valid", "", "throughput"),
    "throughput-giga": ("valid", "", "throughput"),
    "throughput-1472-tcp": ("valid", "", "throughput"),
    "server": ("valid", "", "server"),
    "server-threads": ("valid", "", "server"),
    "server-killed": ("invalid", "truncated", "server"),
    "interrupted": ("invalid", "interrupted", "latency"),
    "lost-datagram": ("invalid", "short_run", "latency"),
    "port-in-use-udp": ("failed", "address_in_use", "unknown"),
    "port-in-use-tcp": ("failed", "address_in_use", "unknown"),
    "refused": ("failed", "refused", "unknown"),
    "no-server": ("failed", "no_messages", "latency"),
    "no-route": ("failed", "tool_error", "latency"),
    "too-small": ("failed", "bad_option", "unknown"),
    "unknown-option": ("failed", "bad_option", "unknown"),
    "2.5-ping-pong": ("valid", "", "latency"),
    "2.5-two-servers": ("valid", "", "latency"),
    "3.5-ping-pong": ("valid", "", "latency"),
    "3.8-full-rtt-extended": ("valid", "", "latency"),
    "3.8-number-of-packets": ("valid", "", "latency"),
    "3.7-sequence-number": ("failed", "tool_error", "latency"),
    "3.7-test-end-before-start": ("invalid", "short_run", "latency"),
}
VALID = [path for path in FILES if EXPECTED[path.stem][0] == "valid"]


def iterate(text: str) -> Iterator[Finding]:
    """Every run in a text, one finding a server."""
    recogniser = SockperfRecogniser()
    for number, line in enumerate(text.splitlines(), 1):
        yield from recogniser.feed(lines.clean(line, PROMPTS), number)
    yield from recogniser.close()


def parse_sockperf(text: str) -> Finding:
    """The first run in a text; a failed one where there is none."""
    return next(iterate(text), Finding("sockperf", "", "failed", "no_output"))


def label(path: Path) -> str:
    return "/".join(path.parts[-2:])


def figures(finding: Finding) -> dict[str, float]:
    result = {sample.metric: sample.value for sample in finding.samples}
    assert len(result) == len(finding.samples), "a metric is there twice"
    return result


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_capture_is_judged(path: Path) -> None:
    finding = parse_sockperf(path.read_text(encoding="utf-8"))
    assert (finding.status, finding.reason, finding.mode) == EXPECTED[path.stem], finding.detail
    assert finding.tool == "sockperf"
    assert bool(finding.samples) == (finding.status == "valid")
    assert bool(finding.detail) == (finding.status != "valid")
    assert len(list(iterate(path.read_text(encoding="utf-8")))) == (2 if "two-servers" in path.stem else 1)


@pytest.mark.parametrize("path", VALID, ids=label)
def test_figures_of_captures_are_those_printed(path: Path) -> None:
    """Read the same figures a second time, line by line and without the parser."""
    text = path.read_text(encoding="utf-8")
    found = figures(parse_sockperf(text))

    def printed(pattern: str) -> float:
        match = re.search(pattern, text)
        assert match, pattern
        return float(match.group(1))

    if path.stem.startswith("server"):
        assert found == {"messages_received": printed(r"Total (\d+) messages received and handled")}
        return
    if path.stem.startswith("throughput"):
        sent, seconds = printed(r"Total of (\d+) messages"), printed(r"sent in ([\d.]+) sec")
        note = re.search(r"msg-size=(\d+)", text)
        size = int(note.group(1)) if note else 1472
        assert found["throughput_sent"] == pytest.approx(sent * size * 8 / seconds)
        assert found["message_rate"] == pytest.approx(printed(r"Message Rate is (\d+)"), rel=2e-3)
        return
    kind = "rtt" if "avg-rtt" in text else "latency"
    other = "latency" if kind == "rtt" else "rtt"
    assert not [name for name in found if name.startswith(other)]
    assert found[f"{kind}_mean"] == printed(r"avg-\w+= *([\d.]+)")
    assert found[f"{kind}_max"] == printed(r"<MAX> observation = +([\d.]+)")
    assert found[f"{kind}_min"] == printed(r"<MIN> observation = +([\d.]+)")
    assert found[f"{kind}_p50"] == printed(r"percentile +50\.0+ = +([\d.]+)")
    assert found["messages_sent"] == printed(r"Total Run.*SentMessages=(\d+)")
    assert found["messages_received"] == printed(r"Total Run.*ReceivedMessages=(\d+)")
    assert found["dropped"] == printed(r"dropped messages = (\d+)")
    rate = printed(r"Valid Duration.*SentMessages=(\d+)") / printed(r"Valid Duration\] RunTime=([\d.]+)")
    assert found["message_rate"] == pytest.approx(rate)


def test_the_notes_that_people_keep() -> None:
    finding = parse_sockperf("```\nsockperf ping-pong -i 10.10.1.2 -m 64 -t 30\n```\n```\n" + SEED + "```\n")
    assert (finding.status, finding.mode, finding.side) == ("valid", "ping-pong", "client")
    assert finding.parameters == {"seconds": 30.0, "message_bytes": 64}
    found = figures(finding)
    assert found.pop("message_rate") == pytest.approx(449213 / 29.55)
    assert found == {
        "latency_mean": 32.867,
        "latency_p25": 32.054,
        "latency_p50": 32.300,
        "latency_p75": 33.182,
        "latency_p90": 34.654,
        "latency_p99": 37.930,
        "latency_p99.9": 44.733,
        "latency_p99.99": 49.778,
        "latency_p99.999": 59.501,
        "latency_min": 31.554,
        "latency_max": 143.884,
        "messages_sent": 455731,
        "messages_received": 455730,
        "dropped": 0,
        "duplicated": 0,
        "out_of_order": 0,
    }
    assert {sample.metric: sample.unit for sample in finding.samples}["message_rate"] == "1/s"
    assert {sample.unit for sample in finding.samples if sample.metric.startswith("latency")} == {"us"}


@pytest.mark.parametrize(
    ("percent", "enough"),
    [(90, 36), (99, 368), (99.9, 3688), (99.99, 36887), (99.999, 368887), (50, 6), (75, 13), (25, 13)],
)
def test_observations_that_a_percentile_needs(percent: float, enough: int) -> None:
    assert enough_observations(percent, enough)
    assert not enough_observations(percent, enough - 1)


def test_percentile_of_too_few_observations_is_absent() -> None:
    text = (CAPTURES / "3.7-debian12" / "ping-pong.txt").read_text(encoding="utf-8")
    found = figures(parse_sockperf(text))
    assert "latency_p99" in found
    assert "latency_p99.9" not in found and "latency_p99.999" not in found


def test_asked_seconds_decide_over_the_total() -> None:
    assert parse_sockperf("sockperf pp -i 10.0.0.1 -t 30\n" + SEED).status == "valid"
    finding = parse_sockperf("sockperf pp -i 10.0.0.1 -t 60\n" + SEED)
    assert (finding.status, finding.reason) == ("invalid", "short_run")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("RunTime=29.550", "RunTime=1.052", "short_run"),
        ("RunTime=29.550", "RunTime=28.900", "short_run"),
        ("Total 449213 observations", "Total 449212 observations", "malformed"),
        ("avg-latency=32.867", "avg-latency=132.867", "malformed"),
        ("Latency is 32.867", "Round trip is 32.867", "malformed"),
        ("percentile 50.000 =   32.300", "percentile 50.000 =   33.300", "malformed"),
        ("SentMessages=449213", "SentMessages=949213", "malformed"),
        ("avg-latency=32.867 (std-dev=1.389)", "avg-latency=32.867 (std", "truncated"),
    ],
)
def test_figures_that_disagree_are_not_believed(old: str, new: str, reason: str) -> None:
    assert old in SEED
    finding = parse_sockperf(SEED.replace(old, new))
    assert (finding.status, finding.reason, finding.samples) == ("invalid", reason, ())


def test_round_trip_that_was_asked_for_but_not_printed() -> None:
    command = "sockperf pp -i 10.0.0.1 -t 30 --full-rtt\n"
    assert parse_sockperf(command + SEED).reason == "malformed"


@pytest.mark.parametrize("words", [words for words, _, _ in output._FAILURES])
def test_every_failure_text_spoils_a_run(words: str) -> None:
    finding = parse_sockperf(SEED + f"sockperf: {words}\n")
    assert finding.status != "valid" and words in finding.detail


def test_nothing_sent_is_no_throughput_of_zero() -> None:
    text = (
        "sockperf: Total of 0 messages sent in 1.000 sec\n"
        "sockperf: Summary: Message Rate is 0 [msg/sec]\n"
        "sockperf: Summary: BandWidth is 0.000 MBps (0.000 Mbps)\n"
    )
    finding = parse_sockperf(text)
    assert (finding.status, finding.reason, finding.samples) == ("failed", "no_data", ())


def test_a_message_that_a_ping_pong_lost_spoils_it() -> None:
    text = SEED.replace("# duplicated messages = 0", "# duplicated messages = 1")
    assert parse_sockperf(text).status == "valid", "under-load may lose messages"
    finding = parse_sockperf("sockperf pp -i 10.0.0.1 -t 30\n" + text)
    assert (finding.status, finding.reason) == ("invalid", "message_lost")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ERROR: Can`t bind socket (errno=99 Cannot assign requested address)", "address_missing"),
        ("ERROR: sendto() Failed sending on fd[3] (errno=101 Network is unreachable)", "address_missing"),
        ("ERROR: sendto() Failed sending on fd[3] (errno=113 No route to host)", "address_missing"),
        ("ERROR: Can`t connect socket (errno=111 Connection refused)", "refused"),
    ],
)
def test_what_the_system_said(line: str, reason: str) -> None:
    finding = parse_sockperf(f"sockperf: == version #3.7-no.git == \nsockperf: {line}\n")
    assert (finding.status, finding.reason) == ("failed", reason)


def test_memory_does_not_grow_with_errors_of_one_run() -> None:
    def peak(count: int) -> int:
        recogniser = SockperfRecogniser()
        tracemalloc.start()
        recogniser.feed("sockperf: [SERVER] listen on:", 1)
        for number in range(count):
            for words in ("ERROR: Message received was larger than expected", "Info: message ignored"):
                recogniser.feed(f"sockperf: {words}, {number}.", number + 2)
        (finding,) = recogniser.close()
        assert finding.reason == "tool_error"
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(4000) < 2 * peak(400)


def test_bandwidth_of_sockperf_is_never_copied() -> None:
    """223153 messages of 1400 bytes a second are 2499 Mbit/s; sockperf prints 2383.5 of its own unit."""
    text = (
        "sockperf: Total of 446306 messages sent in 2.000 sec\n\n"
        "sockperf: NOTE: test was performed, using msg-size=1400. For getting maximum throughput\n"
        "sockperf: Summary: Message Rate is 223153 [msg/sec]\n"
        "sockperf: Summary: BandWidth is 297.941 MBps (2383.531 Mbps)\n"
    )
    finding = parse_sockperf(text)
    assert finding.status == "valid", finding.detail
    assert figures(finding)["throughput_sent"] == pytest.approx(223153 * 1400 * 8)
    wrong = parse_sockperf(text.replace("msg-size=1400", "msg-size=1500"))
    assert (wrong.status, wrong.reason) == ("invalid", "malformed")


def test_two_servers_have_a_finding_each() -> None:
    text = (CAPTURES / "synthetic" / "2.5-two-servers.txt").read_text(encoding="utf-8")
    first, second = iterate(text)
    assert (first.parameters["server_number"], second.parameters["server_number"]) == (0, 1)
    assert figures(first)["dropped"] == 0 and figures(second)["dropped"] == 1
    assert "messages_sent" in figures(first) and "messages_sent" not in figures(second)


def test_client_and_server_on_one_terminal() -> None:
    folder = CAPTURES / "3.7-debian12"
    server = (folder / "server.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    client = (folder / "ping-pong.txt").read_text(encoding="utf-8")
    cut = next(index for index, line in enumerate(server) if "Test end" in line)
    findings = list(iterate("".join(server[:cut]) + client + "".join(server[cut:])))
    assert sorted((finding.side, finding.status) for finding in findings) == [
        ("client", "valid"),
        ("server", "valid"),
    ]


def test_several_runs_in_one_file_keep_their_lines_and_commands() -> None:
    text = "$ sockperf pp -i 10.0.0.1 -t 30\n" + SEED + "\n$ sockperf pp -i 10.0.0.1 -t 60 --tcp\n" + SEED
    first, second = iterate(text)
    assert (first.status, first.line, first.parameters["seconds"]) == ("valid", 2, 30.0)
    assert (second.reason, second.line, second.parameters["seconds"]) == ("short_run", 21, 60.0)
    assert second.parameters["protocol"] == "tcp"


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_nothing_at_all(text: str) -> None:
    assert list(iterate(text)) == []


def test_something_else() -> None:
    assert list(iterate("hello\n")) == []
    assert list(iterate("hello\n[  5] 0.00-1.00 sec\n# Throughput\n")) == []


JUNK = [
    "",
    "Connecting to host 10.10.1.1, port 5201",
    "[  5]   0.00-1.00   sec  3.10 GBytes  26.6 Gbits/sec    0   1.31 MBytes",
    "- - - - - - - - - - - - - - - - - - - - - - - - -",
    "@total[sockperf, tracepoint:syscalls:sys_enter_sendto]: 455731",
    "# Latency",
    "```",
    "PLAY RECAP ***",
]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(VALID), st.lists(st.sampled_from(JUNK), max_size=5), st.data())
def test_junk_around_and_between_lines_changes_nothing(
    path: Path, junk: list[str], data: st.DataObject
) -> None:
    text = path.read_text(encoding="utf-8")
    rows = text.splitlines()
    for line in junk:
        place = data.draw(st.integers(0, len(rows)))
        rows.insert(place, line)
    assert figures(parse_sockperf("\n".join(rows) + "\n")) == figures(parse_sockperf(text))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(VALID), st.sampled_from(["[STDOUT] {}", "2026-11-23T13:10:49Z {}", "> {}", "{}\r"]))
def test_wrapped_lines_change_nothing(path: Path, wrapper: str) -> None:
    text = path.read_text(encoding="utf-8")
    wrapped = "\n".join(wrapper.replace("{}", line) for line in text.splitlines())
    assert figures(parse_sockperf(wrapped)) == figures(parse_sockperf(text))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(FILES), st.data())
def test_a_cut_text_never_raises_and_is_never_believed_wrongly(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    whole = [figures(finding) for finding in iterate(content.decode())]
    cut = content[: data.draw(st.integers(0, len(content)))].decode(errors="replace")
    for index, finding in enumerate(iterate(cut)):
        if finding.status == "valid":
            assert figures(finding) == whole[index]


def test_seed_cut_at_every_byte() -> None:
    whole = figures(parse_sockperf(SEED))
    for end in range(len(SEED)):
        finding = parse_sockperf(SEED[:end])
        if finding.status == "valid":
            assert figures(finding) == whole


@st.composite
def runs(draw: st.DrawFn) -> tuple[str, dict[str, float]]:
    """A run as sockperf would print it, and its figures."""
    microseconds = st.integers(1, 10_000_000).map(lambda number: number / 1000)
    ladder = sorted(draw(st.lists(microseconds, min_size=10, max_size=10)))
    mean = draw(st.floats(ladder[0], ladder[-1]).map(lambda number: round(number, 3)))
    seconds = draw(st.integers(5, 3600))
    valid = round(seconds - 0.45, 3)
    messages = draw(st.integers(400_000, 10**9))
    lost = draw(st.integers(0, 5))
    observed = messages - lost
    word = draw(st.sampled_from(["lat", "latency", "rtt"]))
    kind = "rtt" if word == "rtt" else "latency"
    names = ["25.000", "50.000", "75.000", "90.000", "99.000", "99.900", "99.990", "99.999"]
    lines = [
        f"[Total Run] RunTime={seconds}.000 sec; Warm up time=400 msec; SentMessages={messages + 9};"
        f" ReceivedMessages={messages + 9 - lost}",
        "========= Printing statistics for Server No: 0",
        f"[Valid Duration] RunTime={valid:.3f} sec; SentMessages={messages}; ReceivedMessages={observed}",
        f"\x1b[2;35m====> avg-{word}={mean:7.3f} (std-dev=1.000)\x1b[0m",
        f"# dropped messages = {lost}; # duplicated messages = 0; # out-of-order messages = 0",
        f"Summary: {'Round trip' if kind == 'rtt' else 'Latency'} is {mean:.3f} usec",
        f"Total {observed} observations; each percentile contains {observed / 100:.2f} observations",
        f"---> <MAX> observation = {ladder[9]:8.3f}",
        *(f"---> percentile {name} = {ladder[8 - index]:8.3f}" for index, name in enumerate(reversed(names))),
        f"---> <MIN> observation = {ladder[0]:8.3f}",
    ]
    expected = {
        f"{kind}_mean": mean,
        f"{kind}_min": ladder[0],
        f"{kind}_max": ladder[9],
        "message_rate": messages / valid,
        "messages_sent": messages + 9,
        "messages_received": messages + 9 - lost,
        "dropped": lost,
        "duplicated": 0,
        "out_of_order": 0,
    }
    for index, name in enumerate(names):
        expected[f"{kind}_p{float(name):g}"] = ladder[1 + index]
    return "".join(f"sockperf: {line}\n" for line in lines), expected


@settings(deadline=None)
@given(runs())
def test_rendered_figures_parse_back(run: tuple[str, dict[str, float]]) -> None:
    text, expected = run
    finding = parse_sockperf(text)
    assert finding.status == "valid", finding.detail
    assert figures(finding) == pytest.approx(expected)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("sockperf: []=-#>\n\x1b0123456789.;TRuntimVald%()"), max_size=400))
def test_any_text_is_survived(text: str) -> None:
    for finding in iterate(text):
        assert finding.status != "valid" or finding.side == "server"


def test_memory_does_not_grow_with_foreign_lines() -> None:
    recogniser = SockperfRecogniser()
    for number in range(1000):
        assert not list(recogniser.feed("[  5]   0.00-1.00   sec  3.10 GBytes", number))
    assert recogniser._client is None and recogniser._head is None and not list(recogniser.close())
