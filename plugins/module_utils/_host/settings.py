# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a run asks of its host: the MTU of the data interface, and the CPUs and the user of the benchmark.

The MTU is changed before a run and put back after it, whatever happens in between. Before it is changed, the old
value is written to a file that stays locked until it is put back; a process that is killed leaves the file without
the lock, and the next session or probe on the host puts the old value back. The file is named after the network
namespace: hosts of a namespace lab share one file system, and their ``/sys`` is that of the machine, which is why
interfaces are asked by ioctl.

CPUs are given to ``taskset``, which becomes the benchmark: the process keeps its number, so that the tracer counts it
from exec to exit, and what ``taskset`` itself did stands under its own thread name, as the tracer's own calls do. The
tracer is kept off these CPUs where the host has others. The user is set in the same way (``benchmark_user``).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import struct
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host import benchmark_user
from ansible_collections.pairbench.lab.plugins.module_utils._host.boot import boot_id
from ansible_collections.pairbench.lab.plugins.module_utils._host.cpu_list import NotCpus, cpu_list, cpu_numbers
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import LockedFile, state_folder
from ansible_collections.pairbench.lab.plugins.module_utils._network.interfaces import (
    IFREQ_BYTES,
    ipv4_addresses,
    ipv6_addresses,
)

MOST_NOTE_BYTES = 4096
LARGEST_MTU = 1 << 20
SIOCGIFFLAGS, SIOCGIFMTU, SIOCSIFMTU, SIOCGIFHWADDR = 0x8913, 0x8921, 0x8922, 0x8927
IFF_RUNNING = 0x40
SMALLEST_IPV6_MTU = 1280
LINK_LOCAL_SCOPE = 0x20
LINK_UP_SECONDS = 10.0
POLL_SECONDS = 0.05


