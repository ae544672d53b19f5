"""Two layers of one's own, for a config that says `extensions: [examples/my_layers.py]`.

A layer is two classes. Its settings know the YAML keys and the shapes; the layer itself owns its buffers and computes
them forward and backward. Sixteen images stand side by side: an array is flat, in the order (block of 16 images, row,
column, channel, image of the block).

`channel_scale` is written in NumPy, which is the quickest way to try something; `softsign` with compiled kernels, as
the built-in layers are. Everything that a layer may need is in `cnntrain.extending`. Check the gradients of yours
before you trust them: `cnntrain gradcheck --config FILE`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.extending import (
    LANES,
    Activation,
    Batch,
    Field,
    InitializerChoice,
    Kernel,
    Layer,
    LayerContext,
    LayerRow,
    LayerSettings,
    Shape,
    absolute,
    constant,
    elementwise,
)

# ---- channel_scale: y = s_c x, with a learned number for each channel ----


class ChannelScaleSettings(LayerSettings):
    """YAML keys of `channel_scale`."""

    scale_init: InitializerChoice = Field(
        {"constant": 1.0}, validate_default=True, description="Initial values of the scales."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged."""
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """One scale per channel."""
        return {"scale": (input_shape.channels,)}

    def macs(self, input_shape: Shape) -> int:
        """One multiplication per value."""
        return input_shape.size


class ChannelScale(Layer):
    """y = s_c x."""

    name = "channel_scale"
    Settings = ChannelScaleSettings

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        channels, rows, columns = row.input_shape
        self._shape = (-1, rows * columns, channels, LANES)
        self._scale = context.parameter("scale", row.settings.scale_init)
        self.parameters = [self._scale]
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """y = s_c x for the blocks in use."""
        self._x = x
        image, output = (array.reshape(self._shape)[: batch.blocks] for array in (x, self.output))
        np.multiply(image, self._scale.value[:, None], out=output)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/ds_c = the sum of dL/dy x over everything but the channel; dL/dx = s_c dL/dy."""
        image, gradient = (array.reshape(self._shape)[: batch.blocks] for array in (self._x, grad_output))
        self._scale.gradient[...] = np.einsum("bpcl,bpcl->c", image, gradient)
        if self._grad_input is None:  # nobody needs it
            return None
        grad_input = self._grad_input.over(grad_output)
        np.multiply(gradient, self._scale.value[:, None], out=grad_input.reshape(self._shape)[: batch.blocks])
        return grad_input


# ---- softsign: y = x / (1 + |x|) ----


@elementwise
def softsign(x):  # type: ignore[no-untyped-def]
    """y = x / (1 + |x|), sixteen images at a time."""
    return x / (constant(x, 1) + absolute(x))


@elementwise
def softsign_backward(g, x):  # type: ignore[no-untyped-def]
    """dL/dx = g / (1 + |x|)**2 with g = dL/dy."""
    d = constant(x, 1) + absolute(x)
    return g / (d * d)


class Softsign(Activation):
    """y = x / (1 + |x|)."""

    name = "softsign"
    keeps_input = True  # backward needs x

    def kernels(self) -> tuple[Kernel, Kernel]:
        """Forward and backward."""
        return softsign, softsign_backward


LAYERS = [ChannelScale, Softsign]
