"""`gelu`: each value times the probability that a normal number is smaller."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cnntrain.layers.activations import Activation, ActivationSettings, Kernel


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

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.smooth_activations import gelu, gelu_backward, gelu_tanh, gelu_tanh_backward

        return (gelu_tanh, gelu_tanh_backward) if self.settings.approximate == "tanh" else (gelu, gelu_backward)

    def numbers(self) -> tuple[float, ...]:
        return ()
