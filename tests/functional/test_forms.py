"""Lists, whole numbers, one image, one filter, one number: the results of whole batches, in the form that was given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain import functional as f
from cnntrain.errors import ArgumentError
from cnntrain.functional import first_call
from tests import naive
from tests.functional.arrays import Array, whole

IMAGE = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
FILTER = [[1, 2], [3, 4]]
DELTA: list[list[float]] = [[1, -1], [2, 0.5]]


def random(shape: tuple[int, ...], seed: int = 1) -> Array:
    return whole(np.random.default_rng(seed), shape, np.float64)


def test_the_example_of_the_text_as_one_types_it() -> None:
    z = f.conv2d(IMAGE, FILTER)
    assert z.tolist() == [[37, 47], [67, 77]]
    assert z.dtype == np.float64
    assert f.conv2d(IMAGE, FILTER, 0.25).tolist() == [[37.25, 47.25], [67.25, 77.25]]
    grad_input, grad_weight, grad_bias = f.conv2d_backward(DELTA, IMAGE, FILTER)
    assert grad_input.tolist() == [[1, 1, -2], [5, 5.5, -3], [6, 9.5, 2]]
    assert grad_weight.tolist() == [[9.5, 12], [17, 19.5]]
    assert grad_bias == 2.5
    assert np.ndim(grad_bias) == 0
    y, mask = f.max_pool2d([[1, 2, 3], [4, 10, 5], [11, 12, 13]], 2, stride=1)
    assert y.tolist() == [[10, 10], [12, 13]]
    assert mask.tolist() == [[4, 4], [7, 8]]


@pytest.mark.parametrize(
    ("x_axes", "weight_axes", "output_axes"),
    [
        ("rc", "rc", "rc"),
        ("rc", "crc", "rc"),
        ("rc", "fcrc", "frc"),
        ("crc", "crc", "rc"),
        ("crc", "rc", "rc"),
        ("crc", "fcrc", "frc"),
        ("ncrc", "rc", "nrc"),
        ("ncrc", "crc", "nrc"),
        ("ncrc", "fcrc", "nfrc"),
    ],
)
def test_an_axis_that_was_not_given_is_not_in_the_result(x_axes: str, weight_axes: str, output_axes: str) -> None:
    channels = 1 if "rc" in (x_axes, weight_axes) else 5
    sizes = {4: (3, channels, 5, 6), 3: (channels, 5, 6), 2: (5, 6)}
    filters = {4: (6, channels, 3, 3), 3: (channels, 3, 3), 2: (3, 3)}
    x, weight = random(sizes[len(x_axes)]), random(filters[len(weight_axes)], 2)
    full_x, full_weight = x.reshape(-1, channels, 5, 6), weight.reshape(-1, channels, 3, 3)
    bias = random((len(full_weight),), 3)
    expected = naive.conv2d(full_x, full_weight, bias, padding=1)
    z = f.conv2d(x, weight, bias if "f" in weight_axes else bias[0], padding=1)
    dropped = {"nfrc": expected, "frc": expected[0], "nrc": expected[:, 0], "rc": expected[0, 0]}[output_axes]
    assert z.shape == dropped.shape
    np.testing.assert_array_equal(z, dropped)
    delta = random(expected.shape, 4)
    wanted = naive.conv2d_backward(delta, full_x, full_weight, padding=1)
    gradients = f.conv2d_backward(delta.reshape(z.shape), x, weight, padding=1)
    shapes = [x.shape, weight.shape, (6,) if "f" in weight_axes else ()]
    for actual, right, shape in zip(gradients, wanted, shapes, strict=True):
        assert actual.shape == shape
        np.testing.assert_array_equal(actual, right.reshape(shape))


def test_grad_output_must_have_the_form_of_the_output() -> None:
    with pytest.raises(ArgumentError, match=r"grad_output must have shape \(2, 2\) .* received \(1, 1, 2, 2\)"):
        f.conv2d_backward([[DELTA]], IMAGE, FILTER)


@pytest.mark.parametrize("mode", ["cross_correlation", "convolution"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), ((3, 2), (1, 2))])
def test_full_padding_is_the_reach_of_the_filter_minus_one(stride: Any, dilation: Any, mode: Any) -> None:
    x, weight = random((2, 5, 5, 6)), random((3, 5, 3, 3), 2)
    rows, columns = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    settings = {"stride": stride, "dilation": dilation, "mode": mode}
    z = f.conv2d(x, weight, padding="full", **settings)
    expected = naive.conv2d(x, weight, padding=(2 * rows, 2 * columns), **settings)
    np.testing.assert_array_equal(z, expected)
    delta = random(z.shape, 3)
    wanted = naive.conv2d_backward(delta, x, weight, padding=(2 * rows, 2 * columns), **settings)
    for actual, right in zip(f.conv2d_backward(delta, x, weight, padding="full", **settings), wanted, strict=True):
        np.testing.assert_array_equal(actual, right)


@pytest.mark.parametrize("size", [3, 5])
def test_full_padding_where_winograd_runs(size: int) -> None:
    x, weight = random((2, 16, 12, 12)), random((16, 16, size, size), 2)
    expected = naive.conv2d(x, weight, padding=size - 1)
    np.testing.assert_allclose(f.conv2d(x, weight, padding="full"), expected, rtol=1e-12, atol=1e-9)


def test_the_full_convolution_of_the_text() -> None:
    """The delta padded by one, the filter rotated: the gradient by the image."""
    grad_input = f.conv2d_backward(DELTA, IMAGE, FILTER)[0]
    assert f.conv2d(DELTA, FILTER, padding="full", mode="convolution").tolist() == grad_input.tolist()
    assert f.conv2d(DELTA, [[4, 3], [2, 1]], padding="full").tolist() == grad_input.tolist()


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (3, 2, 5, 6)], ids=str)
def test_pooling_keeps_the_axes_it_was_given(shape: tuple[int, ...]) -> None:
    x = random(shape)
    full = x.reshape((1,) * (4 - len(shape)) + shape)
    y, mask = f.max_pool2d(x, 2, stride=1)
    wanted_y, wanted_mask = naive.max_pool2d(full, 2, stride=1)
    average = f.avg_pool2d(x, 2, stride=1)
    assert y.shape == mask.shape == average.shape == (*shape[:-2], 4, 5)
    np.testing.assert_array_equal(y, wanted_y.reshape(y.shape))
    np.testing.assert_array_equal(mask, wanted_mask.reshape(y.shape))
    delta = random(y.shape, 2)
    back = f.max_pool2d_backward(delta.tolist(), mask.tolist(), shape, 2, stride=1)
    wanted = naive.max_pool2d_backward(delta.reshape(wanted_y.shape), wanted_mask, full.shape)
    assert back.shape == shape
    np.testing.assert_array_equal(back, wanted.reshape(shape))
    spread = f.avg_pool2d_backward(delta, shape, 2, stride=1)
    assert spread.shape == shape
    assert (spread * x).sum() == (delta * average).sum()  # linear, so one is the transpose of the other


def test_pooling_backward_names_shapes_as_they_were_given() -> None:
    with pytest.raises(ArgumentError, match=r"grad_output must have shape \(2, 2\) .* received \(2, 3\)"):
        f.avg_pool2d_backward(np.ones((2, 3)), (4, 4), 2)
    with pytest.raises(ArgumentError, match=r"as many axes as input_shape \(4, 4\); received shape \(1, 2, 2\)"):
        f.avg_pool2d_backward(np.ones((1, 2, 2)), (4, 4), 2)


@pytest.mark.parametrize(
    ("x", "weight", "shape"),
    [([1, 2, 3], [4, 5, 6], ()), ([1, 2, 3], [[4, 5, 6]], (1,)), ([[1, 2, 3]], [4, 5, 6], (1,))],
    ids=["one image, one unit", "one image", "one unit"],
)
def test_dense_layers_of_one_image_or_unit(x: Any, weight: Any, shape: tuple[int, ...]) -> None:
    y = f.dense(x, weight, 1 if np.ndim(weight) == 1 else [1])
    assert y.shape == shape
    assert y.ravel().tolist() == [33]  # 4 + 10 + 18 + 1
    grad_input, grad_weight, grad_bias = f.dense_backward(np.full(shape, 2.0), x, weight)
    assert grad_input.tolist() == (2 * np.array(weight).reshape(np.shape(x))).tolist()
    assert grad_weight.tolist() == (2 * np.array(x).reshape(np.shape(weight))).tolist()
    assert grad_bias.shape == np.shape(weight)[:-1]
    assert grad_bias.ravel().tolist() == [2]


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "leaky_relu", "elu", "softplus", "silu", "gelu"])
def test_activations_of_one_number_and_of_lists(name: str) -> None:
    forward, backward = getattr(f, name), getattr(f, f"{name}_backward")
    array = np.array([-1.5, 0, 2])
    assert forward([-1.5, 0, 2]).tolist() == forward(array).tolist()
    assert forward(2) == forward(array)[2]
    assert np.ndim(forward(2)) == 0
    assert backward(3, 0.25) == backward(np.array([3.0]), np.array([0.25]))[0]
    assert forward(np.float32(2)).dtype == np.float32


def test_losses_of_one_image() -> None:
    many = f.cross_entropy(np.array([[0.0, 1, 3]]), np.array([2]))
    one = f.cross_entropy([0, 1, 3], 2)
    assert (one[0], one[1].tolist()) == (many[0], many[1][0].tolist())
    assert f.cross_entropy([[0, 1, 3]], [2])[1].tolist() == many[1].tolist()
    assert f.cross_entropy([0, 0], 1, class_weights=[1, 0])[1].tolist() == [0, 0]
    loss, gradient = f.mse([1, 2], [0, 4])  # (1 + 4) / 2
    assert (loss, gradient.tolist()) == (2.5, [1, -2])
    loss, gradient = f.mse([1, 2], 1)  # the label's row is 0, 1
    assert (loss, gradient.tolist()) == (1, [1, 1])
    loss, gradient = f.mse([[1, 2], [3, 4]], [[0, 0], [0, 4]])  # whole numbers of the outputs' shape are no labels
    assert (loss, gradient.tolist()) == (3.5, [[0.5, 1], [1.5, 0]])
    assert f.hinge([0.5, -0.5], 0)[1].tolist() == [-1, 1]
    assert f.multi_margin([0.5, 0], 0)[1].tolist() == [-0.5, 0.5]


def test_batch_norm_of_one_image() -> None:
    x = random((5, 6))
    y, mean, variance = f.batch_norm2d(x, 2, 1)
    assert (y.shape, np.ndim(mean), np.ndim(variance)) == ((5, 6), 0, 0)
    assert mean == pytest.approx(x.mean(), rel=1e-14)
    np.testing.assert_allclose(y, 2 * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + 1, rtol=1e-12)
    grad_input, grad_scale, grad_shift = f.batch_norm2d_backward(y, x, 2)
    assert (grad_input.shape, np.ndim(grad_scale)) == ((5, 6), 0)
    assert grad_shift == pytest.approx(y.sum(), rel=1e-12)
    channels = f.batch_norm2d(x[None], [2], [1])
    assert channels[0].tolist() == [y.tolist()]
    assert channels[1].shape == (1,)


def test_lists_and_whole_numbers_take_the_type_of_the_arrays_beside_them() -> None:
    image, filters = np.array(IMAGE, np.float32), np.array(FILTER, np.uint8)
    assert f.conv2d(image, FILTER, 1).dtype == np.float32
    assert f.conv2d(IMAGE, image[:2, :2]).dtype == np.float32
    assert f.conv2d(image, filters).tolist() == [[37, 47], [67, 77]]
    assert f.conv2d(np.array(IMAGE, np.uint8), filters).dtype == np.float64
    assert f.conv2d([list(row) for row in image], FILTER).dtype == np.float64


def test_nothing_given_is_changed() -> None:
    image, delta = np.array(IMAGE, np.float64), np.array(DELTA)
    f.conv2d_backward(delta, image, FILTER)[0][:] = 0
    assert image.tolist() == IMAGE
    assert delta.tolist() == DELTA


def test_a_list_that_holds_itself() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ArgumentError, match="x must have at most 8 axes"):
        f.relu(endless)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A call that says, as Numba does, that it compiles a kernel."""
    from numba.core import event

    def call() -> int:
        with event.trigger_event("numba:compile", {"dispatcher": f_relu_kernel()}):
            return 7

    monkeypatch.setattr(first_call, "_said", False)
    return first_call.says_when_it_compiles(call)


def f_relu_kernel() -> Any:
    from cnntrain.kernels.activations import relu

    return relu


def test_the_first_call_that_compiles_says_so_once(
    compiles: Callable[[], int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_call.says_when_it_compiles(lambda: None)()
    assert capsys.readouterr().err == ""
    assert compiles() == compiles() == 7
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("compiling kernels for this machine (once; kept in ")
    monkeypatch.setattr(first_call, "_said", False)
    monkeypatch.setattr(first_call, "cache_folder", lambda: None)
    compiles()
    assert "in every process" in capsys.readouterr().err


def test_a_broken_stderr_does_not_stop_the_call(compiles: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert compiles() == 7


def test_a_process_without_machine_code_says_that_it_compiles(tmp_path: Path) -> None:
    code = "from cnntrain import functional as f; print(f.relu([-1, 2])); print(f.relu(3))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert result.stdout == "[0. 2.]\n3.0\n"
    assert result.stderr.startswith("compiling kernels for this machine (once; kept in ")
    assert result.stderr.count("compiling") == 1
