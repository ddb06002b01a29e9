"""Readings of the host at the start and the end of a run."""

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.module_utils._host.figures import HostFigures


def test_the_readings_of_both_ends_of_a_run_are_there() -> None:
    found = HostFigures().finish()
    before, after = found["cpu_jiffies_before"], found["cpu_jiffies_after"]
    assert len(before) == len(after) >= 8
    assert all(later >= earlier for earlier, later in zip(before[:3], after[:3], strict=True))
    assert 0 < found["memory_available_bytes"] <= found["memory_total_bytes"]
