"""Programs for few images: convolutions and dense layers against naive loops, on whole numbers, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.machine import AVX2, Machine, this_machine
from cnntrain.passes.arena import Room, Value
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.passes.program import MOST_TOGETHER, Program
from cnntrain.passes.program_writer import Writer
from cnntrain.shape import Shape
from tests import naive
from tests.functional.arrays import DTYPES, Array, Case, assert_same, whole
from tests.passes.convolutions import geometry_of

FORMS = [*((this_machine(), dtype) for dtype in DTYPES), (AVX2, DTYPES[0])]
CASES = [
    Case(1, 1, (9, 8), 6, (5, 5), padding=2),
    Case(2, 3, (7, 5), 17, (3, 2), stride=(2, 1), padding=(1, 0)),
    Case(3, 4, (6, 9), 33, (2, 3), dilation=(2, 3), padding=(2, 1), mode="convolution"),
    Case(5, 6, (5, 5), 4, (3, 3), groups=2, padding=1),
    Case(9, 6, (4, 7), 12, (1, 3), groups=6, stride=2),
    Case(12, 19, (5, 4), 19, (3, 3), groups=19, stride=(1, 2), padding=1, mode="convolution"),
    Case(1, 5, (3, 3), 70, (3, 3)),
    Case(7, 5, (2, 4), 3, (1, 1)),
]


def numbers(case: Case, dtype: Any) -> tuple[Array, Array, Array]:
    """Return images, weights and biases."""
    generator = np.random.default_rng(7)
    weight = whole(generator, (case.filters, case.channels // case.groups, *case.kernel_size), dtype)
    images = whole(generator, (case.images, case.channels, *case.size), dtype)
    return images, weight, whole(generator, (case.filters,), dtype)


def outputs_of(writer: Writer, source: Value, target: Value, images: Array) -> Array:
    """Run the program; return (image, channel, row, column)."""
    program = Program(writer, source, target)
    program.pack()
    channels, rows, columns = target.shape
    one, zero = np.ones(images.shape[1], images.dtype), np.zeros(images.shape[1], images.dtype)
    found = program(images, one, zero)
    return found.reshape(len(images), rows, columns, channels).transpose(0, 3, 1, 2)


def convolved(
    geometry: ConvolutionGeometry, form: tuple[Machine, Any], images: Array, weight: Array, bias: Any
) -> Array:
    writer = Writer(form[1], form[0])
    source = writer.value(Shape(*images.shape[1:]))
    return outputs_of(writer, source, writer.convolution(source, geometry, weight, bias), images)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_equal_the_naive_loops(case: Case, form: tuple[Machine, Any]) -> None:
    images, weight, bias = numbers(case, form[1])
    expected = naive.conv2d(
        images, weight, bias,
        stride=case.stride, padding=case.padding, dilation=case.dilation, groups=case.groups, mode=case.mode,
    )  # fmt: skip
    assert_same(np.ascontiguousarray(convolved(geometry_of(case), form, images, weight, bias)), expected, form[1])


def test_more_padding_behind_than_before() -> None:
    case = Case(2, 3, (5, 6), 4, (2, 4), padding="same")
    images, weight, _ = numbers(case, np.float64)
    geometry = ConvolutionGeometry(3, 4, Window(5, 2, 1, 0, 1), Window(6, 4, 1, 1, 2))
    found = convolved(geometry, FORMS[1], images, weight, None)
    np.testing.assert_array_equal(found, naive.conv2d(images, weight, padding="same"))


@pytest.mark.parametrize("images", [1, 3, 8, 12])
@pytest.mark.parametrize("units", [1, 10, 130])
def test_dense_layers_take_images_in_the_order_of_memory(images: int, units: int) -> None:
    generator = np.random.default_rng(5)
    x, weight = whole(generator, (images, 3, 4, 5), np.float32), whole(generator, (units, 60), np.float32)
    bias = whole(generator, (units,), np.float32)
    writer = Writer(np.dtype(np.float32))
    source = writer.value(Shape(3, 4, 5))
    found = outputs_of(writer, source, writer.dense(source, units, weight, bias), x)
    flat = x.transpose(0, 2, 3, 1).reshape(images, -1)
    np.testing.assert_array_equal(found[:, :, 0, 0], naive.dense(flat, weight, bias))


def test_packing_again_takes_new_weights() -> None:
    images, weight, bias = numbers(CASES[-1], np.float32)
    writer = Writer(np.dtype(np.float32))
    source = writer.value(Shape(*images.shape[1:]))
    target = writer.convolution(source, geometry_of(CASES[-1]), weight, bias)
    program = Program(writer, source, target)
    one, zero = np.ones(5, np.float32), np.zeros(5, np.float32)
    found = []
    for factor in (1, 2):
        weight *= factor
        bias *= factor
        program.pack()
        found.append(program(images, one, zero))
    assert found[0].any()
    np.testing.assert_array_equal(found[1], 2 * found[0])


def test_large_activations_let_fewer_images_pass_together() -> None:
    writer = Writer(np.dtype(np.float32))
    small, large = writer.value(Shape(1, 4, 4)), writer.value(Shape(64, 128, 128))
    assert Program(writer, small, small).together == 1
    other = Writer(np.dtype(np.float32))
    value = other.value(Shape(1, 4, 4))
    assert Program(other, value, value).together == MOST_TOGETHER
    assert large.at >= small.shape.size


class TestRoom:
    def test_what_is_given_back_is_taken_again(self) -> None:
        room = Room()
        first, second, third = room.take(10), room.take(20), room.take(5)
        assert (first, second, third, room.size) == (0, 10, 30, 35)
        room.give(first, 10)
        room.give(second, 20)
        assert room.take(25) == 0
        assert room.take(5) == 25
        assert room.take(1) == 35

    def test_what_is_in_use_is_left_alone(self) -> None:
        room = Room()
        generator, held = np.random.default_rng(3), dict[int, int]()
        for _ in range(200):
            if held and generator.random() < 0.5:
                begin = int(generator.choice(list(held)))
                room.give(begin, held.pop(begin))
            else:
                size = int(generator.integers(1, 40))
                begin = room.take(size)
                assert all(begin + size <= other or other + length <= begin for other, length in held.items())
                assert begin + size <= room.size
                held[begin] = size
