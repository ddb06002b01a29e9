"""The install roles: for real on throw-away roots of Debian, and what they choose on every other distribution."""

from __future__ import annotations

import itertools
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import words
from roots import RELEASES, Root, install, recap

TOOLS = ("iperf3", "sockperf", "qperf", "bpftrace")
SLOW = [pytest.param(version, marks=pytest.mark.slow) for version in RELEASES if version != "12"]


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    """A fresh root of the Debian version that the test names, 12 if none."""
    made = Root(getattr(request, "param", "12"), tmp_path)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.mark.parametrize("root", ["12", *SLOW], indirect=True)
def test_a_fresh_debian_gets_the_tools_once(root: Root, tmp_path: Path) -> None:
    fresh = root.files()
    checked = root.play(tmp_path, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert recap(checked.stdout)["changed"] == len(TOOLS)
    for tool in TOOLS:
        assert f"fresh: {tool} is missing; would install {tool}" in checked.stdout
    assert {name for name, _ in root.files().items() ^ fresh.items()} == set()

    first = root.play(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert recap(first.stdout)["changed"] > 0
    for tool in TOOLS:
        shown = root.run(tool, "--version")
        assert shown.returncode == 0 and any(character.isdigit() for character in shown.stdout), shown.stderr
    assert root.run("test", "-d", "/sys/kernel/tracing/events").returncode == 0

    again = root.play(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert recap(again.stdout)["changed"] == 0

    # Debian's iperf3 would run a daemon on the port that is measured with: it must not, now or at the next start.
    assert root.processes() == {}
    assert "iperf3/start_daemon: false" in root.run("debconf-show", "iperf3").stdout
    starts = [name for name in root.files() if "iperf3" in name and (".wants/" in name or name.startswith("/etc/rc"))]
    assert starts == []


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """One fresh Debian for the tests that install nothing."""
    made = Root("12", tmp_path_factory.mktemp("untouched"))
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.mark.parametrize("forbidden", [["-e", "iperf3_install=false"], ["-e", '{"iperf3_install": false}']])
def test_installing_can_be_forbidden(forbidden: list[str], untouched: Root, tmp_path: Path) -> None:
    done = untouched.play(tmp_path, *forbidden)
    assert done.returncode == 2
    assert recap(done.stdout)["changed"] == 0
    said = words(done.stdout + done.stderr)
    assert "fresh: iperf3 is not installed and iperf3_install is false." in said
    assert "Install it on the host (package iperf3), or set iperf3_install: true" in said


def test_installing_needs_root(untouched: Root, tmp_path: Path) -> None:
    somebody: dict[str, Any] = {"ansible_throwaway_uid": 65534, "ansible_remote_tmp": "/tmp/.ansible-somebody"}
    done = untouched.play(tmp_path, **somebody)
    assert done.returncode == 2
    assert recap(done.stdout)["changed"] == 0
    said = words(done.stdout + done.stderr)
    assert "fresh: no root, so iperf3 cannot be installed. Set ansible_become: true for this host" in said


def test_a_package_that_is_not_there_is_named_with_what_helps(untouched: Root, tmp_path: Path) -> None:
    done = untouched.play(tmp_path, iperf3_package="iperf3-of-nobody")
    assert done.returncode == 2
    said = words(done.stdout + done.stderr)
    assert "fresh: iperf3 could not be installed from the package iperf3-of-nobody: No package matching" in said
    assert "name another package in iperf3_package" in said


# ---- What is chosen elsewhere ----

EPEL = "https://dl.fedoraproject.org/pub/epel/epel-release-latest-{}.noarch.rpm"

# name in the inventory: distribution, version, family, package manager, what brings sockperf (None: nothing does)
DISTRIBUTIONS: dict[str, tuple[str, str, str, str, list[str] | None]] = {
    "debian-13": ("Debian", "13.1", "Debian", "apt", ["sockperf"]),
    "debian-11": ("Debian", "11.11", "Debian", "apt", ["sockperf"]),
    "ubuntu-20.04": ("Ubuntu", "20.04", "Debian", "apt", ["sockperf"]),
    "ubuntu-24.04": ("Ubuntu", "24.04", "Debian", "apt", ["sockperf"]),
    "redhat-8": ("RedHat", "8.10", "RedHat", "dnf", [EPEL.format(8), "sockperf"]),
    "redhat-9": ("RedHat", "9.6", "RedHat", "dnf", [EPEL.format(9), "sockperf"]),
    "redhat-10": ("RedHat", "10.0", "RedHat", "dnf", [EPEL.format(10), "sockperf"]),
    "rocky-9": ("Rocky", "9.6", "RedHat", "dnf", ["epel-release", "sockperf"]),
    "almalinux-10": ("AlmaLinux", "10.0", "RedHat", "dnf", ["epel-release", "sockperf"]),
    "centos-9": ("CentOS", "9", "RedHat", "dnf", ["epel-release", "sockperf"]),
    "oraclelinux-8": ("OracleLinux", "8.10", "RedHat", "dnf", ["oracle-epel-release-el8", "sockperf"]),
    "oraclelinux-9": ("OracleLinux", "9.6", "RedHat", "dnf", ["oracle-epel-release-el9", "sockperf"]),
    "oraclelinux-10": ("OracleLinux", "10.0", "RedHat", "dnf", ["oracle-epel-release-el10", "sockperf"]),
    "fedora-42": ("Fedora", "42", "RedHat", "dnf5", ["sockperf"]),
    "leap-15": ("openSUSE Leap", "15.6", "Suse", "zypper", None),
    "tumbleweed": ("openSUSE Tumbleweed", "20261101", "Suse", "zypper", ["sockperf"]),
    "sles-15": ("SLES", "15.6", "Suse", "zypper", None),
    "amazon-2": ("Amazon", "2", "RedHat", "yum", None),
    "amazon-2023": ("Amazon", "2023", "RedHat", "dnf", None),
}
# What brings qperf where it does not come from where sockperf does.
QPERF: dict[str, list[str] | None] = {
    "redhat-8": ["qperf"], "oraclelinux-8": ["qperf"], "leap-15": ["qperf"], "sles-15": ["qperf"],
}
PACKAGE_MANAGERS = ("dnf", "dnf5", "yum", "zypper")
PRETEND = """
- hosts: all
  gather_facts: false
  environment:
    PATH: "{{ programs }}"
  tasks:
    - ansible.builtin.set_fact:
        cacheable: true
        ansible_distribution: "{{ pretended[0] }}"
        ansible_distribution_version: "{{ pretended[1] }}"
        ansible_distribution_major_version: "{{ pretended[1].split('.')[0] }}"
        ansible_os_family: "{{ pretended[2] }}"
        ansible_pkg_mgr: "{{ pretended[3] }}"
        ansible_user_uid: 0
    - ansible.builtin.include_role:
        name: "pairbench.lab.{{ item }}"
        tasks_from: install
      loop: "{{ tools }}"
"""


def pretend(directory: Path, names: list[str], tools: list[str], *arguments: str) -> str:
    """Run the install roles on hosts that say they are those distributions; what was printed.

    The hosts have no tool on their PATH, and package managers that write down how they were called.
    """
    programs = directory / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    for name in PACKAGE_MANAGERS:
        path = programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{directory}/called"\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (directory / "play.yml").write_text(PRETEND, encoding="utf-8")
    hosts = {name: {"pretended": list(DISTRIBUTIONS[name][:4])} for name in names}
    done = install(
        directory, hosts, *arguments, playbook="play.yml", programs=str(programs), tools=tools,
        ansible_connection="local", ansible_python_interpreter=sys.executable,
    )
    return words(done.stdout + done.stderr)


def called(directory: Path) -> list[str]:
    return (directory / "called").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the roles say in check mode on every distribution; sockperf is the last, as it may end a host's play."""
    folder = tmp_path_factory.mktemp("chosen")
    return pretend(folder, list(DISTRIBUTIONS), ["iperf3", "bpftrace", "sockperf"], "--check")


@pytest.mark.parametrize(("name", "tool"), list(itertools.product(DISTRIBUTIONS, ("iperf3", "bpftrace"))))
def test_iperf3_and_bpftrace_come_with_the_distribution(name: str, tool: str, chosen: str) -> None:
    package = "iperf" if tool == "iperf3" and DISTRIBUTIONS[name][2] == "Suse" else tool
    assert f'"msg": "{name}: {tool} is missing; would install {package}"' in chosen


@pytest.fixture(scope="module")
def chosen_of_qperf(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same of qperf, which some have that have no sockperf."""
    return pretend(tmp_path_factory.mktemp("qperf"), list(DISTRIBUTIONS), ["qperf"], "--check")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_qperf_comes_from_where_the_distribution_has_it(name: str, chosen_of_qperf: str) -> None:
    distribution, version, *_, of_sockperf = DISTRIBUTIONS[name]
    packages = QPERF.get(name, of_sockperf and [*of_sockperf[:-1], "qperf"])
    if packages is not None:
        assert f'"msg": "{name}: qperf is missing; would install {" and ".join(packages)}"' in chosen_of_qperf
        return
    assert f"{name}: no package of qperf is known for {distribution} {version}. " in chosen_of_qperf


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_sockperf_comes_from_where_the_distribution_has_it(name: str, chosen: str) -> None:
    distribution, version, *_, packages = DISTRIBUTIONS[name]
    if packages is not None:
        wanted = " and ".join(packages)
        assert f'"msg": "{name}: sockperf is missing; would install {wanted}"' in chosen
        return
    assert f"{name}: no package of sockperf is known for {distribution} {version}. " in chosen
    sentence = chosen.split(f"{name}: no package of sockperf is known")[1].split("PLAY RECAP")[0]
    assert "Put sockperf on the host's PATH yourself, or name a package in sockperf_package" in sentence


def test_rpm_package_managers_are_called_for_the_repository_first(tmp_path: Path) -> None:
    names = ["redhat-9", "fedora-42", "leap-15", "amazon-2"]
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        pretend(folder, [name], ["iperf3", "sockperf"] if DISTRIBUTIONS[name][4] else ["iperf3"])
    assert {name: called(tmp_path / name) for name in names} == {
        "redhat-9": [
            "dnf install --assumeyes iperf3",
            f"dnf install --assumeyes {EPEL.format(9)}",
            "dnf install --assumeyes sockperf",
        ],
        "fedora-42": ["dnf5 install --assumeyes iperf3", "dnf5 install --assumeyes sockperf"],
        "leap-15": ["zypper --non-interactive install --no-recommends iperf"],
        "amazon-2": ["yum install --assumeyes iperf3"],
    }


def test_each_vars_file_is_of_a_known_distribution_and_names_known_variables() -> None:
    """A file that no distribution selects, or a misspelt variable, would never be noticed otherwise."""
    reached = {"main.yml"}
    for distribution, version, family, *_ in DISTRIBUTIONS.values():
        parts = (family, distribution, f"{distribution}_{version.split('.')[0]}")
        reached |= {f"{part}.yml".replace(" ", "_") for part in parts}
    for tool in TOOLS:
        folder = Path(__file__).parents[2] / "roles" / tool / "vars"
        assert {path.name for path in folder.iterdir()} <= reached
        known = set(yaml.safe_load((folder / "main.yml").read_text(encoding="utf-8")))
        for path in folder.iterdir():
            assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= known, path
