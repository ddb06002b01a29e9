"""One pass of the playbook through ansible-runner: live progress, a log of its own, a clean end."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from ..controller.processes import STOPPED, children, send, state_of
from ..model import HELD
from ..storage.files import StorageError, make_directory, open_kept, shown_path
from ..storage.sweep_folder import SweepFolder
from .events import errors_of, lines_of, progress_of, refusal_of

PLAYBOOK = "pairbench.lab.bench"
CALLBACK = "pairbench.lab.summary"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_SECONDS = 10.0
STOPPED_SECONDS = 600.0
"""For how long the playbook may be stopped from outside before it is given up."""


@dataclass(frozen=True)
class PassResult:
    """How a pass ended.

    ``returncode`` is that of ansible-playbook, ``refusal`` why the playbook did not even begin to measure (`model.HELD`,
    `model.REFUSED`, or empty), ``errors`` the lines that say what failed.
    """

    returncode: int
    refusal: str
    errors: tuple[str, ...]
    log: Path


def next_log(sweep_dir: Path) -> Path:
    """An empty file that no other pass uses, nor a second sweep command that starts at this moment."""
    folder = SweepFolder(sweep_dir)
    make_directory(folder.logs)
    number = 1
    while True:
        path = folder.log(number)
        try:
            os.close(open_kept(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        except OSError as error:
            raise StorageError(error.errno, f"{shown_path(path)} cannot be written ({error.strerror})") from error
        else:
            return path


class Pass:
    """Runs ``ansible-playbook`` and can be told to stop."""

    def __init__(self, playbook: str, options: Sequence[str], log: Path, say: Callable[[str], None]) -> None:
        self._playbook = playbook
        self._options = list(options)
        self._log = log
        self._say = say
        self._errors: list[str] = []
        self._refusal = ""
        self._children_before = children(os.getpid())

    def run(self, stop_at: float | None = None) -> PassResult:
        """Run it to its end, or to that time of ``time.monotonic``, when it is ended as by Ctrl-C.

        A signal reaches it through ``stop``, called by the handler of that signal.
        """
        import ansible_runner

        with tempfile.TemporaryDirectory(prefix="pairbench-runner-") as private, _opened(self._log) as log:
            thread, runner = ansible_runner.run_async(
                private_data_dir=private,
                project_dir=str(Path.cwd()),
                playbook=self._playbook,
                cmdline=" ".join(_quoted(option) for option in self._options),
                envvars=environment(os.environ),
                event_handler=lambda event: self._event(event, log),
                cancel_callback=lambda: False,  # without one, the runner takes our signals and kills the playbook
                quiet=True,
                suppress_env_files=True,
            )
            self._await(thread, stop_at)
        return PassResult(runner.rc if runner.rc is not None else 1, self._refusal, tuple(self._errors), self._log)

    def _await(self, thread: threading.Thread, stop_at: float | None) -> None:
        """Wait in short pieces, so that handlers of signals get their turn."""
        look_at, stopped_since = time.monotonic(), None
        while thread.is_alive():
            thread.join(0.2)
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_SECONDS
                stopped_since = self._end_when_stopped(stopped_since)
            if stop_at is not None and time.monotonic() >= stop_at:
                stop_at = None
                self._say("The time of --for is over: the sessions that are running are ended")
                self.stop(signal.SIGINT)

    def _end_when_stopped(self, since: float | None) -> float | None:
        """Kill a playbook that somebody stopped (SIGSTOP) and left so; since when it has been."""
        stopped = [pid for pid in self._playbooks() if state_of(pid) in STOPPED]
        if not stopped or since is None:
            return time.monotonic() if stopped else None
        if time.monotonic() - since >= STOPPED_SECONDS:
            self._say(f"The playbook has been stopped (SIGSTOP) for {STOPPED_SECONDS:.0f} s and is killed; what the hosts "
                      "have measured meanwhile is collected by the next pass")  # fmt: skip
            send(stopped, signal.SIGKILL)
        return since

    def stop(self, number: int) -> None:
        """Send the playbook a signal: SIGINT lets it end its sessions and write what there is."""
        send(self._playbooks(), number)  # it may end by itself at this moment

    def _playbooks(self) -> list[int]:
        return [pid for pid in children(os.getpid()) - self._children_before if b"ansible-playbook" in _command(pid)]

    def _event(self, event: Mapping[str, Any], log: IO[str]) -> bool:
        stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
        log.writelines(f"{stamp} {line}\n" for line in lines_of(event))
        log.flush()
        if self._refusal != HELD:  # where a host is held too, waiting may help
            self._refusal = refusal_of(event) or self._refusal
        self._errors += errors_of(event)
        for line in progress_of(event):
            self._say(line)
        return False  # the runner need not keep the event in a file


def _opened(log: Path) -> IO[str]:
    return os.fdopen(open_kept(log, os.O_WRONLY), "w", encoding="utf-8", errors="backslashreplace")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Environment of the playbook: this Python's commands first, and the callback on."""
    enabled = [name for name in given.get("ANSIBLE_CALLBACKS_ENABLED", "").split(",") if name]
    if CALLBACK not in enabled:
        enabled.append(CALLBACK)
    path = os.pathsep.join((str(Path(sys.executable).parent), given.get("PATH", os.defpath)))
    return {"ANSIBLE_CALLBACKS_ENABLED": ",".join(enabled), "PATH": path}


def _quoted(option: str) -> str:
    """ansible-runner splits its command line as a shell does."""
    return "'" + option.replace("'", "'\"'\"'") + "'"


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

