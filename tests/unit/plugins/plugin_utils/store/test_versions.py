"""Which code said something."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.store import versions


def test_whatever_judges_a_record_or_makes_a_table_is_in_its_version() -> None:
    library = Path(versions.__file__).parents[1]
    assert all((library / place).exists() for place in versions.MADE_BY)
    assert set(versions.JUDGED_BY) < set(versions.MADE_BY)
    assert versions.gate_version() != versions.tables_version()
