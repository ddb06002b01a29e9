from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS, CaseError, build_cases
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.benchmark import Case
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.cases import MOST_CASES
from hypothesis import given
from hypothesis import strategies as st

IPERF3: dict[str, Any] = {
    "seconds": 30, "parallel": 4, "protocol": "tcp", "bitrate": "", "packets_per_second": 0, "length": "",
    "window": "", "omit_seconds": 0, "reverse": False, "bidirectional": False, "congestion": "", "zerocopy": False,
    "mtu": 0, "pin": False, "extra_args": [],
}
SOCKPERF: dict[str, Any] = {
    "seconds": 30, "message_bytes": 64, "protocol": "udp", "mode": "ping-pong", "mps": "", "full_rtt": False,
    "mtu": 0, "pin": False, "extra_args": [],
}


def iperf3(*overrides: dict[str, Any], matrix: Any = None, **changes: Any) -> list[Case]:
    return build_cases(BENCHMARKS["iperf3"], IPERF3 | changes, list(overrides), matrix)


def client(case: Case) -> str:
    return " ".join(BENCHMARKS["iperf3"].commands(case.parameters, "a", "b", 1).client)


def test_a_matrix_gives_every_combination_in_the_order_in_which_it_is_written() -> None:
    cases = iperf3(matrix={"parallel": [1, 4], "protocol": ["tcp", "udp"]})
    assert [(case.parameters["parallel"], case.parameters["protocol"]) for case in cases] == [
        (1, "tcp"), (1, "udp"), (4, "tcp"), (4, "udp")]
    assert [case.name for case in cases] == ["tcp_P1_t30", "udp_P1_t30", "tcp_P4_t30", "udp_P4_t30"]


def test_the_matrix_is_laid_over_every_entry_and_an_entry_may_have_its_own() -> None:
    cases = iperf3(
        {"name": "short", "seconds": 2}, {"name": "udp", "protocol": "udp", "matrix": {"bitrate": ["10M", "20M"]}},
        matrix={"parallel": [1, 8]},
    )
    assert [case.name for case in cases] == ["short_P1", "short_P8", "udp_b10M", "udp_b20M"]
    assert [case.parameters["seconds"] for case in cases] == [2, 2, 30, 30]


def test_bidirectional_is_a_forward_and_a_reverse_case_of_their_own() -> None:
    forward, reverse = iperf3(bidirectional=True)
    assert (forward.name, reverse.name) == ("tcp_P4_t30", "tcp_P4_t30_R")
    assert "-R" not in client(forward).split() and "-R" in client(reverse).split()
    assert "--bidir" not in client(forward) + client(reverse)
    assert [case.name for case in iperf3({"name": "both", "bidirectional": True})] == ["both_forward", "both_reverse"]
    with pytest.raises(CaseError, match="leave iperf3_reverse out"):
        iperf3(bidirectional=True, reverse=True)


def test_packets_per_second_become_the_bitrate_of_each_stream() -> None:
    (case,) = iperf3(protocol="udp", packets_per_second=5000, length="1400")
    assert "-b 56000000 -l 1400" in client(case)  # 5000 datagrams of 1400 bytes of 8 bits
    assert case.name == "udp_P4_t30_pps5000_l1400"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"packets_per_second": 100, "length": "1400"}, "set iperf3_protocol to udp"),
        ({"packets_per_second": 100, "protocol": "udp"}, "iperf3_length is empty"),
        ({"packets_per_second": 100, "protocol": "udp", "length": "1K"}, "iperf3_length is 1K"),
        ({"packets_per_second": 100, "protocol": "udp", "length": "8"}, "iperf3_length is 8"),
        ({"packets_per_second": 9, "protocol": "udp", "length": "99", "bitrate": "1M"}, "give one of the two"),
        ({"mtu": 67}, "iperf3_mtu is 67"),
        ({"mtu": 65536}, "iperf3_mtu is 65536"),
        ({"pin": "maybe"}, "pin is 'maybe', it must be true or false"),
    ],
)
def test_what_cannot_be_run_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CaseError, match=named):
        iperf3(**changes)


@pytest.mark.parametrize(
    ("matrix", "named"),
    [
        ({"streams": [1]}, "iperf3_matrix has streams; a matrix may vary: seconds, parallel"),
        ({"parallel": 4}, r"parallel: 4; it must be a list of at least one value, like \[4\]"),
        ({"parallel": []}, r"like \[1, 4\]"),
        ({"parallel": [1, "1"]}, "1 more than once"),
        ({"parallel": ["many"]}, "parallel is 'many', it must be a whole number"),
        ([1, 4], "it must map parameters to lists"),
        ({"parallel": [1, 0], "seconds": [1, 2]}, "with parallel 0, seconds 1 of iperf3_matrix, and in 1 more"),
    ],
)
def test_a_matrix_that_makes_no_sense_is_named_with_the_mend(matrix: Any, named: str) -> None:
    with pytest.raises(CaseError, match=named):
        iperf3(matrix=matrix)


def test_what_an_entry_and_the_matrix_both_set_is_refused() -> None:
    with pytest.raises(CaseError, match="sets parallel and so does iperf3_matrix"):
        iperf3({"parallel": 2}, matrix={"parallel": [1, 4]})


def test_more_cases_than_anybody_means_are_refused_without_being_made() -> None:
    many = list(range(1, 61))
    with pytest.raises(CaseError, match=f"12960000 cases.*At most {MOST_CASES} are planned"):
        iperf3(matrix={"parallel": many, "seconds": many, "omit_seconds": many, "mtu": [m + 100 for m in many]})


def test_numbers_may_come_as_text_from_a_command_line() -> None:
    (case,) = iperf3(parallel="8", zerocopy="yes", mtu="1400")
    assert case.parameters["parallel"] == 8 and case.parameters["zerocopy"] is True and case.parameters["mtu"] == 1400


def test_a_record_holds_only_what_was_asked_for() -> None:
    (case,) = iperf3()
    assert not {"mtu", "pin", "bidirectional", "packets_per_second"} & set(case.parameters)


VALUES: dict[str, list[Any]] = {
    "seconds": [1, 5, 30], "parallel": [1, 2, 8], "reverse": [False, True], "zerocopy": [False, True],
    "bitrate": ["", "10M"], "mtu": [0, 1400, 9000], "pin": [False, True], "congestion": ["", "reno"],
    "extra_args": [[], ["--dscp", "46"]],
}


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), max_size=4), st.sampled_from(["", "mine"]))
def test_every_combination_is_there_once_with_a_name_of_its_own(chosen: dict[str, None], name: str) -> None:
    matrix = {key: VALUES[key] for key in chosen}
    cases = iperf3(*([{"name": name}] if name else []), matrix=matrix)
    wanted = list(product(*matrix.values()))
    got = [tuple(case.parameters.get(key, IPERF3[key]) for key in matrix) for case in cases]
    assert got == wanted
    assert len({case.name for case in cases}) == len(cases)


def test_sockperf_has_a_matrix_too() -> None:
    cases = build_cases(BENCHMARKS["sockperf"], SOCKPERF, [], {"message_bytes": [64, 1400], "pin": [False, True]})
    assert [case.name for case in cases] == [
        "ping-pong_udp_m64_t30", "ping-pong_udp_m64_t30_pinned",
        "ping-pong_udp_m1400_t30", "ping-pong_udp_m1400_t30_pinned",
    ]
