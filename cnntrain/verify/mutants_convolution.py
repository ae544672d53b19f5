"""Mutants of convolutions and dense layers: blocks left out, sums that begin anew, biases, what is left over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnntrain.layers import pooled_convolution as pooled_layers
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense as DenseLayer
from cnntrain.passes import dense as dense_passes
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.dense import Dense
from cnntrain.passes.direct import Direct
from cnntrain.passes.pooled_convolution import PooledPasses
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.winograd_weights import WinogradWeights
from cnntrain.shape import LANES
from cnntrain.verify.mutant import How, Mutant, after, all_of, before, instead


def weights_back(spoil: Callable[..., Any], kind: Any = Convolution) -> How:
    """Do something behind the gradient of the weights: `spoil(self, image, delta, weight, bias, blocks)`."""
    return after(kind, "backward_weight", lambda self, _, *arguments: spoil(self, *arguments[:5]))


def fewer_blocks(kind: Any, name: str) -> How:
    """Leave the last block of a batch out of a pass, if it has several."""
    return before(kind, name, lambda self, *arguments: (*arguments[:-1], max(arguments[-1] - 1, 1)))


def dropped(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
    """Leave the bias without a gradient."""
    if bias is not None:
        bias[:] = 0


def bias_of_one_block(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
    """Sum the delta of the first block alone."""
    if bias is not None:
        block = delta.size // LANES // bias.size // max(blocks, 1)
        pixels = self.geometry.rows.output_size * self.geometry.columns.output_size if block else 0
        bias[:] = delta[: pixels * bias.size * LANES].reshape(pixels, bias.size, LANES).sum(axis=(0, 2))


def mean_bias(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
    """Take the mean over the pixels."""
    if bias is not None:
        bias /= self.geometry.rows.output_size


def last_tap(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
    """Leave the last tap of the last filter out."""
    weight[-1] = 0


def kept_gradient(kind: Any, adds: bool) -> How:
    """Let the gradients of a layer's parameters stay, or be added to."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, *arguments: Any) -> Any:
            kept = [parameter.gradient.copy() for parameter in self.parameters]
            result = function(self, *arguments)
            for parameter, value in zip(self.parameters, kept, strict=True):
                parameter.gradient[...] = parameter.gradient + value if adds else value
            return result

        return spoilt

    return instead(kind, "backward", make)


def stale(kind: Any) -> How:
    """Keep the input of the first batch for the backward pass."""

    def spoil(self: Any, output: Any, x: Any, batch: Any) -> None:
        self.__dict__.setdefault("first", x.copy())
        self._x = self.first

    return after(kind, "forward", spoil)


def on_output(spoil: Callable[[Any, Any, Any], Any]) -> How:
    """Do something to a convolution's outputs: `spoil(layer, output, batch)`."""
    return after(Conv2d, "forward", lambda self, output, x, batch: spoil(self, output, batch))


def on_grad_input(spoil: Callable[..., Any]) -> How:
    """Do something to what a convolution sends back: `spoil(passes, grad_input, blocks)`."""
    return after(
        Convolution, "backward_input", lambda self, _, delta, weight, grad, blocks: spoil(self, grad, blocks)
    )  # fmt: skip


def images_moved(layer: Any, output: Any, batch: Any) -> None:
    """Move every image's output to the next lane."""
    lanes = output.reshape(-1, LANES)
    lanes[:] = np.roll(lanes, 1, axis=1)


def last_filter_lost(layer: Any, output: Any, batch: Any) -> None:
    """Leave the last filter's outputs zero."""
    output.reshape(-1, layer.geometry.filters, LANES)[:, -1] = 0


def one_output_off(layer: Any, output: Any, batch: Any) -> None:
    """Add one to a corner of an image."""
    output[0] += 1


def corner_lost(passes: Any, grad: Any, blocks: int) -> None:
    """Leave the first pixel of the first block without a gradient."""
    grad[: passes.geometry.channels * LANES] = 0


