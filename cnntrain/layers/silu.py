"""`silu`, also called swish."""

from __future__ import annotations

from cnntrain.layers.activations import Activation, ActivationSettings, Kernel


class SiluSettings(ActivationSettings):
    """`silu` has no YAML keys: y = z / (1 + exp(-z)) (Elfwing et al. 2018)."""


class Silu(Activation):
    """y = z / (1 + exp(-z))."""

    name = "silu"
    Settings = SiluSettings
    keeps_input = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.smooth_activations import silu, silu_backward

        return silu, silu_backward
