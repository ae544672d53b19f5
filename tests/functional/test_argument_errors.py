"""Wrong arguments: one `ArgumentError` each, whose message names the argument and the numbers received."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.errors import ArgumentError, CnntrainError
from tests.functional.arrays import Array


def f32(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def f64(*shape: int) -> Array:
    return np.ones(shape, np.float64)


X, W = f32(2, 3, 5, 6), f32(4, 3, 3, 2)
LABELS = np.array([0, 1])


def conv(x: Any = X, weight: Any = W, bias: Any = None, **settings: Any) -> Callable[[], object]:
    return lambda: functional.conv2d(x, weight, bias, **settings)


def conv_backward(grad_output: Any, x: Any = X, weight: Any = W, **settings: Any) -> Callable[[], object]:
    return lambda: functional.conv2d_backward(grad_output, x, weight, **settings)


def pool(x: Any = X, kernel_size: Any = 2, **settings: Any) -> Callable[[], object]:
    return lambda: functional.max_pool2d(x, kernel_size, **settings)


def pool_backward(
    grad_output: Any, mask: Any, input_shape: Any = (2, 3, 4, 4), kernel_size: Any = 2, **settings: Any
) -> Callable[[], object]:
    return lambda: functional.max_pool2d_backward(grad_output, mask, input_shape, kernel_size, **settings)


def dense(x: Any, weight: Any, bias: Any = None) -> Callable[[], object]:
    return lambda: functional.dense(x, weight, bias)


def dense_backward(grad_output: Any, x: Any, weight: Any) -> Callable[[], object]:
    return lambda: functional.dense_backward(grad_output, x, weight)


def cross_entropy(logits: Any, labels: Any) -> Callable[[], object]:
    return lambda: functional.cross_entropy(logits, labels)


def mse(outputs: Any, targets: Any) -> Callable[[], object]:
    return lambda: functional.mse(outputs, targets)


GRAD, MASK = f32(2, 3, 2, 2), np.zeros((2, 3, 2, 2), np.int64)

# what is wrong: (call, words that the message must contain)
CONVOLUTION: dict[str, tuple[Callable[[], object], list[str]]] = {
    "x has 1 dimension": (conv(f32(6)), ["x", "(6,)", "images, channels, rows, columns", "or (rows, columns)"]),
    "x is one image of one channel": (conv(f32(5, 6)), ["weight", "1 channels", "(5, 6) is one image", "(4, 3, 3, 2)"]),
    "x has 5 dimensions": (conv(f32(1, 2, 3, 5, 6)), ["x", "(1, 2, 3, 5, 6)", "images, channels, rows, columns"]),
    "weight has 1 dimension": (conv(weight=f32(3)), ["weight", "(3,)", "filters, channels, rows, columns"]),
    "weight is one filter of one channel": (conv(weight=f32(3, 2)), ["weight", "3 channels", "(3, 2)"]),
    "one bias for many filters": (conv(bias=np.float32(1)), ["bias", "(4,)", "received ()"]),
    "channels differ": (conv(weight=f32(4, 2, 3, 2)), ["weight", "channels", "3", "2"]),
    "channels of a group differ": (conv(f32(2, 4, 5, 5), f32(4, 4, 3, 3), groups=2), ["weight", "channels", "4", "2"]),
    "groups do not divide the channels": (conv(groups=2), ["groups", "2", "channels", "3"]),
    "groups do not divide the filters": (conv(weight=f32(4, 1, 3, 2), groups=3), ["groups", "3", "filters", "4"]),
    "bias has the wrong length": (conv(bias=f32(3)), ["bias", "(3,)", "4"]),
    "bias has 2 dimensions": (conv(bias=f32(4, 1)), ["bias", "(4, 1)", "4"]),
    "x holds a number that float32 has not": (
        conv(np.full((2, 3, 5, 6), 2**24 + 1)), ["x", "16777217", "float32", "16777216"]
    ),
    "x is of booleans": (conv(np.ones((2, 3, 5, 6), bool)), ["x", "bool", "float32", "float64"]),
    "x is float16": (conv(np.ones((2, 3, 5, 6), np.float16)), ["x", "float16", "float32"]),
    "x is complex": (conv(np.ones((2, 3, 5, 6), np.complex64)), ["x", "complex64", "float32"]),
    "x is of objects": (conv(np.full((2, 3, 5, 6), None)), ["x", "object", "float32"]),
    "x is big-endian": (conv(np.ones((2, 3, 5, 6), ">f4")), ["x", ">f4", "float32"]),
    "x is a string": (conv("image"), ["x"]),
    "x is None": (conv(None), ["x"]),
    "rows of x differ in length": (conv([[1, 2], [3]]), ["x", "[0] with 2", "[1] with 1"]),
    "rows of x differ in length deep inside": (conv([[[1, 2], [3, 4]], [[5, 6], [7]]]), ["x[1]", "[1] with 1"]),
    "one row of x is a number": (conv([[1, 2], 3]), ["x", "[1] that is no row"]),
    "x is a list of words": (conv([["1", "2"]]), ["x", "words"]),
    "x is a list with nothing in it": (conv([[1, None]]), ["x", "objects"]),
    "x is a list of booleans": (conv([[True, False]]), ["x", "booleans"]),
    "x is one boolean": (conv(True), ["x", "bool"]),
    "x is a list of complex numbers": (conv([[1j]]), ["x", "complex128"]),
    "x is one number": (conv(5), ["x", "()"]),
    "x is an empty list": (conv([[], []]), ["x", "empty", "(2, 0)"]),
    "a list holds a number that float64 has not": (conv([[2**53 + 2]], [[1]]), ["x", str(2**53 + 2), "float64"]),
    "a list holds a number of forty digits": (conv([[10**40]], [[1]]), ["x"]),
    "a list holds a number that float32 has not": (
        conv(weight=np.full((4, 3, 3, 2), 1e300).tolist()), ["weight", "1e+300", "float32"]
    ),
    "x and weight differ in dtype": (conv(f64(2, 3, 5, 6)), ["weight", "float32", "float64"]),
    "x and bias differ in dtype": (conv(bias=f64(4)), ["bias", "float32", "float64"]),
    "the filter is taller than the image": (conv(weight=f32(4, 3, 6, 2)), ["weight", "6 rows", "5"]),
    "the filter is wider than the image": (conv(weight=f32(4, 3, 3, 9), padding=1), ["weight", "9 columns", "8"]),
    "the dilated filter is larger than the image": (conv(dilation=3), ["weight", "3 rows", "dilation 3", "7", "5"]),
    "stride is 0": (conv(stride=0), ["stride", "0"]),
    "stride is 0 along the columns": (conv(stride=(1, 0)), ["stride", "(1, 0)"]),
    "stride is negative": (conv(stride=-1), ["stride", "-1"]),
    "stride is a fraction": (conv(stride=1.5), ["stride", "1.5"]),
    "stride is a string": (conv(stride="2"), ["stride", "'2'"]),
    "stride has three entries": (conv(stride=(1, 1, 1)), ["stride", "(1, 1, 1)"]),
    "stride is None": (conv(stride=None), ["stride", "None"]),
    "dilation is 0": (conv(dilation=0), ["dilation", "0"]),
    "padding is negative": (conv(padding=-1), ["padding", "-1"]),
    "padding is an unknown word": (conv(padding="reflect"), ["padding", "'reflect'", "same", "valid", "full"]),
    "padding is same with a stride": (conv(padding="same", stride=2), ["padding", "same", "stride", "2"]),
    "groups is 0": (conv(groups=0), ["groups", "0"]),
    "groups is a fraction": (conv(groups=1.0), ["groups", "1.0"]),
    "mode is unknown": (conv(mode="correlate"), ["mode", "'correlate'", "cross_correlation", "convolution"]),
    "the batch is empty": (conv(f32(0, 3, 5, 6)), ["x", "(0, 3, 5, 6)"]),
    "there are no channels": (conv(f32(2, 0, 5, 6), f32(4, 0, 3, 2)), ["x", "(2, 0, 5, 6)"]),
    "there are no filters": (conv(weight=f32(0, 3, 3, 2)), ["weight", "(0, 3, 3, 2)"]),
    "the filter has no rows": (conv(weight=f32(4, 3, 0, 2)), ["weight", "(4, 3, 0, 2)"]),
    "backward: grad_output is of another size": (
        conv_backward(f32(2, 4, 3, 4)), ["grad_output", "(2, 4, 3, 4)", "(2, 4, 3, 5)"]
    ),
    "backward: grad_output of the same setting without its padding": (
        conv_backward(f32(2, 4, 3, 5), padding=1), ["grad_output", "(2, 4, 3, 5)", "(2, 4, 5, 7)"]
    ),
    "backward: grad_output has 3 dimensions": (conv_backward(f32(4, 3, 5)), ["grad_output", "(4, 3, 5)"]),
    "backward: grad_output is float64": (conv_backward(f64(2, 4, 3, 5)), ["grad_output", "float64", "float32"]),
    "backward: stride is 0": (conv_backward(f32(2, 4, 3, 5), stride=0), ["stride", "0"]),
    "backward: mode is unknown": (conv_backward(f32(2, 4, 3, 5), mode=""), ["mode", "''"]),
}  # fmt: skip

POOLING: dict[str, tuple[Callable[[], object], list[str]]] = {
    "x has 1 dimension": (pool(f32(6)), ["x", "(6,)", "images, channels, rows, columns"]),
    "x is of booleans": (pool(np.ones((2, 3, 5, 6), bool)), ["x", "bool", "float32"]),
    "the batch is empty": (pool(f32(0, 3, 5, 6)), ["x", "(0, 3, 5, 6)"]),
    "the window is larger than the image": (pool(kernel_size=6), ["kernel_size", "6 rows", "5"]),
    "kernel_size is 0": (pool(kernel_size=0), ["kernel_size", "0"]),
    "the window has more positions than the mask can number": (
        pool(f32(1, 1, 200, 200), 182), ["kernel_size", "182x182", "32767"]
    ),
    "kernel_size is a list of three": (pool(kernel_size=[2, 2, 2]), ["kernel_size", "[2, 2, 2]"]),
    "stride is 0": (pool(stride=0), ["stride", "0"]),
    "padding is negative": (pool(padding=-1), ["padding", "-1"]),
    "padding makes windows that see no pixel": (pool(padding=2), ["padding", "2", "kernel_size"]),
    "padding is an unknown word": (pool(padding="reflect"), ["padding", "'reflect'"]),
    "backward: mask of another shape": (
        pool_backward(GRAD, np.zeros((2, 3, 2, 3), np.int64)), ["mask", "(2, 3, 2, 3)", "(2, 3, 2, 2)"]
    ),
    "backward: mask is not of whole numbers": (pool_backward(GRAD, MASK.astype(np.float32)), ["mask", "float32"]),
    "backward: mask points behind the plane": (pool_backward(GRAD, MASK + 16), ["mask", "16", "4x4"]),
    "backward: mask points before the plane": (pool_backward(GRAD, MASK - 1), ["mask", "-1"]),
    "backward: mask is a list of fractions": (pool_backward(GRAD, [[0.5]]), ["mask", "float64"]),
    "backward: mask is beyond all planes": (
        pool_backward(GRAD, np.full((2, 3, 2, 2), 2**64 - 1, np.uint64)), ["mask", str(2**64 - 1)]
    ),
    "backward: input_shape has 3 entries": (
        pool_backward(GRAD, MASK, (3, 4, 4)), ["grad_output", "input_shape", "(3, 4, 4)", "(2, 3, 2, 2)"]
    ),
    "backward: input_shape has 1 entry": (pool_backward(GRAD, MASK, (4,)), ["input_shape", "(4,)"]),
    "backward: input_shape of another batch": (
        pool_backward(GRAD, MASK, (1, 3, 4, 4)), ["grad_output", "(1, 3, 2, 2)", "(2, 3, 2, 2)"]
    ),
    "backward: input_shape too large for the gradient": (
        pool_backward(GRAD, MASK, (2, 3, 9, 9)), ["grad_output", "(2, 3, 4, 4)", "(2, 3, 2, 2)"]
    ),
    "backward: input_shape is 0 along the rows": (pool_backward(GRAD, MASK, (2, 3, 0, 4)), ["(2, 3, 0, 4)"]),
    "backward: kernel_size is 0": (pool_backward(GRAD, MASK, kernel_size=0), ["kernel_size", "0"]),
}  # fmt: skip

DENSE: dict[str, tuple[Callable[[], object], list[str]]] = {
    "x has 3 dimensions": (dense(f32(2, 3, 1), f32(4, 3)), ["x", "(2, 3, 1)", "images, inputs"]),
    "inputs differ": (dense(f32(2, 3), f32(4, 5)), ["weight", "3", "5"]),
    "weight has 3 dimensions": (dense(f32(2, 3), f32(4, 3, 1)), ["weight", "(4, 3, 1)", "units, inputs"]),
    "inputs of one unit differ": (dense(f32(2, 3), f32(5)), ["weight", "(3,)", "(5,)"]),
    "one bias for many units": (dense(f32(2, 3), f32(4, 3), 1.5), ["bias", "(4,)", "()"]),
    "bias has the wrong length": (dense(f32(2, 3), f32(4, 3), f32(3)), ["bias", "(3,)", "4"]),
    "dtypes differ": (dense(f32(2, 3), f64(4, 3)), ["weight", "float32", "float64"]),
    "the batch is empty": (dense(f32(0, 3), f32(4, 3)), ["x", "(0, 3)"]),
    "there are no units": (dense(f32(2, 3), f32(0, 3)), ["weight", "(0, 3)"]),
    "backward: grad_output of another shape": (
        dense_backward(f32(2, 3), f32(2, 3), f32(4, 3)), ["grad_output", "(2, 3)", "(2, 4)"]
    ),
    "backward: grad_output of another batch": (
        dense_backward(f32(1, 4), f32(2, 3), f32(4, 3)), ["grad_output", "(1, 4)", "(2, 4)"]
    ),
    "backward: dtypes differ": (dense_backward(f64(2, 4), f32(2, 3), f32(4, 3)), ["grad_output", "float64"]),
}  # fmt: skip

LOSSES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "a label equals the number of classes": (cross_entropy(f32(2, 3), np.array([0, 3])), ["labels", "3", "2"]),
    "a label is negative": (cross_entropy(f32(2, 3), np.array([0, -1])), ["labels", "-1", "2"]),
    "a label is huge": (cross_entropy(f32(2, 3), np.array([0, 2**62])), ["labels", str(2**62)]),
    "too few labels": (cross_entropy(f32(3, 3), LABELS), ["labels", "(2,)", "3"]),
    "labels are fractions": (cross_entropy(f32(2, 3), f32(2)), ["labels", "float32"]),
    "labels are booleans": (cross_entropy(f32(2, 3), np.array([True, False])), ["labels", "bool"]),
    "labels are one-hot": (cross_entropy(f32(2, 3), np.eye(3, dtype=np.int64)[:2]), ["labels", "(2, 3)"]),
    "labels are a list of fractions": (cross_entropy(f32(2, 3), [0.5, 1]), ["labels", "float64"]),
    "labels are words": (cross_entropy(f32(2, 3), ["cat", "dog"]), ["labels", "words"]),
    "two labels for one image": (cross_entropy(f32(2), LABELS), ["labels", "()", "(2,)"]),
    "logits are one number": (cross_entropy(1.0, 0), ["logits", "()", "images, classes"]),
    "logits are of booleans": (cross_entropy(np.ones((2, 3), bool), LABELS), ["logits", "bool"]),
    "the batch is empty": (cross_entropy(f32(0, 3), LABELS[:0]), ["logits", "(0, 3)"]),
    "there are no classes": (cross_entropy(f32(2, 0), LABELS), ["logits", "(2, 0)"]),
    "mse: a label equals the number of classes": (mse(f32(2, 3), np.array([0, 3])), ["targets", "3", "2"]),
    "mse: a label is negative": (mse(f32(2, 3), np.array([0, -1])), ["targets", "-1"]),
    "mse: too many labels": (mse(f32(1, 3), LABELS), ["targets", "(2,)", "1"]),
    "mse: targets of another shape": (mse(f32(2, 3), f32(2, 4)), ["targets", "(2, 4)", "(2, 3)"]),
    "mse: targets of another dtype": (mse(f32(2, 3), f64(2, 3)), ["targets", "float64", "float32"]),
    "mse: one row of fractions is no label": (mse(f32(2, 3), f32(2)), ["targets", "(2,)"]),
    "mse: the batch is empty": (mse(f32(0, 3), f32(0, 3)), ["outputs", "(0, 3)"]),
}

ACTIVATIONS: dict[str, tuple[Callable[[], object], list[str]]] = {
    f"{name}: {wrong}": (partial(getattr(functional, name + suffix), *arguments), words)
    for name in ("relu", "sigmoid", "tanh")
    for wrong, suffix, arguments, words in (
        ("x is of booleans", "", (np.ones(3, bool),), ["x", "bool", "float32"]),
        ("x is a word", "", ("3",), ["x", "str"]),
        ("x is float16", "", (np.ones(3, np.float16),), ["x", "float16"]),
        ("backward: shapes differ", "_backward", (f32(2, 3), f32(3, 2)), ["y", "(2, 3)", "(3, 2)"]),
        ("backward: dtypes differ", "_backward", (f64(2, 3), f32(2, 3)), ["y", "float64", "float32"]),
    )
}

EVERYTHING = [
    pytest.param(call, words, id=f"{group}: {wrong}")
    for group, table in (
        ("conv2d", CONVOLUTION),
        ("max_pool2d", POOLING),
        ("dense", DENSE),
        ("loss", LOSSES),
        ("activation", ACTIVATIONS),
    )
    for wrong, (call, words) in table.items()
]


@pytest.mark.parametrize(("call", "words"), EVERYTHING)
def test_the_message_names_the_argument_and_the_numbers(call: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} missing in: {message}"
    assert len(message) < 400


def test_an_argument_error_is_a_value_error_for_callers_who_know_nothing_of_us() -> None:
    with pytest.raises(ValueError, match="stride"):
        functional.conv2d(X, W, stride=0)
    assert issubclass(ArgumentError, CnntrainError)


def test_numpy_whole_numbers_and_lists_are_as_good_as_pythons() -> None:
    expected = functional.conv2d(X, W, stride=(2, 1), padding=(1, 0))
    arguments: dict[str, Any] = {
        "stride": [np.int64(2), np.int32(1)],
        "padding": np.array([1, 0]),
        "groups": np.int64(1),
    }
    np.testing.assert_array_equal(functional.conv2d(X, W, **arguments), expected)
