"""`softplus`: the smooth rectifier."""

from __future__ import annotations

from pydantic import Field

from cnntrain.kernels import smooth_activations as kernels
from cnntrain.layers.activations import Activation, ActivationSettings
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
    kernel, backward_kernel = staticmethod(kernels.softplus), staticmethod(kernels.softplus_backward)
