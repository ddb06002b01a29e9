"""What was received when, whatever printed it."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.transfer import Interval, Transfer


def test_a_rate_counts_each_interval_by_its_share_of_the_window() -> None:
    transfer = Transfer(100.0, 100.2, (Interval(0, 1, 1000), Interval(1, 2, 3000)))
    assert transfer.certain == (100.2, 102.0)
    assert transfer.rate((100.6, 101.6)) == pytest.approx(8 * (500 + 1500))
