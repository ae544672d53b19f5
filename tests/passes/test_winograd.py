"""3x3 and 5x5 convolutions with enough channels for Winograd's algorithm, against the naive loops."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.passes import convolution, winograd
from cnntrain.passes.convolution import Convolution, Correlation
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.passes.winograd import (
    WinogradCorrelation,
    WinogradInputGradient,
    WinogradRowCorrelation,
    WinogradWeightGradient,
)
from tests import naive
from tests.functional.arrays import (
    A_DENOMINATOR,
    G_DENOMINATOR,
    Array,
    Case,
    assert_same,
    assert_sum_close,
    normal,
    whole,
)

# Sizes even and odd, patches that hang over the edge on each side, filters that do and do not fill register tiles and
# vectors, padding that makes the output larger than the image and none at all.
CASES = [
    Case(17, 16, (8, 8), 16, (3, 3), padding=1),
    Case(2, 24, (12, 11), 26, (3, 3), padding=1),
    Case(33, 16, (12, 13), 19, (3, 3)),
    Case(2, 17, (11, 16), 33, (3, 3), padding=2),
    Case(3, 20, (10, 17), 23, (3, 3), padding=(2, 0)),
    Case(2, 24, (16, 12), 17, (3, 3), padding=(0, 2)),
    Case(2, 70, (6, 24), 18, (3, 3), padding=1),  # several stretches in a row of patches
    Case(2, 3, (1, 1), 16, (3, 3), padding=1),  # far smaller than a patch
    Case(2, 3, (4, 1), 40, (3, 3), padding=(0, 2)),
    Case(2, 20, (12, 13), 16, (3, 3), padding=1, mode="convolution"),
    Case(17, 16, (8, 8), 16, (5, 5), padding=2),
    Case(40, 20, (12, 12), 50, (5, 5)),  # Caffe's LeNet
    Case(2, 17, (11, 10), 19, (5, 5), padding=2),
    Case(19, 5, (9, 8), 33, (5, 5), padding=1),
    Case(2, 6, (14, 13), 17, (5, 5), padding=(3, 0)),
    Case(2, 40, (7, 23), 18, (5, 5), padding=(0, 4)),
    Case(2, 3, (1, 1), 16, (5, 5), padding=2),
    Case(2, 20, (12, 13), 16, (5, 5), padding=2, mode="convolution"),
]


def kinds(case: Case) -> list[type]:
    """By what the three passes are computed."""
    rows, columns = (
        Window(size, taps, 1, pad, pad)
        for size, taps, pad in zip(case.size, case.kernel_size, np.broadcast_to(case.padding, 2).tolist(), strict=True)
    )
    geometry = ConvolutionGeometry(case.channels, case.filters, rows, columns)
    passes = Convolution(geometry, 2, np.dtype(np.float32))
    return [type(part) for part in (passes.forward, passes._full, passes.weights)]


@pytest.fixture
def whatever_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every shape that the algorithm can compute be computed by it."""
    monkeypatch.setattr(winograd, "ENOUGH", float("inf"))
    monkeypatch.setattr(winograd, "LARGE", 0)
    monkeypatch.setattr(winograd, "WORTH", 2)  # several sums, several bundles of channels
    monkeypatch.setattr(winograd, "APART", 4)
    monkeypatch.setattr(winograd, "FEW", 1)


@pytest.fixture(params=[False, True], ids=["patches", "rows"])
def forward_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    """Take the form of the algorithm that suits machines with few registers, or with many."""
    monkeypatch.setattr(convolution, "row_by_row", lambda: request.param)
    monkeypatch.setattr(winograd, "row_by_row", lambda: request.param)
    return WinogradRowCorrelation if request.param else WinogradCorrelation


