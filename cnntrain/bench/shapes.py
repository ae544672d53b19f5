"""Measuring the passes of convolutions and dense layers of given shapes, each for itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.bench.machine import Peak
from cnntrain.bench.timing import Spread, each_of, times_for
from cnntrain.errors import ArgumentError
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.convolution import Convolution
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
    """One pass of one shape with one number of threads; `operations` are the useful ones, two per multiply-add."""

    shape: str
    threads: int
    name: str
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


def measure_shapes(
    shapes: Sequence[GivenShape],
    threads: Sequence[int],
    seconds: float,
    on_progress: Callable[[float], None] = lambda done: None,
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

    Returns
    -------
    peaks : dict
        This machine's peak in GFLOP/s, by the number of threads.
    passes : list of ShapePass
        By shape, then threads, then pass.
    """
    calls = [(shape, _calls(shape)) for shape in shapes]
    meters = [_Meter(shape, number, *named) for shape, all_ in calls for number in threads for named in all_.items()]
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

    def __init__(self, shape: GivenShape, threads: int, name: str, call: Callable[[], Any]) -> None:
        self._shape, self.threads, self._name, self._call = shape, threads, name, call
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
        return ShapePass(self._shape.text, self.threads, self._name, Spread.of(self._seconds), operations)


def _macs(shape: GivenShape) -> int:
    return shape.inputs * shape.outputs if shape.convolution is None else shape.convolution.macs


def _calls(shape: GivenShape) -> dict[str, Callable[[], Any]]:
    """Return the three passes of a shape as functions without arguments; called once here, to compile."""
    dtype, random = np.dtype(np.float32), np.random.default_rng(1)
    held, blocks = this_machine().capacity(shape.images, dtype), -(-shape.images // LANES)
    passes: Convolution | Dense
    if shape.convolution is None:
        passes, outputs, weights = Dense(shape.inputs, shape.outputs, held, dtype), shape.outputs, shape.inputs
    else:
        passes = Convolution(shape.convolution, held, dtype)
        outputs, weights = shape.convolution.filters, int(np.prod(shape.convolution.weight_shape[1:]))
    sizes = held * shape.inputs * LANES, held * shape.outputs * LANES, outputs * weights, outputs
    image, delta, weight, bias = (random.standard_normal(out=line_aligned(size, dtype), dtype=dtype) for size in sizes)
    grad_image, output, grad_weight, grad_bias = (line_aligned(size, dtype) for size in sizes)
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: passes.forward(image, weight, bias, output, blocks),
        "to input": lambda: passes.backward_input(delta, weight, grad_image, blocks),
        "to weights": lambda: passes.backward_weight(image, delta, grad_weight, grad_bias, blocks),
    }
    for call in calls.values():
        call()
    return calls
