"""What a run asks of its host: set for the run, put back after it, and put back for a session that was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import settings
from ansible_collections.pairbench.lab.plugins.module_utils._host.settings import (
    HostSettings,
    SettingProblem,
    believed_note,
    interface_of,
    mtu_of,
    restore_leftovers,
)
from ansible_collections.pairbench.lab.plugins.module_utils._network import netns

ADDRESS = "10.10.99.1"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.fixture
def interface() -> Iterator[str]:
    """An interface with the address and an MTU of 1500, in a namespace in which the test runs."""
    name, changes = f"pbunit-mtu{os.getpid()}", netns.Changes()
    try:
        changes.make(name)
        changes.do("ip", "-n", name, "link", "add", "data0", "type", "bridge")
        changes.do("ip", "-n", name, "addr", "add", f"{ADDRESS}/24", "dev", "data0")
        changes.do("ip", "-n", name, "link", "set", "data0", "up")
        with netns.inside(name):
            yield "data0"
    finally:
        changes.remove(name)


@needs_root
def test_an_mtu_is_set_for_a_run_and_put_back(interface: str, tmp_path: Path) -> None:
    assert interface_of(ADDRESS) == interface and interface_of("10.10.99.2") is None
    asked = HostSettings({"mtu": 1400})
    assert asked.recorded is None and mtu_of(interface) == 1500
    asked.apply(ADDRESS, str(tmp_path))
    assert mtu_of(interface) == 1400
    assert asked.recorded == {"cpus": None, "interface": interface, "mtu_bytes": 1400, "user": None}
    assert restore_leftovers(str(tmp_path)) is None  # a living session's MTU is left alone
    assert asked.restore() is None and asked.restore() is None
    assert mtu_of(interface) == 1500 and list(tmp_path.iterdir()) == []


@needs_root
def test_an_mtu_that_somebody_else_changed_during_the_run_is_told(interface: str, tmp_path: Path) -> None:
    asked = HostSettings({"mtu": 1400})
    asked.apply(ADDRESS, str(tmp_path))
    settings._change_mtu(interface, 1300)
    problem = asked.restore()
    assert problem and problem["reason"] == "mtu_not_set"


@needs_root
def test_what_a_killed_session_left_is_put_back(interface: str, tmp_path: Path) -> None:
    asked = HostSettings({"mtu": 1400})
    asked.apply(ADDRESS, str(tmp_path))
    asked._mtu._note.close()  # as the kernel does for a process that is killed
    told = restore_leftovers(str(tmp_path))
    assert told == "the MTU of data0 was put back to 1500, which a killed session left at 1400"
    assert mtu_of(interface) == 1500 and restore_leftovers(str(tmp_path)) is None


@needs_root
def test_an_mtu_that_cannot_be_set_changes_nothing(interface: str, tmp_path: Path) -> None:
    with pytest.raises(SettingProblem, match="no interface of this host has the data address"):
        HostSettings({"mtu": 1400}).apply("10.10.99.2", str(tmp_path))
    with pytest.raises(SettingProblem, match="cannot be set to 40"):
        HostSettings({"mtu": 40}).apply(ADDRESS, str(tmp_path))
    assert mtu_of(interface) == 1500


@pytest.mark.parametrize("content", [
    b"", b"[]", b"{", b"\xff", b'{"interface": "eth0"}', b'{"interface": 1, "mtu_before": 1500, "mtu_set": 1400}',
    b'{"interface": "eth0", "mtu_before": true, "mtu_set": 1400}', b'{"interface": "eth0", "mtu_before": 0, "mtu_set": 1}',
    b"[" * 5000, b'{"interface": "eth0", "mtu_before": 1500, "mtu_set": 99999999}',
])  # fmt: skip
def test_a_note_that_we_would_not_write_is_not_believed(content: bytes) -> None:
    assert believed_note(content) is None


def test_a_note_of_ours_is_believed() -> None:
    note = {"interface": "eth0", "mtu_before": 1500, "mtu_set": 1400}
    assert believed_note(json.dumps(note).encode()) == note


def test_cpus_pin_the_benchmark_and_keep_the_tracer_off() -> None:
    usable = sorted(settings.usable_cpus(settings.online_cpus()))
    asked = HostSettings({"cpus": str(usable[0])})
    assert asked.prefix[1:] == ["-c", str(usable[0])] and asked.recorded["cpus"] == str(usable[0])
    assert bool(asked.tracer_prefix) == (len(usable) > 1)


@pytest.mark.parametrize(
    ("cpus", "said"), [("x", "it must be like 0-3,6"), ("3-1", "it must be like 0-3,6"), ("8191", "no CPU 8191 online")]
)
def test_cpus_that_cannot_be_had_are_refused(cpus: str, said: str) -> None:
    with pytest.raises(SettingProblem, match=said) as refused:
        HostSettings({"cpus": cpus})
    assert refused.value.reason == "cpus_not_set"