class SettingProblem(Exception):
    """A host cannot be set as a run asks. ``reason`` is a word of the gate's list."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


# Interfaces


def _ask(number, interface, payload=b""):
    """One ioctl about an interface; the union of its answer as bytes. Raises OSError."""
    request = struct.pack("16s", interface.encode()) + payload
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        return fcntl.ioctl(channel.fileno(), number, request.ljust(IFREQ_BYTES, b"\0"))[16:]


def mtu_of(interface):
    """The MTU of an interface in bytes. Raises OSError."""
    return struct.unpack_from("i", _ask(SIOCGIFMTU, interface))[0]


def _change_mtu(interface, mtu_bytes):
    _ask(SIOCSIFMTU, interface, struct.pack("i", mtu_bytes))


def _is_running(interface):
    return bool(struct.unpack_from("H", _ask(SIOCGIFFLAGS, interface))[0] & IFF_RUNNING)


def _hardware_address(interface):
    return _ask(SIOCGIFHWADDR, interface)[2:8].hex()


def interface_of(address):
    """Name of the interface that has an address, or None when no interface of this host has it."""
    plain = address.split("%")[0]
    if ":" in plain:
        wanted = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, plain))
        return next((name for item, name, _scope in ipv6_addresses() if item == wanted), None)
    return next((name for item, name in ipv4_addresses() if item == plain), None)


# MTU


def _state_path(directory):
    return os.path.join(directory or state_folder(), "mtu-%d.json" % os.stat("/proc/self/ns/net").st_ino)


def _boot_id():
    try:
        return boot_id()
    except OSError:
        return ""


class _Note:
    """The file that says what the MTU was; locked while its holder lives. Raises BlockingIOError, OSError."""

    def __init__(self, directory):
        self._file = LockedFile(_state_path(directory))

    def read(self):
        """What a killed process left, or None. A half-written note was made before anything was changed."""
        return believed_note(self._file.read(MOST_NOTE_BYTES))

    def write(self, content):
        self._file.write(json.dumps(content).encode(), durable=True)

    def clear(self):
        """Remove the file, because there is nothing more to put back."""
        self._file.remove()

    def close(self):
        self._file.close()


def believed_note(content):
    """What a note says (bytes), or None when it is nothing that we write: the name of an interface, and two MTUs."""
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if len(content) > MOST_NOTE_BYTES or not isinstance(found, dict):
        return None
    mtus = [found.get("mtu_before"), found.get("mtu_set")]
    if not isinstance(found.get("interface"), str) or not all(type(mtu) is int and 0 < mtu < LARGEST_MTU for mtu in mtus):
        return None
    return found


def _identity(interface):
    """What tells an interface from one of the same name in a later namespace of the same number."""
    return {
        "boot_id": _boot_id(),
        "interface": interface,
        "index": socket.if_nametoindex(interface),
        "hardware": _hardware_address(interface),
    }


def _put_back(left):
    """Restore what a note says. Returns a sentence about it, or None when the note no longer applies."""
    interface = left["interface"]
    try:
        if any(left.get(name) != value for name, value in _identity(interface).items()):
            return None
        if mtu_of(interface) != left["mtu_set"]:  # somebody has chosen another one since
            return None
        _change_mtu(interface, left["mtu_before"])
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return None
        raise OSError(
            error.errno,
            "a killed session left %s with an MTU of %s, and it cannot be put back to %s: %s"
            % (interface, left["mtu_set"], left["mtu_before"], error.strerror),
        ) from error
    return "the MTU of %s was put back to %d, which a killed session left at %d" % (
        interface, left["mtu_before"], left["mtu_set"],
    )


def restore_leftovers(directory=None):
    """Put back what a session that was killed has changed on this host.

    Returns a sentence about what was put back, or None. What a living session has changed is left alone. Raises
    OSError when there is something to put back and the system refuses it.
    """
    if not os.path.exists(_state_path(directory)):
        return None
    try:
        note = _Note(directory)
    except BlockingIOError:
        return None
    try:
        left = note.read()
        told = _put_back(left) if left else None
        note.clear()
        return told
    finally:
        note.close()


class _Mtu:
    """The MTU of the interface of an address during one run."""

    def __init__(self, address, mtu_bytes, directory):
        self.mtu_bytes = mtu_bytes
        self.interface = interface_of(address)
        self._note = None
        self._before = None
        if self.interface is None:
            raise SettingProblem("mtu_not_set", "no interface of this host has the data address %s" % address)
        self._require_room_for_ipv6()
        try:
            self._set(directory)
        except SettingProblem:
            self.restore()
            raise
        except OSError as error:
            self.restore()
            raise SettingProblem(
                "mtu_not_set",
                "the MTU of %s cannot be set to %d: %s. Choose one that the interface takes (ip -details link show %s)"
                % (self.interface, mtu_bytes, error.strerror or error, self.interface),
            ) from error

    def _require_room_for_ipv6(self):
        if self.mtu_bytes >= SMALLEST_IPV6_MTU:
            return
        lost = [item for item, name, scope in ipv6_addresses() if name == self.interface and scope != LINK_LOCAL_SCOPE]
        if lost:
            raise SettingProblem(
                "mtu_not_set",
                "an MTU of %d would take the address %s off %s for good, because IPv6 needs %d: choose %d or more"
                % (self.mtu_bytes, lost[0], self.interface, SMALLEST_IPV6_MTU, SMALLEST_IPV6_MTU),
            )

    def _set(self, directory):
        try:
            self._note = _Note(directory)
        except BlockingIOError:
            raise SettingProblem("mtu_not_set", "another session has changed the MTU of this host") from None
        left = self._note.read()
        if left:
            _put_back(left)
        before = mtu_of(self.interface)
        if before == self.mtu_bytes:
            self._note.clear()
            self._note.close()
            self._note = None
            return
        self._before = before
        self._note.write(dict(_identity(self.interface), mtu_before=before, mtu_set=self.mtu_bytes))
        was_running = _is_running(self.interface)
        _change_mtu(self.interface, self.mtu_bytes)
        deadline = time.monotonic() + LINK_UP_SECONDS
        while was_running and not _is_running(self.interface):  # some drivers start the link anew
            if time.monotonic() > deadline:
                raise SettingProblem(
                    "mtu_not_set", "%s did not come back within %g s after its MTU was set to %d"
                    % (self.interface, LINK_UP_SECONDS, self.mtu_bytes),
                )
            time.sleep(POLL_SECONDS)

    def trouble(self):
        """A sentence when the MTU is no longer what it was set to, else None."""
        try:
            now = mtu_of(self.interface)
        except OSError as error:
            return "the MTU of %s cannot be read: %s" % (self.interface, error.strerror)
        if now == self.mtu_bytes:
            return None
        return "the MTU of %s was set to %d and is %d: something else on this host has changed it" % (
            self.interface, self.mtu_bytes, now,
        )

    def restore(self):
        """Put the old value back; a sentence when that is refused. The note stays then, for the next session."""
        note, self._note = self._note, None
        if note is None:
            return None
        try:
            if self._before is not None:
                _change_mtu(self.interface, self._before)
                note.clear()
        except OSError as error:
            return "the MTU of %s cannot be put back to %d: %s" % (self.interface, self._before, error.strerror)
        finally:
            note.close()
        return None


# CPUs


def online_cpus():
    """Numbers of the CPUs that are online."""
    with open("/sys/devices/system/cpu/online") as handle:
        return cpu_numbers(handle.read().strip())


def usable_cpus(wanted):
    """Those of the CPUs on which our processes can really run: a cpuset can forbid some without saying so."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, wanted)
        return os.sched_getaffinity(0)
    except OSError:
        return set()
    finally:
        os.sched_setaffinity(0, before)


