# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The command line of an emulator, and how its process is recognised by the guest's UUID.

Nothing here starts or ends a process: ``emulator`` does.
"""

from __future__ import annotations

# Slots on the root complex: fixed, so that the management interface is always the first that a guest's kernel finds.
MANAGEMENT_SLOT = "0x10"
DATA_SLOT = "0x11"
# Under emulation QEMU 7.2 corrupts flags around CMPXCHG16B, and guests panic at random; nested SVM is of no use there.
EMULATED_CPU = "qemu64,-cx16,-svm"


def cpu_model(accel, wanted=""):
    """The CPU model: the one asked for, else the hypervisor's own with KVM and one that works under emulation."""
    return wanted or ("host" if accel == "kvm" else EMULATED_CPU)


def data_netdev(descriptors, vhost):
    """The value of -netdev for taps that are open as these file descriptors, one per queue."""
    taps = "fd=%d" % descriptors[0] if len(descriptors) == 1 else "fds=" + ":".join(str(fd) for fd in descriptors)
    return "tap,id=data,%s,vhost=%s" % (taps, "on" if vhost else "off")


def data_device(guest):
    """The value of -device for the data interface; several queues need a vector each way, and two more."""
    device = "virtio-net-pci,netdev=data,mac=%s,addr=%s" % (guest["mac"], DATA_SLOT)
    queues = guest["queues"]
    return device if queues == 1 else "%s,mq=on,vectors=%d" % (device, 2 * queues + 2)


def command_line(qemu, guest, files, descriptors):
    """The whole command line.

    ``qemu`` is the emulator's path, ``guest`` the options of the module vm_guest, ``files`` the paths of the guest's
    own files (disk, seed, serial_log, pid_file), ``descriptors`` the open taps of the data interface.
    """
    argv = [
        qemu,
        "-name", "guest=%s,debug-threads=on" % guest["domain"],
        "-uuid", guest["uuid"],
        "-daemonize", "-pidfile", files["pid_file"],
        "-no-user-config", "-nodefaults", "-display", "none", "-monitor", "none",
        "-machine", "q35,sata=off,accel=%s" % guest["accel"],
        "-cpu", cpu_model(guest["accel"], guest["cpu"]),
        "-smp", str(guest["vcpus"]), "-m", str(guest["memory_mib"]),
        "-object", "rng-random,id=entropy,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=entropy",
        "-chardev", "file,id=serial,path=%s" % escaped(files["serial_log"]), "-serial", "chardev:serial",
        "-drive", "if=none,id=root,format=qcow2,cache=unsafe,file=%s" % escaped(files["disk"]),
        "-device", "virtio-blk-pci,drive=root",
        "-drive", "if=none,id=seed,format=raw,readonly=on,file=%s" % escaped(files["seed"]),
        "-device", "virtio-blk-pci,drive=seed",
        "-netdev", "user,id=management,hostfwd=tcp:127.0.0.1:%d-:22" % guest["port"],
        "-device", "virtio-net-pci,netdev=management,mac=%s,addr=%s" % (guest["management_mac"], MANAGEMENT_SLOT),
        "-netdev", data_netdev(descriptors, guest["vhost"]),
        "-device", data_device(guest),
    ]  # fmt: skip
    if guest["kernel"]:
        argv += ["-kernel", guest["kernel"], "-append", guest["append"]]
        argv += ["-initrd", guest["initrd"]] if guest["initrd"] else []
    return argv


def escaped(path):
    """A path as a value inside an option of QEMU, where a comma ends the value."""
    return path.replace(",", ",,")


def is_guest(command_line_bytes, uuid):
    """Whether the command line of a process, as /proc shows it, is that of the guest with this UUID."""
    words = command_line_bytes.split(b"\0")
    return any(words[at : at + 2] == [b"-uuid", uuid.encode()] for at in range(len(words)))
