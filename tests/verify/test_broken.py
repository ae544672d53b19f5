"""Gradients broken on purpose, each in the one place where people break it: the right tensors must be WRONG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnntrain.kernels import activations
from cnntrain.layers.activations import Sigmoid, Tanh
from cnntrain.losses.base import Loss
from cnntrain.losses.cross_entropy import CrossEntropy
from cnntrain.losses.mse import Mse
from cnntrain.network import Network
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.dense import Dense
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import Phase, Window
from tests.verify.networks import build, check, verdicts, wrong

NETWORK = """[
  conv2d: {filters: 4, kernel_size: 3, padding: same},
  tanh,
  max_pool2d: {kernel_size: 3, stride: 1},
  conv2d: {filters: 6, kernel_size: 3},
  sigmoid,
  dense: 10,
  tanh,
  dense: 10,
  tanh]"""
ORDER = [
    "input",
    "0.conv2d.weight", "0.conv2d.bias",
    "3.conv2d.weight", "3.conv2d.bias",
    "5.dense.weight", "5.dense.bias",
    "7.dense.weight", "7.dense.bias",
    "9.dense.weight", "9.dense.bias",
]  # fmt: skip
Patch = pytest.MonkeyPatch
Function = Callable[..., Any]


def after(function: Function, spoil: Function) -> Function:
    """Return the function with something done after it, to its arguments."""

    def spoilt(self: Any, *arguments: Any, **named: Any) -> Any:
        result = function(self, *arguments, **named)
        spoil(*arguments)
        return result

    return spoilt


def no_rotation(patch: Patch) -> None:
    """Full convolution without rotating the filter: the taps of each axis in the order of the forward pass."""
    backward = Window.backward
    patch.setattr(Window, "backward", lambda self: [Phase(axis, taps[::-1]) for axis, taps in backward(self)])


def unrotated_weight_gradient(patch: Patch) -> None:
    """Convolution mode whose weight gradient is written as if it were cross-correlation."""

    def spoil(image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
        weight[:] = weight.reshape(-1, 3, 3)[:, ::-1, ::-1].ravel()

    patch.setattr(Convolution, "backward_weight", after(Convolution.backward_weight, spoil))


def dropped_bias(kind: type[Convolution | Dense]) -> Callable[[Patch], None]:
    def spoil(image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
        if bias is not None:
            bias[:] = 0

    def patch_it(patch: Patch) -> None:
        patch.setattr(kind, "backward_weight", after(kind.backward_weight, spoil))
        if kind is Convolution:  # behind a pooling
            patch.setattr(kind, "backward_bias", lambda self, delta, bias, pixels: None)

    return patch_it


def bias_of_one_block(patch: Patch) -> None:
    """The gradient of the bias without the images of the second block of two."""
    backward_weight, backward_bias = Convolution.backward_weight, Convolution.backward_bias

    def half(self: Any, delta: Any, bias: Any, pixels: int) -> None:
        backward_bias(self, delta, bias, pixels // 2)

    def weight_and_half(self: Any, image: Any, delta: Any, weight: Any, bias: Any, blocks: int, **named: Any) -> None:
        backward_weight(self, image, delta, weight, None, blocks, **named)
        if bias is not None:
            half(self, delta, bias, blocks * self.geometry.rows.output_size * self.geometry.columns.output_size)

    patch.setattr(Convolution, "backward_weight", weight_and_half)
    patch.setattr(Convolution, "backward_bias", half)


def mask_off_by_one(patch: Patch) -> None:
    spoil = lambda image, output, mask, blocks: np.add(mask, 1, out=mask)  # noqa: E731
    patch.setattr(MaxPooling, "forward", after(MaxPooling.forward, spoil))


def overlaps_overwritten(patch: Patch) -> None:
    """The gradient shared out over the 9 windows of a pixel instead of accumulated."""
    spoil = lambda gradient, mask, grad_input, blocks: np.divide(grad_input, 9, out=grad_input)  # noqa: E731
    patch.setattr(MaxPooling, "backward", after(MaxPooling.backward, spoil))


def no_mean(loss: type[Loss]) -> Callable[[Patch], None]:
    """Missing 1/N: the gradient of the sum over the images with the mean as the loss."""

    def patch_it(patch: Patch) -> None:
        compute = loss.compute

        def summed(self: Loss, outputs: Any, labels: Any, blocks: int) -> None:
            compute(self, outputs, labels, blocks)
            self.gradient *= labels.size

        patch.setattr(loss, "compute", summed)

    return patch_it


def derivative_of_sigmoid_for_tanh(patch: Patch) -> None:
    patch.setattr(Tanh, "kernels", lambda self: (activations.tanh, activations.sigmoid_backward))


def no_derivative_of_sigmoid(patch: Patch) -> None:
    def pass_on(grad_output: Any, y: Any, grad_input: Any, size: int) -> None:
        grad_input[:size] = grad_output[:size]

    patch.setattr(Sigmoid, "kernels", lambda self: (activations.sigmoid, pass_on))


def transposed_dense(patch: Patch) -> None:
    """W delta instead of the transpose of W times delta, where W is square and nothing else complains."""
    backward = Dense.backward_input

    def transposed(self: Dense, delta: Any, weight: Any, grad_input: Any, blocks: int) -> None:
        side = int(np.sqrt(weight.size))
        if side * side == weight.size:
            weight = np.ascontiguousarray(weight.reshape(side, side).T).reshape(-1)
        backward(self, delta, weight, grad_input, blocks)

    patch.setattr(Dense, "backward_input", transposed)


def up_to(last: str) -> set[str]:
    return set(ORDER[: ORDER.index(last) + 1])


@pytest.mark.parametrize(
    ("sabotage", "spoilt"),
    [
        (no_rotation, up_to("0.conv2d.bias")),
        (dropped_bias(Convolution), {"0.conv2d.bias", "3.conv2d.bias"}),
        (bias_of_one_block, {"0.conv2d.bias", "3.conv2d.bias"}),
        (dropped_bias(Dense), {"5.dense.bias", "7.dense.bias", "9.dense.bias"}),
        (mask_off_by_one, up_to("0.conv2d.bias")),
        (overlaps_overwritten, up_to("0.conv2d.bias")),
        (no_mean(CrossEntropy), set(ORDER)),
        (derivative_of_sigmoid_for_tanh, up_to("7.dense.bias")),
        (no_derivative_of_sigmoid, up_to("3.conv2d.bias")),
        (transposed_dense, up_to("5.dense.bias")),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_is_broken_is_found_where_it_is(
    sabotage: Callable[[Patch], None], spoilt: set[str], monkeypatch: Patch
) -> None:
    assert set(verdicts(check(build(NETWORK))).values()) == {"ok"}
    sabotage(monkeypatch)
    checks = check(build(NETWORK))
    assert list(checks) == ORDER
    assert wrong(checks) == spoilt
    for name in spoilt:
        worst = checks[name].worst
        assert worst is not None
        assert worst.error > 1e-3  # not a near miss


def test_missing_mean_of_mse(monkeypatch: Patch) -> None:
    no_mean(Mse)(monkeypatch)
    network: Network = build(NETWORK, loss="mse")
    assert wrong(check(network)) == set(ORDER)


def test_one_image_hides_a_missing_mean(monkeypatch: Patch) -> None:
    """Why the command takes several images by default."""
    no_mean(CrossEntropy)(monkeypatch)
    assert wrong(check(build(NETWORK), images=1)) == set()


def test_convolution_mode_whose_weight_gradient_is_not_rotated(monkeypatch: Patch) -> None:
    layers = "[conv2d: {filters: 4, kernel_size: 3, mode: convolution}, tanh]"
    assert wrong(check(build(layers))) == set()
    unrotated_weight_gradient(monkeypatch)
    assert wrong(check(build(layers))) == {"0.conv2d.weight"}


def test_one_wrong_entry_is_found_if_it_is_the_largest(monkeypatch: Patch) -> None:
    """A single spoilt entry among many: found for certain only where the check always looks."""

    def spoil(image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
        weight[17] += 10

    monkeypatch.setattr(Convolution, "backward_weight", after(Convolution.backward_weight, spoil))
    checks = check(build(NETWORK), samples=3)
    assert wrong(checks) == {"0.conv2d.weight", "3.conv2d.weight"}
    worst = checks["3.conv2d.weight"].worst
    assert worst is not None
    assert worst.index == (0, 1, 2, 2)
    assert checks["3.conv2d.weight"].wrong == 1


def test_the_worst_entry_of_a_dense_weight_is_named_in_canonical_order(monkeypatch: Patch) -> None:
    """The kernels keep dense weights as inputs lie in memory (row, column, channel); people count (C, H, W)."""

    def spoil(image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
        weight[17] += 10

    monkeypatch.setattr(Dense, "backward_weight", after(Dense.backward_weight, spoil))
    worst = check(build(NETWORK))["5.dense.weight"].worst  # its input is 6x2x3
    assert worst is not None
    row, column, channel = 17 // 6 // 3, 17 // 6 % 3, 17 % 6
    assert worst.index == (0, channel * 6 + row * 3 + column)
