"""What a hypervisor has, read from what its programs print."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.hypervisor import (
    apt_repositories,
    apt_settings,
    cpu_set,
    pinned_sets,
    proxy_variables,
    seen_from_guest,
    sources,
)
from hypothesis import given
from hypothesis import strategies as st

DUMP = """\
Acquire "";
Acquire::AllowInsecureRepositories "0";
Acquire::http "";
Acquire::http::Proxy "http://127.0.0.1:3142";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::Packages::MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
"""
TARGETS = """\
Packages|Debian|http://mirror.example/debian-security/|bookworm-security|bookworm-security|main
Packages|Debian|http://mirror.example/debian/|bookworm|bookworm|main
Packages|Debian|http://mirror.example/debian/|bookworm|bookworm|contrib
Packages|Debian|http://mirror.example/debian/|bookworm-updates|bookworm-updates|main
Translations|Debian|http://mirror.example/debian/|bookworm|bookworm|main
Packages|Somebody|http://other.example/apt/|stable|stable|main
"""


def test_only_how_servers_are_reached_is_taken_over() -> None:
    assert apt_settings(DUMP, {}) == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://127.0.0.1:3142";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
    ]


def test_a_proxy_of_the_environment_counts_where_apt_names_none() -> None:
    proxies = proxy_variables({"http_proxy": "http://p:1", "HTTPS_PROXY": "http://p:2", "no_proxy": "x"})
    assert apt_settings("", proxies) == ['Acquire::http::Proxy "http://p:1";', 'Acquire::https::Proxy "http://p:2";']
    assert 'Acquire::http::Proxy "http://127.0.0.1:3142";' in apt_settings(DUMP, proxies)


def test_a_guest_reaches_a_proxy_on_the_hypervisors_loopback() -> None:
    lines = ['Acquire::http::Proxy "http://localhost:3142/";', 'Acquire::http::Proxy "http://localhost.example:1";']
    assert seen_from_guest(lines) == ['Acquire::http::Proxy "http://10.0.2.2:3142/";', lines[1]]


def test_sources_of_another_release_come_from_the_same_servers() -> None:
    assert sources(apt_repositories(TARGETS), "trixie") == [
        "deb http://mirror.example/debian-security trixie-security main",
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
    ]
    assert sources(apt_repositories(TARGETS), "sid") == ["deb http://mirror.example/debian sid main"]


def test_a_mirror_counts_and_without_debian_there_are_no_sources() -> None:
    assert sources(apt_repositories(TARGETS), "trixie", "http://m.example/d") == ["deb http://m.example/d trixie main"]
    assert sources([], "trixie") == []
    only_updates = apt_repositories("Packages|Debian|http://m.example/d/|bookworm-updates|bookworm-updates|main\n")
    assert sources(only_updates, "trixie") == []


@pytest.mark.parametrize(("text", "cpus"), [("0", [0]), ("0-2", [0, 1, 2]), ("4, 1-2", [1, 2, 4]), ("3-3", [3])])
def test_a_set_of_cpus(text: str, cpus: list[int]) -> None:
    assert cpu_set(text) == cpus


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "0x1"])
def test_what_is_no_set_of_cpus(text: str) -> None:
    with pytest.raises(ValueError, match="is no set of CPUs"):
        cpu_set(text)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_list_of_cpus_is_read_as_written(cpus: set[int]) -> None:
    assert cpu_set(",".join(str(cpu) for cpu in cpus)) == sorted(cpus)


def test_pinning_to_a_cpu_that_is_not_there_is_refused() -> None:
    assert pinned_sets(["0", "0-1"], [0, 1]) == ([[0], [0, 1]], "")
    assert "CPU 2, 3" in pinned_sets(["0", "1-3"], [0, 1])[1]
    assert "no set" in pinned_sets(["all"], [0, 1])[1]
