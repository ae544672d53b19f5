"""Images in whatever form somebody has them, as the array that a network takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.data.chosen_files import SingleFiles
from cnntrain.data.decoding import MOST_PIXELS
from cnntrain.data.image_files import UnreadableFileError
from cnntrain.data.image_form import shaped
from cnntrain.errors import ArgumentError, DataError
from cnntrain.evaluation.pictures import decoded, form_for
from cnntrain.evaluation.restored import Restored
from cnntrain.printable import printable

# A path, a Pillow image, an array, or several of these; see `cnntrain.api.TrainedNetwork`.
Images = ArrayLike | os.PathLike[str] | Sequence[Any] | Any
_COLOURS = (1, 3, 4)  # lengths of an axis of colours behind rows and columns


def as_batch(restored: Restored, images: Images) -> tuple[NDArray[Any], bool]:
    """Return images as (N, C, H, W), uint8 or float32, C-contiguous, and whether there was one alone.

    Raises
    ------
    ArgumentError
        An array has another shape or type than the network takes, or holds NaN.
    DataError
        A file cannot be read.
    """
    if _is_path(images) or _is_picture(images):
        return _each(restored, [images]), True
    if isinstance(images, list | tuple) and any(_is_path(each) or _is_picture(each) for each in images):
        return _each(restored, images), False
    try:
        array = np.asarray(images)
    except ValueError as error:
        if isinstance(images, list | tuple) and all(isinstance(each, np.ndarray) for each in images):
            return _each(restored, images), False  # of different sizes
        raise ArgumentError(f"images must be one array; NumPy says: {error}") from error
    array, alone = _channels_first(restored, array)
    return _checked(restored, array), alone


def _is_path(image: object) -> bool:
    return isinstance(image, str | os.PathLike)


def _is_picture(image: object) -> bool:
    pillow = sys.modules.get("PIL.Image")  # nobody can have an image of it without
    return pillow is not None and isinstance(image, pillow.Image)


def _each(restored: Restored, images: Sequence[Any]) -> NDArray[np.uint8]:
    """Make pictures of files, Pillow images and arrays; files are decoded by threads."""
    paths = [os.fspath(image) for image in images if _is_path(image)]
    result = np.empty((len(images), *restored.metadata.input_shape), np.uint8)
    with closing(decoded(restored, SingleFiles(), paths)) as from_files:
        for index, image in enumerate(images):
            if _is_path(image):
                picture = next(from_files)
                if isinstance(picture, UnreadableFileError):
                    raise DataError(f"{printable(os.fspath(image))}: {picture}")
                result[index] = picture
            elif _is_picture(image):
                result[index] = _shaped(restored, image, index)
            else:
                result[index] = _one(restored, np.asarray(image), index)
    return result


def _one(restored: Restored, image: NDArray[Any], index: int) -> NDArray[np.uint8]:
    array, alone = _channels_first(restored, image)
    if not alone or array.dtype != np.uint8:
        raise ArgumentError(
            f"image {index}: among several images of different kinds an array must be one image of uint8, got "
            f"{image.dtype} {image.shape}"
        )
    one: NDArray[np.uint8] = array[0]
    return one


def _shaped(restored: Restored, image: Any, index: int) -> NDArray[np.uint8]:
    if image.width * image.height > MOST_PIXELS:
        raise ArgumentError(
            f"image {index}: has {image.width}x{image.height} pixels, at most {MOST_PIXELS:,} are allowed"
        )
    try:
        image.load()
        return shaped(image, form_for(restored))
    except (UnreadableFileError, OSError, SyntaxError, ValueError) as error:
        raise ArgumentError(f"image {index}: {error}") from error


def _channels_first(restored: Restored, images: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Return an array of one or several images as (N, C, H, W), as far as its shape can be understood."""
    channels, rows, columns = shape = restored.metadata.input_shape
    if images.shape[1:] == shape or (channels == 1 and images.ndim == 3 and images.shape[1:] == (rows, columns)):
        return images.reshape(-1, *shape), False
    if images.shape == shape or (channels == 1 and images.shape == (rows, columns)):
        return images.reshape(1, *shape), True
    if images.ndim in (3, 4) and images.shape[-1] in _COLOURS and images.size:
        alone = images.ndim == 3
        several = images[None] if alone else images
        if images.shape[-3:] == (rows, columns, channels):
            return several.transpose(0, 3, 1, 2), alone
        if images.dtype == np.uint8:
            return np.stack([_as_picture(restored, image, index) for index, image in enumerate(several)]), alone
    if images.ndim == 2 and images.dtype == np.uint8 and images.size:
        return _as_picture(restored, images, 0)[None], True
    if images.ndim == 3 and channels == 1:
        images = images[:, None]
    also = f" or (N, {rows}, {columns})" if channels == 1 else ""
    raise ArgumentError(
        f"images must have shape (N, {channels}, {rows}, {columns}){also}, or (rows, columns, 3) in uint8, "
        f"got {images.shape} in {images.dtype}"
    )


def _as_picture(restored: Restored, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Treat an array (H, W) or (H, W, 1, 3 or 4) as a picture file with these pixels."""
    from PIL import Image

    plain = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return _shaped(restored, Image.fromarray(np.ascontiguousarray(plain)), index)


def _checked(restored: Restored, images: NDArray[Any]) -> NDArray[Any]:
    """Return the images as uint8 or float32, C-contiguous; raises `ArgumentError` for other types and wrong values."""
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype not in (np.float32, np.float64):
        raise ArgumentError(f"images must be uint8, float32 or float64, got {images.dtype}")
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        raise ArgumentError(
            f"{int((~finite).sum())} of {len(images)} images hold NaN or infinity; the first is image "
            f"{int((~finite).argmax())}"
        )
    if restored.metadata.image_type == "uint8" and images.size and images.max() > 1.5:
        raise ArgumentError(
            f"float images must be on the scale 0..1, got values up to {images.max():g}: divide by 255, or pass uint8"
        )
    return np.ascontiguousarray(images, dtype=np.float32)
