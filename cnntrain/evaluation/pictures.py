"""Picture files for a trained network: decoded, turned, scaled and normalised as its training images were."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.decoding import Decoder
from cnntrain.data.folder_settings import FolderSettings
from cnntrain.data.image_files import Readable, UnreadableFileError
from cnntrain.data.image_form import Form
from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import DataSettings
from cnntrain.errors import ArgumentError
from cnntrain.evaluation.restored import Restored, normalization_for
from cnntrain.evaluation.views import views_of

_COLORS = {1: "grey", 3: "rgb"}


def form_for(restored: Restored) -> Form:
    """Return what a picture becomes before a network sees it; everything for it is in the checkpoint.

    Colours, `fit`, `background` and `white` are those of the training data, the size is that of its images: a picture
    of another size is scaled. Networks that were not trained on image files stretch.

    Raises
    ------
    ArgumentError
        No picture file can become what the network takes: it was trained on float images, or not on 1 or 3 channels.
    """
    metadata, data = restored.metadata, restored.config.data
    channels = metadata.input_shape[0]
    if metadata.image_type != "uint8" or channels not in _COLORS:
        what = "float images" if metadata.image_type != "uint8" else f"images of {channels} channels"
        raise ArgumentError(
            f"{restored.path}: the network was trained on {what}, which pictures cannot be turned into: pass arrays as "
            "it was trained on"
        )
    return form_of(data, metadata.input_shape)


def form_of(data: DataSettings, shape: tuple[int, int, int]) -> Form:
    """Return what a picture becomes beside a config's data, whose images have the shape (1 or 3, rows, columns)."""
    channels, rows, columns = shape
    if isinstance(data, FolderSettings):
        return Form(data.color, rows, columns, True, data.background, data.white, data.fit)
    return Form(_COLORS[channels], rows, columns, True)


def probabilities_of(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax of each row, in float64."""
    shifted = logits.astype(np.float64)
    exponentials = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def recognise(
    restored: Restored, files: Readable, names: Sequence[str], progress: Progress = silent
) -> Iterator[tuple[str, NDArray[np.float64] | UnreadableFileError]]:
    """Yield each name in turn with the probability of every class, or with what is wrong with the file.

    Files are decoded by threads while the network works on those before. The result of a picture does not depend on the
    others.

    Parameters
    ----------
    restored : Restored
        Its network's batch size is how many pictures it gets at a time.
    files : Readable
        Where their content comes from.
    names : sequence of str
    progress : callable
        Told how far it has come.

    Raises
    ------
    ArgumentError
        As `form_for`.
    """
    form, normalization = form_for(restored), normalization_for(restored, np.dtype(np.uint8))
    network, decoder, views = restored.network, Decoder(files, form), views_of(restored.config)
    waiting: list[tuple[str, NDArray[np.uint8] | UnreadableFileError]] = []
    pictures, done = 0, 0

    def flushed() -> Iterator[tuple[str, NDArray[np.float64] | UnreadableFileError]]:
        images = [picture for _, picture in waiting if not isinstance(picture, UnreadableFileError)]
        rows = iter(probabilities_of(network.predict_logits(np.stack(images), normalization, views)) if images else ())
        for name, picture in waiting:
            yield name, picture if isinstance(picture, UnreadableFileError) else next(rows)
        waiting.clear()

    try:
        for name, picture in decoder.each(names):
            waiting.append((name, picture))
            pictures += not isinstance(picture, UnreadableFileError)
            if pictures == network.batch_size or len(waiting) >= 4 * network.batch_size:
                done += len(waiting)
                yield from flushed()
                pictures = 0
                progress("recognising", done, len(names))
        yield from flushed()
        progress("recognising", len(names), len(names))
    finally:
        decoder.close()


def decoded(restored: Restored, files: Readable, names: Sequence[str]) -> Generator[Any, None, None]:
    """Yield the picture of each file, or what is wrong with it, in the form that the network takes."""
    decoder = Decoder(files, form_for(restored))
    try:
        for _, picture in decoder.each(names):
            yield picture
    finally:
        decoder.close()
