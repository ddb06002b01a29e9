# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Who listens where, read from the kernel's socket tables of this network namespace.

A port is never tried by connecting to it: one connection uses up a server for one client.
"""

from __future__ import annotations

import os

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import all_pids

LISTEN = {"tcp": "0A", "udp": "07"}


def listening_inodes(protocol, port):
    """Socket inodes listening (TCP) or bound (UDP) at a port, on any address of either family."""
    inodes = set()
    for family in ("", "6"):
        try:
            with open("/proc/self/net/%s%s" % (protocol, family)) as handle:
                lines = handle.readlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            local_port = int(fields[1].rsplit(":", 1)[1], 16)
            if local_port == port and fields[3] == LISTEN[protocol]:
                inodes.add(int(fields[9]))
    return inodes


def socket_owners(inodes, pids=None):
    """Pids that hold one of the sockets open, among ``pids`` (default: every process that can be read)."""
    wanted = {"socket:[%d]" % inode for inode in inodes}
    owners = []
    for pid in all_pids() if pids is None else pids:
        directory = "/proc/%d/fd" % pid
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(os.path.join(directory, name)) in wanted:
                    owners.append(pid)
                    break
            except OSError:
                continue
    return owners
