"""A lab of namespaces: what is refused, and how rates and addresses are compared."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns_lab import (
    Lab,
    bits_per_second,
    complaint,
    global_addresses,
    interface_address,
)


def params(**changed: Any) -> dict[str, Any]:
    hosts = [{"netns": "pbunit-one", "address": "10.10.1.1"}, {"netns": "pbunit-two", "address": "10.10.1.2"}]
    return {"hosts": hosts, "prefix_length": 24, "interface": "data0", "switch": "pbunit-switch", "rate": ""} | changed


@pytest.mark.parametrize(
    ("rate", "bits"),
    [("1gbit", 10**9), ("1000Mbit", 10**9), ("1.5kbit", 1500), ("1kibit", 1024), ("2mbps", 16 * 10**6), ("8bit", 8)],
)
def test_rates_of_different_spelling_are_compared_in_bits_per_second(rate: str, bits: int) -> None:
    assert bits_per_second(rate) == bits


@pytest.mark.parametrize("rate", ["", "1", "gbit", "0mbit", "-1gbit", "1 gbit", "1ebit", "fast"])
def test_what_is_no_rate(rate: str) -> None:
    assert bits_per_second(rate) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hosts": [{"netns": "one", "address": "10.10.1.1"}]}, "a lab has at least two hosts; hosts names 1"),
        ({"switch": "pbunit-two"}, "the namespace pbunit-two is named twice"),
        ({"prefix_length": 33}, "the address of the host pbunit-one cannot be set"),
        ({"rate": "fast"}, "netns_lab_rate is 'fast'"),
        (
            {"hosts": [{"netns": "one", "address": "10.10.1.1"}, {"netns": "two", "address": "10.10.1.1"}]},
            "the address 10.10.1.1 is given to two hosts",
        ),
    ],
)
def test_options_that_make_no_lab_are_refused(changed: dict[str, Any], said: str) -> None:
    assert complaint(params()) == ""
    assert said in complaint(params(**changed))


def test_addresses_of_the_link_alone_do_not_count() -> None:
    link = {"addr_info": [
        {"local": "10.10.1.1", "prefixlen": 24, "scope": "global"}, {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
    ]}  # fmt: skip
    assert global_addresses(link) == [interface_address({"address": "10.10.1.1"}, 24)]
    assert global_addresses({}) == []


def test_a_check_tells_every_command_of_a_new_lab() -> None:
    lab = Lab(params(), check=True)
    lab.present()
    assert [command for command in lab.changes.commands if "veth" in command] == [
        "ip -n pbunit-one link add data0 type veth peer name data0 netns pbunit-two"
    ]
    assert sum("addr add" in command for command in lab.changes.commands) == 2
