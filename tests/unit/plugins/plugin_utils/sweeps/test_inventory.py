"""Which hosts a limit leaves, as Ansible itself says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import BadValue
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.inventory import hosts_listed, hosts_of_limit

INVENTORY = """
all:
  hosts:
    plain:
    "a b":
    "ü-1": {token: "hosts (7):"}
    "x[1:3]":
  children:
    group: {hosts: {plain: , other: }}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    Path("ansible.cfg").write_text("[defaults]\nstdout_callback = minimal\n", encoding="utf-8")
    Path("lab.yml").write_text(INVENTORY, encoding="utf-8")
    return ["lab.yml"]


@pytest.mark.parametrize(
    ("limit", "hosts"),
    [
        ("group:!other", {"plain"}),
        ("a b,ü-1", {"a b", "ü-1"}),
        ("x*", {"x1", "x2", "x3"}),
        ("all", {"plain", "other", "a b", "ü-1", "x1", "x2", "x3"}),
    ],
)
def test_a_limit_means_what_it_means_to_ansible(inventory: list[str], limit: str, hosts: set[str]) -> None:
    assert hosts_of_limit(inventory, limit) == hosts


@pytest.mark.parametrize(("inventories", "limit"), [(["lab.yml"], "nobody"), (["none.yml"], "all"), (["lab.yml"], "@none")])
def test_a_limit_that_leaves_no_host_says_what_ansible_says(
    inventory: list[str], inventories: list[str], limit: str
) -> None:
    with pytest.raises(BadValue, match=rf"--limit {limit} leaves no host: \S"):
        hosts_of_limit(inventories, limit)


def test_hosts_are_those_of_all_groups_and_variables_are_none() -> None:
    text = '{"_meta": {"hostvars": {"x": {}}, "profile": "p"}, "all": {"children": ["g"]}, "g": {"hosts": ["a", "b"]}}'
    assert hosts_listed(text) == {"a", "b"}
    assert hosts_listed("") == hosts_listed("ERROR") == frozenset()
