"""The shape of one image, and how many images go side by side."""

from __future__ import annotations

from typing import NamedTuple

LANES = 16  # images side by side; one 64-byte cache line of float32


class Shape(NamedTuple):
    """The shape of one image inside the network."""

    channels: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Values per image."""
        return self.channels * self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.channels}x{self.rows}x{self.columns}"
