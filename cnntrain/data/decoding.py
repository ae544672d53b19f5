"""From the bytes of image files to arrays: Pillow in a pool of threads, every failure named."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.image_files import Readable, UnreadableFileError
from cnntrain.data.image_form import Form, draft, orientation, refuse_depth, shaped
from cnntrain.data.prefetch import in_order

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # nothing that calls other programs, as EPS does
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 1 << 26  # of one image before it is resized: a small file can announce billions
_CHUNK = 8  # files per task of the pool: a batch that is asked for is divided among all threads


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
def opened(content: bytes) -> Iterator[Any]:
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
    with opened(content) as image:
        image.load()  # a PNG may say which way is up behind its pixels
        refuse_depth(image, white)
        rows, columns = image.height, image.width
        return (columns, rows) if orientation(image) >= 5 else (rows, columns)


def decode(content: bytes, form: Form) -> NDArray[np.uint8]:
    """Return the image as uint8 (channels, rows, columns).

    It is turned as its EXIF orientation says. What is transparent shows `form.background`; colours become grey by
    ITU-R 601-2 luma; of an animation the first picture is taken. Resizing is bilinear, over the area that a target
    pixel covers when the image shrinks (Pillow's BILINEAR); a large JPEG is decoded at a half, quarter or eighth first
    (libjpeg's scaled transforms), as long as that is twice the size or more.

    Raises
    ------
    UnreadableFileError
        The bytes are no image, damaged, too large, of more than 8 bits per pixel without `form.white`, or of another
        size.
    """
    with opened(content) as image:
        draft(image, form)
        image.load()
        return shaped(image, form)


def cores() -> int:
    """Return how many cores the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Decoder:
    """Decodes many files with as many threads as the process may use cores."""

    def __init__(self, files: Readable, form: Form) -> None:
        self.files, self.form = files, form
        workers = cores()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._ahead = 4 * workers

    def close(self) -> None:
        """End the threads; what they have not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, names: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8] | UnreadableFileError]]:
        """Yield each name in order with its image, or with what is wrong with it."""
        yield from in_order(self._pool, self._decode, names, _CHUNK * self._ahead)

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
