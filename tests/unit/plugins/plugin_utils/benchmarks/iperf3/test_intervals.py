"""When the intervals of a run were, by what iperf3 and the hosts say of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.intervals import transfer_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from clone import CAPTURES

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)


def load(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((CAPTURES / "records" / f"{name}.json").read_text(encoding="utf-8"))
    return record


def told(second: float) -> str:
    return (NOON + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def test_the_start_of_an_untraced_run_is_known_to_some_hundredths_of_a_second() -> None:
    transfer = transfer_of(record_of(load("iperf3_tcp_untraced")))
    assert transfer is not None
    assert 0 <= transfer.latest - transfer.earliest < 0.02


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
def test_omitted_seconds_of_every_version_are_before_the_measurement(version: str) -> None:
    record = load("iperf3_tcp_untraced")
    captures = CAPTURES / "iperf3" / version
    stdout = (captures / "omit.server.json").read_text(encoding="utf-8")
    stamp = json.loads(stdout)["start"]["timestamp"]["timesecs"] - NOON.timestamp()
    for side in ("server", "client"):
        record[side] |= {"stdout": stdout, "started_at": told(stamp + 1), "ended_at": told(stamp + 4.2)}
    transfer = transfer_of(record_of(record))
    assert transfer is not None
    assert transfer.earliest - NOON.timestamp() == pytest.approx(stamp + 2, abs=0.01)
    assert transfer.intervals[0].start < 0.01
    assert 1.9 < transfer.intervals[-1].end < 2.1


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
def test_both_directions_at_once_have_no_total(version: str) -> None:
    record = load("iperf3_tcp_untraced")
    stdout = (CAPTURES / "iperf3" / version / "bidir.server.json").read_text(encoding="utf-8")
    record["server"]["stdout"] = stdout
    assert transfer_of(record_of(record)) is None


def test_the_intervals_of_a_sender_are_not_what_was_received() -> None:
    record = load("iperf3_reverse")
    record["run"]["parameters"]["reverse"] = False
    assert transfer_of(record_of(record)) is None
