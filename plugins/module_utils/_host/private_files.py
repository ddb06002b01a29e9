# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Files of our own in folders that others may use too: nothing of theirs is followed, believed or waited for.

What this host keeps between modules (locks, claims, notes, outputs) lies in folders that belong to us and that nobody
else can write to, as does every folder on the way there. Files are opened without following links, and are ours,
regular and without a second name, or they are refused with a sentence that names them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile

STATE_FOLDER = "/run/pairbench"
RUN_FOLDER_PREFIX = "pairbench-run-"
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
MOST_LINKS = 20
MOST_TRIES = 100
OPENED_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # the last one so that a FIFO makes nobody wait


class NotOurs(OSError):
    """A file or folder may not have been made by us; the text names it and says what to do."""

    def __init__(self, path, what):
        super().__init__(
            errno.EPERM, "%s is %s: see who made it, remove it and run the same command again" % (path, what)
        )

    def __str__(self):
        return self.strerror


# Folders


def _mapped_users():
    """Users of this user namespace: (first number inside, first number outside, how many)."""
    try:
        with open("/proc/self/uid_map") as handle:
            return [[int(field) for field in line.split()] for line in handle]
    except (OSError, ValueError):  # a kernel without user namespaces
        return [[0, 0, 1 << 32]]


def _outside(user):
    """The number of a user outside this user namespace: it tells apart users who are root in namespaces of their own."""
    for inside, outside, count in _mapped_users():
        if inside <= user < inside + count:
            return outside + user - inside
    return user


def _unmapped_owner():
    """The number under which files of users outside this user namespace appear, None where there are none."""
    try:
        with open("/proc/sys/kernel/overflowuid") as handle:
            overflow = int(handle.read())
    except (OSError, ValueError):
        return None
    return None if any(first <= overflow < first + count for first, _outside, count in _mapped_users()) else overflow


def _trusted_owners():
    """Root's folders are trusted, and ours; in a user namespace root may be one of those outside."""
    return {0, os.geteuid(), _unmapped_owner()} - {None}


def _may_be_changed_by_others(found):
    """Whether others can put something else in place of what they do not own in a folder."""
    if found.st_mode & stat.S_ISVTX:
        return False
    return bool(found.st_mode & stat.S_IWOTH) or (
        bool(found.st_mode & stat.S_IWGRP) and found.st_gid not in (0, os.getegid())
    )


def require_trusted_way(path):
    """Raise NotOurs when somebody else could replace a folder on the way to ``path``."""
    owners, way, links = _trusted_owners(), "/", 0
    left = [name for name in os.path.abspath(path).split("/") if name]
    while left:
        name = left.pop(0)
        here = os.path.dirname(way) if name == ".." else os.path.join(way, name)
        found = os.lstat(here)
        if found.st_uid not in owners:
            raise NotOurs(here, "on the way to %s and belongs to user %d" % (path, found.st_uid))
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, "too many symbolic links on the way to %s" % path)
            target = os.readlink(here)
            way = "/" if target.startswith("/") else way
            left = [part for part in target.split("/") if part not in ("", ".")] + left
            continue
        if _may_be_changed_by_others(found):
            raise NotOurs(here, "on the way to %s and can be written to by others" % path)
        way = here


def own_folder(path, mode=0o700):
    """Have a folder of ours that nobody else can write to; returns its path. Raises NotOurs, OSError.

    Missing folders on the way are made so that everybody can pass through them, this one with ``mode``.
    """
    path = os.path.abspath(path)
    parent = os.path.dirname(path)
    if not os.path.lexists(parent):
        own_folder(parent, 0o755)
    require_trusted_way(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise NotOurs(path, "no folder" if not os.path.islink(path) else "a symbolic link and no folder") from None
        raise
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise NotOurs(path, "a folder of user %d, and must be of user %d" % (found.st_uid, os.geteuid()))
        if found.st_mode & OTHERS_MAY_WRITE:
            raise NotOurs(path, "a folder that others can write to (mode %04o)" % stat.S_IMODE(found.st_mode))
        if stat.S_IMODE(found.st_mode) & ~mode:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & mode)
    finally:
        os.close(descriptor)
    return path


