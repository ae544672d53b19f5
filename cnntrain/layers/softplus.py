"""`softplus`: the smooth rectifier."""

from __future__ import annotations

from pydantic import Field

from cnntrain.layers.activations import Activation, ActivationSettings, Kernel
from cnntrain.settings import PositiveFloat


class SoftplusSettings(ActivationSettings):
    """YAML keys of `softplus`."""

    main = "beta"
    beta: PositiveFloat = Field(1.0, description="The larger, the closer to a rectifier.")


class Softplus(Activation):
    """y = log(1 + exp(beta * z)) / beta, for any z without overflow (Dugas et al. 2001)."""

    name = "softplus"
    Settings = SoftplusSettings
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.smooth_activations import softplus, softplus_backward

        return softplus, softplus_backward
