"""Trained networks for scripts and notebooks: `cnntrain.load("runs/mnist-lenet5-1").predict(images)`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError, CheckpointError
from cnntrain.evaluation.restored import Restored, normalization_for, restore
from cnntrain.runs.folder import find_checkpoint

if TYPE_CHECKING:
    from cnntrain.config import Config

BATCH = 64  # images at a time; the result does not depend on it


class TrainedNetwork:
    """A network that recognises images. Made by `cnntrain.load`; safe to use from one thread at a time.

    Images may come as

    - an array (N, C, H, W), or (N, H, W) for networks with one channel; N may be 0;
    - uint8 as stored in the data set, or float32/float64. For a network that was trained on uint8 images, floats are
      on the scale 0..1; otherwise on the scale of its training images.

    They are normalised as the training images were.
    """

    def __init__(self, restored: Restored) -> None:
        self._restored = restored

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

    def predict(self, images: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable class of each image.

        Parameters
        ----------
        images : ndarray
            See the class.

        Returns
        -------
        ndarray, shape (N,), int64
            Indices into `class_names`.

        Raises
        ------
        ArgumentError
            The array has another shape or type than the network takes, or an image holds NaN.
        """
        return self._logits(images).argmax(axis=1)

    def probabilities(self, images: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class: the softmax of the network's outputs.

        Parameters
        ----------
        images : ndarray
            See the class.

        Returns
        -------
        ndarray, shape (N, classes), float64
            Rows add up to 1.

        Raises
        ------
        ArgumentError
            As `predict`.
        """
        logits = self._logits(images).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

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

    def _logits(self, images: ArrayLike) -> NDArray[np.floating]:
        try:
            array = self._checked(np.asarray(images))
        except ValueError as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"images must be one array; NumPy says: {error}") from error
        normalization = normalization_for(self._restored, array.dtype)
        if len(array) == 0:
            return np.empty((0, len(self.class_names)), np.float32)
        return self._restored.network.predict_logits(array, normalization)

    def _checked(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the images as (N, C, H, W), uint8 or float32, C-contiguous."""
        channels, rows, columns = self.input_shape
        if images.ndim == 3 and channels == 1:
            images = images[:, None]
        if images.ndim != 4 or images.shape[1:] != self.input_shape:
            also = f" or (N, {rows}, {columns})" if channels == 1 else ""
            one = "; for one image: image[None]" if images.ndim in (2, 3) else ""
            raise ArgumentError(
                f"images must have shape (N, {channels}, {rows}, {columns}){also}, got {images.shape}{one}"
            )
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
        if self._restored.metadata.image_type == "uint8" and images.size and images.max() > 1.5:
            raise ArgumentError(
                f"float images must be on the scale 0..1, got values up to {images.max():g}: divide by 255, or pass "
                "uint8"
            )
        return np.ascontiguousarray(images, dtype=np.float32)
