"""Measuring the passes of convolutions and dense layers of given shapes, each for itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.bench.machine import Peak
from cnntrain.bench.timing import Spread, each_of, times_for
from cnntrain.errors import ArgumentError
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.layers.base import PassChoice
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.convolution import ALGORITHMS, Convolution, problems_of
from cnntrain.passes.dense import ALGORITHMS as DENSE_ALGORITHMS
from cnntrain.passes.dense import Dense
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.shape import LANES

ROUND = 0.01  # seconds that a pass is called for in one round, or one call
LEAST_ROUNDS = 3
PEAKS = 5  # measurements of the peak before each measurement of a pass
FORM = (
    'convolutions are "N,C,HxW,K,R,stride,pad" (images, channels, size, filters, taps), dense layers "N,inputs,units"'
)

_PAIR = r"(\d+)(?:x(\d+))?"
_CONVOLUTION = re.compile(rf"(\d+),(\d+),(\d+)x(\d+),(\d+),{_PAIR},{_PAIR},{_PAIR}")
_DENSE = re.compile(r"(\d+),(\d+),(\d+)")
_LARGEST = 1 << 31  # bytes of an image buffer
DTYPE = np.dtype(np.float32)


@dataclass(frozen=True)
class GivenShape:
    """A convolution or dense layer for a number of images.

    Attributes
    ----------
    text : str
        As the user wrote it.
    images : int
    convolution : ConvolutionGeometry or None
        None for a dense layer.
    inputs, outputs : int
        Values per image.
    """

    text: str
    images: int
    convolution: ConvolutionGeometry | None
    inputs: int
    outputs: int


@dataclass(frozen=True)
class ShapePass:
    """One pass of one shape with one number of threads.

    Attributes
    ----------
    choice : PassChoice
        Its name and what computes it; the path is the shape as the user wrote it.
    threads : int
    seconds : Spread
    operations : int
        The useful ones, two per multiply-add.
    """

    choice: PassChoice
    threads: int
    seconds: Spread
    operations: int


def parse_shapes(texts: Sequence[str]) -> list[GivenShape]:
    """Read shapes, several of which may stand in one text, separated by spaces; raises `ArgumentError`."""
    shapes = [_parse(word) for text in texts for word in text.split()]
    if not shapes:
        raise ArgumentError(f"no shape is given: {FORM}")
    return shapes


def _parse(text: str) -> GivenShape:
    if dense := _DENSE.fullmatch(text):
        images, inputs, outputs = map(int, dense.groups())
        return _checked(GivenShape(text, images, None, inputs, outputs))
    if not (match := _CONVOLUTION.fullmatch(text)):
        raise ArgumentError(f'"{text}" is no shape: {FORM}')
    images, channels, height, width, filters = map(int, match.groups()[:5])
    pairs = [(int(a), int(b or a)) for a, b in zip(match.groups()[5::2], match.groups()[6::2], strict=True)]
    sizes = (height, width)
    (taps, strides, paddings) = pairs
    if min(*taps, *strides) < 1:
        raise ArgumentError(f'"{text}": taps and stride must be at least 1')
    rows, columns = (Window(sizes[i], taps[i], strides[i], paddings[i], paddings[i]) for i in (0, 1))
    if min(rows.output_size, columns.output_size) < 1:
        raise ArgumentError(f'"{text}": {taps[0]}x{taps[1]} taps do not fit on the image and its padding')
    geometry = ConvolutionGeometry(channels, filters, rows, columns)
    outputs = filters * rows.output_size * columns.output_size
    return _checked(GivenShape(text, images, geometry, channels * height * width, outputs))


def _checked(shape: GivenShape) -> GivenShape:
    if min(shape.images, shape.inputs, shape.outputs) < 1:
        raise ArgumentError(f'"{shape.text}": all sizes must be at least 1')
    weights = shape.inputs * shape.outputs if shape.convolution is None else np.prod(shape.convolution.weight_shape)
    if 4 * max((shape.images + LANES) * max(shape.inputs, shape.outputs), int(weights)) > _LARGEST:
        raise ArgumentError(f'"{shape.text}": an array would take more than {_LARGEST >> 30} GiB')
    return shape


def parse_only(texts: Sequence[str], shapes: Sequence[GivenShape]) -> dict[str, str]:
    """Read "pass=algorithm", dashes for blanks allowed, for passes of convolutions that these algorithms can compute.

    Returns
    -------
    dict
        Algorithms by direction.

    Raises
    ------
    ArgumentError
        There is no such pass or algorithm, or the algorithm cannot compute one of the shapes.
    """
    only: dict[str, str] = {}
    for text in texts:
        direction, equals, name = (part.strip() for part in text.partition("="))
        directions = {_with_dashes(known): known for known in ALGORITHMS}
        found = directions.get(_with_dashes(direction))
        if found is None or not equals:
            raise ArgumentError(f'--only "{text}": must be PASS=ALGORITHM; passes are {", ".join(directions)}')
        names = {_with_dashes(algorithm.name): algorithm.name for algorithm in ALGORITHMS[found]}
        if _with_dashes(name) not in names:
            raise ArgumentError(f'--only "{text}": algorithms {found} are {", ".join(names)}')
        only[found] = names[_with_dashes(name)]
    for shape in shapes if only else ():
        _check_only(only, shape)
    return only


def _with_dashes(name: str) -> str:
    return re.sub("[ _]", "-", name)


def _check_only(only: Mapping[str, str], shape: GivenShape) -> None:
    """Raise `ArgumentError` if an algorithm cannot compute a shape."""
    if shape.convolution is None:
        raise ArgumentError(f'"{shape.text}" is a dense layer: there are no algorithms to choose from')
    for direction, problem in problems_of(shape.convolution, *_held(shape), this_machine()).items():
        for algorithm in ALGORITHMS[direction]:
            reason = algorithm.cannot(problem) if algorithm.name == only.get(direction) else None
            if reason is not None:
                raise ArgumentError(f'--only "{direction}={algorithm.name}": cannot compute "{shape.text}": {reason}')


def measure_shapes(
    shapes: Sequence[GivenShape],
    threads: Sequence[int],
    seconds: float,
    on_progress: Callable[[float], None] = lambda done: None,
    only: Mapping[str, str] | None = None,
) -> tuple[dict[int, Spread], list[ShapePass]]:
    """Measure all passes of all shapes in rounds, in each of which each has its turn.

    Parameters
    ----------
    shapes : sequence of GivenShape
    threads : sequence of int
    seconds : float
        About how long to measure in all; at least three rounds.
    on_progress : callable
        Called with the share of the time that is over.
    only : mapping of str to str
        Algorithms to take whatever they cost, by direction; see `parse_only`.

    Returns
    -------
    peaks : dict
        This machine's peak in GFLOP/s, by the number of threads.
    passes : list of ShapePass
        By shape, then threads, then pass.
    """
    calls = [(shape, _calls(shape, only or {})) for shape in shapes]
    meters = [_Meter(shape, number, *one) for shape, all_ in calls for number in threads for one in all_]
    peak = Peak()
    peaks: dict[int, list[float]] = {number: [] for number in threads}
    begin, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds or rounds < LEAST_ROUNDS:
        on_progress(min(elapsed / seconds, 1.0))
        for meter in meters:
            peaks[meter.threads] += [peak.measure(meter.threads) for _ in range(PEAKS)]
            meter.round()
        rounds += 1
    return {number: Spread.of(values) for number, values in peaks.items()}, [meter.result() for meter in meters]


class _Meter:
    """Measures one pass of a shape with one number of threads."""

    def __init__(self, shape: GivenShape, threads: int, choice: PassChoice, call: Callable[[], Any]) -> None:
        self._shape, self.threads, self._choice, self._call = shape, threads, choice, call
        set_threads(threads)
        self._times = times_for(call, ROUND)
        self._seconds: list[float] = []

    def round(self) -> None:
        """Add a measurement; the number of threads is set."""
        self._call()  # a changed number of threads takes effect, the caches fill
        self._seconds += each_of(self._call, self._times)

    def result(self) -> ShapePass:
        """Summarise all rounds."""
        operations = 2 * self._shape.images * _macs(self._shape)
        return ShapePass(self._choice, self.threads, Spread.of(self._seconds), operations)


def _macs(shape: GivenShape) -> int:
    return shape.inputs * shape.outputs if shape.convolution is None else shape.convolution.macs


def _held(shape: GivenShape) -> tuple[int, np.dtype]:
    """Return how many blocks the buffers of a shape hold, and of what."""
    return this_machine().capacity(shape.images, DTYPE), DTYPE


def _calls(shape: GivenShape, only: Mapping[str, str]) -> list[tuple[PassChoice, Callable[[], Any]]]:
    """Return the three passes of a shape as functions without arguments; called once here, to compile."""
    random = np.random.default_rng(1)
    (held, dtype), blocks = _held(shape), -(-shape.images // LANES)
    passes: Convolution | Dense
    chosen: list[tuple[str, Mapping[str, str]]]
    if shape.convolution is None:
        passes, outputs, weights = Dense(shape.inputs, shape.outputs, held, dtype), shape.outputs, shape.inputs
        chosen = [(algorithm, {}) for algorithm in DENSE_ALGORITHMS.values()]
    else:
        passes = Convolution(shape.convolution, held, dtype, only=only)
        outputs, weights = shape.convolution.filters, int(np.prod(shape.convolution.weight_shape[1:]))
        chosen = [(choice.algorithm.name, choice.refusals) for choice in passes.choices]
    sizes = held * shape.inputs * LANES, held * shape.outputs * LANES, outputs * weights, outputs
    image, delta, weight, bias = (random.standard_normal(out=line_aligned(size, dtype), dtype=dtype) for size in sizes)
    grad_image, output, grad_weight, grad_bias = (line_aligned(size, dtype) for size in sizes)
    calls: list[Callable[[], Any]] = [
        lambda: passes.forward(image, weight, bias, output, blocks),
        lambda: passes.backward_input(delta, weight, grad_image, blocks),
        lambda: passes.backward_weight(image, delta, grad_weight, grad_bias, blocks),
    ]
    for call in calls:
        call()
    choices = [PassChoice(shape.text, str(passes), name, *one) for name, one in zip(ALGORITHMS, chosen, strict=True)]
    return list(zip(choices, calls, strict=True))
