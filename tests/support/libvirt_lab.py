"""A libvirtd of the tests' own, which sees no network but that of its namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import packages
from namespaces import Host, run, wait_until

PROGRAM = Path(__file__).with_name("libvirt_daemons.py")
VIRSH = ("virsh", "--connect", "qemu:///system", "--quiet")
PACKAGES = ("libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils", "genisoimage")


def answers() -> bool:
    """Whether a libvirtd answers on this machine."""
    try:
        done = subprocess.run([*VIRSH, "version"], capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def install() -> None:
    """What a hypervisor with libvirt has; a machine that lacks it gets it."""
    if not all(Path(path).exists() for path in ("/usr/sbin/libvirtd", "/usr/bin/virsh", "/usr/bin/qemu-system-x86_64")):
        packages.install(*PACKAGES)


class Libvirtd(Host):
    """libvirtd in a network namespace; programs that shall talk with its guests run there as well (``enter``)."""

    def __init__(self) -> None:
        super().__init__(f"pblibvirt{os.getpid()}", "127.0.0.1")
        self._daemons: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self._daemons = subprocess.Popen([*self.enter, sys.executable, str(PROGRAM)])
        # At its first start it asks the emulator what it can do.
        wait_until(answers, 120, "libvirtd")

    def down(self) -> None:
        """End the daemons, and what they leave behind: dnsmasq outlives them."""
        if self._daemons is not None:
            self._daemons.terminate()
            self._daemons.wait(60)
        wait_until(lambda: self.kill() == 0, 20, "an empty namespace")
        run("ip", "netns", "del", self.name)

    def virsh(self, *words: str) -> list[str]:
        """Words that virsh prints."""
        return run(*self.enter, *VIRSH, *words).stdout.split()
