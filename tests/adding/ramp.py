"""An initialiser: `ramp`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers.base import Initializer
from cnntrain.settings import PositiveFloat, Settings


class RampSettings(Settings):
    """YAML keys of `ramp`."""

    main = "limit"
    limit: PositiveFloat = Field(description="The last value; the first is minus this.")


class Ramp(Initializer):
    """Evenly spaced from -limit to limit, in the order of the array."""

    name = "ramp"
    Settings = RampSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        return np.linspace(-self.settings.limit, self.settings.limit, math.prod(shape)).reshape(shape)
