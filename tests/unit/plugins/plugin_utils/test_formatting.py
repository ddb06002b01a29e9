from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.formatting import pair_label


@pytest.mark.parametrize(
    ("kinds", "label"),
    [
        (("vm", "vm"), "VM a as server, VM b as client"),
        (("bare-metal", "container"), "bare metal a as server, container b as client"),
        (("namespace", None), "namespace a as server, b as client"),
        ((None, "something later"), "a as server, b as client"),
    ],
)
def test_the_label_says_what_each_host_is(kinds: tuple[str | None, str | None], label: str) -> None:
    hosts = {name: {"fingerprint": {"kind": kind} if kind else {}} for name, kind in zip("ab", kinds, strict=True)}
    assert pair_label("a", "b", hosts) == label
    assert pair_label("a", "b", {}) == "a as server, b as client"
