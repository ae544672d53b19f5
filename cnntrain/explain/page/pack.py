"""Arrays on their way into a page: each once, without loss, in as few bytes as that takes.

All bytes lie in one block, compressed (zlib) and written in base64. The table beside it has a line for each array:

    ["zero", count]             all zeros
    [type, count]               little-endian numbers of a type, the first bytes of all, then the second, and so on
    ["outer", a, b, crc]        a[i] * b[j], row by row; a and b are numbers of arrays
    ["rule", ...]               what an optimiser's rule gives, and by how many units in the last place that is wrong

The last two are not sent but computed by the page; the checksum (CRC-32 of the little-endian doubles) tells the page
that it has the very numbers.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Packer:
    """Collects arrays; equal ones are kept once."""

    def __init__(self) -> None:
        self.table: list[list[Any]] = []
        self._pieces: list[bytes] = []
        self._seen: dict[tuple[str, bytes], int] = {}

    def add(self, array: Array) -> int:
        """Take an array of float64, or of whole numbers, and return its number in the table."""
        flat = np.ascontiguousarray(array).reshape(-1)
        key = flat.dtype.str, flat.tobytes()
        if key not in self._seen:
            self._seen[key] = self._place(*_smallest(flat))
        return self._seen[key]

    def outer(self, array: Array, a: Array, b: Array) -> int:
        """Take an array that is a[i] * b[j] where it is so in every bit; any array otherwise."""
        key = array.dtype.str, array.tobytes()
        if key in self._seen or not np.array_equal(np.multiply.outer(a.ravel(), b.ravel()).ravel(), array.ravel()):
            return self.add(array)
        self.table.append(["outer", self.add(a), self.add(b), checksum(array)])
        self._seen[key] = len(self.table) - 1
        return self._seen[key]

    def near(self, array: Array, guess: Array, rule: list[Any]) -> int:
        """Take an array that a page can guess by a rule; what travels is by how much the guess is wrong."""
        key = array.dtype.str, array.tobytes()
        if key in self._seen:
            return self._seen[key]
        bits = [np.ascontiguousarray(value, np.float64).reshape(-1).view(np.int64) for value in (array, guess)]
        wrong = bits[0] - bits[1]
        if array.size < 64 or np.abs(wrong.astype(np.float64)).max() > np.iinfo(np.int16).max:
            return self.add(array)
        self.table.append(["rule", array.size, self.add(wrong), *rule, checksum(array)])
        self._seen[key] = len(self.table) - 1
        return self._seen[key]

    def text(self) -> str:
        """Return the bytes of all arrays, compressed, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._pieces), 9)).decode("ascii")

    def _place(self, kind: str, flat: Array) -> int:
        if kind != "zero":
            by_bytes = flat.astype(f"<{kind}").view(np.uint8).reshape(flat.size, -1)
            self._pieces.append(by_bytes.T.tobytes())
        self.table.append([kind, flat.size])
        return len(self.table) - 1


def checksum(array: Array) -> int:
    """Return the CRC-32 of an array's little-endian doubles."""
    return zlib.crc32(np.ascontiguousarray(array, "<f8").tobytes())


def _smallest(flat: Array) -> tuple[str, Array]:
    """Return the narrowest type that holds every number of an array in every bit, and the array."""
    if flat.dtype.kind in "iub":
        fits = (kind for kind in ("i1", "i2", "i4") if np.array_equal(flat.astype(kind), flat))
        return ("zero" if not flat.any() else next(fits)), flat
    if flat.tobytes() == bytes(flat.nbytes):  # minus zero is another number
        return "zero", flat
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = flat.astype(np.float32)
    same = np.array_equal(narrow.astype(np.float64).view(np.int64), flat.astype(np.float64).view(np.int64))
    return ("f4" if same else "f8"), flat
