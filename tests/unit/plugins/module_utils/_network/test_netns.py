"""Network namespaces: made once, entered and left again, and never waited for without an end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._network import netns

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no namespace has; whatever has it in the end is removed."""
    chosen = f"pbunit{os.getpid()}"
    yield chosen
    netns.Changes().remove(chosen)


@needs_root
def test_a_namespace_is_made_once_and_removed_once(name: str) -> None:
    for expected in (2, 0):
        changes = netns.Changes()
        changes.make(name)
        assert len(changes.commands) == expected
    assert netns.exists(name) and netns.is_up(netns.links(name)["lo"])
    for expected in (1, 0):
        changes = netns.Changes()
        changes.remove(name)
        assert len(changes.commands) == expected
    assert not netns.exists(name)


@needs_root
def test_a_check_tells_what_would_be_done_and_does_nothing(name: str) -> None:
    changes = netns.Changes(check=True)
    changes.make(name)
    assert changes.commands == [f"ip netns add {name}", f"ip -n {name} link set lo up"]
    assert not netns.exists(name) and netns.links(name) == {}


@needs_root
def test_who_enters_a_namespace_for_a_while_comes_back(name: str) -> None:
    netns.Changes().make(name)
    home = here()
    with pytest.raises(ZeroDivisionError), netns.inside(name):
        assert here() == Path(netns.path_of(name)).stat().st_ino
        raise ZeroDivisionError
    assert here() == home
    with netns.inside(""):
        assert here() == home


def test_a_namespace_that_does_not_exist_is_named() -> None:
    with pytest.raises(netns.NotEntered) as refused, netns.inside("pbunit-nowhere"):
        pass
    assert (refused.value.filename, refused.value.strerror) == ("/run/netns/pbunit-nowhere", "No such file or directory")


@needs_root
def test_what_a_failing_command_said_is_told() -> None:
    with pytest.raises(netns.NetnsError, match=r"^ip -n pbunit-nowhere link set lo up failed: .*pbunit-nowhere"):
        netns.Changes().do("ip", "-n", "pbunit-nowhere", "link", "set", "lo", "up")
    assert netns.ask("ip", "-n", "pbunit-nowhere", "link", "show") == ""


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stuck = tmp_path / "ip"
    stuck.write_text("#!/bin/sh\nexec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(netns, "LIMIT_SECONDS", 0.2)
    with pytest.raises(netns.NetnsError, match="did not end within"):
        netns.Changes().do(str(stuck), "netns", "add", "x")
    with pytest.raises(netns.NetnsError, match="cannot be run: No such file"):
        netns.ask(str(tmp_path / "tc"))
