"""`cross_entropy`: softmax and cross-entropy together."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.errors import ShapeError
from cnntrain.losses.base import Loss, LossSettings
from cnntrain.settings import NonNegativeFloat


class CrossEntropySettings(LossSettings):
    """YAML keys of `cross_entropy`; both have PyTorch's meaning."""

    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Share of the target that is spread evenly over all classes, the label's included "
        "(Szegedy et al. 2016, section 7).",
    )
    class_weights: list[NonNegativeFloat] | None = Field(
        None,
        description="A weight per class, in the order of the labels; the loss is the mean weighted with the weights of "
        "the images' labels. A class of weight 0 is not learned.",
    )

    @model_validator(mode="after")
    def _some_weight(self) -> CrossEntropySettings:
        if self.class_weights is not None and not any(self.class_weights):
            raise ValueError("needs a class_weights entry greater than 0")
        return self

    def check(self, classes: int) -> None:
        if self.class_weights is not None and len(self.class_weights) != classes:
            message = f"needs one weight per class: class_weights has {len(self.class_weights)}, the data {classes}"
            raise ShapeError(f"{message} classes", "class_weights")


class CrossEntropy(Loss):
    """L = log(sum_j exp(z_j)) - z_label; the network ends without a softmax of its own."""

    name = "cross_entropy"
    Settings = CrossEntropySettings

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        super().__init__(settings, classes, blocks, dtype)
        from cnntrain.kernels.losses import cross_entropy
        from cnntrain.passes.targets import targets

        self._cross_entropy = cross_entropy
        self._weights = None if settings.class_weights is None else np.array(settings.class_weights)
        own, spread = targets(classes, settings.label_smoothing, settings.class_weights)
        self._own, self._spread = own.astype(dtype), spread.astype(dtype)

    def total_weight(self, labels: NDArray[np.int64]) -> float:
        return float(labels.size if self._weights is None else self._weights[labels].sum())

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Run the kernel."""
        weight = self._own.dtype.type(self.weight or 1.0)
        goals = self._own, self._spread, weight, self.settings.label_smoothing > 0
        self._cross_entropy(outputs, labels, self._losses, self._correct, self.gradient, goals)
