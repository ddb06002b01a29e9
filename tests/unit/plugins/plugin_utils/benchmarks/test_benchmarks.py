from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS, CaseError, build_cases
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.benchmark import Port
from hypothesis import given
from hypothesis import strategies as st

IPERF3: dict[str, Any] = {
    "seconds": 30, "parallel": 4, "protocol": "tcp", "bitrate": "", "length": "", "window": "", "omit_seconds": 0,
    "reverse": False, "congestion": "", "zerocopy": False, "extra_args": [],
}
SOCKPERF: dict[str, Any] = {
    "seconds": 30, "message_bytes": 64, "protocol": "udp", "mode": "ping-pong", "mps": "", "full_rtt": False,
    "extra_args": [],
}
DEFAULTS = {"iperf3": IPERF3, "sockperf": SOCKPERF}


def case(benchmark: str, **changes: Any) -> dict[str, Any]:
    return dict(build_cases(BENCHMARKS[benchmark], DEFAULTS[benchmark] | changes, [])[0].parameters)


def test_defaults_are_the_commands_people_type() -> None:
    commands = BENCHMARKS["iperf3"].commands(IPERF3, "10.10.1.1", "10.10.1.2", 5201)
    assert commands.server == ("iperf3", "-s", "-1", "-J", "-B", "10.10.1.1", "-p", "5201")
    assert " ".join(commands.client) == "iperf3 -c 10.10.1.1 -B 10.10.1.2 -p 5201 -J -t 30 -P 4"
    commands = BENCHMARKS["sockperf"].commands(SOCKPERF, "10.10.1.2", "10.10.1.1", 11111)
    assert " ".join(commands.server) == "sockperf server -i 10.10.1.2 -p 11111"
    assert " ".join(commands.client) == "sockperf ping-pong -i 10.10.1.2 -p 11111 -m 64 -t 30"
    assert commands.stop == "interrupt" and commands.ports == (Port("udp", 11111),)


def test_every_parameter_reaches_the_command() -> None:
    parameters = case("iperf3", protocol="udp", bitrate="100M", length="1400", window="1M", omit_seconds=2,
                      reverse=True, congestion="cubic", zerocopy=True, extra_args=["--dscp", "46"])
    client = " ".join(BENCHMARKS["iperf3"].commands(parameters, "a", "b", 1).client)
    assert client.endswith("-u -b 100M -l 1400 -w 1M -C cubic -O 2 -R -Z --dscp 46")
    parameters = case("sockperf", protocol="tcp", message_bytes=70000, mps=1000, full_rtt=True, mode="under-load")
    commands = BENCHMARKS["sockperf"].commands(parameters, "a", "b", 1)
    assert " ".join(commands.server) == "sockperf server -i a -p 1 --tcp -m 70000"
    assert " ".join(commands.client) == "sockperf under-load -i a -p 1 -m 70000 -t 30 --tcp --mps 1000 --full-rtt"


@pytest.mark.parametrize(
    ("benchmark", "changes", "named"),
    [
        ("iperf3", {"seconds": 0}, "iperf3_seconds is 0"),
        ("iperf3", {"parallel": 129}, "iperf3_parallel is 129"),
        ("iperf3", {"bitrate": "fast"}, "iperf3_bitrate is 'fast'"),
        ("iperf3", {"omit_seconds": 61}, "iperf3_omit_seconds is 61"),
        ("iperf3", {"protocol": "sctp"}, "iperf3_protocol is 'sctp'"),
        ("iperf3", {"extra_args": ["-T a b"]}, "iperf3_extra_args holds '-T a b'"),
        ("sockperf", {"message_bytes": 13}, "sockperf_message_bytes is 13"),
        ("sockperf", {"message_bytes": 65508}, "sockperf_message_bytes is 65508"),
        ("sockperf", {"mps": 0}, "sockperf_mps is 0"),
        ("sockperf", {"mode": "playback"}, "sockperf_mode is 'playback'"),
    ],
)
def test_a_value_out_of_range_is_named(benchmark: str, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CaseError, match=named.replace("[", r"\[")):
        case(benchmark, **changes)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(CaseError) as caught:
        build_cases(BENCHMARKS["iperf3"], IPERF3, [{"seconds": 0}, {"streams": 4}, {"parallel": "many"}])
    assert "iperf3_seconds is 0" in str(caught.value)
    assert "iperf3_cases[1] has streams" in str(caught.value)
    assert "iperf3_cases[2] has a value of the wrong type" in str(caught.value)


def test_cases_override_the_plain_variables_and_need_different_names() -> None:
    cases = build_cases(BENCHMARKS["iperf3"], IPERF3, [{"parallel": 1}, {"parallel": 8, "name": "eight"}])
    assert [item.name for item in cases] == ["tcp_P1_t30", "eight"]
    with pytest.raises(CaseError, match="more than one case named tcp_P4_t30"):
        build_cases(BENCHMARKS["iperf3"], IPERF3, [{}, {"seconds": 30}])


@given(st.dictionaries(st.sampled_from(["seconds", "parallel", "reverse", "zerocopy", "omit_seconds"]),
                       st.integers(1, 60)))
def test_cases_that_differ_have_names_that_differ(changes: dict[str, int]) -> None:
    benchmark = BENCHMARKS["iperf3"]
    other = IPERF3 | changes
    flags = ("reverse", "zerocopy")
    same = all(bool(IPERF3[key]) == bool(other[key]) if key in flags else IPERF3[key] == other[key] for key in IPERF3)
    assert (benchmark.case_name(IPERF3) == benchmark.case_name(other)) == same


def test_mixed_iperf3_versions_are_refused_under_udp_only() -> None:
    benchmark = BENCHMARKS["iperf3"]
    assert benchmark.version_problem(IPERF3, "iperf 3.12 (cJSON 1.7.15)", "iperf 3.21") is None
    udp = IPERF3 | {"protocol": "udp"}
    assert benchmark.version_problem(udp, "iperf 3.12 (cJSON 1.7.15)", "iperf 3.12 (other)") is None
    problem = benchmark.version_problem(udp, "iperf 3.12 (cJSON 1.7.15)", "iperf 3.21")
    assert problem is not None and "3.12 on the server and 3.21 on the client" in problem
