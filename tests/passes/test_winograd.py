"""3x3 and 5x5 convolutions with enough channels for Winograd's algorithm, against the naive loops."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from cnntrain.functional.arrays import enter
from cnntrain.machine import AVX2, AVX512, NEON, Machine
from cnntrain.passes.convolution import choices_of, problems_of
from cnntrain.passes.problem import Problem
from cnntrain.passes.winograd_patches import WinogradPatches
from cnntrain.passes.winograd_weights import WinogradWeights
from tests import naive
from tests.functional.arrays import (
    A_DENOMINATOR,
    G_DENOMINATOR,
    LARGE_G_DENOMINATOR,
    Array,
    Case,
    assert_same,
    assert_sum_close,
    normal,
    whole,
)
from tests.passes.convolutions import Passes, geometry_of

# Sizes even and odd, patches that hang over the edge on each side, filters that do and do not fill register tiles and
# vectors, padding that makes the output larger than the image and none at all. The heights of tiles are compiled in:
# those of 3 channels and of 33 filters are tried with 3x3 taps alone.
CASES = [
    Case(17, 16, (8, 8), 16, (3, 3), padding=1),
    Case(2, 24, (12, 11), 26, (3, 3), padding=1),
    Case(33, 16, (12, 13), 22, (3, 3)),
    Case(2, 17, (11, 16), 33, (3, 3), padding=2),
    Case(3, 20, (10, 17), 23, (3, 3), padding=(2, 0)),
    Case(2, 24, (16, 12), 17, (3, 3), padding=(0, 2)),
    Case(2, 70, (6, 24), 18, (3, 3), padding=1),  # several stretches in a row of patches
    Case(2, 3, (1, 1), 16, (3, 3), padding=1),  # far smaller than a patch
    Case(2, 6, (4, 1), 40, (3, 3), padding=(0, 2)),
    Case(2, 15, (12, 13), 16, (3, 3), padding=1, mode="convolution"),
    Case(17, 16, (8, 8), 18, (5, 5), padding=2),
    Case(40, 20, (12, 12), 50, (5, 5)),  # Caffe's LeNet
    Case(2, 17, (11, 10), 18, (5, 5), padding=2),
    Case(19, 5, (9, 8), 29, (5, 5), padding=1),
    Case(2, 6, (14, 13), 17, (5, 5), padding=(3, 0)),
    Case(2, 40, (7, 23), 18, (5, 5), padding=(0, 4)),
    Case(2, 6, (1, 1), 16, (5, 5), padding=2),
    Case(2, 15, (12, 13), 18, (5, 5), padding=2, mode="convolution"),
]


FORMS = ["winograd rows", "winograd patches"]


def only(form: str, to_input: str | None = None) -> dict[str, str]:
    """Take Winograd's algorithm in all passes."""
    return {"forward": form, "to input": to_input or form, "to weights": "winograd"}


def large(to_input: str = "winograd 8x8") -> dict[str, str]:
    """Take patches of 8x8 in all passes."""
    return {"forward": "winograd 8x8", "to input": to_input, "to weights": "winograd 8x8"}


def names(case: Case, machine: Machine) -> list[str]:
    """By what the three passes are computed."""
    problems = problems_of(geometry_of(case), 2, np.dtype(np.float32), machine)
    return [chosen.algorithm.name for chosen in choices_of(problems, {})]


@cache
def by_naive_loops(case: Case, denominator: int) -> dict[str, Any]:
    """Whole numbers that all denominators divide, in float64, and what the naive loops make of them."""
    generator = np.random.default_rng(71)
    x, weight = (whole(generator, shape, np.float64) for shape in (case.x_shape, case.weight_shape))
    weight *= denominator
    bias = whole(generator, (case.filters,), np.float64)
    y = naive.conv2d(x, weight, bias, **case.settings)
    grad_output = whole(generator, y.shape, np.float64) * denominator * A_DENOMINATOR
    gradients = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    return {"x": x, "weight": weight, "bias": bias, "y": y, "grad_output": grad_output, "gradients": gradients}


