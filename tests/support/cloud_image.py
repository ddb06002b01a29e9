"""A distribution's cloud image, made here: its own boot loader, and cloud-init, which knows nothing of this project."""

from __future__ import annotations

from pathlib import Path

import packages
from namespaces import run
from roots import made_once

RELEASE = "trixie"
# What Debian's own cloud images have of their kind, and two of the three tools; the third is for the roles to install.
PACKAGES = (
    "linux-image-cloud-amd64", "init", "systemd-resolved", "dbus", "netplan.io", "iproute2", "openssh-server", "cloud-init",
    "cloud-guest-utils", "fdisk", "e2fsprogs", "sudo", "ca-certificates", "python3", "python3-apt", "sockperf", "bpftrace",
)  # fmt: skip
MODULES = ("biosdisk", "part_msdos", "ext2", "search", "search_label", "normal", "configfile", "linux", "echo", "serial")
MIB = 1 << 20
SECTOR = 512
BOOT_CODE = 440
"""Bytes of the first sector that are program; the disk's signature and partitions follow."""
LABEL = "cloudimg"
BOOT = f"""\
serial --unit=0
terminal_output serial console
search --no-floppy --label {LABEL} --set=root
linux /vmlinuz root=LABEL={LABEL} ro console=ttyS0
initrd /initrd.img
boot
"""
DISK_MIB = 2560


def cloud_image() -> Path:
    """The image, made once and kept with the pristine roots."""
    return made_once(f"cloud-{RELEASE}.qcow2", _make)


def _make(folder: Path) -> Path:
    packages.install("mmdebstrap", "qemu-utils", "e2fsprogs", "fdisk", "grub-common", "grub-pc-bin")
    root, disk, image = folder / "root", folder / "disk.raw", folder / "disk.qcow2"
    mmdebstrap = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    run(*mmdebstrap, RELEASE, str(root), *packages.mirror(), timeout=550)
    _finish(root)

    with disk.open("wb") as handle:
        handle.truncate(DISK_MIB * MIB)
    run("sfdisk", "--quiet", str(disk), input="label: dos\nstart=1MiB, type=83, bootable\n")
    run("mkfs.ext4", "-q", "-L", LABEL, "-E", f"offset={MIB}", "-d", str(root), str(disk), f"{DISK_MIB - 1}M")
    _write_boot_loader(disk, folder)
    run("qemu-img", "convert", "-O", "qcow2", str(disk), str(image))
    image.chmod(0o644)
    return image


def _finish(root: Path) -> None:
    """As in the images that are published: no keys, no identity, and name resolution by systemd."""
    (root / "boot/grub").mkdir(parents=True, exist_ok=True)
    (root / "boot/grub/grub.cfg").write_text(BOOT)
    (root / "etc/fstab").write_text(f"LABEL={LABEL} / ext4 defaults 0 1\n")
    (root / "etc/machine-id").write_text("")
    for path in (*(root / "etc/ssh").glob("ssh_host_*"), root / "etc/hostname", root / "etc/resolv.conf"):
        path.unlink(missing_ok=True)
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _write_boot_loader(disk: Path, folder: Path) -> None:
    """GRUB's two parts where its installer puts them: in the first sector, and in the gap before the partition."""
    core = folder / "core.img"
    run("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", str(core), *MODULES)
    assert core.stat().st_size < MIB - SECTOR
    with disk.open("r+b") as handle:
        handle.write(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:BOOT_CODE])
        handle.seek(SECTOR)
        handle.write(core.read_bytes())
