"""`elu` and `selu`: rectifiers with a smooth exponential below zero."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cnntrain.kernels import smooth_activations as kernels
from cnntrain.layers.activations import ActivationSettings, Rectifier
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
    kernel, backward_kernel = staticmethod(kernels.elu), staticmethod(kernels.elu_backward)

    def _numbers_of(self, settings: Any) -> tuple[float, ...]:
        return 1.0, settings.alpha


class SeluSettings(ActivationSettings):
    """`selu` has no YAML keys; its two constants keep mean 0 and variance 1 (Klambauer et al. 2017)."""


class Selu(Rectifier):
    """y = 1.0507 z where z > 0, 1.7581 * (exp(z) - 1) elsewhere."""

    name = "selu"
    Settings = SeluSettings
    monotone = True
    kernel, backward_kernel = staticmethod(kernels.elu), staticmethod(kernels.elu_backward)

    def _numbers_of(self, settings: Any) -> tuple[float, ...]:
        return SELU_SCALE, SELU_SCALE * SELU_ALPHA
