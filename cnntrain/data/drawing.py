"""Images in a terminal: two pixels per character, one above the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_UPPER_HALF = "\u2580"
_SHADES = " \u2591\u2592\u2593\u2588"  # for terminals without colour, and files
_GAP = "  "


def as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as uint8: as they are, or scaled from their own smallest to their largest value."""
    if images.dtype == np.uint8:
        return images
    low, high = float(images.min()), float(images.max())
    return ((images - low) * (255 / (high - low or 1))).astype(np.uint8)


def draw(images: NDArray[np.uint8], captions: list[str], width: int, *, color: bool) -> str:
    """Draw images side by side, as many as fit.

    Parameters
    ----------
    images : ndarray (N, C, H, W)
        uint8; three channels are red, green and blue, of other numbers the first is drawn grey.
    captions : list of str
        One per image; cut to its width.
    width : int
        Characters per line. Images wider than half of it are made smaller by leaving out pixels.
    color : bool
        Use colours (ANSI escapes for 24 bits); otherwise five shades.
    """
    step = max(1, -(-images.shape[3] // max(1, width // 2)))
    small = images[:, :, ::step, ::step]
    fit = max(1, (width + len(_GAP)) // (small.shape[3] + len(_GAP)))
    small = small[:fit]
    columns = small.shape[3]
    rgb = np.repeat(small[:, :1], 3, axis=1) if small.shape[1] != 3 else small
    if rgb.shape[2] % 2:
        rgb = np.pad(rgb, ((0, 0), (0, 0), (0, 1), (0, 0)))
    lines = [_GAP.join(caption[:columns].ljust(columns) for caption in captions[: len(small)]).rstrip()]
    line_of = _coloured if color else _shaded
    lines += [
        _GAP.join(line_of(image[:, row], image[:, row + 1]) for image in rgb) for row in range(0, rgb.shape[2], 2)
    ]
    return "\n".join(lines)


def _coloured(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> str:
    characters = []
    before = None
    for top, bottom in zip(upper.T.tolist(), lower.T.tolist(), strict=True):
        if (top, bottom) != before:
            characters.append("\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m".format(*top, *bottom))
            before = (top, bottom)
        characters.append(_UPPER_HALF)
    return "".join(characters) + "\x1b[0m"


def _shaded(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> str:
    mean = (upper.astype(int).mean(axis=0) + lower.astype(int).mean(axis=0)) / 2
    return "".join(_SHADES[min(len(_SHADES) - 1, int(value * len(_SHADES) / 256))] for value in mean)