@pytest.mark.usefixtures("whatever_it_costs")
@pytest.mark.parametrize("transposed", [False, True], ids=["full", "transposed"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward_equal_the_naive_loops(
    case: Case, transposed: bool, forward_form: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly, in float64, on whole numbers that all denominators divide."""
    monkeypatch.setattr(convolution, "saves_input", lambda *_: transposed)
    to_input = WinogradInputGradient if transposed else forward_form
    assert kinds(case) == [forward_form, to_input, WinogradWeightGradient]
    generator = np.random.default_rng(71)
    x, weight = (whole(generator, shape, np.float64) for shape in (case.x_shape, case.weight_shape))
    weight *= G_DENOMINATOR
    bias = whole(generator, (case.filters,), np.float64)
    y = functional.conv2d(x, weight, bias, **case.settings)
    assert_same(y, naive.conv2d(x, weight, bias, **case.settings), np.float64)

    grad_output = whole(generator, y.shape, np.float64) * G_DENOMINATOR * A_DENOMINATOR
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_same(actual, wanted, np.float64)


@pytest.mark.usefixtures("whatever_it_costs", "forward_form")
@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[10], CASES[11]], ids=str)
def test_rounding_errors_stay_within_those_of_a_sum(case: Case) -> None:
    """In float32, compared with the largest sum: errors of a patch spread over all of its outputs."""
    generator = np.random.default_rng(72)
    x, weight = normal(generator, case.x_shape, np.float32), normal(generator, case.weight_shape, np.float32)
    y = functional.conv2d(x, weight, **case.settings)
    grad_output = normal(generator, y.shape, np.float32)
    actual = y, *functional.conv2d_backward(grad_output, x, weight, **case.settings)[:2]
    wide = [array.astype(np.float64) for array in (x, weight, grad_output)]
    expected, magnitude = (
        (naive.conv2d(a, b, **case.settings), *naive.conv2d_backward(c, a, b, **case.settings)[:2])
        for a, b, c in (wide, [abs(array) for array in wide])
    )
    terms = case.weight_shape[2] ** 2 * case.channels, case.weight_shape[2] ** 2 * case.filters, y[:, 0].size
    for one, wanted, size, count in zip(actual, expected, magnitude, terms, strict=True):
        assert_sum_close(one, wanted, np.full_like(size, size.max()), count, np.float32)


def test_few_channels_and_small_images_are_computed_tap_by_tap() -> None:
    for case in (Case(2, 1, (28, 28), 6, (5, 5)), Case(2, 32, (3, 3), 32, (3, 3), padding=1)):
        assert kinds(case)[:2] == [Correlation, Correlation]
    strided = ConvolutionGeometry(32, 32, Window(16, 3, 2, 1, 1), Window(16, 3, 2, 1, 1))
    assert isinstance(Convolution(strided, 2, np.dtype(np.float32)).forward, Correlation)


def test_the_cheapest_of_several_ways_is_taken(forward_form: type) -> None:
    """As measured: see docs/kernels.md."""
    all_passes = [forward_form, forward_form, WinogradWeightGradient]
    assert kinds(Case(2, 16, (32, 32), 16, (3, 3), padding=1)) == all_passes
    assert kinds(Case(2, 32, (16, 16), 32, (5, 5), padding=2)) == all_passes
    assert kinds(Case(2, 20, (12, 12), 50, (5, 5))) == [forward_form, WinogradInputGradient, WinogradWeightGradient]
    few_channels = kinds(Case(2, 3, (32, 32), 32, (5, 5), padding=2))
    assert few_channels[0] == (WinogradRowCorrelation if forward_form is WinogradRowCorrelation else Correlation)


@pytest.mark.usefixtures("whatever_it_costs", "forward_form")
@pytest.mark.parametrize("padding", [0, 1])
def test_a_bad_delta_is_seen_in_the_gradients(padding: int) -> None:
    generator = np.random.default_rng(75)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32) + 10, np.ones((16, 16, 3, 3), np.float32)
    grad_output = whole(generator, (19, 16, 10 + 2 * padding, 10 + 2 * padding), np.float32)
    grad_output[18, 2, 5, 6] = np.nan
    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight, padding=padding)
    assert np.isnan(grad_input[18, :, 5 - padding : 8 - padding, 6 - padding : 9 - padding]).all()
    np.testing.assert_array_equal(np.isnan(grad_input).any(axis=(1, 2, 3)), np.arange(19) == 18)
    np.testing.assert_array_equal(np.isnan(grad_weight).all(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_weight).any(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_bias), np.arange(16) == 2)


@pytest.mark.usefixtures("whatever_it_costs", "forward_form")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_is_seen_by_every_output_that_reads_it_and_by_its_patches_alone(bad: float) -> None:
    generator = np.random.default_rng(73)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32), np.ones((16, 16, 3, 3), np.float32)
    clean = functional.conv2d(x, weight, padding=1)
    x[17, 3, 4, 7] = bad
    y = functional.conv2d(x, weight, padding=1)
    reads, patches = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
    reads[17, :, 3:6, 6:9] = True
    patches[17, :, 0:8, 4:12] = True  # the squares of 4x4 outputs whose 6x6 pixels contain it
    assert not np.isfinite(y[reads]).any()
    np.testing.assert_array_equal(y[~patches], clean[~patches])


@pytest.mark.usefixtures("whatever_it_costs", "forward_form")
def test_images_do_not_see_each_other_and_batches_give_the_same_bits() -> None:
    generator = np.random.default_rng(74)
    x = normal(generator, (40, 16, 9, 9), np.float32)
    weight = normal(generator, (18, 16, 3, 3), np.float32)
    together: Array = functional.conv2d(x, weight, padding=1)
    one_by_one = np.concatenate([functional.conv2d(x[n : n + 1], weight, padding=1) for n in range(40)])
    assert together.tobytes() == one_by_one.tobytes()


def test_a_small_batch_is_cut_for_several_workers() -> None:
    """8 channels would let all patches of 64 images of 8x8 pixels fit the cache at once."""
    axis = Window(8, 3, 1, 1, 1).forward()
    geometry = ConvolutionGeometry(8, 8, Window(8, 3, 1, 1, 1), Window(8, 3, 1, 1, 1))
    taps = [(axis, [0, 1, 2])]
    correlation = WinogradCorrelation(taps, taps, geometry.weight_indices(), 4, np.dtype(np.float32))
    assert correlation._units >= 8