def last_row_lost(passes: Any, grad: Any, blocks: int) -> None:
    """Leave the last row of every image without a gradient."""
    size = passes.geometry.rows.input_size
    grad[: grad.size // size * size].reshape(-1, size, grad.size // size // passes.blocks)[:, -1] = 0


def a_gradient_of_nobody(passes: Any, grad: Any, blocks: int) -> None:
    """Leave a gradient in the last lane of a block that is not full."""
    block = grad.size // passes.blocks
    grad[(blocks - 1) * block : blocks * block].reshape(-1, LANES)[0, -1] = 1


def added_to_what_was_there() -> How:
    """Add the gradient of the input to what the buffer holds."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, delta: Any, weight: Any, grad: Any, blocks: int) -> None:
            kept = grad.copy()
            function(self, delta, weight, grad, blocks)
            grad += kept

        return spoilt

    return instead(Convolution, "backward_input", make)


def first_weights() -> How:
    """Pack the weights once and for all."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, weight: Any) -> Any:
            if "first" not in self.__dict__:
                self.first = function(self, weight).copy()
            return self.first

        return spoilt

    return instead(Direct, "pack", make)


def on_bias(factor: float) -> How:
    """Multiply the bias in the forward pass."""
    return before(
        Direct, "__call__", lambda self, image, weight, bias, *others: (image, weight, factor * bias, *others)
    )  # fmt: skip


def slices_begin_anew() -> How:
    """Let each slice of a batch begin the sums of the weights' gradient anew."""

    def make(function: Any) -> Any:
        return lambda self, *arguments, begins, ends: function(self, *arguments, begins=True, ends=ends)

    return all_of(
        instead(pooled_layers, "slice_blocks_of", lambda function: lambda *arguments: 1),
        instead(PooledPasses, "goes_backward", lambda right: property(lambda self: False)),
        instead(Convolution, "backward_weight", make),
    )


def first_slice_for_all() -> How:
    """Route the gradient of each slice by the mask of the first."""

    def spoil(self: Any, grad_output: Any, mask: Any, *others: Any) -> tuple[Any, ...]:
        whole = mask if mask.base is None or mask.size == mask.base.size else mask.base
        return grad_output, whole[: mask.size] if whole.dtype == mask.dtype else mask, *others

    return all_of(
        instead(pooled_layers, "slice_blocks_of", lambda function: lambda *arguments: 1),
        before(MaxPooling, "backward", spoil),
    )


def transposed_if_square(weight: Any) -> Any:
    """Return a square matrix transposed, others as they are."""
    side = int(np.sqrt(weight.size))
    return np.ascontiguousarray(weight.reshape(side, side).T).reshape(-1) if side * side == weight.size else weight


def transposed_matrix(self: Any, delta: Any, weight: Any, grad: Any, blocks: int) -> tuple[Any, ...]:
    """Multiply the delta with W in the place of its transpose."""
    return delta, transposed_if_square(weight), grad, blocks


def transposed_gradient(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
    """Write the gradient of a square matrix transposed."""
    weight[:] = transposed_if_square(weight)


def last_bias_lost(self: Any, image: Any, weight: Any, bias: Any, *others: Any) -> tuple[Any, ...]:
    """Leave the last unit without a bias."""
    return image, weight, np.append(bias[:-1], bias[-1:] * 0), *others


MUTANTS = [
    Mutant("bias not added", "convolution", on_bias(0)),
    Mutant("bias added twice", "convolution", on_bias(2)),
    Mutant("gradient of the bias dropped", "convolution", weights_back(dropped)),
    Mutant("gradient of the bias of one block", "convolution", weights_back(bias_of_one_block)),
    Mutant("gradient of the bias a mean", "convolution", weights_back(mean_bias)),
    Mutant("gradient of the last tap dropped", "convolution", weights_back(last_tap)),
    Mutant(
        "gradient of the weights without the last block", "convolution", fewer_blocks(Convolution, "backward_weight")
    ),
    Mutant("gradient of the weights added to", "convolution", kept_gradient(Conv2d, adds=True)),
    Mutant("gradient of the weights never written", "convolution", kept_gradient(Conv2d, adds=False)),
    Mutant("input of the first batch kept", "convolution", stale(Conv2d)),
    Mutant("weights of the first batch kept", "convolution", first_weights()),
    Mutant("last block not convolved", "convolution", fewer_blocks(Direct, "__call__")),
    Mutant("last block without a way back", "convolution", fewer_blocks(Convolution, "backward_input")),
    Mutant("images in the next lane", "convolution", on_output(images_moved)),
    Mutant("last filter lost", "convolution", on_output(last_filter_lost)),
    Mutant("one output off by one", "convolution", on_output(one_output_off), consistent=True),
    Mutant("border pixel without a gradient", "convolution", on_grad_input(corner_lost)),
    Mutant("last row without a gradient", "convolution", on_grad_input(last_row_lost)),
    Mutant("a gradient where no image is", "two convolutions", on_grad_input(a_gradient_of_nobody)),
    Mutant("gradient of the input added to", "convolution", added_to_what_was_there()),
    Mutant(
        "winograd without the last block",
        "winograd",
        before(WinogradWeights, "add", lambda self, image, delta, blocks: (image, delta, max(blocks - 1, 1))),
    ),
    Mutant("slices begin anew", "convolution and pooling", slices_begin_anew()),
    Mutant("mask of the first slice for all", "convolution and pooling", first_slice_for_all()),
    Mutant(
        "gradient of the bias dropped behind a pooling",
        "convolution and pooling",
        after(PooledPasses, "backward_weight", lambda self, _, *a: a[4].fill(0)),
    ),
    Mutant(
        "mask off by one behind a convolution",
        "convolution and pooling",
        after(PooledPasses, "forward", lambda self, _, *a: np.copyto(a[4], (a[4] + 1) % 4)),
    ),
    Mutant("matrix not transposed on the way back", "square dense", before(Dense, "backward_input", transposed_matrix)),
    Mutant("gradient of a matrix transposed", "square dense", weights_back(transposed_gradient, Dense)),
    Mutant(
        "inputs of a matrix in the order of memory",
        "dense",
        consistent=True,
        how=instead(dense_passes, "memory_order", lambda right: lambda c, h, w: np.arange(c * h * w, dtype=np.intp)),
    ),
    Mutant("gradient of a dense bias dropped", "dense", weights_back(dropped, Dense)),
    Mutant("last unit without a bias", "dense", before(Dense, "forward", last_bias_lost)),
    Mutant("gradient of a matrix without the last block", "dense", fewer_blocks(Dense, "backward_weight")),
    Mutant("last block not multiplied", "dense", fewer_blocks(Dense, "forward")),
    Mutant("gradient of a matrix added to", "dense", kept_gradient(DenseLayer, adds=True)),
    Mutant("dense input of the first batch kept", "dense", stale(DenseLayer)),
]
