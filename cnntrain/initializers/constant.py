"""The same value everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers.base import Initializer
from cnntrain.settings import Settings


class Zeros(Initializer):
    """All zero, as is usual for biases."""

    name = "zeros"

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Return zeros."""
        return np.zeros(shape)


class ConstantSettings(Settings):
    """YAML keys of `constant`."""

    main = "value"
    value: float = Field(description="The value.")


class Constant(Initializer):
    """All equal to `value`."""

    name = "constant"
    Settings = ConstantSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Return `value` everywhere."""
        return np.full(shape, self.settings.value)
