# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Whether this machine can run guests with hardware acceleration, found out by running one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import kept_text, limit_files
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_own, write_own
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

# Without it there is no KVM; with it there may be.
DEVICE = "/dev/kvm"
# What a kernel without a root disk says last. That it got this far proves that the guest's CPU works.
PROOF = "Unable to mount root"
LIMIT_SECONDS = 20
MEMORY_MIB = 256
MOST_ANSWER_BYTES = 1 << 16


def probe_command(qemu, kernel, serial_log):
    """The command line of the guest that is started to find out."""
    return [
        qemu, "-accel", "kvm", "-cpu", "host", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "file:" + serial_log,
        "-kernel", kernel, "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip


def verdict(returncode, serial, errors):
    """(accel, reason) from how the guest ended: None for killed at the limit, else its exit status."""
    if returncode == 0 and PROOF in serial:
        return "kvm", "a guest booted its kernel with KVM"
    if returncode is None:
        return "tcg", "a guest with KVM did not boot its kernel within %d s" % LIMIT_SECONDS
    said = [line for line in errors.splitlines() if line.strip()]
    detail = ": %s" % said[0].strip() if said else ""
    if returncode == 0:
        return "tcg", "a guest with KVM ended before its kernel looked for a root disk%s" % detail
    return "tcg", "a guest with KVM failed with status %d%s" % (returncode, detail)


def probe(qemu, kernel):
    """Start a guest and see how far it gets: (accel, reason). Takes at most LIMIT_SECONDS."""
    if not os.path.exists(DEVICE):
        return "tcg", "there is no %s on the hypervisor" % DEVICE
    folder = tempfile.mkdtemp(prefix="pairbench-probe-")
    try:
        serial_log = os.path.join(folder, "serial.log")
        returncode, errors = _run(probe_command(qemu, kernel, serial_log))
        return verdict(returncode, kept_text(serial_log), errors)
    finally:
        shutil.rmtree(folder)


def _run(argv):
    try:
        done = run_program(argv, LIMIT_SECONDS, preexec_fn=limit_files)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stderr


def recorded(path):
    """The answer that was kept, or None."""
    try:
        found = json.loads(read_own(path, MOST_ANSWER_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("accel") not in ("kvm", "tcg") or not isinstance(found.get("reason"), str):
        return None
    return {"accel": found["accel"], "reason": found["reason"]}


def find_out(params, keep):
    """Start a guest, and keep the answer if ``keep``: a dict with ``accel`` and ``reason``.

    ``params`` are the options of the module vm_probe. Raises GuestError.
    """
    if os.path.exists(DEVICE) and not os.path.exists(params["kernel"]):
        raise GuestError("there is no kernel %(kernel)s to probe KVM with" % params)
    accel, reason = probe(params["qemu"], params["kernel"])
    answer = {"accel": accel, "reason": reason}
    if keep:
        try:
            write_own(params["record"], json.dumps(answer).encode())
        except OSError as error:
            raise GuestError("the answer cannot be kept: %s" % error) from None
    return answer
