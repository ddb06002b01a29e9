# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What kind of host this is: many small readings, each absent when it cannot be had.

The readings are what makes two sweeps comparable or not: kernel, processor, clock source, virtualisation, the
interface that carries the data address, and the kernel's network settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._network.interfaces import ipv4_addresses, ipv6_addresses

SYSCTLS = (
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_no_metrics_save",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.default_qdisc",
    "net.core.busy_poll",
    "net.core.netdev_budget",
)
MOST_VERSION = 300
VERSION_ARGUMENTS = ("--version",)


def read_line(path):
    """First line of a file, stripped, or None."""
    try:
        with open(path, errors="replace") as handle:
            return handle.readline().strip() or None
    except OSError:
        return None


def run_text(argv, timeout_seconds=20):
    """Standard output of a command (standard error when it is empty), or None when it cannot be run."""
    try:
        done = run_program(argv, timeout_seconds, env=dict(os.environ, LC_ALL="C"))
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or done.stderr.strip() or None


def tool(name, version_arguments=VERSION_ARGUMENTS):
    """``path``, ``version`` (first line the tool says of itself) and ``sha256`` of an installed tool, or None.

    ``version_arguments`` make it print its version and nothing else.
    """
    path = shutil.which(name)
    if path is None:
        return None
    text = run_text([path, *version_arguments]) or ""
    version = text.splitlines()[0].strip()[:MOST_VERSION] if text else ""
    return {"path": path, "version": version, "sha256": file_digest(path)}


def file_digest(path):
    """SHA-256 of a file's content, in hexadecimal. Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as handle:
        for part in iter(lambda: handle.read(1 << 20), b""):
            found.update(part)
    return found.hexdigest()


def addresses():
    """Every address of this network namespace with the interface that has it: [(address, interface)]."""
    try:
        found = ipv4_addresses() + [(address, name) for address, name, _scope in ipv6_addresses()]
    except OSError:
        return []
    return sorted(found, key=lambda item: (item[1], ":" in item[0]))


def _distribution():
    found = {}
    try:
        with open("/etc/os-release") as handle:
            for line in handle:
                name, _sign, value = line.strip().partition("=")
                found[name] = value.strip('"')
    except OSError:
        pass
    return {"distribution": found.get("ID"), "distribution_version": found.get("VERSION_ID")}


def _processor():
    model, count = None, os.cpu_count()
    try:
        with open("/proc/cpuinfo") as handle:
            for line in handle:
                if line.startswith(("model name", "Model", "cpu model", "Hardware")):
                    model = line.split(":", 1)[1].strip()
                    break
    except OSError:
        pass
    base = "/sys/devices/system/cpu"
    return {
        "cpu_model": model,
        "cpu_count": count,
        "cpu_governor": read_line(base + "/cpu0/cpufreq/scaling_governor"),
        "smt": read_line(base + "/smt/control"),
    }


def _vulnerabilities():
    directory = "/sys/devices/system/cpu/vulnerabilities"
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return {}
    return {"vulnerability." + name: read_line(os.path.join(directory, name)) for name in names}


def _virtualisation():
    return {
        "dmi_vendor": read_line("/sys/class/dmi/id/sys_vendor"),
        "dmi_product": read_line("/sys/class/dmi/id/product_name"),
        "hypervisor_type": read_line("/sys/hypervisor/type"),
        "cpu_hypervisor_flag": str("hypervisor" in (run_text(["grep", "-m1", "flags", "/proc/cpuinfo"]) or "")).lower(),
    }


VM_VENDORS = ("qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "bochs", "parallels", "bhyve", "amazon ec2", "google",
              "microsoft corporation", "openstack", "alibaba cloud", "digitalocean", "hetzner")
KINDS = ("vm", "bare-metal", "container", "namespace")


CONTAINER_FILES = ("/run/systemd/container", "/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io")
CONTAINER_VARIABLES = (b"container=", b"KUBERNETES_SERVICE_HOST=")
# Where the first version of control groups is in use, or the container shares the machine's, process 1 tells its own.
CONTAINER_GROUP = re.compile(rb"[/:-](docker|libpod|kubepods|lxc|crio|cri-containerd)\b")


def _is_container(root):
    """What container managers leave for the programs inside: systemd's Container Interface, Docker, Podman, Kubernetes."""
    return (
        any(os.path.exists(root + path) for path in CONTAINER_FILES)
        or any(item.startswith(CONTAINER_VARIABLES) for item in _read_bytes(root + "/proc/1/environ").split(b"\0"))
        or CONTAINER_GROUP.search(_read_bytes(root + "/proc/1/cgroup")) is not None
    )


