"""Images that are not all in memory: mapped from a file, or made when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LazyImages(ABC):
    """Images that are brought when they are asked for: `images[indices]` is an array (n, C, H, W), C-contiguous.

    They look like an array as far as training needs: `shape`, `dtype`, `len` and indexing by an array of indices or a
    slice. `Network.load` takes them; training brings them in the background, one batch ahead.

    Attributes
    ----------
    shape : tuple of int
        (N, C, H, W).
    dtype : dtype
        uint8 or float32.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype

    @abstractmethod
    def bring(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return images[indices] as a new array."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: NDArray[np.int64] | slice) -> NDArray[Any]:
        if isinstance(indices, slice):
            indices = np.arange(*indices.indices(len(self)), dtype=np.int64)
        return self.bring(np.asarray(indices, dtype=np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


class LazyRows(LazyImages):
    """Some of the images of an array or of other lazy images, in an order of their own.

    Where `images` is an array in memory, a batch needs no copy: it is that array, with other row numbers.
    """

    def __init__(self, images: Any, rows: NDArray[np.int64]) -> None:
        self.images, self.rows = images, rows
        self.in_memory = _in_memory(images)
        self.shape = (len(rows), *images.shape[1:])
        self.dtype = images.dtype

    def bring(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        found: NDArray[Any] = self.images[self.rows[indices]]
        return found


def _in_memory(images: Any) -> bool:
    if not isinstance(images, np.ndarray):
        return False
    base: Any = images
    while isinstance(base, np.ndarray):
        base = base.base
    return not isinstance(base, mmap)  # mapped from a file


class LazyLayout(LazyImages):
    """Images of an array that has another layout or type than training needs, converted when they are asked for.

    Parameters
    ----------
    images : ndarray (N, H, W) or (N, H, W, C)
        Usually mapped from a file. With `channels_first` (N, C, H, W).
    channels_first : bool
    dtype : dtype
        What they become.
    """

    def __init__(self, images: NDArray[Any], channels_first: bool, dtype: np.dtype) -> None:
        self._images, self._channels_first = images, channels_first
        self.shape = images[:0].shape if images.ndim == 4 else (0, 1, *images.shape[1:])
        if images.ndim == 4 and not channels_first:
            self.shape = (0, images.shape[3], images.shape[1], images.shape[2])
        self.shape = (len(images), *self.shape[1:])
        self.dtype = np.dtype(dtype)

    def bring(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        images = self._images[indices]
        if images.ndim == 4 and not self._channels_first:
            images = images.transpose(0, 3, 1, 2)
        with np.errstate(over="ignore"):  # too large for float32: becomes inf, which loading refuses
            return np.ascontiguousarray(images, dtype=self.dtype).reshape(-1, *self.shape[1:])
