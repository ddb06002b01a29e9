# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Guests and networks of libvirt, through virsh, which every libvirt has; its Python bindings are not needed."""

from __future__ import annotations

import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import Done, run_program
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

CONNECTION = "qemu:///system"
# Long: at its first guest libvirt asks the emulator what it can do, more than once.
LIMIT_SECONDS = 180


def virsh(*words, **options):
    """Run virsh; the result has returncode and stdout. ``stdin`` is text for it to read."""
    try:
        argv = ["virsh", "--connect", CONNECTION, "--quiet", *words]
        return run_program(argv, LIMIT_SECONDS, merged=True, stdin=options.get("stdin", ""))
    except FileNotFoundError:
        return Done(127, "there is no virsh on this hypervisor")
    except subprocess.TimeoutExpired:
        return Done(124, "libvirtd did not answer within %d s" % LIMIT_SECONDS)


def must(*words, **options):
    """Run virsh and return what it printed. Raises GuestError with what it said when it fails."""
    done = virsh(*words, **options)
    if done.returncode != 0:
        raise GuestError("virsh %s failed: %s" % (words[0], done.stdout.strip()))
    return done.stdout


def answers():
    """Whether libvirtd answers and can run guests of QEMU, and if not, why not: (bool, str)."""
    done = virsh("version")
    return done.returncode == 0, "" if done.returncode == 0 else done.stdout.strip()


def state(domain):
    """State of a domain as virsh words it (``running`` …); empty when there is none of this name."""
    done = virsh("domstate", domain)
    return done.stdout.strip() if done.returncode == 0 else ""


def exists(domain):
    """Whether there is a domain of this name; raises GuestError when libvirtd does not answer."""
    return domain in must("list", "--all", "--name").split()


def start(xml):
    """Start a guest that libvirt forgets when it ends, so that nothing can be left of it."""
    must("create", "/dev/stdin", stdin=xml)


def stop(domain):
    """End a domain at once and have libvirt forget it. Returns whether there was one."""
    if not exists(domain):
        return False
    if state(domain) not in ("", "shut off"):
        done = virsh("destroy", domain)
        # It may have ended by itself a moment before.
        if done.returncode != 0 and exists(domain) and state(domain) != "shut off":
            raise GuestError("virsh destroy failed: %s" % done.stdout.strip())
    if exists(domain):
        must("undefine", domain)
    return True


def network_state(name):
    """(defined, active) of a network."""
    defined = name in must("net-list", "--all", "--name").split()
    return defined, defined and name in must("net-list", "--name").split()
