from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.fingerprint import host_kind, tool


def host(root: Path, files: dict[str, str], separate_network: bool = False) -> str:
    """A file system that looks like that of a host."""
    for name in ("proc/1/ns/net", "proc/self/ns/net"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "proc/1/ns/net").touch()
    if separate_network:
        (root / "proc/self/ns/net").touch()
    else:
        (root / "proc/self/ns/net").hardlink_to(root / "proc/1/ns/net")
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return host_kind(str(root))


X86_VM = {"proc/cpuinfo": "processor : 0\nflags\t\t: fpu vme hypervisor lahf_lm\n"}
X86_METAL = {"proc/cpuinfo": "processor : 0\nflags\t\t: fpu vme lahf_lm\n"}
ARM = {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n"}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (X86_VM, "vm"),
        (X86_METAL, "bare-metal"),
        # The processor is believed rather than the firmware: metal instances carry the vendor's name too.
        (X86_METAL | {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "bare-metal"),
        (ARM | {"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "vm"),
        (ARM | {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "sys/class/dmi/id/product_name": "m7g.large\n"}, "vm"),
        (ARM | {"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "m7g.metal"}, "bare-metal"),
        (ARM | {"proc/device-tree/hypervisor/compatible": "linux,kvm"}, "vm"),
        (X86_METAL | {"sys/hypervisor/type": "xen\n"}, "vm"),
        ({}, "bare-metal"),
        (X86_VM | {".dockerenv": ""}, "container"),
        (X86_VM | {"run/.containerenv": ""}, "container"),
        (X86_VM | {"run/systemd/container": "lxc"}, "container"),
        (X86_VM | {"proc/1/environ": "PATH=/bin\0container=systemd-nspawn\0"}, "container"),
        (X86_VM | {"proc/1/environ": "PATH=/bin\0mycontainer=1\0"}, "vm"),
        (X86_VM | {"proc/1/environ": "PATH=/bin\0KUBERNETES_SERVICE_HOST=10.96.0.1\0"}, "container"),
        (X86_VM | {"run/secrets/kubernetes.io/serviceaccount/namespace": "bench"}, "container"),
        (X86_VM | {"proc/1/cgroup": "12:pids:/docker/0123abcd\n"}, "container"),
        (X86_VM | {"proc/1/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-2.scope\n"}, "container"),
        (X86_VM | {"proc/1/cgroup": "4:memory:/lxc/c1\n"}, "container"),
        (X86_VM | {"proc/1/cgroup": "0::/init.scope\n"}, "vm"),
        # A machine that runs containers is not one.
        (X86_METAL | {"proc/1/cgroup": "0::/\n", "run/docker.sock": ""}, "bare-metal"),
    ],
)
def test_what_a_host_is(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    assert host(tmp_path, files) == kind


def test_a_host_that_has_only_a_network_of_its_own_is_a_namespace(tmp_path: Path) -> None:
    assert host(tmp_path, X86_VM, separate_network=True) == "namespace"


def test_the_innermost_wins(tmp_path: Path) -> None:
    assert host(tmp_path, X86_VM | {".dockerenv": ""}, separate_network=True) == "namespace"


def test_where_process_1_may_not_be_looked_at_the_kernel_thread_is(tmp_path: Path) -> None:
    files = X86_VM | {"proc/2/comm": "kthreadd\n", "proc/2/ns/net": ""}
    host(tmp_path, files)
    (tmp_path / "proc/1/ns/net").unlink()
    assert host_kind(str(tmp_path)) == "namespace"
    (tmp_path / "proc/2/comm").write_text("some program\n", encoding="utf-8")
    assert host_kind(str(tmp_path)) == "vm"


def test_a_tool_tells_its_version_when_it_is_asked_in_its_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "yardstick"
    program.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "yardstick 1.2" && echo "and more"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = tool("yardstick", ["-V"])
    assert found is not None and (found["path"], found["version"]) == (str(program), "yardstick 1.2")
    assert tool("yardstick")["version"] == ""
    assert tool("no-such-tool") is None