def _read_bytes(path):
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _is_namespace(root):
    """Whether only the network is apart from that of the machine, as in a lab of network namespaces.

    Even root may not look at process 1 of every machine; where it may not, the kernel's own first thread will do.
    """
    for pid in ("1", "2"):
        if pid == "2" and read_line(root + "/proc/2/comm") != "kthreadd":
            return False
        try:
            first = os.stat(root + "/proc/" + pid + "/ns/net")
            return first.st_ino != os.stat(root + "/proc/self/ns/net").st_ino
        except OSError:
            continue
    return False


def _is_vm(root):
    """On x86 the processor itself says so; elsewhere firmware and device tree do."""
    if read_line(root + "/sys/hypervisor/type") or os.path.exists(root + "/proc/device-tree/hypervisor"):
        return True
    try:
        with open(root + "/proc/cpuinfo", errors="replace") as handle:
            flags = [line for line in handle if line.startswith("flags")]
    except OSError:
        flags = []
    if flags:
        return "hypervisor" in flags[0].split()
    product = (read_line(root + "/sys/class/dmi/id/product_name") or "").lower()
    vendor = (read_line(root + "/sys/class/dmi/id/sys_vendor") or "").lower()
    return ".metal" not in product and any(name in vendor or name in product for name in VM_VENDORS)


def host_kind(root=""):
    """What this host is: a word of ``KINDS``. The innermost wins: a namespace in a container in a VM is a namespace.

    ``root`` is put before every path that is read.
    """
    if _is_namespace(root):
        return "namespace"
    if _is_container(root):
        return "container"
    return "vm" if _is_vm(root) else "bare-metal"


def _link(interface):
    text = run_text(["ip", "-json", "-details", "link", "show", "dev", interface])
    try:
        link = json.loads(text or "")[0]
    except (ValueError, IndexError):
        return {}
    facts = {
        "link.name": interface,
        "link.mtu": link.get("mtu"),
        "link.qdisc": link.get("qdisc"),
        "link.kind": link.get("linkinfo", {}).get("info_kind"),
        "link.tx_queues": link.get("num_tx_queues"),
        "link.rx_queues": link.get("num_rx_queues"),
        "link.gso_max_size": link.get("gso_max_size"),
    }
    facts.update(_offloads(interface))
    return facts


def _offloads(interface):
    text = run_text(["ethtool", "-k", interface]) if shutil.which("ethtool") else None
    found = re.findall(r"^([a-z-]+(?:offload|checksumming)): (on|off)", text or "", re.M)
    return {"link.offload." + name: value for name, value in found}


def _sysctls():
    facts = {}
    for name in SYSCTLS:
        facts["sysctl." + name] = read_line("/proc/sys/" + name.replace(".", "/"))
    return facts


def user_namespace(root=""):
    """``own`` where users have other numbers than on the machine, as in the rootless mode, else ``initial``."""
    line = read_line(root + "/proc/self/uid_map")
    return line and ("initial" if line.split() == ["0", "0", "4294967295"] else "own")


def fingerprint(address, kind=""):
    """Flat facts about this host (name to text or number); what cannot be read is left out.

    ``kind`` is what somebody says that the host is, in place of what it looks like.
    """
    facts = {
        "kind": kind or host_kind(),
        "kernel": platform.release(),
        "kernel_build": platform.version(),
        "kernel_command_line": read_line("/proc/cmdline"),
        "user_namespace": user_namespace(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "clock_source": read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "lockdown": read_line("/sys/kernel/security/lockdown"),
        "transparent_hugepages": read_line("/sys/kernel/mm/transparent_hugepage/enabled"),
    }
    for part in (_distribution(), _processor(), _vulnerabilities(), _virtualisation(), _sysctls()):
        facts.update(part)
    for found, interface in addresses():
        if found == address:
            facts.update(_link(interface))
            break
    return {name: value for name, value in facts.items() if value is not None}
