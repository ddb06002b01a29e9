# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Child processes that cannot outlive their limit.

Every child is started under coreutils ``timeout`` in a session of its own. ``timeout`` is the dead man's
switch: at the limit it interrupts the whole process group and five seconds later kills it, whatever has
become of this process; and the kernel sends it SIGTERM should this process die first (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import signal
import stat
import subprocess
import time

PR_SET_PDEATHSIG = 1
KILL_AFTER_SECONDS = 5
OUTPUT_BYTES = 16 << 20
"""A longer output of a program is not kept whole: an hour of reports on 128 streams fits."""
KEPT_BYTES = 1 << 20
"""What is kept of its beginning, and of its end."""
FILE_BYTES = 1 << 30
"""No file that a program writes grows larger; the kernel ends a program that tries (SIGXFSZ)."""
ENDED_BY_FILE_SIZE = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


class Interrupted(Exception):
    """A signal asked this process to stop."""


def die_with_parent():
    """Have the kernel send this process SIGTERM when the process that started it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def limit_files():
    """Let no file that this process and its children write become larger than ``FILE_BYTES``."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = FILE_BYTES if hard == resource.RLIM_INFINITY else min(FILE_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _before_exec():
    die_with_parent()
    limit_files()


class Wakeup:
    """Turns SIGCHLD into a readable descriptor, so that waiting needs no polling during a measurement.

    SIGINT, SIGTERM and SIGHUP raise ``Interrupted`` at the next wait, so that children are always cleaned up
    on the ordinary path; so does a reader of our standard output that has gone away, which is how the end of
    a controller (a kill, a cut SSH connection) reaches a module. While ``controller_needed`` is false, as during
    a run that would be lost, it is only noted: it raises when the controller is needed again.
    """

    def __init__(self):
        self.reader, self._writer = os.pipe()
        for descriptor in (self.reader, self._writer):
            os.set_blocking(descriptor, False)
        self.interrupted_by = None
        self.controller_needed = True
        self._controller_gone = False
        self._output = _pipe_or_none(1)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        self.interrupted_by = signal.Signals(number).name

    def check(self):
        if self.interrupted_by:
            raise Interrupted(self.interrupted_by)
        if self._controller_gone and self.controller_needed:
            raise Interrupted("the controller went away")

    def drain(self):
        try:
            while os.read(self.reader, 512):
                pass
        except BlockingIOError:
            pass

    def wait(self, descriptors, timeout_seconds):
        """Wait until a descriptor is readable, a signal has come or time is up; return the readable ones."""
        self.check()
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        if self._output is not None:
            poll.register(self._output, 0)  # no events asked: reports only that the reader has gone
        for item in descriptors:
            poll.register(item, select.POLLIN)
        ready = dict(poll.poll(max(0.0, timeout_seconds) * 1000))
        if self.reader in ready:
            self.drain()
        if self._output in ready:
            self._controller_gone = True
            self._output = None  # it would be ready for ever
        self.check()
        return [item for item in descriptors if _number(item) in ready]


def _number(item):
    return item if isinstance(item, int) else item.fileno()


def _pipe_or_none(descriptor):
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


class Child:
    """One child under its dead man's limit; its output goes to files in ``directory``."""

    def __init__(self, argv, limit_seconds, directory, name, environment=None):
        self.argv = list(argv)
        self.limit_seconds = limit_seconds
        self._searches = {}
        self._stdout_path = os.path.join(directory, name + ".stdout")
        self._stderr_path = os.path.join(directory, name + ".stderr")
        guard = ["timeout", "-s", "INT", "-k", str(KILL_AFTER_SECONDS), "%.3f" % limit_seconds]
        with open(self._stdout_path, "wb") as stdout, open(self._stderr_path, "wb") as stderr:
            self._process = subprocess.Popen(
                guard + self.argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_before_exec,
                env=environment or dict(os.environ, LC_ALL="C"),
            )
        self.started = time.monotonic()

    @property
    def session_id(self):
        """The session, and process group, of the child and everything that it starts."""
        return self._process.pid

    def returncode(self):
        """The exit status, or None while it runs. 124 and 137 mean that the limit ended it."""
        return self._process.poll()

    @property
    def timed_out(self):
        """Whether the limit, rather than the child itself or we, ended it."""
        return self._process.poll() == 124 or (
            self._process.poll() in (-signal.SIGKILL, 137)
            and time.monotonic() - self.started >= self.limit_seconds
        )

    def stdout(self):
        """What it has printed, of a long output the beginning and the end (``kept_text``)."""
        return kept_text(self._stdout_path)

    def stderr(self):
        return kept_text(self._stderr_path)

    def sizes(self):
        """Bytes that it has printed, by stream."""
        return {"stdout": size_of(self._stdout_path), "stderr": size_of(self._stderr_path)}

    def has_said(self, word):
        """Whether it has printed a word on its standard output, reading only what has come since it was last asked."""
        search = self._searches.setdefault(word, _Search(self._stdout_path, word.encode()))
        return search.found()

    @property
    def wrote_too_much(self):
        """Whether the kernel ended it because a file that it wrote became too large."""
        return self._process.poll() in ENDED_BY_FILE_SIZE

    def wait(self, wakeup, deadline, descriptors=()):
        """Wait for the end of the child; return True when it ended, False on a descriptor or the deadline."""
        while self._process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if wakeup.wait(descriptors, left) and self._process.poll() is None:
                return False
        return True

    def interrupt(self):
        """Ask the child, and what it started, to end; the guard only waits for it."""
        for pid in group_members(self.session_id):
            if pid != self.session_id:
                try:
                    os.kill(pid, signal.SIGINT)
                except ProcessLookupError:
                    pass

    def stop(self, grace_seconds=3.0):
        """End whatever is left of the child's process group; never raises, never waits longer than twice."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if not group_members(self.session_id):
                break
            _signal_group(self.session_id, number)
            limit = time.monotonic() + grace_seconds
            while group_members(self.session_id) and time.monotonic() < limit:
                self._process.poll()
                time.sleep(0.02)
        try:
            self._process.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            pass


def _signal_group(group, number):
    try:
        os.killpg(group, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


class _Search:
    """Looks for a word in a file that grows, each byte once."""

    def __init__(self, path, word):
        self._path = path
        self._word = word
        self._offset = 0
        self._tail = b""
        self._found = False

    def found(self):
        with open(self._path, "rb") as handle:
            handle.seek(self._offset)
            while not self._found:
                part = handle.read(1 << 16)
                if not part:
                    break
                self._offset += len(part)
                text = self._tail + part
                self._found = self._word in text
                self._tail = text[max(0, len(text) - len(self._word) + 1) :]
        return self._found


def size_of(path):
    """Bytes of a file, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def kept_text(path):
    """The text of a file; of one larger than ``OUTPUT_BYTES`` its beginning, its end, and how much is missing between.

    Empty where there is no file.
    """
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if size <= OUTPUT_BYTES:
                return handle.read(OUTPUT_BYTES).decode("utf-8", "replace")
            head = handle.read(KEPT_BYTES)
            handle.seek(size - KEPT_BYTES)
            tail = handle.read(KEPT_BYTES)
    except FileNotFoundError:
        return ""
    missing = "\n[pairbench: %d bytes are missing here]\n" % (size - len(head) - len(tail))
    return head.decode("utf-8", "replace") + missing + tail.decode("utf-8", "replace")


def too_large(sizes):
    """What is wrong with outputs of these sizes (name to bytes), as a sentence, None where all are kept whole."""
    found = ["%s has %d bytes" % item for item in sorted(sizes.items()) if item[1] > OUTPUT_BYTES]
    if not found:
        return None
    return "%s; up to %d are kept" % (", ".join(found), OUTPUT_BYTES)


def process_stat(pid):
    """The fields of /proc/PID/stat behind the command name, or None when the process is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as handle:
            return handle.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def process_comm(pid):
    """The thread name of a process, or '?' when it is gone."""
    try:
        with open("/proc/%d/comm" % pid) as handle:
            return handle.read().strip()
    except OSError:
        return "?"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def group_members(session_id):
    """Living processes of a session (zombies excluded): pids."""
    members = []
    for pid in all_pids():
        fields = process_stat(pid)
        if fields and int(fields[3]) == session_id and fields[0] not in (b"Z", b"X"):
            members.append(pid)
    return members
