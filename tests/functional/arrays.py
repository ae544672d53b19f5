"""Arrays for the tests, and how close a result must be.

Most tests draw small whole numbers: every product and every partial sum is then a whole number below 2^24, which
float32 represents exactly. Whatever the order of the additions, the result must equal the reference bit for bit, and a
single dropped or doubled tap cannot hide in a tolerance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DTYPES: list[np.dtype[Any]] = [np.dtype(np.float32), np.dtype(np.float64)]
# Winograd's algorithm is exact in float64 on whole numbers that its denominators divide.
G_DENOMINATOR = 15 * 15  # of G g Gt, and of Gt M G, with patches of 6x6
LARGE_G_DENOMINATOR = 90 * 90  # with patches of 8x8; the other divides it
A_DENOMINATOR = 8 * 8  # of A delta At


def whole(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any, largest: int = 4) -> Array:
    """Whole numbers in [-largest, largest]."""
    return generator.integers(-largest, largest, shape, endpoint=True).astype(dtype)


def normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers, drawn in float64 and rounded to `dtype`."""
    return generator.standard_normal(shape).astype(dtype)


def assert_same(actual: Any, expected: Any, dtype: Any) -> None:
    """Same dtype, same shape, equal numbers."""
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(actual, expected, strict=False)
    assert actual.shape == np.shape(expected)


def assert_sum_close(actual: Array, expected: Array, magnitude: Array, terms: int, dtype: Any) -> None:
    """Compare sums of `terms` products, computed in `dtype`, with float64 ones.

    The worst case of a sum's rounding error is u * terms * (sum of the absolute products), u half the machine epsilon
    (Higham 2002, section 4.2). Errors add up like a random walk, so that sqrt(terms) takes the place of terms; the
    summand 8 covers few terms, where there is no averaging.
    """
    assert actual.dtype == np.dtype(dtype)
    assert actual.shape == expected.shape
    unit = np.finfo(dtype).eps / 2
    error, bound = np.abs(actual - expected), (8 + np.sqrt(terms)) * unit * magnitude
    worst = np.unravel_index(np.argmax(error - bound), error.shape)
    assert (error <= bound).all(), (
        f"{np.dtype(dtype)}: {actual[worst]!r} instead of {expected[worst]!r} at {worst}: error {error[worst]:.3g}, "
        f"bound {bound[worst]:.3g}; {np.count_nonzero(error > bound)} of {error.size} entries are off"
    )


class Case(NamedTuple):
    """One convolution: `images` x `channels` x size -> `filters`, and its settings."""

    images: int
    channels: int
    size: tuple[int, int]
    filters: int
    kernel_size: tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | str | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    mode: str = "cross_correlation"

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments of `conv2d` and `conv2d_backward`."""
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups", "mode")}

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.images, self.channels, *self.size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.filters, self.channels // self.groups, *self.kernel_size)

    def __str__(self) -> str:
        """Short enough to name a test: only what differs from the defaults."""
        special = [
            f"{name}{value}"
            for name, value in self.settings.items()
            if value != self._field_defaults[name] and name != "mode"
        ]
        if self.mode == "convolution":
            special.append("rotated")
        sizes = f"{self.images}x{self.channels}x{self.size[0]}x{self.size[1]}"
        return "-".join([sizes, f"{self.filters}@{self.kernel_size[0]}x{self.kernel_size[1]}", *special]).replace(
            " ", ""
        )
