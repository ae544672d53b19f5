"""Values whose variance depends on the number of connections: Xavier's (Glorot's) and He's initialisation."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers.base import Initializer, fans
from cnntrain.settings import Settings

_FAN = (
    "What divides the variance: the connections into each output (in), out of each input (out), or the mean of the two."
)


class XavierSettings(Settings):
    """YAML keys of `xavier`."""

    main = "fan"
    fan: Literal["in", "out", "average"] = Field("average", description=_FAN)
    distribution: Literal["uniform", "normal"] = Field(
        "uniform", description="Both have the same variance; uniform is bounded by sqrt(3) standard deviations."
    )


class HeSettings(XavierSettings):
    """YAML keys of `he`."""

    fan: Literal["in", "out", "average"] = Field("in", description=_FAN)


class Xavier(Initializer):
    """Variance 1 / fan: keeps the variance of linear and tanh layers (Glorot and Bengio 2010, equations 12 and 16).

    With `fan: in` it is Caffe's "xavier" filler, uniform in ± sqrt(3 / fan in).
    """

    name = "xavier"
    Settings = XavierSettings
    gain: ClassVar[float] = 1.0

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        fan_in, fan_out = fans(shape)
        fan = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2}[self.settings.fan]
        std = float(np.sqrt(self.gain / fan))
        if self.settings.distribution == "normal":
            return generator.normal(0.0, std, shape)
        return generator.uniform(-np.sqrt(3) * std, np.sqrt(3) * std, shape)


class He(Xavier):
    """Variance 2 / fan: keeps the variance of ReLU layers (He et al. 2015, equation 10)."""

    name = "he"
    Settings = HeSettings
    gain = 2.0
