"""Wrappers come off, raw output of the tools stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing import lines
from clone import CAPTURES
from hypothesis import given
from hypothesis import strategies as st

PROMPTS = lines.prompts_of(("iperf3", "sockperf", "bpftrace"), read=["sockperf"])


def clean(line: str) -> str:
    return lines.clean(line, PROMPTS)


RAW = [
    "[ ID] Interval           Transfer     Bitrate         Retr  Cwnd",
    "[  5]   0.00-1.00   sec  3.10 GBytes  26.6 Gbits/sec    0   1.31 MBytes",
    "[100]   0.00-1.00   sec  3.10 GBytes  26.6 Gbits/sec    0   1.31 MBytes",
    "[SUM]   0.00-30.00  sec  82.2 GBytes  23.5 Gbits/sec                  receiver",
    "[  5][TX-C]   0.00-1.00   sec  1.10 GBytes  9.45 Gbits/sec    0   1.31 MBytes",
    "- - - - - - - - - - - - - - - - - - - - - - - - -",
    "-----------------------------------------------------------",
    "Server listening on 5201 (test #1)",
    "Connecting to host 10.10.1.1, port 5201",
    "Time: Tue, 23 Nov 2026 13:10:49 GMT",
    "      Cookie: ab7zq",
    "iperf3: error - unable to connect to server: Connection refused",
    "{",
    "}",
    '\t"start":\t{',
    '\t\t"version":\t"iperf 3.12",',
    '\t\t\t"local_host":\t"127.0.0.1",',
    '  "error": "unable to connect to server: Connection refused"',
    '\t\t"sum_sent":\t{ "a": 1 },',
    '{"event":"interval","data":{"streams":[]}}',
    '{"type": "map", "data": {"@calls": {"dd,0": 20003, "bpftrace,59": 1}}}',
    "@total[iperf3, tracepoint:syscalls:sys_enter_read]: 1895228",
    "@[CPU 0/KVM, 1]: 3",
    "[2, 4)                21 |@                                                   |",
    "[0]                 1001 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ |",
    "sockperf: ====> avg-latency=32.867 (std-dev=1.389)",
    "sockperf: # dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0",
    "# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0",
    "sockperf[CLIENT] send on:sockperf: using recvfrom() to block on socket(s)",
    "[ 0] IP = 127.0.0.1       PORT = 21111 # UDP",
    "[Total Run] RunTime=30.000 sec; Warm up time=400 msec; SentMessages=1; ReceivedMessages=1",
    "sockperf: ---> <MAX> observation = 20543.316",
    "---> percentile 99.999 = 20543.316",
    "0, 2.412088486, 2.412136767, 48.281",
    "",
    " (errno=98 Address already in use)",
]


@pytest.mark.parametrize("line", RAW)
def test_raw_output_is_not_touched(line: str) -> None:
    assert clean(line) == line
    assert clean(line + "\r\n") == line


@pytest.mark.parametrize(
    "wrapped",
    [
        "[STDOUT] {}",
        "[STDERR] {}",
        "[OUTPUT] {}",
        "2026-11-23T13:10:49.123456Z {}",
        "2026-11-23T13:10:49+01:00 {}",
        "2026-11-23 13:10:49,123 {}",
        "[2026-11-23 13:10:49] {}",
        "[13:10:49.5] {}",
        "13:10:49 {}",
        "2026/11/23 13:10:49 {}",
        "1700000000.123456 {}",
        "Nov 23 13:10:49 {}",
        "Nov  3 13:10:49 vm1 sockperf[123]: {}",
        "Nov  3 13:10:49 vm1 bench.sh[123]: {}",
        "Tue Nov 23 13:10:49 2026 {}",
        "Tue Nov 23 13:10:49 UTC 2026 {}",
        "> {}",
        "> > {}",
        "client-1  | {}",
        "\x1b[2;35m{}\x1b[0m",
        "\x1b[0;32mok\x1b[0m\r\n",
        "[STDOUT] 2026-11-23T13:10:49Z {}",
        "> [STDOUT] \x1b[1m{}\x1b[0m\r",
    ],
)
@pytest.mark.parametrize("line", [RAW[1], RAW[3], RAW[21], RAW[25], RAW[20], "{"])
def test_wrappers_come_off(wrapped: str, line: str) -> None:
    if "{}" not in wrapped:
        assert clean(wrapped) == "ok"
    else:
        assert clean(wrapped.replace("{}", line)) == line


@pytest.mark.parametrize("escape", ["^[", "ESC", "", "\\e", "\\x1b", "\\033", "\\u001b"])
def test_colours_whose_escape_was_shown_or_dropped(escape: str) -> None:
    coloured = "sockperf: \x1b[2;35mTotal 2001 observations\x1b[0m; each percentile contains 20.01 observations"
    plain = "sockperf: Total 2001 observations; each percentile contains 20.01 observations"
    assert clean(coloured.replace("\x1b", escape)) == plain
    assert clean("        " + json.dumps(coloured) + ",") == plain


@pytest.mark.parametrize("stamp", ["2026-11-23T13:10:49Z ", "13:10:49.5 ", "1700000000.123456 "])
def test_a_time_before_an_indented_line(stamp: str) -> None:
    assert clean(stamp + '\t"start":\t{').strip() == '"start":\t{'
    assert clean(stamp.strip()) == stamp.strip(), "a time alone is what a tracer prints between its tables"


@pytest.mark.parametrize("line", [RAW[1], RAW[3], '{"type": "map"}', '\t"start":\t{', 'say "x" \\ y'])
def test_ansible_quoting(line: str) -> None:
    for indent in ("", "        "):
        assert clean(f"{indent}{json.dumps(line)},") == line
        assert clean(f"{indent}{json.dumps(line)}") == line
    assert clean(f'    "msg": {json.dumps(line)}') == line
    quoted = line.replace("'", "''")
    assert clean(f"    - '{quoted}'") == line


def test_a_string_of_several_lines_stays() -> None:
    line = '    "msg": "first\\nsecond"'
    assert clean(line) == line


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("$ sockperf server -i 10.0.0.1", "sockperf server -i 10.0.0.1"),
        ("# iperf3 -s", "iperf3 -s"),
        ("root@vm-1:~# sockperf pp -i 10.0.0.1 -t 5", "sockperf pp -i 10.0.0.1 -t 5"),
        ("[user@vm-1 bench]$ iperf3 -c 10.0.0.1", "iperf3 -c 10.0.0.1"),
        ("(venv) user@vm:/srv/x$ iperf3 -c 10.0.0.1", "iperf3 -c 10.0.0.1"),
        ("client$ sockperf pp -i 10.0.0.1", "sockperf pp -i 10.0.0.1"),
        ("vm-1:~/x# sudo sockperf pp -i 10.0.0.1", "sudo sockperf pp -i 10.0.0.1"),
        ("see# sockperf of vm-1", "sockperf of vm-1"),
        ("what sockperf pp prints", "what sockperf pp prints"),
        ("+ /usr/bin/sockperf pp", "/usr/bin/sockperf pp"),
        ("# Throughput", "# Throughput"),
        ("# server", "# server"),
    ],
)
def test_prompts(line: str, command: str) -> None:
    assert clean(line) == command


@pytest.mark.parametrize("line", ["```", "```bash", "~~~", "> ```text"])
def test_fences_are_empty_lines(line: str) -> None:
    assert clean(line) == ""


@given(st.text())
def test_any_text_is_survived_and_a_second_cleaning_changes_nothing_for_plain_words(text: str) -> None:
    once = clean(text)
    assert len(once) <= len(text)
    assert not once.endswith(("\r", "\n"))


# iperf3's own --timestamps are such a wrapper, so those captures are meant to lose something.
RAW = sorted(path for path in CAPTURES.glob("*/*/*") if path.is_file() and not path.name.startswith("timestamps."))


@pytest.mark.parametrize("path", RAW, ids=lambda path: "/".join(path.parts[-3:]))
def test_captures_come_back_unchanged_but_for_colours(path: Path) -> None:
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        if "\x1b" not in line:
            assert clean(line) == line.rstrip("\r")
