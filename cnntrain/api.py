"""Trained networks for scripts and notebooks: `cnntrain.load("runs/mnist-lenet5-1").predict(images)`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import Normalization
from cnntrain.errors import CheckpointError
from cnntrain.evaluation.batches import Images, as_batch
from cnntrain.evaluation.pictures import probabilities_of
from cnntrain.evaluation.restored import Restored, normalization_for, restore
from cnntrain.evaluation.views import views_of
from cnntrain.runs.folder import find_checkpoint

if TYPE_CHECKING:
    from cnntrain.config import Config

BATCH = 64  # images at a time; the result does not depend on it


class TrainedNetwork:
    """A network that recognises images. Made by `cnntrain.load`; safe to use from one thread at a time.

    Images may come as

    - the path of a picture file, or a Pillow image: turned, scaled and coloured as the training images were;
    - an array (N, C, H, W), or (N, H, W) for networks with one channel; N may be 0. One image (C, H, W) or (H, W);
    - an array (H, W, 3) or (N, H, W, 3) as Pillow, Matplotlib and OpenCV (after BGR to RGB) have it, of any
      size if it is uint8; also (H, W, 1) and (H, W, 4), whose last channel is opacity;
    - a list of several of these.

    Arrays are uint8 as stored in the data set, or float32/float64. For a network that was trained on uint8 images,
    floats are on the scale 0..1; otherwise on the scale of its training images. All are normalised as the training
    images were. What is given alone has a result of its own, without an axis for several. Where the config has
    `test_time`, outputs are averaged over the views that it names.
    """

    def __init__(self, restored: Restored) -> None:
        self._restored = restored
        self._normalizations: dict[np.dtype, Normalization] = {}  # by the type of images

    @classmethod
    def load(cls, run_or_checkpoint: str | Path) -> TrainedNetwork:
        """Load a run folder's best checkpoint, or a checkpoint file; see `cnntrain.load`."""
        restored = restore(find_checkpoint(Path(run_or_checkpoint)), batch_size=BATCH)
        if restored.not_finite:
            raise CheckpointError(f"{restored.path}: NaN or infinity in {', '.join(restored.not_finite)}")
        return cls(restored)

    @property
    def class_names(self) -> list[str]:
        """Name of each class, in the order of the labels."""
        return list(self._restored.metadata.class_names)

    @property
    def config(self) -> Config:
        """The config that the network was trained with."""
        return self._restored.config

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image."""
        return self._restored.metadata.input_shape

    def predict(self, images: Images) -> Any:
        """Return the most probable class of each image.

        Parameters
        ----------
        images : path, Pillow image, ndarray or list of these
            See the class.

        Returns
        -------
        ndarray, shape (N,), int64, or int
            Indices into `class_names`; one number for one image.

        Raises
        ------
        ArgumentError
            The array has another shape or type than the network takes, or an image holds NaN.
        DataError
            A file cannot be read; the message names it.
        """
        logits, alone = self._logits(images)
        labels = logits.argmax(axis=1)
        return int(labels[0]) if alone else labels

    def probabilities(self, images: Images) -> NDArray[np.float64]:
        """Return the probability of each class: the softmax of the network's outputs.

        Parameters
        ----------
        images : path, Pillow image, ndarray or list of these
            See the class.

        Returns
        -------
        ndarray, shape (N, classes), float64
            Rows add up to 1. Shape (classes,) for one image.

        Raises
        ------
        ArgumentError, DataError
            As `predict`.
        """
        logits, alone = self._logits(images)
        probabilities = probabilities_of(logits) if len(logits) else logits.astype(np.float64)
        return probabilities[0] if alone else probabilities

    def export_onnx(self, path: str | Path, *, fold_batch_norm: bool = False) -> None:
        """Write an ONNX file, as `cnntrain export --onnx` does; raises `ExportError`."""
        self._export(onnx=Path(path), fold_batch_norm=fold_batch_norm)

    def export_torch(self, path: str | Path) -> None:
        """Write a state dict and a Python module, as `cnntrain export --torch` does; raises `ExportError`."""
        self._export(torch=Path(path))

    def export_c(self, path: str | Path, *, fold_batch_norm: bool = False) -> None:
        """Write a C file, as `cnntrain export --c` does; raises `ExportError`."""
        self._export(c=Path(path), fold_batch_norm=fold_batch_norm)

    def _export(self, **targets: Any) -> None:
        from cnntrain.export.write import export

        export(self._restored, **targets)

    def _logits(self, images: Images) -> tuple[NDArray[np.floating], bool]:
        array, alone = as_batch(self._restored, images)
        normalization = self._normalizations.get(array.dtype)
        if normalization is None:
            normalization = self._normalizations[array.dtype] = normalization_for(self._restored, array.dtype)
        if len(array) == 0:
            return np.empty((0, len(self.class_names)), np.float32), alone
        return self._restored.network.predict_logits(array, normalization, views_of(self._restored.config)), alone
