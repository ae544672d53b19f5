"""Convolutions of NCHW arrays by algorithms of one's choice, as they are cut for this machine or for another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cnntrain.functional.arrays import enter, leave
from cnntrain.machine import Machine, this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.shape import LANES
from tests import naive
from tests.functional.arrays import Array, Case, assert_same, whole


def geometry_of(case: Case) -> ConvolutionGeometry:
    """Return the geometry of a case, whose padding is given as numbers."""
    stride, padding, dilation = (
        np.broadcast_to(np.array(value), 2).tolist() for value in (case.stride, case.padding, case.dilation)
    )
    rows, columns = (
        Window(case.size[i], case.kernel_size[i], stride[i], padding[i], padding[i], dilation[i]) for i in (0, 1)
    )
    return ConvolutionGeometry(case.channels, case.filters, rows, columns, case.groups, case.mode == "convolution")


@dataclass(frozen=True)
class Passes:
    """The functions `conv2d` and `conv2d_backward` of a case, by the algorithms of `only`."""

    case: Case
    only: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = field(default_factory=this_machine)

    def made(self, dtype: np.dtype, images: int | None = None) -> Convolution:
        """Return what computes them."""
        held = self.machine.capacity(self.case.images if images is None else images, dtype)
        return Convolution(geometry_of(self.case), held, dtype, self.machine, self.only)

    def conv2d(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        """Return y, computed for as many images as x has."""
        passes = self.made(x.dtype, len(x))
        g = passes.geometry
        output = line_aligned(passes.blocks * g.filters * g.rows.output_size * g.columns.output_size * LANES, x.dtype)
        numbers = np.zeros(g.filters, x.dtype) if bias is None else bias
        passes.forward(self._entered(x, passes), weight.ravel(), numbers, output, -(-len(x) // LANES))
        return leave(output, (len(x), g.filters, g.rows.output_size, g.columns.output_size))

    def conv2d_backward(self, grad_output: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
        """Return grad_input, grad_weight and grad_bias."""
        passes, blocks = self.made(x.dtype, len(x)), -(-len(x) // LANES)
        image, delta = self._entered(x, passes), self._entered(grad_output, passes)
        grad_input, grad_weight = line_aligned(image.size, x.dtype), np.empty(weight.size, x.dtype)
        grad_bias = np.empty(len(weight), x.dtype)
        passes.backward_input(delta, weight.ravel(), grad_input, blocks)
        passes.backward_weight(image, delta, grad_weight, grad_bias, blocks)
        return leave(grad_input, x.shape), grad_weight.reshape(weight.shape), grad_bias

    def _entered(self, array: Array, passes: Convolution) -> Array:
        """Bring an array into lanes, with room for as many blocks as the machine at hand or the passes want."""
        lanes = line_aligned(passes.blocks * array[0].size * LANES, array.dtype)
        inside = enter(array)[: lanes.size]
        lanes[: inside.size] = inside
        return lanes


def compare_with_naive(passes: Passes) -> None:
    """Compare all passes in float32 with the naive loops: exactly, on whole numbers."""
    case, generator = passes.case, np.random.default_rng(81)
    x, weight = (whole(generator, shape, np.float32) for shape in (case.x_shape, case.weight_shape))
    bias = whole(generator, (case.filters,), np.float32)
    y = passes.conv2d(x, weight, bias)
    assert_same(y, naive.conv2d(x, weight, bias, **case.settings), np.float32)
    grad_output = whole(generator, y.shape, np.float32)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    for received, wanted in zip(passes.conv2d_backward(grad_output, x, weight), expected, strict=True):
        assert_same(received, wanted, np.float32)
