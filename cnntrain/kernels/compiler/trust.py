"""From whom machine code is taken: from folders and files that only this user and root can have written.

To load a kernel is to run what a file says. So neither the file nor its folder, nor what leads there, may belong to
somebody else or be open to others: they could plant a file. In a folder with the sticky bit, such as /tmp, others can
remove nothing that is not theirs, and what is below it may be trusted. Windows keeps rights elsewhere: there nothing is
looked at.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_ROOTS = (0, 80) if sys.platform == "darwin" else (0,)  # groups whose members are root, or can be: macOS has "admin"
_OPEN = os.O_RDONLY | sum(getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "NONBLOCK", "BINARY"))
_LINKS = 40  # that may lead to a folder, as in Linux
_said: set[str] = set()
_usable: set[Path] = set()  # folders


def warn(text: str) -> None:
    """Warn as Python does."""
    warnings.warn(text, stacklevel=3)


_listeners: list[Callable[[str], None]] = [warn]  # the last one hears


class UntrustedFolderError(OSError):
    """Others may have written what is in this folder."""


def warn_once(text: str) -> None:
    """Warn, once in a process for each text."""
    if text not in _said:
        _said.add(text)
        _listeners[-1](text)


@contextmanager
def warnings_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Give the warnings of this module to a function, meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


def prepare(folder: Path) -> None:
    """Make a folder for machine code, or see that it can be used.

    Raises `UntrustedFolderError`, after a warning, if others could write there, and `OSError` if this user cannot.
    """
    if folder not in _usable:
        _require_trust(folder)  # before anything is made there
        make(folder)
        _require_trust(folder)
        tempfile.TemporaryFile(dir=folder).close()
        _usable.add(folder)
    make(folder)  # if it was removed since


def make(folder: Path) -> None:
    """Make a folder and those above it, which others cannot write whatever the umask is; raises `OSError`."""
    for path in () if folder.is_dir() else (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=0o755, exist_ok=True)


def read(path: Path) -> bytes | None:
    """Return what is in a file; None if it is not there, no regular file, or others could have written it."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None  # not even opened: a device might do something, a FIFO wait
        with os.fdopen(os.open(path, _OPEN), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            reason = _reason(path, status)
            if reason is None:
                return file.read()
    except OSError:
        return None
    warn_once(f"a compiled kernel is not used, others may have planted it: {reason}")
    return None


def _require_trust(folder: Path) -> None:
    reason = _reason_against(folder)
    if reason is not None:
        warn_once(
            f"compiled kernels in {folder} are not used, others may have planted them: {reason}; "
            "take the right to write from others (chmod go-w), or set NUMBA_CACHE_DIR to a folder of your own"
        )
        raise UntrustedFolderError(reason)


@cache
def _try_writing(folder: str) -> None:
    tempfile.TemporaryFile(dir=folder).close()


def _reason_against(folder: Path) -> str | None:
    """Say why others could have written in a folder or, if it is not there yet, could put something in its place."""
    if not hasattr(os, "geteuid"):
        return None
    *above, itself = _leading_to(folder)
    with suppress(FileNotFoundError):  # what is not there yet, this process makes
        for path in above:
            if (reason := _reason(path, path.lstat(), leads_on=True)) is not None:
                return reason
        return _reason(itself, itself.lstat())
    return None


def _leading_to(folder: Path) -> Iterator[Path]:
    """Yield every folder and symbolic link on the way to a folder, and at last the folder, by its real name."""
    folder, links = folder.absolute(), 0
    here, ahead = Path(folder.anchor), list(reversed(folder.parts[1:]))
    yield here
    while ahead:
        name = ahead.pop()
        path = here.parent if name == ".." else here / name
        yield path
        if not path.is_symlink():
            here = path
            continue
        links += 1
        if links > _LINKS:
            raise OSError(f"{folder}: too many symbolic links")
        target = path.readlink()
        if target.is_absolute():
            here = Path(target.anchor)
        ahead += reversed(target.parts[target.is_absolute() :])


def _reason(path: Path, status: os.stat_result, *, leads_on: bool = False) -> str | None:
    """Say why others could have written a file or in a folder, or, if it `leads_on`, could exchange what is in it."""
    if not hasattr(os, "geteuid"):
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to {_user(status.st_uid)}"
    if stat.S_ISLNK(status.st_mode) or (leads_on and status.st_mode & stat.S_ISVTX):
        return None
    if status.st_mode & stat.S_IWOTH:
        return f"everybody can write {'in ' if stat.S_ISDIR(status.st_mode) else ''}{path}"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"a group can write {'in ' if stat.S_ISDIR(status.st_mode) else ''}{path}"
    return None


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


@cache
def _is_private(group: int) -> bool:
    """Tell whether a group has no member but this user, or is root's.

    Many systems give each user a group of the user's own, and let it write what the user makes.
    """
    import grp
    import pwd

    if group in _ROOTS:
        return True
    try:
        user, members = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    own = (members.gr_name, members.gr_gid) == (user.pw_name, user.pw_gid)
    return own and set(members.gr_mem) <= {user.pw_name}
