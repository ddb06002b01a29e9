"""A distribution's cloud image, made here: its own boot loader, and cloud-init, which knows nothing of this project."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from roots import cache

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
BOOT = """\
serial --unit=0
terminal_output serial console
search --no-floppy --label cloudimg --set=root
linux /vmlinuz root=LABEL=cloudimg ro console=ttyS0
initrd /initrd.img
boot
"""
# As in the images that are published: no keys, no identity, and name resolution by systemd.
FINISH = """
set -e
root=$1
mkdir -p $root/boot/grub
cat > $root/boot/grub/grub.cfg
echo 'LABEL=cloudimg / ext4 defaults 0 1' > $root/etc/fstab
rm -f $root/etc/ssh/ssh_host_* $root/etc/hostname
: > $root/etc/machine-id
ln -sf ../run/systemd/resolve/stub-resolv.conf $root/etc/resolv.conf
"""


def cloud_image() -> Path:
    """The image, made once and kept with the pristine roots."""
    kept = cache() / f"cloud-{RELEASE}.qcow2"
    if not kept.exists():
        _install()
        folder = Path(tempfile.mkdtemp(prefix="cloud-", dir=cache()))
        try:
            _make(folder).rename(kept)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return kept


def _install() -> None:
    programs = {"mmdebstrap": "mmdebstrap", "qemu-img": "qemu-utils", "mkfs.ext4": "e2fsprogs", "sfdisk": "fdisk"}
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if not Path("/usr/lib/grub/i386-pc/boot.img").exists() or not shutil.which("grub-mkimage"):
        missing += ["grub-pc-bin", "grub-common"]
    if missing:
        _run("apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *missing)


def _make(folder: Path) -> Path:
    mirror = [os.environ["PAIRBENCH_TEST_MIRROR"]] if "PAIRBENCH_TEST_MIRROR" in os.environ else []
    root = folder / "root"
    _run("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(root), *mirror)
    _run("sh", "-c", FINISH, "sh", str(root), given=BOOT)

    disk = folder / "disk.raw"
    with disk.open("wb") as handle:
        handle.truncate(2560 * MIB)
    _run("sfdisk", "--quiet", str(disk), given="label: dos\nstart=1MiB, type=83, bootable\n")
    _run("mkfs.ext4", "-q", "-L", "cloudimg", "-E", f"offset={MIB}", "-d", str(root), str(disk), f"{2560 - 1}M")
    _write_boot_loader(disk, folder)

    image = folder / "disk.qcow2"
    _run("qemu-img", "convert", "-O", "qcow2", str(disk), str(image))
    image.chmod(0o644)
    return image


def _write_boot_loader(disk: Path, folder: Path) -> None:
    """GRUB's two parts where its installer puts them: in the first sector, and in the gap before the partition."""
    core = folder / "core.img"
    _run("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", str(core), *MODULES)
    assert core.stat().st_size < MIB - SECTOR
    with disk.open("r+b") as handle:
        handle.write(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:BOOT_CODE])
        handle.seek(SECTOR)
        handle.write(core.read_bytes())


def _run(*argv: str, given: str | None = None) -> None:
    done = subprocess.run(
        argv, input=given, capture_output=True, text=True, timeout=580, check=False,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    assert done.returncode == 0, f"{argv[0]}: {(done.stdout + done.stderr)[-4000:]}"
