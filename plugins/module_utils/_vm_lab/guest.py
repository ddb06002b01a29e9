# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""One guest of a lab on its hypervisor: its folder, its disk, its seed, and what runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import (
    NotOurs,
    own_folder,
    read_own,
    write_own,
)
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import emulator, libvirt
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

ISO_COMMANDS = (["genisoimage"], ["mkisofs"], ["xorriso", "-as", "mkisofs"])
TOOL_SECONDS = 120
MOST_SETTINGS_BYTES = 1 << 20


def file_names(folder):
    """The files of a guest: name to path."""
    names = {"disk": "disk.qcow2", "seed": "seed.iso", "serial_log": "serial.log", "pid_file": "qemu.pid"}
    names["settings"] = "settings.json"
    return {what: os.path.join(folder, name) for what, name in names.items()}


def settings_of(params):
    """What a running guest is compared by, as text: all options, with a hash in place of the seed's secrets."""
    shown = {name: value for name, value in params.items() if name != "state"}
    seed = json.dumps(params["seed"], sort_keys=True)
    shown["seed"] = hashlib.sha256(seed.encode("utf-8")).hexdigest()
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


class Guest:
    """A guest as the options of the module vm_guest describe it."""

    def __init__(self, params):
        self._params = params
        self._folder = params["folder"]
        self._libvirt = params["backend"] == "libvirt"
        self.files = file_names(self._folder)

    def present(self, check=False):
        """Have it running with these settings. Whether something was done. Raises GuestError, leaving nothing of it."""
        settings = settings_of(self._params)
        if self._runs() and self._recorded() == settings:
            return False
        if not check:
            self.absent()
            try:
                self._make()
                write_own(self.files["settings"], settings.encode())
            except BaseException:
                self.absent()
                raise
        return True

    def absent(self, check=False):
        """Leave nothing of it. Returns whether something was done."""
        there = os.path.isdir(self._folder)
        if check:
            return there or self._runs()
        stopped = self._stop()
        if there:
            shutil.rmtree(self._folder)
        return there or stopped

    def _runs(self):
        if self._libvirt:
            return libvirt.exists(self._params["domain"]) and libvirt.state(self._params["domain"]) == "running"
        return bool(emulator.running_pid(self.files["pid_file"], self._params["uuid"]))

    def _stop(self):
        if self._libvirt:
            return libvirt.stop(self._params["domain"])
        return emulator.stop(self.files["pid_file"], self._params["uuid"])

    def _recorded(self):
        try:
            return read_own(self.files["settings"], MOST_SETTINGS_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def _make(self):
        try:
            own_folder(self._folder, 0o755)
        except NotOurs as error:
            raise GuestError(str(error)) from None
        self._make_disk()
        make_seed(self.files["seed"], self._params["seed"])
        if self._libvirt:
            libvirt.start(self._params["xml"])
        else:
            emulator.start(self._params["qemu"], self._params, self.files)

    def _make_disk(self):
        size = ["%dG" % self._params["disk_gib"]] if self._params["disk_gib"] else []
        base = ["-b", self._params["image"], "-F", self._params["image_format"]]
        run_tool(["qemu-img", "create", "-q", "-f", "qcow2", *base, self.files["disk"], *size])


def make_seed(path, contents):
    """Write a disk that cloud-init (NoCloud), or the image built here, reads at its first boot."""
    folder = tempfile.mkdtemp(prefix="pairbench-seed-")
    try:
        for name, content in contents.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as handle:
                handle.write(content)
        run_tool([*iso_command(), "-quiet", "-volid", "CIDATA", "-joliet", "-rational-rock", "-output", path, folder])
        # It holds the guest's private host key.
        os.chmod(path, 0o600)
    finally:
        shutil.rmtree(folder)


def iso_command():
    """The program that makes ISO images here."""
    for command in ISO_COMMANDS:
        if shutil.which(command[0]):
            return list(command)
    raise GuestError("there is no program for ISO images: install genisoimage, mkisofs or xorriso on the hypervisor")


def run_tool(argv):
    """Run a program whose output does not matter. Raises GuestError with what it said when it fails."""
    try:
        done = run_program(argv, TOOL_SECONDS, merged=True)
    except FileNotFoundError:
        raise GuestError("%s is not installed on the hypervisor" % argv[0]) from None
    except subprocess.TimeoutExpired:
        raise GuestError("%s did not end within %d s" % (argv[0], TOOL_SECONDS)) from None
    if done.returncode != 0:
        raise GuestError("%s failed: %s" % (argv[0], done.stdout.strip()))
