"""What every picture becomes on its way into a network: upright, of one size, grey or RGB, in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.image_files import UnreadableFileError

Fit = Literal["stretch", "crop", "pad"]
_MODES = {"grey": "L", "rgb": "RGB"}
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # more than 8 bits: Pillow's conversion would clip silently
_ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
_FINER = 2  # a JPEG is decoded at a half, quarter or eighth only where that is still so many times the wanted size


class WrongSizeError(UnreadableFileError):
    """An image has another size than the first, and none was asked for."""


class TooDeepError(UnreadableFileError):
    """A grey image has more than 8 bits per pixel, and nobody said which value is white."""

    advice = (
        "set data.white to the value that is white (65535 where all 16 bits are used, 4095 for 12), or save the images "
        "with 8 bits, or use the source npz or npy with float images"
    )


@dataclass(frozen=True)
class Form:
    """What every image becomes.

    Parameters
    ----------
    color : {"grey", "rgb"}
        One channel or three.
    rows, columns : int
    resize : bool
        Scale to that size; otherwise images must have it.
    background : tuple of int
        Red, green, blue: lies under what is transparent, and around what `fit="pad"` leaves free.
    white : int or None
        The value of white in grey images of more than 8 bits.
    fit : {"stretch", "crop", "pad"}
        How an image of other proportions is scaled: distorted; its middle, as large as fits; or all of it.
    """

    color: str
    rows: int
    columns: int
    resize: bool
    background: tuple[int, int, int] = (255, 255, 255)
    white: int | None = None
    fit: Fit = "stretch"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return (1 if self.color == "grey" else 3, self.rows, self.columns)


def shaped(image: Any, form: Form) -> NDArray[np.uint8]:
    """Return a loaded Pillow image as uint8 (channels, rows, columns); see `decoding.decode`.

    Raises `UnreadableFileError` for a size or depth that the form does not take.
    """
    from PIL import Image

    refuse_depth(image, form.white)
    image = upright(image)
    if (image.height, image.width) != (form.rows, form.columns) and not form.resize:
        raise WrongSizeError(f"has {image.height}x{image.width} pixels (rows x columns)")
    if image.mode in _DEEP_MODES:
        image = _eight_bits(image, form.white)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*form.background, 255)), image)
    if image.mode != _MODES[form.color]:
        image = image.convert(_MODES[form.color])
    if form.resize:
        image = _fitted(image, form)
    channels, rows, columns = form.shape
    return np.ascontiguousarray(np.asarray(image).reshape(rows, columns, channels).transpose(2, 0, 1))


def draft(image: Any, form: Form) -> None:
    """Let a JPEG that is not read yet be decoded at a part of its size, where much is left to scale down.

    The rest is scaled as any image is; at twice the wanted size or more the difference is that of two good filters.
    """
    if form.resize and image.format == "JPEG":
        side = max(form.rows, form.columns)  # it may lie on its side
        longest = max(image.width, image.height)
        shortest = max(1, round(side * min(image.width, image.height) / longest)) if form.fit == "pad" else side
        wide = image.width == longest
        image.draft(None, (_FINER * (side if wide else shortest), _FINER * (shortest if wide else side)))


def orientation(image: Any) -> int:
    """EXIF's orientation, 1 to 8, of a loaded image; 1 where there is none, or it is damaged, as viewers take it."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # as many kinds of damage as of metadata; the pixels are whole
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def is_deep(image: Any) -> bool:
    """Tell whether a grey image has more than 8 bits per pixel."""
    return image.mode in _DEEP_MODES


def refuse_depth(image: Any, white: int | None) -> None:
    """Raise `UnreadableFileError` for pixels that cannot become bytes without knowing what is white."""
    if image.mode == "F":
        raise UnreadableFileError("has floating-point pixels (the sources npz and npy take those)")
    if image.mode in _DEEP_MODES and white is None:
        raise TooDeepError(f"has more than 8 bits per pixel (Pillow's mode {image.mode})")


def upright(image: Any) -> Any:
    """Return a loaded image turned as its EXIF orientation says."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Any, white: int | None) -> Any:
    """Scale 0..white to 0..255, rounded."""
    from PIL import Image

    assert white is not None  # `refuse_depth` has looked; for mypy
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > white:
        raise UnreadableFileError(f"has values from {values.min()} to {values.max()}, but data.white is {white}")
    return Image.fromarray(((values * 255 + white // 2) // white).astype(np.uint8))


def _fitted(image: Any, form: Form) -> Any:
    """Scale an image of the form's mode to its size, bilinear over the area that a target pixel covers."""
    from PIL import Image

    size, bilinear = (form.columns, form.rows), Image.Resampling.BILINEAR
    if form.fit == "stretch":
        return image.resize(size, bilinear)
    if form.fit == "crop":
        scale = max(form.columns / image.width, form.rows / image.height)
        width, height = min(form.columns / scale, image.width), min(form.rows / scale, image.height)
        left, top = (image.width - width) / 2, (image.height - height) / 2
        return image.resize(size, bilinear, box=(left, top, left + width, top + height))
    scale = min(form.columns / image.width, form.rows / image.height)
    width = min(max(1, round(image.width * scale)), form.columns)
    height = min(max(1, round(image.height * scale)), form.rows)
    whole = Image.new("RGB", size, form.background).convert(image.mode)
    whole.paste(image.resize((width, height), bilinear), ((form.columns - width) // 2, (form.rows - height) // 2))
    return whole
