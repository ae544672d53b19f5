from __future__ import annotations

import pytest

from cnntrain.config import Config, infer_shapes, parse_config
from cnntrain.errors import ConfigError
from cnntrain.shape import Shape
from tests.config.sample import SAMPLE, sample

MNIST = Shape(1, 28, 28)


def failure(text: str, *overrides: str, shape: Shape = MNIST, classes: int = 10) -> str:
    config = parse_config(text, "a.yaml", overrides)
    with pytest.raises(ConfigError) as caught:
        infer_shapes(config, shape, classes)
    return str(caught.value)


def test_rows() -> None:
    rows = infer_shapes(parse_config(SAMPLE, "a.yaml"), MNIST, 10)
    assert [(row.name, row.output_shape, row.parameters, row.macs) for row in rows] == [
        ("conv2d", (6, 24, 24), 6 * 25 + 6, 6 * 24 * 24 * 25),
        ("tanh", (6, 24, 24), 0, 0),
        ("max_pool2d", (6, 12, 12), 0, 0),
        ("dense", (10, 1, 1), 10 * 864 + 10, 10 * 864),
    ]
    assert [row.input_shape for row in rows] == [MNIST, *(row.output_shape for row in rows[:-1])]


def test_classes_become_units() -> None:
    rows = infer_shapes(parse_config(SAMPLE, "a.yaml"), MNIST, 47)
    assert rows[-1].settings.units == 47
    assert rows[-1].output_shape == Shape(47, 1, 1)


CAFFE = sample(
    ("- conv2d: {filters: 6, kernel_size: 5}\n  - tanh", "- conv2d: {filters: 20, kernel_size: 5}"),
    ("- dense", "- conv2d: {filters: 50, kernel_size: 5}\n  - max_pool2d: 9\n  - dense"),
)


def test_report_of_a_misfit() -> None:
    lines = failure(CAFFE).splitlines()
    assert lines[0].startswith("a.yaml:10:17: max_pool2d does not fit: kernel_size 9x9")
    assert lines[1:] == [
        "   10 |   - max_pool2d: 9",
        "      |                 ^",
        "  shapes: data 1x28x28 -> conv2d 20x24x24 -> max_pool2d 20x12x12 -> conv2d 50x8x8 -> max_pool2d ?",
    ]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("max_pool2d: 2", "max_pool2d: [30, 2]"), "a.yaml:9:17: max_pool2d does not fit: "),
        (("max_pool2d: 2", "max_pool2d: {stride: 2, kernel_size: 30}"), "a.yaml:9:42: max_pool2d does not fit: "),
        (("max_pool2d: 2", "max_pool2d:\n      kernel_size: 30"), "a.yaml:10:20: max_pool2d does not fit: "),
        (("kernel_size: 5", "kernel_size: 29"), "a.yaml:7:39: conv2d does not fit: "),
    ],
)
def test_the_caret_is_at_the_setting(change: tuple[str, str], place: str) -> None:
    assert failure(sample(change)).startswith(place)


def test_a_misfit_from_an_override() -> None:
    first, chain = failure(SAMPLE, "network.2.max_pool2d=30").splitlines()
    assert first.startswith("--set network.2.max_pool2d=30: max_pool2d does not fit: kernel_size 30x30")
    assert chain == "  shapes: data 1x28x28 -> conv2d 6x24x24 -> tanh 6x24x24 -> max_pool2d ?"


@pytest.mark.parametrize(
    ("last", "report"),
    [
        (
            "- dense: 7",
            "a.yaml:10:5: dense gives 7x1x1 but the data has 10 classes: end the network with `dense: classes`",
        ),
        (
            "- relu",
            "a.yaml:10:5: relu gives 6x12x12 but the data has 10 classes: end the network with `dense: classes`",
        ),
    ],
)
def test_the_last_layer_gives_one_value_per_class(last: str, report: str) -> None:
    first, source, caret, chain = failure(sample(("- dense: classes", last))).splitlines()
    assert first == report
    assert (source, caret) == (f"   10 |   {last}", "      |     ^")
    assert chain.startswith("  shapes: data 1x28x28 -> conv2d 6x24x24 -> tanh 6x24x24 -> max_pool2d 6x12x12 -> ")


def test_a_config_without_a_file_names_the_layer() -> None:
    parsed = parse_config(sample(("max_pool2d: 2", "max_pool2d: 30")), "a.yaml")
    config = Config(**{key: getattr(parsed, key) for key in Config.model_fields})
    with pytest.raises(ConfigError, match=r"^max_pool2d: does not fit: kernel_size 30x30"):
        infer_shapes(config, MNIST, 10)
