"""The worked examples of the literature, number by number, for `cnntrain.functional` and for the naive reference.

All numbers here were computed by hand, not by the code.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain import functional
from tests import naive

Array = NDArray[np.float64]


@pytest.fixture(params=[functional, naive], ids=["functional", "naive"])
def on(request: pytest.FixtureRequest) -> ModuleType:
    """The implementation under test."""
    module: ModuleType = request.param
    return module


def array(values: Any) -> Array:
    return np.array(values, np.float64)


# A 3x3 image and a 2x2 filter.
IMAGE = array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
FILTER = array([[1, 2], [3, 4]])
DELTA = array([[1, -1], [2, 0.5]])  # dL/dz
# z[0, 0] = 1*1 + 2*2 + 3*4 + 4*5 = 37, and so on
OUTPUT = array([[37, 47], [67, 77]])
# grad_weight = 1*[[1, 2], [4, 5]] - 1*[[2, 3], [5, 6]] + 2*[[4, 5], [7, 8]] + 0.5*[[5, 6], [8, 9]]
GRAD_WEIGHT = array([[9.5, 12], [17, 19.5]])
# grad_input = full convolution of the delta with the filter rotated by 180 degrees, [[4, 3], [2, 1]]
GRAD_INPUT = array([[1, 1, -2], [5, 5.5, -3], [6, 9.5, 2]])


def one(plane: Array) -> Array:
    """A plane as a batch of one image with one channel (or one filter with one channel)."""
    return plane[None, None]


def test_3x3_image_and_2x2_filter(on: ModuleType) -> None:
    z = on.conv2d(one(IMAGE), one(FILTER), array([0.25]))
    np.testing.assert_array_equal(z, one(OUTPUT) + 0.25)
    grad_input, grad_weight, grad_bias = on.conv2d_backward(one(DELTA), one(IMAGE), one(FILTER))
    np.testing.assert_array_equal(grad_input, one(GRAD_INPUT))
    np.testing.assert_array_equal(grad_weight, one(GRAD_WEIGHT))
    np.testing.assert_array_equal(grad_bias, [2.5])


def test_the_gradient_of_the_filter_is_the_sum_of_patches_weighted_by_the_delta(on: ModuleType) -> None:
    patches = sum(DELTA[i, j] * IMAGE[i : i + 2, j : j + 2] for i in range(2) for j in range(2))
    np.testing.assert_array_equal(patches, GRAD_WEIGHT)
    # ... which is the valid cross-correlation of the image with the delta
    np.testing.assert_array_equal(on.conv2d(one(IMAGE), one(DELTA)), one(GRAD_WEIGHT))


def test_the_gradient_of_the_image_is_the_full_convolution_with_the_rotated_filter(on: ModuleType) -> None:
    """Pad the delta by K - 1 = 1 and slide the filter rotated by 180 degrees: the two ways to write it."""
    rotated = FILTER[::-1, ::-1]
    np.testing.assert_array_equal(on.conv2d(one(DELTA), one(rotated), padding=1), one(GRAD_INPUT))
    np.testing.assert_array_equal(on.conv2d(one(DELTA), one(FILTER), padding=1, mode="convolution"), one(GRAD_INPUT))


def test_3x3_image_and_2x2_filter_as_a_true_convolution(on: ModuleType) -> None:
    """The filter is rotated: 1*4 + 2*3 + 4*2 + 5*1 = 23, and so on."""
    z = on.conv2d(one(IMAGE), one(FILTER), mode="convolution")
    np.testing.assert_array_equal(z, one(array([[23, 33], [53, 63]])))
    grad_input, grad_weight, _ = on.conv2d_backward(one(DELTA), one(IMAGE), one(FILTER), mode="convolution")
    # Row by row, delta (*) filter without any rotation: 1*4, then 1*3 - 1*4, then -1*3; ...
    np.testing.assert_array_equal(grad_input, one(array([[4, -1, -3], [10, 7, 0.5], [4, 3, 0.5]])))
    np.testing.assert_array_equal(grad_weight, one(array([[19.5, 17], [12, 9.5]])))


def test_3x3_image_with_stride_2_and_padding_1(on: ModuleType) -> None:
    """The padded image is 5x5; windows start at rows and columns 0 and 2."""
    x, settings = one(IMAGE), {"stride": 2, "padding": 1}
    # [[4*1, 3*2 + 4*3], [2*4 + 4*7, 1*5 + 2*6 + 3*8 + 4*9]]
    np.testing.assert_array_equal(on.conv2d(x, one(FILTER), **settings), one(array([[4, 18], [36, 77]])))
    grad_input, grad_weight, _ = on.conv2d_backward(one(DELTA), x, one(FILTER), **settings)
    # each pixel is read exactly once: by tap 4, 3, 4 / 2, 1, 2 / 4, 3, 4 of output 0, 1, 1 / 2, 3, 3 / 2, 3, 3
    np.testing.assert_array_equal(grad_input, one(array([[4, -3, -4], [4, 0.5, 1], [8, 1.5, 2]])))
    # tap (0,0): 0.5*5; (0,1): 2*4 + 0.5*6; (1,0): -1*2 + 0.5*8; (1,1): 1*1 - 1*3 + 2*7 + 0.5*9
    np.testing.assert_array_equal(grad_weight, one(array([[2.5, 11], [2, 16.5]])))


def test_dilation_2_reads_the_corners(on: ModuleType) -> None:
    z = on.conv2d(one(IMAGE), one(FILTER), dilation=2)
    np.testing.assert_array_equal(z, one(array([[1 * 1 + 2 * 3 + 3 * 7 + 4 * 9]])))
    grad_input, grad_weight, _ = on.conv2d_backward(one(array([[2.0]])), one(IMAGE), one(FILTER), dilation=2)
    np.testing.assert_array_equal(grad_input, one(array([[2, 0, 4], [0, 0, 0], [6, 0, 8]])))
    np.testing.assert_array_equal(grad_weight, one(array([[2, 6], [14, 18]])))


def test_several_channels_filters_and_images(on: ModuleType) -> None:
    """Two images of two channels, two filters: sums over channels, over filters, over the batch.

    Channel 1 of image 0 is all ones, image 1 is twice image 0; filter 0 is (FILTER, ones), filter 1 is (0, FILTER).
    """
    ones3, ones2, zeros2 = np.ones((3, 3)), np.ones((2, 2)), np.zeros((2, 2))
    x = np.stack([np.stack([IMAGE, ones3]), 2 * np.stack([IMAGE, ones3])])
    weight = np.stack([np.stack([FILTER, ones2]), np.stack([zeros2, FILTER])])
    z = on.conv2d(x, weight, array([100, 200]))
    z0 = np.stack([OUTPUT + 4, np.full((2, 2), 10.0)])  # before the bias: 4 ones; 1 + 2 + 3 + 4
    np.testing.assert_array_equal(z, np.stack([z0, 2 * z0]) + array([100, 200])[:, None, None])

    delta = np.stack(
        [np.stack([DELTA, DELTA]), np.stack([zeros2, DELTA])]
    )  # image 1 reaches the loss by filter 1 alone
    grad_input, grad_weight, grad_bias = on.conv2d_backward(delta, x, weight)
    spread = array([[1, 0, -1], [3, 2.5, -0.5], [2, 2.5, 0.5]])  # full convolution of DELTA with ones
    np.testing.assert_array_equal(grad_input[0], np.stack([GRAD_INPUT, spread + GRAD_INPUT]))
    np.testing.assert_array_equal(grad_input[1], np.stack([np.zeros((3, 3)), GRAD_INPUT]))
    on_ones = np.full((2, 2), 2.5)  # DELTA's sum
    np.testing.assert_array_equal(grad_weight[0], np.stack([GRAD_WEIGHT, on_ones]))
    np.testing.assert_array_equal(grad_weight[1], 3 * np.stack([GRAD_WEIGHT, on_ones]))  # 1 + 2 times
    np.testing.assert_array_equal(grad_bias, [2.5, 5])


def test_a_1x1_image_with_3_channels_and_two_filters(on: ModuleType) -> None:
    """The gradient of the input sums over the filters: w^T delta."""
    x = array([1, 2, 3]).reshape(1, 3, 1, 1)
    weight = array([[0.5, -1, 2], [3, 0.25, -2]]).reshape(2, 3, 1, 1)
    z = on.conv2d(x, weight, array([0.5, -0.5]))
    np.testing.assert_array_equal(z.ravel(), [0.5 - 2 + 6 + 0.5, 3 + 0.5 - 6 - 0.5])
    grad_input, grad_weight, grad_bias = on.conv2d_backward(array([10, 1]).reshape(1, 2, 1, 1), x, weight)
    np.testing.assert_array_equal(grad_input.ravel(), [10 * 0.5 + 3, 10 * -1 + 0.25, 10 * 2 - 2])
    np.testing.assert_array_equal(grad_weight.reshape(2, 3), [[10, 20, 30], [1, 2, 3]])
    np.testing.assert_array_equal(grad_bias, [10, 1])


def test_a_dense_layer_is_the_convolution_whose_filter_covers_its_input(on: ModuleType) -> None:
    x = np.arange(24, dtype=np.float64).reshape(2, 3, 2, 2)
    weight = np.arange(60, dtype=np.float64).reshape(5, 3, 2, 2) - 30
    bias, delta = np.arange(5.0), np.arange(10.0).reshape(2, 5) - 4
    flat = on.dense(x.reshape(2, 12), weight.reshape(5, 12), bias)
    np.testing.assert_array_equal(on.conv2d(x, weight, bias).reshape(2, 5), flat)
    as_dense = on.dense_backward(delta, x.reshape(2, 12), weight.reshape(5, 12))
    as_convolution = on.conv2d_backward(delta.reshape(2, 5, 1, 1), x, weight)
    for one_way, other_way in zip(as_dense, as_convolution, strict=True):
        np.testing.assert_array_equal(one_way.ravel(), other_way.ravel())


def test_dense_by_hand(on: ModuleType) -> None:
    x, weight = array([[1, 2], [3, -1]]), array([[1, 10], [2, 20], [3, 30]])
    np.testing.assert_array_equal(on.dense(x, weight, array([1, 2, 3])), [[22, 44, 66], [-6, -12, -18]])
    grad_input, grad_weight, grad_bias = on.dense_backward(array([[1, 0, 0], [0, 1, 2]]), x, weight)
    np.testing.assert_array_equal(grad_input, [[1, 10], [8, 80]])
    np.testing.assert_array_equal(grad_weight, [[1, 2], [3, -1], [6, -2]])
    np.testing.assert_array_equal(grad_bias, [1, 1, 2])


def pool_backward(
    on: ModuleType, grad_output: Array, mask: Array, shape: tuple[int, ...], kernel: int, stride: int
) -> Array:
    """The naive form needs no kernel size: the mask says it all."""
    if on is naive:
        return naive.max_pool2d_backward(grad_output, mask, shape)
    result: Array = on.max_pool2d_backward(grad_output, mask, shape, kernel, stride=stride)
    return result


def test_max_pooling_of_a_3x3_image_with_2x2_windows_and_stride_1(on: ModuleType) -> None:
    x = one(array([[1, 2, 3], [4, 10, 5], [11, 12, 13]]))
    y, mask = on.max_pool2d(x, 2, stride=1)
    np.testing.assert_array_equal(y, one(array([[10, 10], [12, 13]])))
    np.testing.assert_array_equal(mask, one(np.array([[4, 4], [7, 8]])))
    assert mask.dtype == np.int64
    # loss = sum(-log y), so dL/dy = -1/y; the 10 won two windows and gets both gradients
    grad_input = pool_backward(on, -1 / y, mask, x.shape, 2, 1)
    expected = array([[0, 0, 0], [0, -0.2, 0], [0, -0.08333333, -0.07692308]])
    np.testing.assert_allclose(grad_input, one(expected), rtol=0, atol=5e-9)


def test_max_pooling_with_equal_values_takes_the_first(on: ModuleType) -> None:
    x = one(array([[5, 5, 1, 2], [5, 5, 2, 2]]))
    y, mask = on.max_pool2d(x, 2)
    np.testing.assert_array_equal(y, one(array([[5, 2]])))
    np.testing.assert_array_equal(mask, one(np.array([[0, 3]])))
    grad_input = pool_backward(on, one(array([[7, 9]])), mask, x.shape, 2, 2)
    np.testing.assert_array_equal(grad_input, one(array([[7, 0, 0, 9], [0, 0, 0, 0]])))


@pytest.mark.parametrize(
    ("name", "derivative"),
    [("sigmoid", lambda y: y * (1 - y)), ("tanh", lambda y: 1 - y**2), ("relu", lambda y: (y > 0).astype(np.float64))],
)
def test_the_delta_rule_of_the_textbooks(on: ModuleType, name: str, derivative: Any) -> None:
    """delta_l = (full convolution of delta_{l+1} with the rotated filter) times sigma'(z_l), for two layers.

    The network: z1 = x * w1, a1 = sigma(z1), z2 = a1 * w2, C = 1/2 ||z2 - t||^2. Its gradients by the textbook rule
    equal those by differences of the cost.
    """
    generator = np.random.default_rng(3)
    x, w1, w2 = (generator.standard_normal(shape) for shape in ((1, 2, 5, 5), (3, 2, 2, 2), (2, 3, 3, 3)))
    target = generator.standard_normal((1, 2, 2, 2))
    sigma = getattr(on, name)

    def cost(x: Array, w1: Array, w2: Array) -> float:
        z2 = on.conv2d(sigma(on.conv2d(x, w1)), w2)
        return float(((z2 - target) ** 2).sum() / 2)

    a1 = sigma(on.conv2d(x, w1))
    delta2 = on.conv2d(a1, w2) - target
    rotated = np.ascontiguousarray(w2.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])  # channels take the place of filters
    delta1 = on.conv2d(delta2, rotated, padding=2) * derivative(a1)
    np.testing.assert_allclose(
        getattr(on, f"{name}_backward")(on.conv2d_backward(delta2, a1, w2)[0], a1), delta1, rtol=1e-12, atol=1e-13
    )
    grad_x, grad_w1, _ = on.conv2d_backward(delta1, x, w1)
    _, grad_w2, _ = on.conv2d_backward(delta2, a1, w2)
    np.testing.assert_allclose(grad_x, naive.numeric_gradient(lambda v: cost(v, w1, w2), x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(grad_w1, naive.numeric_gradient(lambda v: cost(x, v, w2), w1), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(grad_w2, naive.numeric_gradient(lambda v: cost(x, w1, v), w2), rtol=1e-6, atol=1e-8)


def test_cross_entropy_by_hand(on: ModuleType) -> None:
    """Logits whose softmax is (1/4, 3/4) and (1/2, 1/2)."""
    logits = array([[0, np.log(3)], [5, 5]])
    loss, grad_logits = on.cross_entropy(logits, np.array([0, 1]))
    assert loss == pytest.approx((np.log(4) + np.log(2)) / 2, rel=1e-14)
    np.testing.assert_allclose(grad_logits, [[-0.375, 0.375], [0.25, -0.25]], rtol=1e-14)


def test_quadratic_cost_by_hand(on: ModuleType) -> None:
    """C = 1/(2N) sum ||y - t||^2 with N = 2: ((1 + 4) + (9 + 0)) / 4."""
    outputs, targets = array([[1, 2], [3, 4]]), array([[0, 0], [0, 4]])
    loss, grad_outputs = on.mse(outputs, targets)
    assert loss == 3.5
    np.testing.assert_array_equal(grad_outputs, [[0.5, 1], [1.5, 0]])


def test_quadratic_cost_of_labels_is_that_of_their_one_hot_rows(on: ModuleType) -> None:
    outputs = array([[0.5, 0.25, 0], [1, 0, 2]])
    loss, grad_outputs = on.mse(outputs, np.array([0, 2]))
    assert loss == (0.25 + 0.0625 + 1 + 1) / 4
    np.testing.assert_array_equal(grad_outputs, [[-0.25, 0.125, 0], [0.5, 0, 0.5]])
