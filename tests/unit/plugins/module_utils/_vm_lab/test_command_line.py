"""The command line of an emulator."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.command_line import command_line, cpu_model, is_guest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.guest import file_names, settings_of

GUEST: dict[str, Any] = {
    "domain": "lab-vm1", "uuid": "0fa095d5-8975-5751-8c1b-ffbd18746ce1", "accel": "tcg", "cpu": "", "vcpus": 1,
    "memory_mib": 1024, "queues": 1, "vhost": False, "port": 22001, "mac": "52:54:00:00:00:01",
    "management_mac": "52:54:00:00:00:02", "kernel": "/k", "initrd": "/i", "append": "console=ttyS0",
}  # fmt: skip


def line(descriptors: tuple[int, ...] = (9,), **changes: Any) -> list[str]:
    made: list[str] = command_line("/usr/bin/qemu", GUEST | changes, file_names("/lab/vm1"), descriptors)
    return made


def after(words: list[str], option: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == option]


def test_an_emulated_guest_has_no_instruction_that_breaks_it() -> None:
    assert after(line(), "-cpu") == ["qemu64,-cx16,-svm"]
    assert after(line(accel="kvm"), "-cpu") == ["host"]
    assert cpu_model("tcg", "max") == "max"


def test_management_comes_before_data_and_only_on_the_loopback() -> None:
    words = line()
    assert after(words, "-netdev") == ["user,id=management,hostfwd=tcp:127.0.0.1:22001-:22", "tap,id=data,fd=9,vhost=off"]
    nics = [word for word in after(words, "-device") if word.startswith("virtio-net")]
    assert [nic.partition("addr=")[2][:4] for nic in nics] == ["0x10", "0x11"]


def test_several_queues_have_a_tap_and_two_vectors_each() -> None:
    words = line((9, 11, 12), queues=3, vhost=True)
    assert "tap,id=data,fds=9:11:12,vhost=on" in words
    assert any(word.endswith("mq=on,vectors=8") for word in words)


def test_cpus_and_memory_are_those_asked_for() -> None:
    words = line(vcpus=4, memory_mib=2048)
    assert (after(words, "-smp"), after(words, "-m")) == (["4"], ["2048"])


def test_an_image_with_its_own_boot_loader_gets_no_kernel() -> None:
    assert not {"-kernel", "-initrd", "-append"} & set(line(kernel=""))
    assert "-initrd" not in line(initrd="")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["qemu", "-uuid", "u1"], True),
        (["qemu", "-uuid", "u2"], False),
        (["editor", "u1"], False),
        (["qemu", "-uuid"], False),
        ([], False),
    ],
)
def test_a_process_is_told_by_the_uuid_of_its_guest(arguments: list[str], expected: bool) -> None:
    assert is_guest(b"".join(word.encode() + b"\0" for word in arguments), "u1") is expected


def test_a_comma_in_a_path_does_not_end_it() -> None:
    words = command_line("/q", GUEST, file_names("/a,b"), (9,))
    assert any(word.endswith("file=/a,,b/disk.qcow2") for word in words)


def test_settings_show_no_secret_and_change_with_it() -> None:
    one = settings_of({"seed": {"key": "secret"}, "state": "present", "port": 1})
    assert "secret" not in one and "state" not in one
    assert one != settings_of({"seed": {"key": "other"}, "state": "present", "port": 1})
    assert one == settings_of({"seed": {"key": "secret"}, "state": "absent", "port": 1})
