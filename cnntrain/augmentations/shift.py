"""`shift`: the image moved by whole pixels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from cnntrain.augmentations.base import Augmentation, Draws, Images, Pixels, whole
from cnntrain.errors import ConfigError
from cnntrain.settings import Settings


def _distances(value: Any) -> Any:
    """Make (rows, columns) of a number of pixels (int), a fraction (float below 1), or a pair of them."""
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    good = len(pair) == 2 and all(
        (isinstance(one, int) and not isinstance(one, bool) and one >= 0) or (isinstance(one, float) and 0 <= one < 1)
        for one in pair
    )
    if not good:
        raise PydanticCustomError(
            "distance", "must be a number of pixels (2) or a fraction of the size (0.1), or a pair: [rows, columns]"
        )
    return pair


_NUMBER = {"type": "number", "minimum": 0}
_SCHEMA = {"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}]}


class ShiftSettings(Settings):
    """`shift: 2` (pixels) or `shift: 0.1` (of the image's size)."""

    main = "distance"
    distance: Annotated[tuple[int | float, int | float], BeforeValidator(_distances), WithJsonSchema(_SCHEMA)] = Field(
        description="The farthest an image moves: pixels (2), a fraction of its size (0.1), or [rows, columns] of them."
    )
    along: Literal["both", "one"] = Field(
        "both", description="both: down and sideways independently. one: along one axis only, or not at all."
    )
    fill: Literal["zero", "edge", "reflect"] = Field(
        "zero", description="What comes in: zero (black), the edge repeated, or the image reflected."
    )


class Shift(Augmentation):
    """Moves images by whole pixels; each possible move is equally likely.

    With `along: one` and a distance of 1, these are the five of Nielsen 2015, chapter 6: none, up, down, left, right.
    """

    name = "shift"
    Settings = ShiftSettings

    def __init__(self, settings: ShiftSettings, images: Images) -> None:
        super().__init__(settings, images)
        outside = {"zero": self.kernels.CONSTANT, "edge": self.kernels.EDGE, "reflect": self.kernels.REFLECT}
        self._outside = np.int64(outside[settings.fill])
        size = images.shape[1:]
        self._most = [
            int(distance * length) if isinstance(distance, float) else distance
            for distance, length in zip(settings.distance, size, strict=True)
        ]
        if any(most >= length for most, length in zip(self._most, size, strict=True)):
            raise ConfigError(
                f"data.augment: shift: a distance of {self._most[0]}x{self._most[1]} pixels moves images of "
                f"{size[0]}x{size[1]} out of sight: it must be smaller than the image"
            )

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        down, right = self._moves(draws.uniform(2))
        self.kernels.translate(pixels.now, pixels.room, down, right, self._outside, self.fill(0), self.images.shape)
        pixels.swap()

    def _moves(self, uniform: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows, columns = self._most
        if self.settings.along == "both":
            return whole(uniform[:, 0], 2 * rows + 1) - rows, whole(uniform[:, 1], 2 * columns + 1) - columns
        # 0 stays; then 2 * rows moves down or up, then 2 * columns moves to the sides
        move = whole(uniform[:, 0], 2 * (rows + columns) + 1)
        signed = np.where(move % 2, 1, -1)
        down = np.where(move <= 2 * rows, signed * ((move + 1) // 2), 0)
        right = np.where(move > 2 * rows, signed * ((move - 2 * rows + 1) // 2), 0)
        return down, right
