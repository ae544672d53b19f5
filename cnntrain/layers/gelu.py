"""`gelu`: each value times the probability that a normal number is smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from cnntrain.kernels import smooth_activations as kernels
from cnntrain.layers.activations import Activation, ActivationSettings


class GeluSettings(ActivationSettings):
    """YAML keys of `gelu`."""

    main = "approximate"
    approximate: Literal["none", "tanh"] = Field(
        "none", description="tanh: z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z**3))) instead, as in GPT-2."
    )


class Gelu(Activation):
    """y = z * P(z), P the standard normal distribution (Hendrycks and Gimpel 2016)."""

    name = "gelu"
    Settings = GeluSettings
    keeps_input = True

    def _kernels_of(self, settings: Any) -> tuple[Callable[..., None], Callable[..., None]]:
        if settings.approximate == "tanh":
            return kernels.gelu_tanh, kernels.gelu_tanh_backward
        return kernels.gelu, kernels.gelu_backward

    def _numbers_of(self, settings: Any) -> tuple[float, ...]:
        return ()
