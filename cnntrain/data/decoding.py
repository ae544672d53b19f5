"""From the bytes of image files to arrays: Pillow in a pool of threads, every failure named."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.image_files import ImageFiles, UnreadableFileError
from cnntrain.data.prefetch import in_order

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # nothing that calls other programs, as EPS does
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 1 << 26  # of one image before it is resized: a small file can announce billions
_MODES = {"grey": "L", "rgb": "RGB"}
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # more than 8 bits: Pillow's conversion would clip silently
_ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
_CHUNK = 64  # files per task of the pool


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
    """What every image becomes: `channels` is 1 (grey) or 3 (RGB); `resize` scales, otherwise the size must fit.

    `background` (red, green, blue) lies under what is transparent; `white` is the value of white in grey images of more
    than 8 bits.
    """

    color: str
    rows: int
    columns: int
    resize: bool
    background: tuple[int, int, int] = (255, 255, 255)
    white: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        return (1 if self.color == "grey" else 3, self.rows, self.columns)


@dataclass(frozen=True)
class Failure:
    """A file that could not be used: its place in the list, and why."""

    index: int
    error: UnreadableFileError

    @property
    def reason(self) -> str:
        """What is wrong with it."""
        return str(self.error)


@contextmanager
def _opened(content: bytes) -> Iterator[Any]:
    """Give Pillow's image, header read; whatever Pillow raises over damaged or hostile bytes becomes one error."""
    from PIL import Image, UnidentifiedImageError  # only this source needs it

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnreadableFileError(
                    f"has {image.width}x{image.height} pixels, at most {MOST_PIXELS:,} are allowed"
                )
            yield image
    except UnreadableFileError:
        raise
    except UnidentifiedImageError:
        start = content.lstrip()[:1]
        what = "empty" if not content else "text or a web page" if start == b"<" else "no image in a known format"
        raise UnreadableFileError(f"is {what} ({len(content):,} bytes)") from None
    except MemoryError:
        raise UnreadableFileError("needs more memory than there is") from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, DecompressionBombError...
        raise UnreadableFileError(f"is damaged ({error or type(error).__name__})") from None


def image_size(content: bytes, white: int | None = None) -> tuple[int, int]:
    """Return (rows, columns) of an image file, upright; raises `UnreadableFileError`, also if its depth is refused."""
    with _opened(content) as image:
        image.load()  # a PNG may say which way is up behind its pixels
        _refuse_depth(image, white)
        rows, columns = image.height, image.width
        return (columns, rows) if _orientation(image) >= 5 else (rows, columns)


def decode(content: bytes, form: Form) -> NDArray[np.uint8]:
    """Return the image as uint8 (channels, rows, columns).

    It is turned as its EXIF orientation says. What is transparent shows `form.background`; colours become grey by
    ITU-R 601-2 luma; of an animation the first picture is taken. Resizing is bilinear, over the area that a target
    pixel covers when the image shrinks (Pillow's BILINEAR).

    Raises
    ------
    UnreadableFileError
        The bytes are no image, damaged, too large, of more than 8 bits per pixel without `form.white`, or of another
        size.
    """
    from PIL import Image

    with _opened(content) as image:
        image.load()
        _refuse_depth(image, form.white)
        image = _upright(image)
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
            image = image.resize((form.columns, form.rows), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    channels, rows, columns = form.shape
    return np.ascontiguousarray(pixels.reshape(rows, columns, channels).transpose(2, 0, 1))


def _orientation(image: Any) -> int:
    """EXIF's orientation, 1 to 8, of a loaded image; 1 where there is none, or it is damaged, as viewers take it."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # as many kinds of damage as of metadata; the pixels are whole
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(image: Any) -> Any:
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
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _refuse_depth(image: Any, white: int | None) -> None:
    if image.mode == "F":
        raise UnreadableFileError("has floating-point pixels (the sources npz and npy take those)")
    if image.mode in _DEEP_MODES and white is None:
        raise TooDeepError(f"has more than 8 bits per pixel (Pillow's mode {image.mode})")


def _eight_bits(image: Any, white: int | None) -> Any:
    """Scale 0..white to 0..255, rounded."""
    from PIL import Image

    assert white is not None  # `_refuse_depth` has looked; for mypy
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > white:
        raise UnreadableFileError(f"has values from {values.min()} to {values.max()}, but data.white is {white}")
    return Image.fromarray(((values * 255 + white // 2) // white).astype(np.uint8))


class Decoder:
    """Decodes many files with as many threads as the process may use cores."""

    def __init__(self, files: ImageFiles, form: Form) -> None:
        self.files, self.form = files, form
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._ahead = 4 * workers

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def chunks(self, names: list[str]) -> Iterator[tuple[NDArray[np.uint8], list[Failure]]]:
        """Yield the images in order, some at a time, without those that failed, and the failures."""
        starts = range(0, len(names), _CHUNK)
        for _, result in in_order(self._pool, lambda start: self._decode_from(names, start), starts, self._ahead):
            yield result

    def _decode_from(self, names: list[str], start: int) -> tuple[NDArray[np.uint8], list[Failure]]:
        images = np.empty((min(_CHUNK, len(names) - start), *self.form.shape), np.uint8)
        failures: list[Failure] = []
        for index in range(start, start + len(images)):
            decoded = self._decode(names[index])
            if isinstance(decoded, UnreadableFileError):
                failures.append(Failure(index, decoded))
            else:
                images[index - start - len(failures)] = decoded
        return images[: len(images) - len(failures)], failures

    def _decode(self, name: str) -> NDArray[np.uint8] | UnreadableFileError:
        try:
            return decode(self.files.read(name), self.form)
        except UnreadableFileError as error:
            return error
