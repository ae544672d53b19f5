"""`silu`, also called swish."""

from __future__ import annotations

from cnntrain.kernels import smooth_activations as kernels
from cnntrain.layers.activations import Activation, ActivationSettings


class SiluSettings(ActivationSettings):
    """`silu` has no YAML keys: y = z / (1 + exp(-z)) (Elfwing et al. 2018)."""


class Silu(Activation):
    """y = z / (1 + exp(-z))."""

    name = "silu"
    Settings = SiluSettings
    keeps_input = True
    kernel, backward_kernel = staticmethod(kernels.silu), staticmethod(kernels.silu_backward)
