"""A guest on its hypervisor: what it is compared by, and what its tools say when they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import guest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

PARAMS: dict[str, Any] = {"state": "present", "domain": "lab-vm1", "seed": {"user-data": "the private key"}, "vcpus": 2}


def test_a_change_of_any_option_is_seen_and_no_secret_is_written_down() -> None:
    settings = guest.settings_of(PARAMS)
    assert settings == guest.settings_of(PARAMS | {"state": "absent"})
    assert settings != guest.settings_of(PARAMS | {"vcpus": 3})
    assert settings != guest.settings_of(PARAMS | {"seed": {"user-data": "another key"}})
    assert "private" not in settings


def test_a_guest_that_does_not_exist_is_removed_without_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "vm1"
    params = PARAMS | {"folder": str(folder), "backend": "qemu", "uuid": "7b1c8d5e-6a55-5d5c-9d1c-0c2c4c5f0b1a"}
    assert guest.Guest(params).absent() is False
    folder.mkdir()
    assert guest.Guest(params).absent(check=True) is True and folder.exists()
    assert guest.Guest(params).absent() is True and not folder.exists()


def test_what_a_tool_said_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GuestError, match=r"^sh failed: no room$"):
        guest.run_tool(["sh", "-c", "echo no room; exit 1"])
    with pytest.raises(GuestError, match="pbunit-tool is not installed on the hypervisor"):
        guest.run_tool(["pbunit-tool"])
    monkeypatch.setattr(guest, "TOOL_SECONDS", 0.2)
    with pytest.raises(GuestError, match="sleep did not end within"):
        guest.run_tool(["sleep", "60"])


def test_a_hypervisor_without_a_program_for_images_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GuestError, match="install genisoimage, mkisofs or xorriso"):
        guest.iso_command()
    xorriso = tmp_path / "xorriso"
    xorriso.write_text("#!/bin/sh\n")
    xorriso.chmod(0o755)
    assert guest.iso_command() == ["xorriso", "-as", "mkisofs"]