def _require_cpus(text):
    """The CPUs of a list as a set, all of them online and ours to use. Raises SettingProblem."""
    try:
        wanted = cpu_numbers(text)
    except NotCpus:
        raise SettingProblem("cpus_not_set", "pairbench_cpus is %r; it must be like 0-3,6" % text) from None
    online = online_cpus()
    if not wanted <= online:
        raise SettingProblem(
            "cpus_not_set",
            "pairbench_cpus is %s, but this host has no CPU %s online; it has %s"
            % (text, cpu_list(wanted - online), cpu_list(online)),
        )
    usable = usable_cpus(wanted)
    if usable != wanted:
        raise SettingProblem(
            "cpus_not_set",
            "pairbench_cpus is %s, but processes of this session may not run on CPU %s (a cpuset forbids it)"
            % (text, cpu_list(wanted - usable)),
        )
    return wanted


def _on(numbers):
    path = shutil.which("taskset")
    if path is None:
        raise SettingProblem("cpus_not_set", "taskset, which pins the benchmark, is not on this host: install util-linux")
    return [os.path.realpath(path), "-c", cpu_list(numbers)]


class HostSettings:
    """What one run asks of this host.

    ``run`` may have ``mtu`` (bytes, 0 for none), ``cpus`` (a list as the kernel writes it, empty for none), and ``user``
    (whom the benchmark runs as, empty for whoever runs the module). ``program`` is the benchmark's path. ``prefix`` and
    ``tracer_prefix`` come before the command of the benchmark and of the tracer. ``recorded`` is the part ``settings`` of
    an END, None when the run asks for nothing. Making one changes nothing yet; it and ``apply`` raise SettingProblem, and
    then nothing is changed either.
    """

    def __init__(self, run, program=""):
        self.prefix, self.tracer_prefix = [], []
        self.recorded = None
        self._mtu_bytes = run.get("mtu")
        self._mtu = None
        if run.get("cpus"):
            cpus = _require_cpus(run["cpus"])
            self.prefix = _on(cpus)
            others = usable_cpus(online_cpus()) - cpus
            self.tracer_prefix = _on(others) if others else []
            self._record(cpus=cpu_list(cpus))
        self._becomes = []
        if run.get("user"):
            self._becomes, who = benchmark_user.become(run["user"], benchmark_user.capabilities(run), program)
            self.prefix = self.prefix + self._becomes
            self._record(user=who)

    def environment(self, given):
        """The environment of the benchmark, from that which a process of ours would have."""
        return benchmark_user.without_private_folder(given) if self._becomes else given

    def apply(self, address, directory=None):
        """Set the MTU of the interface that has the address; ``restore`` must follow, whatever happens."""
        if self._mtu_bytes:
            self._mtu = _Mtu(address, self._mtu_bytes, directory)
            self._record(interface=self._mtu.interface, mtu_bytes=mtu_of(self._mtu.interface))

    def _record(self, **found):
        self.recorded = dict(self.recorded or dict.fromkeys(("cpus", "interface", "mtu_bytes", "user")), **found)

    def restore(self):
        """Put everything back, once. Returns a problem (``reason``, ``detail``) or None; never raises."""
        mtu, self._mtu = self._mtu, None
        if mtu is None:
            return None
        told = [sentence for sentence in (mtu.trouble(), mtu.restore()) if sentence]
        return {"reason": "mtu_not_set", "detail": "; ".join(told)} if told else None
