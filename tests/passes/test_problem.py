"""The taps of each pass and where they read, written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.kernels.geometry import Axis
from cnntrain.machine import AVX2
from cnntrain.passes.problem import ConvolutionGeometry, Direction, Phase, Problem, Window, pooling_axis


def problem(geometry: ConvolutionGeometry, direction: Direction = "forward") -> Problem:
    return Problem(geometry, direction, 2, np.dtype(np.float32), AVX2)


def test_a_window_with_padding_and_stride() -> None:
    """5 pixels with a zero on either side: the windows begin at -1, 1 and 3."""
    window = Window(5, 3, stride=2, before=1, after=1)
    assert window.output_size == 3
    assert window.visits == 2 + 3 + 2
    assert window.forward() == Axis(
        input_size=5, output_size=3, first=0, step=1, count=3, stride=2, offset=-1, taps=3, dilation=1
    )  # fmt: skip


def test_a_window_with_dilation() -> None:
    """Two taps two pixels apart: on 7 pixels they fit 5 times."""
    window = Window(7, 2, dilation=2)
    assert (window.output_size, window.visits) == (5, 10)
    assert Window(2, 2, dilation=2).output_size == 0
    assert Window(2, 2, before=1, after=0, dilation=2).visits == 1  # at -1 and 1


def test_phases_of_a_stride() -> None:
    """Even pixels lie under tap 1 of one window each, odd ones under tap 2 of one and tap 0 of the next."""
    even, odd = Window(5, 3, stride=2, before=1, after=1).backward()
    assert even == Phase(
        Axis(input_size=3, output_size=5, first=0, step=2, count=3, stride=1, offset=0, taps=1, dilation=1), [1]
    )  # fmt: skip
    assert odd == Phase(
        Axis(input_size=3, output_size=5, first=1, step=2, count=2, stride=1, offset=0, taps=2, dilation=1), [2, 0]
    )  # fmt: skip


def test_one_phase_has_all_taps_from_the_last_to_the_first() -> None:
    (whole,) = Window(7, 2, dilation=2).backward()
    assert whole == Phase(
        Axis(input_size=5, output_size=7, first=0, step=1, count=7, stride=1, offset=-2, taps=2, dilation=2), [1, 0]
    )  # fmt: skip


def test_pixels_that_no_tap_reaches_have_a_phase_without_taps() -> None:
    reached, skipped = Window(4, 1, stride=2).backward()
    assert (reached.taps, reached.axis.count) == ([0], 2)
    assert (skipped.taps, skipped.axis.taps, skipped.axis.first, skipped.axis.count) == ([], 0, 1, 2)
    assert len(Window(2, 1, stride=3).backward()) == 2  # there is no pixel for the third


def test_dilated_taps_of_a_phase() -> None:
    """Stride 2, dilation 3: taps 0, 3, 6 from 2i on; pixel p has tap r in window (p - 3r) / 2."""
    even, odd = Window(9, 3, stride=2, dilation=3).backward()
    assert (even.taps, even.axis.offset, even.axis.dilation) == ([2, 0], -3, 3)  # pixel 6: windows 0 and 3
    assert (odd.taps, odd.axis.offset) == ([1], -1)  # pixel 3: window 0


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 1)])
def test_backward_meets_the_pairs_that_forward_meets(stride: int, dilation: int, before: int, after: int) -> None:
    """Output, input and tap, those on the padding left out."""
    window = Window(8, 3, stride, before, after, dilation)
    forward = {(i, i * stride - before + t * dilation, t) for i in range(window.output_size) for t in range(3)}
    expected = {found for found in forward if 0 <= found[1] < 8}
    received = []
    for axis, taps in window.backward():
        for n in range(axis.count):
            for t, tap in enumerate(taps):
                output = n * axis.stride + axis.offset + t * axis.dilation
                if 0 <= output < window.output_size:
                    received.append((output, axis.first + n * axis.step, tap))
    assert len(received) == len(expected) == window.visits
    assert set(received) == expected


SMALL = ConvolutionGeometry(2, 3, Window(1, 1), Window(5, 2))  # weights: index 4 filter + 2 channel + s


def test_the_order_of_the_weights() -> None:
    forward, to_input, to_weights = (problem(SMALL, name) for name in ("forward", "to input", "to weights"))
    assert forward.order.ravel().tolist() == to_weights.order.ravel().tolist() == list(range(12))
    assert (forward.order.shape, forward.outputs, forward.inputs) == ((1, 3, 2, 1, 2), 3, 2)
    assert (to_input.order.shape, to_input.outputs, to_input.inputs) == ((1, 2, 3, 1, 2), 2, 3)
    assert to_input.order.ravel().tolist() == [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]


def test_a_true_convolution_reads_its_filters_backwards() -> None:
    rotated = ConvolutionGeometry(1, 2, Window(5, 2), Window(5, 2), rotated=True)
    assert problem(rotated).order.ravel().tolist() == [3, 2, 1, 0, 7, 6, 5, 4]
    assert problem(rotated, "to input").order.ravel().tolist() == [3, 2, 1, 0, 7, 6, 5, 4]


def test_groups() -> None:
    """4 channels, 2 filters, 2 groups: each filter sees 2 channels."""
    geometry = ConvolutionGeometry(4, 2, Window(3, 1), Window(3, 1), groups=2)
    assert geometry.weight_shape == (2, 2, 1, 1)
    forward, to_input = problem(geometry), problem(geometry, "to input")
    assert (forward.groups, forward.outputs, forward.inputs) == (2, 1, 2)
    assert (to_input.groups, to_input.outputs, to_input.inputs) == (2, 2, 1)
    assert forward.order.reshape(2, 2).tolist() == to_input.order.reshape(2, 2).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "depthwise"),
    [(3, 3, 3, True), (3, 6, 3, False), (3, 3, 1, False), (1, 1, 1, False), (4, 4, 2, False)],
)
def test_depthwise(channels: int, filters: int, groups: int, depthwise: bool) -> None:
    assert ConvolutionGeometry(channels, filters, Window(5, 3), Window(5, 3), groups).depthwise == depthwise


def test_correlations_by_direction() -> None:
    geometry = ConvolutionGeometry(2, 3, Window(5, 3, stride=2, before=1, after=1), Window(6, 2))
    assert [phase.taps for phase in problem(geometry).rows] == [[0, 1, 2]]
    assert [phase.taps for phase in problem(geometry, "to weights").rows] == [[0, 1, 2]]
    to_input = problem(geometry, "to input")
    assert ([phase.taps for phase in to_input.rows], [phase.taps for phase in to_input.columns]) == (
        [[1], [2, 0]],
        [[1, 0]],
    )
    assert to_input.forward_axes == (geometry.rows.forward(), geometry.columns.forward())


def test_multiply_adds_and_words() -> None:
    """Of 4 windows of 3 taps two have a tap on the padding."""
    geometry = ConvolutionGeometry(4, 6, Window(4, 3, before=1, after=1), Window(9, 3, 2, dilation=2), groups=2)
    assert geometry.macs == problem(geometry).macs == 10 * (3 * 3) * 6 * 2
    assert str(geometry) == "4→6 3x3 on 4x9 groups 2"
    assert str(ConvolutionGeometry(1, 2, Window(9, 3, 2), Window(9, 3, 2))) == "1→2 3x3 on 9x9 stride 2"


@pytest.mark.parametrize(
    ("size", "taps", "stride", "padding", "ceil_mode", "count"),
    [
        (6, 2, 2, 0, False, 3),
        (7, 2, 2, 0, False, 3),
        (7, 2, 2, 0, True, 4),  # the last window hangs over the edge
        (32, 3, 2, 0, True, 16),
        (5, 2, 3, 1, True, 2),  # a third would begin at 5, behind the image
        (4, 2, 3, 1, True, 2),
    ],
)
def test_pooling_windows(size: int, taps: int, stride: int, padding: int, ceil_mode: bool, count: int) -> None:
    axis = pooling_axis(size, taps, stride, padding, ceil_mode)
    assert axis == Axis(size, count, 0, 1, count, stride, -padding, taps, 1)
