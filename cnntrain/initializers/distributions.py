"""Values drawn from a distribution that does not depend on the layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.initializers.base import Initializer
from cnntrain.settings import PositiveFloat, Settings


class UniformSettings(Settings):
    """YAML keys of `uniform`: values in -limit ... limit."""

    main = "limit"
    limit: PositiveFloat


class Uniform(Initializer):
    """Uniform between -limit and limit."""

    name = "uniform"
    Settings = UniformSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        return generator.uniform(-self.settings.limit, self.settings.limit, shape)


class NormalSettings(Settings):
    """YAML keys of `normal`: mean zero, standard deviation `std`."""

    main = "std"
    std: PositiveFloat


class Normal(Initializer):
    """Normal with mean zero."""

    name = "normal"
    Settings = NormalSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        return generator.normal(0.0, self.settings.std, shape)
