"""A disk that fails, a process that is killed, or a machine that loses its power, at the n-th call of the system.

`cnntrain.runs.disk` writes every file of a run folder, by calls of `os` alone; here each is counted, and one acts
otherwise. After a kill nothing that the process would still do has an effect, as nothing has after a real one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cnntrain.runs import disk

COUNTED = ("open", "write", "fsync", "replace")
TORTURE = "CNNTRAIN_TORTURE" in os.environ  # `make torture`: every call, not a few

Action = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]


class Killed(BaseException):
    """Stands for the end of the process."""


class Calls:
    """The module `os`, with counted calls.

    Parameters
    ----------
    at : int
        The call, from 1, at which `action` takes the place of the function; 0 for none.
    action : callable
        Takes the call's name, the function and its arguments.
    """

    def __init__(self, at: int = 0, action: Action | None = None) -> None:
        self._at, self._action, self._over = at, action, False
        self.made: list[str] = []  # "write metrics.csv"
        self.content: dict[int, bytes] = {}  # inode: what was synced
        self.names: dict[Path, dict[str, int]] = {}  # folder: the names in it, when it was synced

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if not callable(function) or name in ("getpid", "fstat"):
            return function
        return lambda *arguments: self._call(name, function, arguments)

    def _call(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if self._over:
            raise Killed
        if name in COUNTED:
            path = _path(arguments[1] if name == "replace" else arguments[0])
            self.made.append(f"{name} {path.name}")
            if len(self.made) == self._at:
                assert self._action is not None
                try:
                    return self._action(name, function, arguments)
                except Killed:
                    self._over = True
                    raise
        if name == "unlink":
            self._outlives(_path(arguments[0]))
        result = function(*arguments)
        if name == "fsync":
            self._synced(arguments[0])
        return result

    def _synced(self, descriptor: int) -> None:
        path = _path(descriptor)
        if path.is_dir():
            self.names[path] = {entry.name: entry.stat().st_ino for entry in path.iterdir()}
        elif path.is_file():
            self.content[path.stat().st_ino] = path.read_bytes()

    def _outlives(self, path: Path) -> None:
        """Keep what a file holds, should its removal be lost: a new file may get its inode at once."""
        names = self.names.get(path.parent.resolve(), {})
        if path.name in names:
            kept = -len(self.made) - 1
            self.content[kept] = self.content.get(names[path.name], b"")
            names[path.name] = kept

    def lose_power(self, folder: Path) -> None:
        """Leave of a folder what was synced: names by the folder's sync, content by the file's."""
        names = self.names.get(folder.resolve(), {})
        for path in list(folder.iterdir()):
            if path.name not in names:
                path.unlink()
        for name, inode in names.items():
            (folder / name).unlink(missing_ok=True)
            (folder / name).write_bytes(self.content.get(inode, b""))


@contextmanager
def counted(at: int = 0, action: Action | None = None) -> Iterator[Calls]:
    """Let the calls of `cnntrain.runs.disk` be counted."""
    calls = Calls(at, action)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "os", calls)
        yield calls


def fails(number: int) -> Action:
    """Return an action: the error of this number, of a write after half of it."""

    def fail(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        _half(name, function, arguments)
        raise OSError(number, os.strerror(number))

    return fail


def is_killed(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """End before the call; of a write, in its middle."""
    _half(name, function, arguments)
    raise Killed


def kills(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Really end the process so."""
    _half(name, function, arguments)
    os.kill(os.getpid(), signal.SIGKILL)


def _half(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if name == "write":
        descriptor, content = arguments
        function(descriptor, content[: len(content) // 2])


def _path(file: Any) -> Path:
    return Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else Path(file)
