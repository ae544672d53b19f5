"""Arrays that a pass needs only while it runs: the passes of a Python thread share them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned


class Workspace(threading.local):
    """Arrays by name and type, as large as the largest that was asked for."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype], NDArray[Any]] = {}
        self._owners: dict[tuple[str, np.dtype], object] = {}

    def __call__(self, name: str, size: int, dtype: np.dtype) -> NDArray[Any]:
        """Return `size` numbers of any value, for one call of a kernel."""
        array = self._arrays.get((name, dtype))
        if array is None or array.size < size:
            array = self._arrays[name, dtype] = line_aligned(size, dtype)
        return array[:size]

    def lend(self, name: str, size: int, dtype: np.dtype, owner: object) -> NDArray[Any]:
        """Return `size` numbers that `owner` begins to fill, and will find again until somebody else begins."""
        self._owners[name, dtype] = owner
        return self(name, size, dtype)

    def lent(self, name: str, size: int, dtype: np.dtype, owner: object) -> NDArray[Any]:
        """Return what `lend` gave to `owner`; raises `RuntimeError` if somebody else has begun since."""
        if self._owners.get((name, dtype)) is not owner:
            raise RuntimeError(f"{owner} goes on with {name} that another pass has begun to fill")
        return self(name, size, dtype)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let what runs meanwhile have arrays of its own: who is in the middle of a sum finds it as it was."""
        arrays, owners = self._arrays, self._owners
        self._arrays, self._owners = {}, {}
        try:
            yield
        finally:
            self._arrays, self._owners = arrays, owners


workspace = Workspace()
