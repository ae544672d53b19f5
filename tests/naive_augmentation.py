"""Slow, obvious references of the augmentations, for one image (channels, rows, columns); nothing from cnntrain."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]


def moved(image: Image, down: int, right: int, outside: str, fill: float = 0) -> Image:
    """Pad on all sides as far as the image moves, then cut the window."""
    mode = {"zero": "constant", "edge": "edge", "reflect": "reflect"}[outside]
    far = max(abs(down), abs(right))
    options = {"constant_values": fill} if mode == "constant" else {}
    padded = np.pad(image, ((0, 0), (far, far), (far, far)), mode, **options)  # type: ignore[call-overload]
    rows, columns = image.shape[1:]
    result: Image = padded[:, far - down : far - down + rows, far - right : far - right + columns]
    return result


def warped(image: Image, source: Callable[[float, float], tuple[float, float]], fill: float) -> Image:
    """Bilinear look-up at source(row, column), both counted from the centre of the image."""
    _, rows, columns = image.shape
    centre = (rows - 1) / 2, (columns - 1) / 2
    framed = np.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=fill)
    result = np.full_like(image, fill)
    for r in range(rows):
        for c in range(columns):
            y, x = source(r - centre[0], c - centre[1])
            y, x = y + centre[0] + 1, x + centre[1] + 1  # in the frame
            top, left = math.floor(y), math.floor(x)
            total = 0.0
            for row, share in ((top, top + 1 - y), (top + 1, y - top)):
                for column, part in ((left, left + 1 - x), (left + 1, x - left)):
                    inside = 0 <= row < rows + 2 and 0 <= column < columns + 2
                    total = total + share * part * (framed[:, row, column] if inside else fill)
            result[:, r, c] = total
    return result


def rotated(image: Image, degrees: float, fill: float = 0) -> Image:
    """Turned counter-clockwise."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return warped(image, lambda y, x: (sine * x + cosine * y, cosine * x - sine * y), fill)


def scaled(image: Image, factor: float, fill: float = 0) -> Image:
    return warped(image, lambda y, x: (y / factor, x / factor), fill)


def brightened(image: Image, factor: float) -> Image:
    return np.clip(image * factor, 0, 255)


def contrasted(image: Image, factor: float) -> Image:
    weights = [0.2989, 0.587, 0.114] if len(image) == 3 else [1]
    mean = sum(weight * channel.mean() for weight, channel in zip(weights, image, strict=True))
    return np.clip(mean + (image - mean) * factor, 0, 255)


def cut_out(image: Image, row: int, column: int, size: int, fill: float = 0) -> Image:
    """A square patch with its centre at (row, column)."""
    result = image.copy()
    for r in range(row - size // 2, row - size // 2 + size):
        for c in range(column - size // 2, column - size // 2 + size):
            if 0 <= r < image.shape[1] and 0 <= c < image.shape[2]:
                result[:, r, c] = fill
    return result
