"""The direct ways to the gradient of the weights, by lanes and by positions, against the naive loops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from cnntrain.functional.arrays import enter
from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.weight_gradient import Division, Runs, Unit, runs_of, unit_of, units_of
from cnntrain.kernels.weight_gradient_positions import filled_run
from cnntrain.machine import AVX2, AVX512, NEON, Machine
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.pooled_convolution import PooledPasses
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import Problem, pooling_axis
from cnntrain.passes.weights_by_lanes import WeightsByLanes, tiles_by_lanes
from cnntrain.passes.weights_by_positions import DenseWeights, WeightsByPositions, tile_of
from cnntrain.shape import LANES
from tests import naive
from tests.functional.arrays import Array, Case, assert_same, whole
from tests.passes.convolutions import Passes, geometry_of

MACHINES = {"avx2": AVX2, "avx512": AVX512, "neon": NEON}
# All have runs of 5 positions and 6 filters in a group: one compiled form for each machine and type.
BY_LANES = [
    Case(19, 1, (9, 8), 6, (5, 5), padding=2),
    Case(33, 1, (12, 9), 6, (3, 5), stride=2, padding=(1, 0)),
    Case(17, 5, (9, 8), 6, (3, 2), dilation=2, padding=1),
    Case(20, 10, (6, 7), 12, (2, 3), stride=(1, 2), groups=2),
    Case(20, 1, (1, 9), 6, (1, 5)),  # images of one row
    Case(40, 1, (3, 3), 6, (5, 5), padding=2),  # smaller than the filter
    Case(16, 5, (4, 3), 6, (1, 1)),
    Case(2, 1, (5, 6), 6, (3, 5), padding=(3, 4), mode="convolution"),  # rows of the delta that see padding alone
]
# All have 11 filters in a group; runs of one vector, two, or five.
BY_POSITIONS = [
    Case(19, 3, (9, 8), 11, (5, 5), padding=2),
    Case(33, 7, (10, 9), 11, (3, 3), stride=2, padding=1),
    Case(17, 10, (9, 8), 11, (3, 2), dilation=2, padding=1),
    Case(20, 40, (5, 6), 22, (3, 3), padding=1, groups=2),
    Case(5, 24, (1, 9), 11, (1, 3)),  # images of one row
    Case(3, 20, (1, 7), 11, (1, 1)),  # tiles that hold whole sums
    Case(18, 20, (3, 31), 11, (2, 1), stride=(1, 2)),  # several stretches in a row
    Case(40, 7, (2, 2), 11, (3, 3), padding=2, mode="convolution"),  # smaller than the filter
]
WAYS = [("by lanes", case) for case in BY_LANES] + [("by positions", case) for case in BY_POSITIONS]


def passes_of(name: str, case: Case, machine: Machine, dtype: Any = np.float32) -> Convolution:
    return Passes(case, {"to weights": name}, machine).made(np.dtype(dtype))


def batch(case: Case, dtype: Any = np.float32) -> tuple[Array, Array]:
    """Images and a delta of small whole numbers, whose sums are exact."""
    generator, g = np.random.default_rng(83), geometry_of(case)
    delta_shape = (case.images, case.filters, g.rows.output_size, g.columns.output_size)
    return whole(generator, case.x_shape, dtype), whole(generator, delta_shape, dtype)


def expected(case: Case, x: Array, delta: Array) -> tuple[Array, Array]:
    return naive.conv2d_backward(delta, x, np.zeros(case.weight_shape), **case.settings)[1:]


@cache
def expected_of_batch(case: Case) -> tuple[Array, Array]:
    """What every machine must make of `batch(case)`."""
    return expected(case, *batch(case))


def check(actual: tuple[Array, Array], wanted: tuple[Array, Array], dtype: Any = np.float32) -> None:
    for one, other in zip(actual, wanted, strict=True):
        assert_same(one, other, dtype)


def gradients(passes: Convolution, x: Array, delta: Array, **part: bool) -> tuple[Array, Array]:
    """Return grad_weight and grad_bias, which held NaN before."""
    shape = passes.geometry.weight_shape
    grad_weight, grad_bias = (np.full(size, np.nan, x.dtype) for size in (np.prod(shape), shape[0]))
    passes.backward_weight(enter(x), enter(delta), grad_weight, grad_bias, -(-len(x) // LANES), **part)
    return grad_weight.reshape(shape), grad_bias


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "case"), WAYS, ids=str)
def test_sums_equal_those_of_the_naive_loops(name: str, case: Case, machine: str) -> None:
    check(gradients(passes_of(name, case, MACHINES[machine]), *batch(case)), expected_of_batch(case))


@pytest.mark.parametrize(("name", "case"), [WAYS[0], WAYS[2], WAYS[8], WAYS[12]], ids=str)
def test_in_double_precision_nothing_is_rounded_to_single(name: str, case: Case) -> None:
    """Numbers that float32 does not hold."""
    x, delta = batch(case, np.float64)
    x += 2.0**-30
    check(gradients(passes_of(name, case, AVX2, np.float64), x, delta), expected(case, x, delta), np.float64)


@pytest.mark.parametrize("machine", ["avx2", "avx512"])
@pytest.mark.parametrize(("name", "case"), [WAYS[1], WAYS[9], WAYS[14]], ids=str)
def test_batches_may_be_smaller_and_come_in_slices(name: str, case: Case, machine: str) -> None:
    """By one object, whose sums held those of other batches before."""
    passes = passes_of(name, case, MACHINES[machine])
    assert passes.adds_biases
    x, delta = batch(case)
    gradients(passes, x, delta)
    first, rest = slice(0, LANES), slice(LANES, None)
    check(gradients(passes, x[first], delta[first]), expected(case, x[first], delta[first]))
    gradients(passes, x[first], delta[first], ends=False)
    check(gradients(passes, x[rest], delta[rest], begins=False), expected(case, x, delta))


@pytest.mark.parametrize("machine", ["avx2", "avx512"])
def test_the_gradient_behind_a_pooling_is_routed_on_the_way(machine: str) -> None:
    """Windows of 2 x 3 pixels, which leave a row and two columns over."""
    case, high, wide = Case(19, 2, (9, 12), 6, (3, 2), padding=(1, 0)), 2, 3
    passes = Convolution(geometry_of(case), 2, np.dtype(np.float32), MACHINES[machine], {"to weights": "by lanes"})
    rows, columns = passes.geometry.rows.output_size, passes.geometry.columns.output_size
    windows = pooling_axis(rows, high, high, 0, False), pooling_axis(columns, wide, wide, 0, False)
    generator = np.random.default_rng(84)
    pooled = whole(generator, (case.images, case.filters, rows // high, columns // wide), np.float32)
    winner = generator.integers(0, high * wide, pooled.shape)
    delta = np.zeros((case.images, case.filters, rows, columns))
    for n, k, i, j in np.ndindex(*pooled.shape):
        r, s = divmod(winner[n, k, i, j], wide)
        delta[n, k, i * high + r, j * wide + s] = pooled[n, k, i, j]
    x, _ = batch(case)
    grad_weight, grad_bias = np.full(np.prod(case.weight_shape), np.nan, np.float32), np.full(6, np.nan, np.float32)
    PooledPasses(passes, MaxPooling(case.filters, *windows)).backward_weight(
        enter(x), enter(pooled), enter(winner.astype(np.float32)).astype(np.int16), grad_weight, grad_bias, 2
    )
    weights, biases = expected(case, x, delta)
    assert_same(grad_weight.reshape(weights.shape), weights, np.float32)
    assert_same(grad_bias, biases, np.float32)


@pytest.mark.parametrize("inputs", [20, 33, 64, 100])
@pytest.mark.parametrize("threads", [1, 3])
def test_dense_weights_in_chunks_of_their_inputs(inputs: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than a tile of inputs, with a last tile that begins sooner, and with whole tiles."""
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
    weights = DenseWeights(inputs, 11, 3, np.dtype(np.float32), AVX512)
    assert weights.division.slots == 1
    assert weights.division.chunks == min(-(-inputs // (2 * LANES)), 2 * threads)
    generator = np.random.default_rng(85)
    for images in (33, 5):
        x, delta = whole(generator, (images, inputs), np.float32), whole(generator, (images, 11), np.float32)
        gradient, grad_bias = np.full(11 * inputs, np.nan, np.float32), np.full(11, np.nan, np.float32)
        weights(enter(x[..., None, None]), enter(delta[..., None, None]), gradient, grad_bias, -(-images // LANES))
        assert_same(gradient.reshape(11, inputs), delta.T @ x, np.float32)
        assert_same(grad_bias, delta.sum(0), np.float32)


# --- plans ----------------------------------------------------------------------------------------------------------


def problem_of(case: Case, machine: Machine = AVX2, dtype: Any = np.float32) -> Problem:
    return Problem(geometry_of(case), "to weights", -(-case.images // LANES), np.dtype(dtype), machine)


@pytest.mark.parametrize("machine", MACHINES)
def test_tiles_by_lanes_hold_all_filters_and_positions_in_registers(machine: str) -> None:
    registers = MACHINES[machine].registers
    for outputs, run in product(range(1, 40), range(1, 33)):
        filters, tiles, tall, short = tiles_by_lanes(outputs, run, MACHINES[machine])
        assert outputs % filters == 0
        assert tiles.tall * len(tall) + tiles.short * len(short) == run
        assert len(tall) * filters + len(tall) + 1 <= registers  # accumulators, the pixels' vectors, and one filter


def test_tiles_by_lanes_that_keep_a_core_busy() -> None:
    """Of 20 filters and 5 positions: 4 x 5 in AVX-512's 31 registers; in AVX2's 15, 4 x 3 and 4 x 2."""
    for machine, wanted in ((AVX512, (4, (0, 1), 6, 5)), (AVX2, (4, (1, 1), 3, 2))):
        filters, tiles, tall, short = tiles_by_lanes(20, 5, machine)
        assert (filters, tiles, len(tall), len(short)) == wanted


def test_tiles_by_positions_are_not_filled_up_where_that_is_possible() -> None:
    assert [tile_of(vectors, AVX2) for vectors in (1, 2, 7)] == [(1, 6)] * 3
    assert [tile_of(vectors, AVX512) for vectors in (1, 2, 3, 4, 5, 7, 9, 11)] == [
        (1, 16), (2, 6), (3, 6), (2, 6), (5, 4), (7, 3), (3, 6), (2, 6),
    ]  # fmt: skip
    for vectors in range(1, 40):
        wide, height = tile_of(vectors, AVX512)
        assert wide * height + wide <= AVX512.registers
    assert [filled_run(100, vectors) for vectors in (1, 2, 7)] == [112, 128, 112]
    assert [filled_run(length, 2) for length in (1, 32, 33)] == [32, 32, 64]


def test_runs_end_where_positions_do_not_lie_side_by_side() -> None:
    def runs(case: Case) -> Runs:
        problem = problem_of(case)
        return runs_of(problem.forward_axes[1], Channels(problem.groups, problem.inputs, problem.outputs))

    assert runs(Case(1, 3, (9, 9), 4, (5, 4))) == (1, 12)
    assert runs(Case(1, 3, (9, 9), 4, (5, 4), dilation=(1, 2))) == (4, 3)
    assert runs(Case(1, 3, (9, 9), 4, (5, 4), dilation=(2, 1))) == (1, 12)
    assert runs(Case(1, 6, (9, 9), 4, (5, 4), groups=2)) == (4, 3)


def test_units_compute_each_share_once() -> None:
    division = Division(bundles=2, chunks=3, slots=4)
    units = [unit_of(number, division) for number in range(units_of(division, 5))]
    assert sorted(units) == [Unit(*each) for each in product(range(4), range(3), range(2), range(5))]


@pytest.mark.parametrize("case", [*BY_LANES[:4], *BY_POSITIONS[:4]], ids=str)
def test_slots_follow_from_the_layer_and_the_largest_batch(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from the number of threads: they say in which order sums are added."""
    before = [algorithm(problem_of(case)).division for algorithm in (WeightsByLanes, WeightsByPositions)]
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 13)
    assert before == [algorithm(problem_of(case)).division for algorithm in (WeightsByLanes, WeightsByPositions)]


def test_many_weights_are_cut_into_bundles_instead_of_slots() -> None:
    few, many = Case(64, 8, (16, 16), 16, (3, 3)), Case(64, 128, (16, 16), 256, (3, 3))
    for algorithm in (WeightsByLanes, WeightsByPositions):
        assert algorithm(problem_of(few)).division == (1, 1, 16)
        assert algorithm(problem_of(many)).division == (16, 1, 1)


def test_by_lanes_says_why_it_refuses() -> None:
    """By positions wins where a run fills vectors: 16 positions of 10 pixels take 17 * 10 instead of 16 * (10 + 4)."""
    assert WeightsByLanes.refuses(problem_of(Case(2, 1, (28, 28), 20, (5, 5)))) is None
    assert (
        WeightsByLanes.refuses(problem_of(Case(2, 16, (10, 10), 20, (1, 1)))) == "by positions takes 0.76 of the time"
    )
    assert WeightsByPositions.refuses(problem_of(Case(2, 1, (28, 28), 20, (5, 5)))) is None


def test_by_positions_biases_come_along_where_it_sees_the_whole_delta() -> None:
    def adds(case: Case) -> bool:
        return WeightsByPositions(problem_of(case)).adds_biases

    assert adds(Case(2, 4, (6, 6), 4, (3, 3), padding=2))
    assert not adds(Case(2, 4, (6, 6), 4, (3, 3), padding=3))  # the first row of the delta sees padding alone
    assert not adds(Case(2, 4, (1, 6), 4, (3, 3), padding=2, dilation=2))  # taps beside the row that there is
    assert WeightsByLanes(problem_of(Case(2, 4, (6, 6), 4, (3, 3), padding=3))).adds_biases


# --- rooms ----------------------------------------------------------------------------------------------------------

ROOMS = """
import json
import numpy as np
from cnntrain.kernels.compiler.checked import AddressError
from cnntrain.machine import AVX512
from cnntrain.memory import line_aligned
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.passes.weights_by_positions import DenseWeights

dtype = np.dtype(np.float32)


def outcome(run, *arguments):
    try:
        run(*arguments)
    except AddressError as fault:
        return str(fault)
    return "fine"


window = Window(8, 5, 1, 2, 2)
convolution = Convolution(ConvolutionGeometry(1, 6, window, window), 2, dtype, AVX512, {"to weights": "by lanes"})
image, delta = line_aligned(2 * 64 * 16, dtype), line_aligned(2 * 64 * 6 * 16, dtype)
by_lanes = convolution.weights, (image, delta, np.empty(150, dtype), np.empty(6, dtype), 2)
# 47 numbers of a single channel, of which the last tile reads 31 past the end, to the last vector of the room
dense = DenseWeights(1, 5, 47, dtype, AVX512)
image, delta = line_aligned(47 * 16, dtype), line_aligned(47 * 5 * 16, dtype)
by_positions = dense, (image, delta, np.empty(5, dtype), np.empty(5, dtype), 47)
outcomes = []
for run, (owner, arguments) in ((convolution.backward_weight, by_lanes), (dense, by_positions)):
    outcomes.append(outcome(run, *arguments))
    owner._scratch = owner._scratch[:-16]
    outcomes.append(outcome(run, *arguments))
print(json.dumps([*outcomes, convolution.weights._scratch.size, dense._scratch.size]))
"""


def test_a_room_that_is_one_vector_too_short_is_caught(tmp_path: Path) -> None:
    environment = {"CNNTRAIN_CHECKED": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ROOMS], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    lanes, short_lanes, positions, short_positions, size, dense_size = json.loads(done.stdout)
    assert (lanes, positions) == ("fine", "fine")
    assert short_lanes.startswith("kernel by_lanes: scratch[")
    assert short_lanes.endswith(f":{size + 16}] of {size} numbers")
    assert short_positions.startswith("kernel by_positions: scratch[")
    assert f"of {dense_size} numbers" in short_positions
