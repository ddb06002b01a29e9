"""Whether KVM works: only a guest that got far enough proves it."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import kvm_probe
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
