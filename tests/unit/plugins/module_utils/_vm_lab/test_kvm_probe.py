"""Whether KVM works: only a guest that got far enough proves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import kvm_probe
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.kvm_probe import verdict


@pytest.mark.parametrize(
    ("returncode", "serial", "errors", "accel", "said"),
    [
        (0, "Kernel panic - not syncing: VFS: Unable to mount root fs", "", "kvm", "booted"),
        (0, "", "", "tcg", "ended before"),
        (None, "Linux version 6", "", "tcg", "within 20 s"),
        (None, "VFS: Unable to mount root fs", "", "tcg", "within 20 s"),
        (-6, "", "\nqemu: error: failed to set MSR 0x10a\nmore\n", "tcg", "failed to set MSR 0x10a"),
        (1, "VFS: Unable to mount root fs", "", "tcg", "status 1"),
    ],
)
def test_only_a_guest_that_looked_for_its_disk_proves_kvm(
    returncode: int | None, serial: str, errors: str, accel: str, said: str
) -> None:
    found, reason = verdict(returncode, serial, errors)
    assert found == accel and said in reason


def test_without_its_device_kvm_is_not_tried_and_no_kernel_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm_probe, "DEVICE", "/nowhere/kvm")
    assert kvm_probe.probe("/nowhere/qemu", "") == ("tcg", "there is no /nowhere/kvm on the hypervisor")


def test_an_answer_is_kept_and_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm_probe, "DEVICE", "/nowhere/kvm")
    record = tmp_path / "accel.json"
    params = {"qemu": "/nowhere/qemu", "kernel": "", "record": str(record)}
    answer = kvm_probe.find_out(params, keep=False)
    assert kvm_probe.recorded(str(record)) is None
    assert kvm_probe.find_out(params, keep=True) == answer == kvm_probe.recorded(str(record))
    record.write_text('{"accel": "magic", "reason": ""}')
    assert kvm_probe.recorded(str(record)) is None
    with pytest.raises(GuestError, match="the answer cannot be kept"):
        kvm_probe.find_out(params | {"record": "/nowhere/accel.json"}, keep=True)


def test_kvm_is_not_tried_without_a_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kvm_probe, "DEVICE", str(tmp_path))
    with pytest.raises(GuestError, match="there is no kernel /nowhere/vmlinuz to probe KVM with"):
        kvm_probe.find_out({"qemu": "", "kernel": "/nowhere/vmlinuz", "record": ""}, keep=False)
