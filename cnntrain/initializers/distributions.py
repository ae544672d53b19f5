"""Values drawn from a distribution that does not depend on the layer."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.initializers.base import Initializer
from cnntrain.settings import PositiveFloat, Settings


class UniformSettings(Settings):
    """YAML keys of `uniform`."""

    main = "limit"
    limit: PositiveFloat = Field(description="The largest absolute value.")


class Uniform(Initializer):
    """Uniform between -limit and limit."""

    name = "uniform"
    Settings = UniformSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        return generator.uniform(-self.settings.limit, self.settings.limit, shape)


class NormalSettings(Settings):
    """YAML keys of `normal`."""

    main = "std"
    std: PositiveFloat = Field(description="The standard deviation.")


class Normal(Initializer):
    """Normal with mean zero."""

    name = "normal"
    Settings = NormalSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        return generator.normal(0.0, self.settings.std, shape)


class TruncatedNormalSettings(Settings):
    """YAML keys of `truncated_normal`; PyTorch's, with its defaults.

    Keras cuts two standard deviations from the mean: `{std: 0.05, low: -0.1, high: 0.1}`.
    """

    main = "std"
    std: PositiveFloat = Field(1.0, description="The standard deviation before values are cut off.")
    mean: float = Field(0.0, description="The mean before values are cut off.")
    low: float = Field(-2.0, description="The smallest value (not in standard deviations).")
    high: float = Field(2.0, description="The largest value (not in standard deviations).")

    @model_validator(mode="after")
    def _enough_is_left(self) -> TruncatedNormalSettings:
        if self.low >= self.high:
            raise ValueError(f"needs low below high, not {self.low:g} and {self.high:g}")
        if self.kept < _LEAST_KEPT:
            raise ValueError(
                f"leaves {self.kept:.2g} of the distribution between low {self.low:g} and high {self.high:g}; "
                f"at least {_LEAST_KEPT:g} must be left"
            )
        return self

    @property
    def kept(self) -> float:
        """How much of the distribution lies between `low` and `high`."""
        whole = NormalDist(self.mean, self.std)
        return whole.cdf(self.high) - whole.cdf(self.low)


_LEAST_KEPT = 0.01


class TruncatedNormal(Initializer):
    """Normal, but values outside low ... high are drawn again."""

    name = "truncated_normal"
    Settings = TruncatedNormalSettings

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the values."""
        settings = self.settings
        values = generator.normal(settings.mean, settings.std, shape)
        while True:
            outside = (values < settings.low) | (values > settings.high)
            count = np.count_nonzero(outside)
            if not count:
                return values
            values[outside] = generator.normal(settings.mean, settings.std, count)
