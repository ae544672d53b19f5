"""What holds for every convolution, whatever its shape: drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cnntrain import functional
from tests import naive
from tests.functional.arrays import A_DENOMINATOR, DTYPES, LARGE_G_DENOMINATOR, Case, assert_same, whole


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


# Channels, filters and filter columns of one group. Each triple has compiled forms of its own (tiles of filters,
# backward of channels; short runs); these are forms of the grid in test_conv2d.py, some of each kind, so that little is
# compiled for the properties alone. All other numbers are drawn freely.
FEW = [(5, 3, 3), (5, 6, 3), (3, 5, 3), (15, 3, 1), (1, 4, 3)]
MANY = [*FEW, (5, 17, 3), (16, 18, 5), (17, 5, 3), (64, 64, 1), (32, 6, 2)]


@st.composite
def cases(draw: st.DrawFn, images: int, size: int, forms: list[tuple[int, int, int]]) -> Case:
    """Any legal convolution of these forms."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels, filters, columns = draw(st.sampled_from(forms))
    kernel_size, dilation = (draw(st.integers(1, 5)), columns), draw(st.one_of(st.just((1, 1)), pairs(1, 3)))
    same = draw(st.integers(0, 4)) == 0
    case = Case(
        images=draw(st.integers(1, images)),
        channels=groups * channels,
        size=draw(pairs(1, size)),
        filters=groups * filters,
        kernel_size=kernel_size,
        stride=1 if same else draw(pairs(1, 4)),
        padding="same" if same else draw(pairs(0, 4)),
        dilation=dilation,
        groups=groups,
        mode=draw(st.sampled_from(["cross_correlation", "convolution"])),
    )
    assume(min(naive.conv2d_output_size(case.size, kernel_size, case.stride, case.padding, dilation)) > 0)
    return case


@settings(max_examples=60)
@given(cases(17, 6, FEW), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_any_convolution_equals_the_naive_loops(case: Case, dtype: np.dtype, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, weight = whole(generator, case.x_shape, dtype), whole(generator, case.weight_shape, dtype)
    y = functional.conv2d(x, weight, **case.settings)
    assert_same(y, naive.conv2d(x, weight, **case.settings), dtype)
    grad_output = whole(generator, y.shape, dtype)
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_same(actual, wanted, dtype)


@settings(max_examples=100)
@given(cases(50, 20, MANY), st.integers(0, 2**32 - 1))
@example(Case(1, 4, (20, 20), 28, (3, 3), padding=1), 0)  # by Winograd's algorithm
@example(Case(1, 20, (12, 12), 20, (5, 5)), 0)  # and with patches of 8x8
def test_backward_is_the_adjoint_of_forward(case: Case, seed: int) -> None:
    """<g, conv(x, w)> = <grad_input(g, w), x> = <grad_weight(g, x), w>: linear in x and in w, so exact in float64.

    Needs no reference, and so reaches sizes that the naive loops do not.
    """
    generator = np.random.default_rng(seed)
    x, weight = whole(generator, case.x_shape, np.float64), whole(generator, case.weight_shape, np.float64)
    weight *= LARGE_G_DENOMINATOR
    y = functional.conv2d(x, weight, **case.settings)
    grad_output = whole(generator, y.shape, np.float64) * LARGE_G_DENOMINATOR * A_DENOMINATOR
    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    inner = (grad_output * y).sum()
    assert (grad_input * x).sum() == inner
    assert (grad_weight * weight).sum() == inner
    np.testing.assert_array_equal(grad_bias, grad_output.sum(axis=(0, 2, 3)))


@settings(max_examples=50)
@given(cases(33, 12, FEW), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_the_two_modes_are_each_others_rotation(case: Case, dtype: np.dtype, seed: int) -> None:
    """Forward and backward, bit for bit: the rotation only decides where a tap is read or written."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(case.x_shape).astype(dtype)
    weight = generator.standard_normal(case.weight_shape).astype(dtype)
    correlation = case._replace(mode="cross_correlation").settings
    convolution = case._replace(mode="convolution").settings
    y = functional.conv2d(x, weight, **convolution)
    np.testing.assert_array_equal(y, functional.conv2d(x, weight[:, :, ::-1, ::-1], **correlation))
    grad_output = generator.standard_normal(y.shape).astype(dtype)
    rotated = functional.conv2d_backward(grad_output, x, weight, **convolution)
    plain = functional.conv2d_backward(grad_output, x, weight[:, :, ::-1, ::-1], **correlation)
    np.testing.assert_array_equal(rotated[0], plain[0])
    np.testing.assert_array_equal(rotated[1], plain[1][:, :, ::-1, ::-1])
    np.testing.assert_array_equal(rotated[2], plain[2])


@settings(max_examples=50)
@given(cases(16, 9, FEW), st.integers(0, 2**32 - 1))
def test_groups_are_independent_convolutions(case: Case, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, weight = whole(generator, case.x_shape, np.float32), whole(generator, case.weight_shape, np.float32)
    y = functional.conv2d(x, weight, **case.settings)
    one_group = case._replace(groups=1).settings
    parts = [
        functional.conv2d(part, filters, **one_group)
        for part, filters in zip(np.split(x, case.groups, axis=1), np.split(weight, case.groups), strict=True)
    ]
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))
