# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Run a helper program to its end, for a limited time, and keep a limited part of what it prints."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time

MOST_BYTES = 1 << 20
LINGER_SECONDS = 1.0
POLL_SECONDS = 0.1


class Done:
    """How a program ended: ``returncode``, and the beginning of ``stdout`` and ``stderr`` as text."""

    def __init__(self, returncode, stdout, stderr=""):
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


def run_program(argv, seconds, most_bytes=MOST_BYTES, merged=False, stdin="", **options):
    """Run a program and return a Done. Whatever is left of it after ``seconds`` is killed.

    ``most_bytes`` are kept of each stream, the rest is read and thrown away; with ``merged`` standard error is part of
    ``stdout``. ``options`` are those of Popen. Raises OSError where it cannot be started, TimeoutExpired.
    """
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE, start_new_session=True, **options,
    )  # fmt: skip
    ended = False
    try:
        kept = _talk(process, stdin.encode(), time.monotonic() + seconds, most_bytes)
        ended = kept is not None
        if not ended:
            raise subprocess.TimeoutExpired(argv, seconds)
    finally:
        if not ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
    texts = [kept[stream].decode("utf-8", "replace") for stream in (process.stdout, process.stderr) if stream]
    return Done(process.returncode, *texts)


def _talk(process, to_say, deadline, most_bytes):
    """Read and write until the program has ended: what it said by stream, None when the deadline came first."""
    streams = [stream for stream in (process.stdout, process.stderr) if stream]
    kept = dict.fromkeys(streams, b"")
    gone = None
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            now = time.monotonic()
            if process.poll() is not None:
                gone = gone or now
                if now > gone + LINGER_SECONDS:  # what it has left in the background holds the pipes
                    break
            if now > deadline:
                return None
            for key, _events in selector.select(POLL_SECONDS):
                if key.fileobj is process.stdin:
                    to_say = _say(selector, process.stdin, to_say)
                elif not _hear(key.fileobj, kept, most_bytes):
                    selector.unregister(key.fileobj)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return kept


def _say(selector, stream, to_say):
    try:
        to_say = to_say[os.write(stream.fileno(), to_say) :]
    except BlockingIOError:
        return to_say
    except BrokenPipeError:
        to_say = b""
    if not to_say:
        selector.unregister(stream)
        stream.close()
    return to_say


def _hear(stream, kept, most_bytes):
    """Take what is there; False at the end."""
    try:
        part = os.read(stream.fileno(), 1 << 16)
    except BlockingIOError:
        return True
    kept[stream] += part[: max(0, most_bytes - len(kept[stream]))]
    return bool(part)
