from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.addresses import canonical_address


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fd00:0:0:0:0:0:0:1", "fd00::1"),
        ("FD00::0001", "fd00::1"),
        ("vm1.example", "vm1.example"),
        ("", ""),
    ],
)
def test_an_address_has_one_spelling_and_a_name_keeps_its_own(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical
