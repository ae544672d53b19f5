"""`elu` and `selu`: rectifiers with a smooth exponential below zero."""

from __future__ import annotations

from pydantic import Field

from cnntrain.layers.activations import ActivationSettings, Kernel, Rectifier
from cnntrain.settings import PositiveFloat

# the fixed point at which mean 0 and variance 1 reproduce themselves (Klambauer et al. 2017, equation 14)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class EluSettings(ActivationSettings):
    """YAML keys of `elu`."""

    main = "alpha"
    alpha: PositiveFloat = Field(1.0, description="The output never falls below -alpha.")


class Elu(Rectifier):
    """y = z where z > 0, alpha * (exp(z) - 1) elsewhere (Clevert et al. 2016)."""

    name = "elu"
    Settings = EluSettings
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.smooth_activations import elu, elu_backward

        return elu, elu_backward

    def numbers(self) -> tuple[float, ...]:
        return 1.0, self.settings.alpha


class SeluSettings(ActivationSettings):
    """`selu` has no YAML keys; its two constants keep mean 0 and variance 1 (Klambauer et al. 2017)."""


class Selu(Rectifier):
    """y = 1.0507 z where z > 0, 1.7581 * (exp(z) - 1) elsewhere."""

    name = "selu"
    Settings = SeluSettings
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.smooth_activations import elu, elu_backward

        return elu, elu_backward

    def numbers(self) -> tuple[float, ...]:
        return SELU_SCALE, SELU_SCALE * SELU_ALPHA