def state_folder():
    """Where locks, claims and notes of this host are: in ``/run/pairbench`` for root, in their own folders for others."""
    if os.geteuid() == 0 and os.stat(os.path.dirname(STATE_FOLDER)).st_uid == 0:
        return own_folder(STATE_FOLDER)
    user = _outside(os.getuid())
    for folder in (os.environ.get("XDG_RUNTIME_DIR") or "", "/run/user/%d" % user):
        if os.path.isabs(folder) and os.path.isdir(folder) and os.stat(folder).st_uid == os.geteuid():
            return own_folder(os.path.join(folder, "pairbench"))
    # A folder that somebody else made first is refused.
    return own_folder("/tmp/pairbench-%d" % user)  # nosec B108


# Files


def _opened(path, flags):
    """A descriptor of a regular file of ours. Raises FileNotFoundError, NotOurs, OSError."""
    try:
        descriptor = os.open(path, flags | OPENED_SAFELY, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotOurs(path, "a symbolic link") from None
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise NotOurs(path, "no regular file") from None
        raise
    found = os.fstat(descriptor)
    what = None
    if not stat.S_ISREG(found.st_mode):
        what = "no regular file"
    elif found.st_uid != os.geteuid():
        what = "a file of user %d, and must be of user %d" % (found.st_uid, os.geteuid())
    elif found.st_nlink > 1:
        what = "a file that has a second name"
    elif found.st_mode & OTHERS_MAY_WRITE:
        what = "a file that others can write to"
    if what:
        os.close(descriptor)
        raise NotOurs(path, what)
    return descriptor


def _read_up_to(descriptor, most_bytes):
    """The content from where the descriptor stands; one byte more than ``most_bytes`` where there is more."""
    parts, left = [], most_bytes + 1
    while left > 0:
        part = os.read(descriptor, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_own(path, most_bytes):
    """The content of a file of ours. Raises FileNotFoundError, NotOurs, and OSError (EFBIG) where it is larger."""
    descriptor = _opened(path, os.O_RDONLY)
    try:
        found = _read_up_to(descriptor, most_bytes)
    finally:
        os.close(descriptor)
    if len(found) > most_bytes:
        raise OSError(errno.EFBIG, "%s is larger than %d bytes" % (path, most_bytes))
    return found


def write_own(path, content):
    """Write a file of ours durably: after a crash it is there as a whole or not at all. Raises OSError."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, "." + name)
    remove(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPENED_SAFELY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, path)
    except OSError:
        remove(temporary)
        raise


def read_small(path, most_bytes):
    """Up to ``most_bytes`` of a regular file that anybody may have written: do not trust its content. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return _read_up_to(descriptor, most_bytes - 1)
    finally:
        os.close(descriptor)


def remove(path):
    """Remove a file, which may be gone already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


class LockedFile:
    """A file of ours that is locked (flock) while this object is open, and that its holder may remove.

    Raises BlockingIOError when somebody else has it locked, NotOurs and OSError.
    """

    def __init__(self, path):
        self._path = path
        for _try in range(MOST_TRIES):
            self._descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_in_place():
                    return
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)  # its holder has removed it between our opening and our locking
        raise OSError(errno.EBUSY, "%s is removed again and again" % path)

    def _is_in_place(self):
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)

    def read(self, most_bytes):
        """The content, one byte more than ``most_bytes`` where there is more."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return _read_up_to(self._descriptor, most_bytes)

    def write(self, content, durable=False):
        """Replace the content."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while content:
            content = content[os.write(self._descriptor, content) :]
        if durable:
            os.fsync(self._descriptor)

    def remove(self):
        """Leave nothing. Whoever waits for the lock finds that the file is another one, and takes that."""
        remove(self._path)

    def close(self):
        """Let go of the lock."""
        os.close(self._descriptor)


def printable(text, most):
    """Text that may be shown to anybody: no control characters, and not long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:most])
    return shown + ("..." if len(text) > most else "")


# Folders of one run


class RunFolder:
    """A folder for the files of one run, for the body of ``with``; what is killed leaves it to ``remove_stale``."""

    def __init__(self):
        self._path = None
        self._descriptor = None

    def __enter__(self):
        for _try in range(MOST_TRIES):
            self._path = tempfile.mkdtemp(prefix=RUN_FOLDER_PREFIX)
            # Between its making and its locking another session may take it for a leftover.
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.path.isdir(self._path):
                return self._path
            os.close(self._descriptor)
        raise OSError(errno.EBUSY, "%s is removed again and again" % self._path)

    def __exit__(self, *_details):
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._descriptor)


def remove_stale_run_folders():
    """Remove the run folders of processes that were killed: ours, and locked by nobody."""
    root = tempfile.gettempdir()
    for name in os.listdir(root):
        if not name.startswith(RUN_FOLDER_PREFIX):
            continue
        path = os.path.join(root, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
