# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a hypervisor has that determines the possible variants of a guest, and how it reaches its package server."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import struct
import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._host.cpu_list import MOST_CPUS, NotCpus, cpu_numbers
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import libvirt
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.kvm_probe import DEVICE as KVM_DEVICE

QEMU_NAMES = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm", "kvm")
INTERFACES = "/sys/class/net"
VHOST_GET_FEATURES = 0x8008AF00
# Settings of apt that say how a package server is reached; the rest of Acquire is about what is fetched.
APT_SETTING = re.compile(
    r'^Acquire::((?:https?|ftp)(?:::.*)?|Check-Valid-Until|Check-Date|Retries|ForceIPv[46]) "([^"]+)";$'
)
LOOPBACK = re.compile(r"//(127\.0\.0\.1|localhost|\[::1\])(?=[:/]|$)")
# The hypervisor, seen from a guest through its management interface.
HYPERVISOR_ADDRESS = "10.0.2.2"
CPU_FAULTS = {
    "form": "write it as 0-1 or 2,4",
    "order": "%(first)s comes after %(last)s",
    "stride": "%(first)s-%(last)s selects no CPU",
    "number": "a CPU's number is from 0 to " + str(MOST_CPUS - 1),
}


def host_facts():
    """All facts about the hypervisor as one dictionary."""
    libvirt_answers, libvirt_reason = libvirt.answers()
    vhost, vhost_reason = vhost_usable()
    return {
        "architecture": platform.machine(),
        "cpus": sorted(os.sched_getaffinity(0)),
        "qemu": next((path for path in map(shutil.which, QEMU_NAMES) if path), ""),
        "libvirt": libvirt_answers,
        "libvirt_reason": libvirt_reason,
        "vhost": vhost,
        "vhost_reason": vhost_reason,
        "bridges": bridges(),
        "kvm_device": os.path.exists(KVM_DEVICE),
        "tun": os.path.exists("/dev/net/tun"),
        "apt_settings": apt_settings(_output("apt-config", "dump", "Acquire"), proxy_variables(os.environ)),
        "apt_repositories": apt_repositories(_output("apt-get", "indextargets", "--format", APT_FORMAT)),
    }


def bridges():
    """Names of the bridges of the hypervisor."""
    return sorted(name for name in os.listdir(INTERFACES) if os.path.isdir(os.path.join(INTERFACES, name, "bridge")))


def vhost_usable():
    """Whether the kernel can move packets between taps and guests (vhost-net): (bool, reason why not)."""
    try:
        descriptor = os.open("/dev/vhost-net", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return False, "/dev/vhost-net cannot be opened: %s" % error.strerror
    try:
        fcntl.ioctl(descriptor, VHOST_GET_FEATURES, struct.pack("Q", 0))
    except OSError as error:
        return False, "/dev/vhost-net does not answer: %s" % error.strerror
    finally:
        os.close(descriptor)
    return True, ""


def _output(*argv):
    """What a program prints; empty when it fails or does not exist."""
    try:
        done = run_program(argv, 60, most_bytes=16 << 20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def proxy_variables(environment):
    """The proxies that the environment names, as settings of apt: name to value."""
    found = {}
    for scheme in ("http", "https", "ftp"):
        value = environment.get("%s_proxy" % scheme) or environment.get("%s_PROXY" % scheme.upper())
        if value:
            found["%s::Proxy" % scheme] = value
    return found


def apt_settings(dump, proxies):
    """How apt reaches its servers, as lines of apt.conf, from ``apt-config dump`` and the environment's proxies."""
    settings = dict(proxies)
    for line in dump.splitlines():
        match = APT_SETTING.match(line.strip())
        if match:
            settings[match.group(1)] = match.group(2)
    return ['Acquire::%s "%s";' % (name, settings[name]) for name in sorted(settings)]


def seen_from_guest(lines):
    """The same lines for a guest, which reaches the hypervisor's loopback through its management interface."""
    return [LOOPBACK.sub("//" + HYPERVISOR_ADDRESS, line) for line in lines]


APT_FORMAT = "$(CREATED_BY)|$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)"


REPOSITORY_FIELDS = ("uri", "release", "codename", "component")


def apt_repositories(targets):
    """The Debian repositories of apt: list of uri, release, codename and component, from ``apt-get indextargets``."""
    found = []
    for line in targets.splitlines():
        fields = line.split("|")
        if len(fields) == 6 and fields[0] == "Packages" and fields[1] == "Debian":
            entry = dict(zip(REPOSITORY_FIELDS, fields[2:]))  # noqa: B905 - strict is newer than the Python of some hosts
            if entry not in found:
                found.append(entry)
    return found


def sources(repositories, release, mirror=""):
    """Lines of sources.list for a release of Debian, from a mirror or the repositories of the hypervisor's apt.

    Empty when neither is there: the program that builds the image then takes its own default.
    """
    if mirror:
        return ["deb %s %s main" % (mirror, release)]
    lines = []
    for entry in repositories:
        pocket = entry["codename"].partition("-")[2]
        # Unstable has no updates and no security repository: everything goes to it directly.
        if entry["component"] != "main" or (pocket and release in ("sid", "unstable")):
            continue
        wanted = "%s-%s" % (release, pocket) if pocket else release
        line = "deb %s %s main" % (entry["uri"].rstrip("/"), wanted)
        if line not in lines:
            lines.append(line)
    # A hypervisor may know only additions to a release.
    return lines if any(line.split()[2] == release for line in lines) else []


def cpu_set(text):
    """The CPUs that a list such as ``0-1,4`` names, in ascending order. Raises ValueError with a sentence."""
    try:
        return sorted(cpu_numbers(text))
    except NotCpus as error:
        first, _dash, last = (part.strip() for part in error.item.partition("-"))
        fault = CPU_FAULTS[error.fault] % {"first": first, "last": last}
        raise ValueError("%r is no set of CPUs: %s" % (text, fault)) from None


def pinned_sets(texts, available):
    """(sets, complaint): the CPU sets as lists, and what is wrong with them as a sentence, empty if nothing."""
    sets = []
    for text in texts:
        try:
            cpus = cpu_set(text)
        except ValueError as error:
            return [], "vm_lab_pin: %s" % error
        missing = [str(cpu) for cpu in cpus if cpu not in available]
        if missing:
            has = ", ".join(str(cpu) for cpu in available)
            return [], "vm_lab_pin names CPU %s, and the hypervisor has %s" % (", ".join(missing), has)
        sets.append(cpus)
    return sets, ""
