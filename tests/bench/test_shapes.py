from __future__ import annotations

import pytest

from cnntrain.bench.shapes import measure_shapes, parse_only, parse_shapes
from cnntrain.errors import ArgumentError


def test_several_shapes_in_one_text_and_in_several() -> None:
    shapes = parse_shapes(["64,1,28x28,20,5,1,0 128,3,32x30,32,5x3,2x1,2x1", "64,800,500"])
    assert [shape.text for shape in shapes] == ["64,1,28x28,20,5,1,0", "128,3,32x30,32,5x3,2x1,2x1", "64,800,500"]
    first, second, dense = shapes
    assert (first.images, first.inputs, first.outputs) == (64, 28 * 28, 20 * 24 * 24)
    assert second.convolution is not None
    assert (second.convolution.rows.stride, second.convolution.columns.stride) == (2, 1)
    assert second.outputs == 32 * 16 * 30
    assert (dense.convolution, dense.inputs, dense.outputs) == (None, 800, 500)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64,1", '"64,1" is no shape: convolutions are'),
        ("64,1,28,20,5,1,0", "is no shape"),
        ("64,1,28x28,20,5,1,-1", "is no shape"),
        ("", "no shape is given"),
        ("64,1,8x8,20,9,1,0", "9x9 taps do not fit"),
        ("64,1,8x8,20,3,0,0", "taps and stride must be at least 1"),
        ("0,1,8x8,20,3,1,0", "all sizes must be at least 1"),
        ("64,0,10", "all sizes must be at least 1"),
        ("64,100000,100000", "an array would take more than 2 GiB"),
        ("64,64,100000x100000,64,3,1,1", "an array would take more than 2 GiB"),
    ],
)
def test_wrong_shapes(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        parse_shapes([text])
    assert message in str(error.value)


def test_only_taps_inside_the_image_are_work() -> None:
    shape = parse_shapes(["2,3,4x4,5,3,1,1"])[0]
    assert shape.convolution is not None
    # of 4 positions with 3 taps each, the first and the last have a tap on the padding
    assert shape.convolution.macs == (4 * 3 - 2) ** 2 * 3 * 5


def test_every_pass_of_every_shape_is_measured() -> None:
    peaks, passes = measure_shapes(parse_shapes(["20,2,6x6,3,3,1,0 20,30,10"]), [1], 0.01)
    assert list(peaks) == [1]
    assert peaks[1].median > 0
    assert [(found.choice.path, found.choice.name) for found in passes] == [
        (shape, name) for shape in ("20,2,6x6,3,3,1,0", "20,30,10") for name in ("forward", "to input", "to weights")
    ]
    assert [found.operations for found in passes[::3]] == [2 * 20 * 4 * 4 * 9 * 2 * 3, 2 * 20 * 30 * 10]
    assert [found.choice.algorithm for found in passes[3:]] == ["matrix product", "matrix product", "by positions"]
    assert all(0 < found.seconds.least <= found.seconds.median for found in passes)


def test_algorithms_by_name() -> None:
    shapes = parse_shapes(["20,2,6x6,16,3,1,0"])
    assert parse_only([], shapes) == {}
    assert parse_only(["forward=winograd-rows", "to input=winograd transposed", "to_weights = winograd"], shapes) == {
        "forward": "winograd rows",
        "to input": "winograd transposed",
        "to weights": "winograd",
    }
    _, passes = measure_shapes(shapes, [1], 0.01, only={"to weights": "by positions"})
    assert [found.choice.algorithm for found in passes] == ["direct", "direct", "by positions"]
    assert set(passes[2].choice.refusals.values()) == {"only by positions is asked for"}


PASSES = "must be PASS=ALGORITHM; passes are forward, to-input, to-weights"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sideways=direct", f'--only "sideways=direct": {PASSES}'),
        ("forward", f'--only "forward": {PASSES}'),
        (
            "forward=direkt",
            '--only "forward=direkt": algorithms forward are depthwise, winograd-8x8, winograd-rows, '
            "winograd-patches, direct",
        ),
        (
            "to-weights=direct",
            '--only "to-weights=direct": algorithms to weights are depthwise, winograd-8x8, winograd, '
            "by-lanes, by-positions",
        ),
        (
            "to-input=winograd-transposed",
            '--only "to input=winograd transposed": cannot compute "20,2,6x6,3,7,1,3": 7x7 taps, not 3x3 or 5x5',
        ),
    ],
)
def test_wrong_algorithms(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        parse_only([text], parse_shapes(["20,2,6x6,3,7,1,3"]))
    assert str(error.value) == message


def test_dense_layers_have_no_choice() -> None:
    with pytest.raises(ArgumentError, match='^"20,30,10" is a dense layer: there are no algorithms to choose from$'):
        parse_only(["forward=direct"], parse_shapes(["20,2,6x6,3,3,1,0 20,30,10"]))
