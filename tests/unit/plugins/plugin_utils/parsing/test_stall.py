"""When data is said to have stood still."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.stall import (
    FEWEST_OTHERS,
    MADE_UP_SHARE,
    MISSED_SHARE,
    STEADY_SHARE,
    Interval,
    _made_up_for,
    stall_sentence,
    stalls,
)
from clone import CAPTURES
from hypothesis import given
from hypothesis import strategies as st


def read(text: str) -> list[Finding]:
    return list(scan(text.splitlines(keepends=True)))


def run_of(*amounts: float, length: float = 1.0) -> list[Interval]:
    return [Interval(index * length, (index + 1) * length, amount) for index, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    "amounts",
    [
        (100, 98, 0, 101, 99),
        (100, 98, 3, 101, 99),
        (100, 60, 0, 60, 99),
        (100, 98, 0, 0, 0, 0, 0, 99),
        (100, 45, 52, 101, 99),
        (100, 30, 30, 101, 99, 100),
        (0, 50, 100, 100, 100),
        (100, 100, 100, 100, 0),
        (80, 120, 0, 60, 100),
        (100, 99, 40, 160, 100, 101),  # held to a rate, and made up for
    ],
)
def test_a_stall_of_a_second_is_seen(amounts: tuple[float, ...]) -> None:
    ((start, end, seconds),) = stalls(run_of(*amounts))
    assert 0 <= start < end <= len(amounts)
    assert 0.6 <= seconds <= end - start
    assert f"between {start:g} s and {end:g} s" in stall_sentence([("", run_of(*amounts))])


@pytest.mark.parametrize(
    "amounts",
    [
        (),
        (100,),
        (0, 0, 0),
        (100, 100, 100, 100),
        (1, 4, 30, 90, 100, 100, 100, 100),  # TCP begins
        (30, 50, 100, 100, 100, 100),
        (100, 60, 60, 100, 70, 100, 120, 60),  # an uneven network
        (100, 20, 100, 15, 90, 100),
        (100, 50, 55, 100),  # too few others to call it even
        (100, 80, 60, 45, 55, 100, 100),
        (100, 70, 130, 100, 100, 100),
        (100, 50, 120, 100, 80, 100),
    ],
)
def test_a_slow_or_uneven_run_is_no_stall(amounts: tuple[float, ...]) -> None:
    assert stalls(run_of(*amounts)) == []


def test_many_datagrams_lost_at_once_are_a_stall_and_a_steady_loss_is_none() -> None:
    def losing(*lost: float) -> list[Interval]:
        return [Interval(second, second + 1, 100, one, 1000) for second, one in enumerate(lost)]

    assert stalls(losing(0, 0, 700, 0, 0, 3)) == [(2, 3, 0.7)]
    assert stalls(losing(0, 0, 700, 250, 0, 0)) == [(2, 3, 0.95)]
    for lost in ((500, 480, 700, 500, 510, 490), (0, 0, 300, 0, 0, 0), (0, 700, 0, 0, 600, 0), (700, 0, 0)):
        assert stalls(losing(*lost)) == []


def test_the_rest_of_a_run_proves_nothing() -> None:
    assert stalls([*run_of(100, 100, 100), Interval(3.0, 3.02, 0)]) == []


@given(
    begin=st.floats(1.0, 7.9),
    seconds=st.floats(1.0, 3.0),
    noise=st.lists(st.floats(0.96, 1.04), min_size=12, max_size=12),
)
def test_wherever_a_second_without_data_begins_it_is_seen(begin: float, seconds: float, noise: list[float]) -> None:
    """Two neighbours that share a second's stall lack 2 - 1.04/0.96 of the usual at least, more than `LACKING_SHARE`."""

    def missing(second: int) -> float:
        return max(0.0, min(second + 1, begin + seconds) - max(second, begin))

    carried = [noise[second] * (1 - missing(second)) * 1e9 for second in range(12)]
    found = stalls(run_of(*carried))
    assert found
    assert any(start <= begin + seconds and begin <= end for start, end, _ in found)


@given(noise=st.lists(st.floats(0.8, 1.2), min_size=2, max_size=40))
def test_noise_is_no_stall(noise: list[float]) -> None:
    """Two neighbours lack 2 - 2 * 0.8/1.2 of the usual at most, less than `LACKING_SHARE`."""
    assert stalls(run_of(*noise)) == []


CLEAN = sorted(path for path in CAPTURES.rglob("*") if path.is_file() and path.name not in ("notes.md", "golden.txt"))


def test_no_capture_of_a_network_that_stood_is_said_to_have_stalled() -> None:
    said = {}
    for path in CLEAN:
        for finding in read(path.read_text()):
            if finding.status == "valid" and finding.stalled:
                said[str(path.relative_to(CAPTURES))] = finding.stalled
    assert said == {}


def test_sockperf_says_how_long_its_slowest_message_took() -> None:
    text = (CAPTURES / "sockperf" / "3.7-trixie" / "ping-pong-tcp.txt").read_text()
    (finding,) = read(text)
    assert finding.stalled == ""
    largest = next(line.split()[-1] for line in text.splitlines() if "<MAX>" in line)
    (finding,) = read(text.replace(largest, "701234.567"))
    assert finding.status == "valid"
    assert finding.stalled.startswith("one message took 1.402 s")
    assert any(remark.startswith("stalled: ") for remark in finding.remarks)


@given(st.lists(st.sampled_from((0, 40, 60, 89, 91, 100, 100, 100, 100, 110, 115, 160, 1e308)), max_size=9))
def test_what_is_made_up_for_is_one_interval_and_the_next_where_all_others_are_alike(amounts: list[float]) -> None:
    shares = [amount / 100 for amount in amounts]
    expected = [
        (index, index + 2, 1 - shares[index])
        for index in range(1, len(shares) - 1)
        if shares[index] <= 1 - MISSED_SHARE
        and shares[index + 1] >= 1 + MADE_UP_SHARE
        and len(others := shares[:index] + shares[index + 2 :]) >= FEWEST_OTHERS
        and all(abs(1 - share) <= 1 - STEADY_SHARE for share in others)
    ]
    assert _made_up_for(run_of(*amounts), shares) == expected[:1]


def test_a_long_uneven_run_is_looked_at_once() -> None:
    """Looking at all others for each interval of a day would take hours."""
    assert stalls(run_of(*([50, 120] * 43200))) == []