@pytest.mark.parametrize(
    ("form", "to_input", "machine"),
    [
        ("winograd rows", None, AVX512),
        ("winograd rows", "winograd transposed", AVX512),
        ("winograd patches", None, AVX2),
        ("winograd patches", "winograd transposed", AVX2),
    ],
    ids=["rows", "rows-transposed", "patches", "patches-transposed"],
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward_equal_the_naive_loops(
    case: Case, form: str, to_input: str | None, machine: Machine
) -> None:
    """Exactly, in float64, on whole numbers that all denominators divide."""
    weights = "winograd" if case.filters >= 16 else "by positions"
    compare_exactly(Passes(case, only(form, to_input) | {"to weights": weights}, machine), G_DENOMINATOR)


@pytest.mark.parametrize("to_input", ["winograd 8x8", "winograd transposed 8x8"])
@pytest.mark.parametrize("case", [CASES[i] for i in (10, 11, 13, 14, 17)], ids=str)
def test_patches_of_8x8_equal_the_naive_loops(case: Case, to_input: str) -> None:
    """In the tiles of AVX2: one compiled form for all."""
    compare_exactly(Passes(case, large(to_input), AVX2), LARGE_G_DENOMINATOR)


def compare_exactly(passes: Passes, denominator: int) -> None:
    """Compare all passes in float64 with the naive loops: exactly, on whole numbers that all denominators divide."""
    expected = by_naive_loops(passes.case, denominator)
    x, weight = expected["x"], expected["weight"]
    assert_same(passes.conv2d(x, weight, expected["bias"]), expected["y"], np.float64)
    gradients = passes.conv2d_backward(expected["grad_output"], x, weight)
    for actual, wanted in zip(gradients, expected["gradients"], strict=True):
        assert_same(actual, wanted, np.float64)


@cache
def sums_and_magnitudes(case: Case) -> tuple[list[Array], list[Array], list[Array]]:
    """Images, weights and a delta in float32; in float64 the sums of the three passes, and those of absolute values."""
    generator = np.random.default_rng(72)
    arrays = [normal(generator, shape, np.float64) for shape in (case.x_shape, case.weight_shape)]
    shape = naive.conv2d(*arrays, **case.settings).shape
    arrays = [array.astype(np.float32) for array in (*arrays, normal(generator, shape, np.float64))]
    wide = [array.astype(np.float64) for array in arrays]
    sums, magnitudes = (
        [naive.conv2d(a, b, **case.settings), *naive.conv2d_backward(c, a, b, **case.settings)[:2]]
        for a, b, c in (wide, [abs(array) for array in wide])
    )
    return arrays, sums, magnitudes


@pytest.mark.parametrize(
    ("case", "algorithms"),
    [(CASES[i], only(form)) for form in FORMS for i in (0, 2, 10, 11)]
    + [(CASES[11], large("winograd transposed 8x8"))],
    ids=str,
)
def test_rounding_errors_stay_within_those_of_a_sum(case: Case, algorithms: dict[str, str]) -> None:
    """In float32, compared with the largest sum: errors of a patch spread over all of its outputs."""
    (x, weight, grad_output), expected, magnitude = sums_and_magnitudes(case)
    passes = Passes(case, algorithms)
    y = passes.conv2d(x, weight)
    actual = y, *passes.conv2d_backward(grad_output, x, weight)[:2]
    terms = case.weight_shape[2] ** 2 * case.channels, case.weight_shape[2] ** 2 * case.filters, y[:, 0].size
    for one, wanted, size, count in zip(actual, expected, magnitude, terms, strict=True):
        assert_sum_close(one, wanted, np.full_like(size, size.max()), count, np.float32)


def test_several_sums_and_bundles_give_what_one_gives() -> None:
    """Exactly, on whole numbers; a batch in two slices too, and another pass's sums in between are noticed."""
    case = Case(33, 20, (12, 13), 19, (3, 3))
    problem = Problem(geometry_of(case), "to weights", Passes(case).made(np.dtype(np.float64)).blocks, np.dtype(float))
    generator = np.random.default_rng(76)
    x, delta = whole(generator, case.x_shape, np.float64), whole(generator, (33, 19, 10, 11), np.float64)
    delta *= G_DENOMINATOR * A_DENOMINATOR
    _, expected, _ = naive.conv2d_backward(delta, x, np.zeros(case.weight_shape))
    image, lanes = enter(x), enter(delta)
    gradient = np.empty(expected.size)
    for slots, bundles in ((1, 1), (3, 1), (1, 2), (3, 2)):
        weights = WinogradWeights(problem, slots, bundles)
        weights.add(image, lanes, 3, fresh=True)
        weights.write(gradient)
        np.testing.assert_array_equal(gradient.reshape(expected.shape), expected)
        weights.add(image, lanes, 1, fresh=True)
        block = [image.size // problem.blocks, lanes.size // problem.blocks]
        weights.add(image[block[0] :], lanes[block[1] :], 2, fresh=False)
        weights.write(gradient)
        np.testing.assert_array_equal(gradient.reshape(expected.shape), expected)
    weights.add(image, lanes, 1, fresh=True)
    WinogradWeights(problem).add(image, lanes, 1, fresh=True)
    with pytest.raises(RuntimeError, match="another pass has begun"):
        weights.add(image, lanes, 1, fresh=False)
    with pytest.raises(RuntimeError, match="another pass has begun"):
        weights.write(gradient)


@pytest.mark.parametrize("machine", [AVX2, AVX512, NEON], ids=["avx2", "avx512", "neon"])
def test_few_channels_and_small_images_are_computed_tap_by_tap(machine: Machine) -> None:
    for case in (Case(2, 1, (28, 28), 6, (5, 5)), Case(2, 32, (3, 3), 32, (3, 3), padding=1)):
        assert names(case, machine)[:2] == ["direct", "direct"]
    assert names(Case(2, 32, (16, 16), 32, (3, 3), stride=2, padding=1), machine)[0] == "direct"


@pytest.mark.parametrize(
    ("machine", "form"), [(AVX2, "winograd patches"), (AVX512, "winograd rows"), (NEON, "winograd patches")]
)
def test_the_cheapest_of_several_ways_is_taken(machine: Machine, form: str) -> None:
    """As measured: see docs/kernels.md."""
    assert names(Case(2, 16, (32, 32), 16, (3, 3), padding=1), machine) == [form, form, "winograd"]
    assert names(Case(2, 32, (16, 16), 32, (5, 5), padding=2), machine) == ["winograd 8x8"] * 3
    assert names(Case(2, 20, (12, 12), 50, (5, 5)), machine) == list(large("winograd transposed 8x8").values())
    assert names(Case(2, 16, (16, 16), 16, (5, 5), padding=2), machine) == [form, form, "winograd"]
    few_channels = names(Case(2, 3, (32, 32), 32, (5, 5), padding=2), machine)
    assert few_channels[0] == (form if form == "winograd rows" else "direct")


@pytest.mark.parametrize("to_input", [*FORMS, "winograd transposed"])
@pytest.mark.parametrize("padding", [0, 1])
def test_a_bad_delta_is_seen_in_the_gradients(padding: int, to_input: str) -> None:
    passes = Passes(Case(19, 16, (12, 12), 16, (3, 3), padding=padding), only(FORMS[0], to_input))
    generator = np.random.default_rng(75)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32) + 10, np.ones((16, 16, 3, 3), np.float32)
    grad_output = whole(generator, (19, 16, 10 + 2 * padding, 10 + 2 * padding), np.float32)
    grad_output[18, 2, 5, 6] = np.nan
    grad_input, grad_weight, grad_bias = passes.conv2d_backward(grad_output, x, weight)
    assert np.isnan(grad_input[18, :, 5 - padding : 8 - padding, 6 - padding : 9 - padding]).all()
    np.testing.assert_array_equal(np.isnan(grad_input).any(axis=(1, 2, 3)), np.arange(19) == 18)
    np.testing.assert_array_equal(np.isnan(grad_weight).all(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_weight).any(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_bias), np.arange(16) == 2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_is_seen_by_every_output_that_reads_it_and_by_its_patches_alone(bad: float, form: str) -> None:
    passes = Passes(Case(19, 16, (12, 12), 16, (3, 3), padding=1), only(form))
    generator = np.random.default_rng(73)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32), np.ones((16, 16, 3, 3), np.float32)
    clean = passes.conv2d(x, weight)
    x[17, 3, 4, 7] = bad
    y = passes.conv2d(x, weight)
    reads, patches = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
    reads[17, :, 3:6, 6:9] = True
    patches[17, :, 0:8, 4:12] = True  # the squares of 4x4 outputs whose 6x6 pixels contain it
    assert not np.isfinite(y[reads]).any()
    np.testing.assert_array_equal(y[~patches], clean[~patches])


@pytest.mark.parametrize("form", FORMS)
def test_images_do_not_see_each_other_and_batches_give_the_same_bits(form: str) -> None:
    passes = Passes(Case(40, 16, (9, 9), 22, (3, 3), padding=1), only(form))
    generator = np.random.default_rng(74)
    x = normal(generator, (40, 16, 9, 9), np.float32)
    weight = normal(generator, (22, 16, 3, 3), np.float32)
    together: Array = passes.conv2d(x, weight)
    one_by_one = np.concatenate([passes.conv2d(x[n : n + 1], weight) for n in range(40)])
    assert together.tobytes() == one_by_one.tobytes()


def test_a_small_batch_is_cut_for_several_workers() -> None:
    """8 channels would let all patches of 64 images of 8x8 pixels fit the cache at once."""
    problem = Problem(geometry_of(Case(64, 8, (8, 8), 8, (3, 3), padding=1)), "forward", 4, np.dtype(np.float32))
    assert WinogradPatches(problem).units >= 8
