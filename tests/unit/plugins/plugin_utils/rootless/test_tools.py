"""Which packages the rootless mode fetches."""

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.plugin_utils.rootless.tools import NEW_PACKAGE


def test_only_packages_that_the_machine_lacks_are_fetched() -> None:
    simulated = (
        "NOTE: This is only a simulation!\n"
        "Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])\n"
        "Inst libsctp1:amd64 (1.0.19+dfsg-2 Debian:12 [amd64]) []\n"
        "Inst iperf3 (3.12-1+deb12u2 Debian:12 [amd64])\n"
        "Conf iperf3 (3.12-1+deb12u2 Debian:12 [amd64])\n"
    )
    assert NEW_PACKAGE.findall(simulated) == [("libsctp1:amd64", "1.0.19+dfsg-2"), ("iperf3", "3.12-1+deb12u2")]
