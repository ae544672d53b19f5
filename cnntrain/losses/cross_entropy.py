"""`cross_entropy`: softmax and cross-entropy together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.errors import ShapeError
from cnntrain.hints import hint
from cnntrain.losses.base import Loss, LossSettings
from cnntrain.printable import printable
from cnntrain.settings import NonNegativeFloat


class CrossEntropySettings(LossSettings):
    """YAML keys of `cross_entropy`; both have PyTorch's meaning."""

    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Share of the target that is spread evenly over all classes, the label's included "
        "(Szegedy et al. 2016, section 7).",
    )
    class_weights: list[NonNegativeFloat] | dict[str, NonNegativeFloat] | Literal["balanced"] | None = Field(
        None,
        description="A weight per class, in the order of the labels, or by name ({cat: 2.0}; the others have 1); the "
        "loss is the mean weighted with the weights of the images' labels. A class of weight 0 is not learned. "
        "balanced: training images / (classes * training images of the class), so that rare classes count as much as "
        "frequent ones (King and Zeng 2001, as in scikit-learn); 1 for a class without images.",
    )

    @model_validator(mode="after")
    def _some_weight(self) -> CrossEntropySettings:
        weights = self.class_weights
        if isinstance(weights, dict) and not weights:
            raise ValueError("class_weights names no class")
        if isinstance(weights, list) and not any(weights):
            raise ValueError("needs a class_weights entry greater than 0")
        return self

    def resolve(self, class_names: Sequence[str], counts: NDArray[np.int64]) -> CrossEntropySettings:
        weights = self.class_weights
        if weights is None or isinstance(weights, list):
            return self
        if weights == "balanced":
            each = int(counts.sum()) / (len(counts) * np.maximum(counts, 1).astype(np.float64))
            return self.model_copy(update={"class_weights": np.where(counts > 0, each, 1.0).tolist()})
        for name in weights:
            if name not in class_names:
                message = f'has a weight for "{printable(name)}", which is no class of the data'
                raise ShapeError(f"{message}{hint(name, class_names)}", "class_weights")
        found = [weights.get(name, 1.0) for name in class_names]
        if not any(found):
            raise ShapeError("needs a class_weights entry greater than 0", "class_weights")
        return self.model_copy(update={"class_weights": found})

    def check(self, classes: int) -> None:
        if isinstance(self.class_weights, list) and len(self.class_weights) != classes:
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
        given = (
            settings.class_weights if isinstance(settings.class_weights, list) else None
        )  # words, not resolved for any data, weigh nothing
        self._weights = None if given is None else np.array(given)
        own, spread = targets(classes, settings.label_smoothing, given)
        self._own, self._spread = own.astype(dtype), spread.astype(dtype)

    def total_weight(self, labels: NDArray[np.int64]) -> float:
        return float(labels.size if self._weights is None else self._weights[labels].sum())

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Run the kernel."""
        weight = self._own.dtype.type(self.weight or 1.0)
        goals = self._own, self._spread, weight, self.settings.label_smoothing > 0
        self._cross_entropy(outputs, labels, self._losses, self._correct, self.gradient, goals)
