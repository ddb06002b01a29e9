"""Commands as people write them into notes."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.notes.command_lines import read_command
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "line",
    [
        "iperf3 -c 10.10.1.1 -t 30 -P 4",
        "$ iperf3 -c 10.10.1.1 -t 30 -P 4",
        "root@vm1:~# iperf3 -c10.10.1.1 -t30 -P4",
        "[user@vm1 ~]$ sudo /usr/bin/iperf3 --client 10.10.1.1 --time=30 --parallel 4 | tee out.txt",
        "ip netns exec lab-a iperf3 --parallel=4 -t 30 -c 10.10.1.1 > out 2>&1 &",
        "iperf3 -P 4 -c 10.10.1.1 -t 30  # as client",
    ],
)
def test_one_client_command_in_many_spellings(line: str) -> None:
    command = read_command(line)
    assert command is not None
    assert (command.tool, command.side, command.address) == ("iperf3", "client", "10.10.1.1")
    assert command.parameters["seconds"] == 30
    assert command.parameters["parallel"] == 4
    assert command.parameters["protocol"] == "tcp"
    assert command.parameters["extra_args"] == []


def test_the_tools_own_defaults_are_what_a_short_command_means() -> None:
    command = read_command("iperf3 -c vm2 -u")
    assert command is not None
    assert command.parameters["seconds"] == 10
    assert command.parameters["parallel"] == 1
    assert command.parameters["protocol"] == "udp"


def test_a_run_by_bytes_has_no_duration() -> None:
    command = read_command("iperf3 -c vm2 -n 1G")
    assert command is not None
    assert command.parameters["seconds"] is None
    assert command.parameters["extra_args"] == ["-n", "1G"]


def test_servers_and_sockperf_modes() -> None:
    server = read_command("iperf3 -s -p 5202 -B 10.0.0.1")
    assert server is not None
    assert (server.side, server.address, server.port) == ("server", "10.0.0.1", 5202)
    server = read_command("sockperf server -i 10.10.1.2")
    assert server is not None
    assert (server.tool, server.side, server.address) == ("sockperf", "server", "10.10.1.2")
    client = read_command("sockperf pp -i 10.10.1.2 -m 64 -t 30 --tcp --mps=max --full-rtt")
    assert client is not None
    assert client.parameters == {
        "seconds": 30,
        "message_bytes": 64,
        "protocol": "tcp",
        "mode": "ping-pong",
        "mps": "max",
        "full_rtt": True,
        "extra_args": [],
    }


def test_unknown_options_are_kept_with_their_values() -> None:
    command = read_command("iperf3 -c vm2 --future 7 --flagged -t 5")
    assert command is not None
    assert command.parameters["extra_args"] == ["--future", "7", "--flagged"]
    assert command.parameters["seconds"] == 5


@pytest.mark.parametrize(
    "line",
    [
        "",
        "iperf3 is a tool",
        "we ran iperf3 -c 10.0.0.1",
        "iperf3: error - unable to connect to server",
        "sockperf: [Total Run] RunTime=30.000 sec",
        "sockperf server answered quickly",
        "iperf3 -t 30",
        "iperf3 'unclosed",
        "sockperf",
        "[STDOUT] [SUM]   0.00-30.00  sec  82.2 GBytes  23.5 Gbits/sec  6408             sender",
    ],
)
def test_prose_and_output_are_not_commands(line: str) -> None:
    assert read_command(line) is None


@given(st.text(max_size=80), st.sampled_from(["iperf3 ", "sockperf ", "$ iperf3 -c ", "sockperf pp -i "]))
def test_never_raises(text: str, start: str) -> None:
    read_command(start + text)
    read_command(text)
