"""libvirt through a virsh that only keeps the state of one domain in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import libvirt
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

VIRSH = """#!/bin/sh
shift 3
state={folder}/state
case "$1" in
  version) echo QEMU ;;
  list) [ -e $state ] && echo vm1; exit 0 ;;
  domstate) [ -e $state ] && cat $state ;;
  create) cat "$2" > {folder}/xml; echo running > $state ;;
  destroy) echo "shut off" > $state ;;
  undefine) rm $state ;;
  *) echo "unknown command $1"; exit 1 ;;
esac
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    program = tmp_path / "virsh"
    program.write_text(VIRSH.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_a_guest_is_started_and_ended_once(folder: Path) -> None:
    assert libvirt.answers() == (True, "") and not libvirt.exists("vm1")
    libvirt.start("<domain/>")
    assert (folder / "xml").read_text() == "<domain/>"
    assert libvirt.exists("vm1") and libvirt.state("vm1") == "running"
    assert libvirt.stop("vm1") is True and libvirt.stop("vm1") is False


def test_what_virsh_said_is_told(folder: Path) -> None:
    with pytest.raises(GuestError, match=r"^virsh net-list failed: unknown command net-list$"):
        libvirt.network_state("lab")


def test_a_hypervisor_without_virsh_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert libvirt.answers() == (False, "there is no virsh on this hypervisor")
