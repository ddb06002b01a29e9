"""What hosts were busy with, and whether their clocks were set."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import Figures
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.host_figures import cpu_shares
from captured import captured


def test_cpu_shares_count_guest_time_once_and_leave_out_waiting() -> None:
    before = (100, 0, 0, 0, 0, 0, 0, 0, 100, 0)
    after = (140, 5, 15, 20, 10, 1, 4, 5, 140, 0)
    busy, steal = cpu_shares(Figures(before, after, None, None)) or (None, None)
    assert busy == pytest.approx(65.0)
    assert steal == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, (1,) * 8),
        ((1,) * 8, (1,) * 8),
        ((1,) * 7, (2,) * 7),
        ((5,) * 8, (1,) * 8),
    ],
)
def test_cpu_shares_are_absent_when_not_measured(before: Any, after: Any) -> None:
    assert cpu_shares(Figures(before, after, None, None)) is None


def test_absent_figures_are_absent_samples() -> None:
    record = captured("iperf3_tcp")
    record["server"]["figures"] = None
    judgement = judge(record)
    assert judgement.status == "valid"
    names = [sample.metric for sample in judgement.samples]
    assert not any(name.startswith("host_") and name.endswith("_server") for name in names)
