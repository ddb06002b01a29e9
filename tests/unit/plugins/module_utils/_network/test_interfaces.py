"""The addresses of a network namespace, asked of the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._network import netns
from ansible_collections.pairbench.lab.plugins.module_utils._network.interfaces import ipv4_addresses, ipv6_addresses


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_addresses_of_the_namespace_are_found_and_no_others() -> None:
    name, changes = f"pbunit-if{os.getpid()}", netns.Changes()
    try:
        changes.make(name)
        wanted = [(f"10.10.99.{number}", "many") for number in range(1, 81)]  # more than fit into the first buffer
        changes.do("ip", "-n", name, "link", "add", "many", "type", "bridge")
        for address, _interface in wanted:
            changes.do("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "many", "label", "many:x")
        changes.do("ip", "-n", name, "link", "set", "many", "up")
        changes.do("ip", "-n", name, "addr", "add", "fd00:99::1/64", "dev", "many", "nodad")
        with netns.inside(name):
            assert sorted(ipv4_addresses()) == sorted([("127.0.0.1", "lo"), *wanted])
            found = {(address, interface, scope) for address, interface, scope in ipv6_addresses()}
        assert {("::1", "lo", 0x10), ("fd00:99::1", "many", 0)} <= found
    finally:
        changes.remove(name)


@pytest.mark.skipif(not Path("/proc/self/net/if_inet6").exists(), reason="a kernel without IPv6")
def test_ipv6_addresses_are_spelt_as_the_library_spells_them() -> None:
    assert all("::" in address or address.count(":") == 7 for address, _interface, _scope in ipv6_addresses())
