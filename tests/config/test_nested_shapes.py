"""Shapes and errors of layers inside layers."""

from __future__ import annotations

from time import perf_counter

import pytest

from cnntrain.config import Config, infer_shapes, parse_config, resolved_yaml
from cnntrain.errors import ConfigError
from cnntrain.layers.base import LayerRow
from cnntrain.shape import Shape
from tests.config.sample import failure

IMAGE = Shape(1, 28, 28)


def config(layers: str) -> Config:
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork:\n{layers.strip(chr(10))}\n"
    return parse_config(text, "a.yaml")


def misfit(layers: str, shape: Shape = IMAGE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        infer_shapes(config(layers), shape, 10)
    return str(caught.value).splitlines()


def tree(rows: list[LayerRow] | tuple[LayerRow, ...]) -> list[object]:
    """Paths and shapes, nested as the layers are."""
    return [(row.path, str(row.output_shape), *(tree(part.rows) for part in row.parts)) for row in rows]


NESTED = """
  - conv2d: {filters: 2, kernel_size: 1}
  - residual:
      body:
        - branches: [[tanh], [], [conv2d: {filters: 3, kernel_size: 1}]]
        - repeat: {times: 2, layers: [max_pool2d: 2, relu]}
      shortcut: zero_padded
  - residual: [tanh]
  - dense: classes
"""


def test_rows_form_a_tree() -> None:
    rows = infer_shapes(config(NESTED), IMAGE, 10)
    assert tree(rows) == [
        ("0.conv2d", "2x28x28"),
        (
            "1.residual",
            "7x7x7",
            [
                (
                    "1.residual.body.0.branches",
                    "7x28x28",
                    [("1.residual.body.0.branches.0.0.tanh", "2x28x28")],
                    [],
                    [("1.residual.body.0.branches.2.0.conv2d", "3x28x28")],
                ),
                (
                    "1.residual.body.1.repeat",
                    "7x7x7",
                    [
                        ("1.residual.body.1.repeat.0.0.max_pool2d", "7x14x14"),
                        ("1.residual.body.1.repeat.0.1.relu", "7x14x14"),
                        ("1.residual.body.1.repeat.1.0.max_pool2d", "7x7x7"),
                        ("1.residual.body.1.repeat.1.1.relu", "7x7x7"),
                    ],
                ),
            ],
        ),
        ("2.residual", "7x7x7", [("2.residual.body.0.tanh", "7x7x7")], []),
        ("3.dense", "10x1x1"),
    ]
    assert [row.parameters for row in rows] == [4, 9, 0, 3440]
    assert [row.macs for row in rows] == [2 * 784, 6 * 784, 0, 3430]
    settings = rows[1].settings
    assert settings.output_shape(rows[1].input_shape) == (7, 7, 7)
    assert settings.parameter_shapes(rows[1].input_shape) == {
        "body.0.branches.2.0.conv2d.weight": (3, 2, 1, 1),
        "body.0.branches.2.0.conv2d.bias": (3,),
    }
    assert settings.macs(rows[1].input_shape) == 6 * 784


def test_resolved_yaml_is_the_same_config() -> None:
    parsed = config(NESTED)
    again = parse_config(resolved_yaml(parsed), "a.yaml")
    assert again == parsed
    assert infer_shapes(again, IMAGE, 10) == infer_shapes(parsed, IMAGE, 10)


def test_classes_are_resolved_inside() -> None:
    layers = """
  - repeat: {times: 1, layers: [residual: {body: [dense: classes], shortcut: [dense: classes]}]}
"""
    assert infer_shapes(config(layers), IMAGE, 10)[-1].output_shape == (10, 1, 1)


def test_a_misfit_inside_names_its_line_and_how_one_gets_there() -> None:
    lines = misfit("""
  - conv2d: {filters: 2, kernel_size: 1}
  - residual:
      body:
        - branches:
            - [tanh]
            - - relu
              - repeat:
                  times: 3
                  layers:
                    - conv2d: {filters: 2, kernel_size: 1}
                    - max_pool2d: {kernel_size: 9, stride: 1}
                    - max_pool2d: 10
  - dense: classes
""")
    assert lines[0].startswith("a.yaml:14:49: max_pool2d does not fit: kernel_size 9x9 on ")
    assert lines[1] == "   14 |                     - max_pool2d: {kernel_size: 9, stride: 1}"
    assert lines[3] == (
        "  shapes: data 1x28x28 -> conv2d 2x28x28 -> residual.body: branches.1: relu 2x28x28 -> repeat: conv2d 2x28x28 "
        "-> max_pool2d 2x20x20 -> max_pool2d 2x2x2 -> conv2d 2x2x2 -> max_pool2d ?"
    )


def test_both_ways_of_a_residual_are_shown() -> None:
    lines = misfit("""
  - conv2d: {filters: 2, kernel_size: 1}
  - residual:
      body: [conv2d: {filters: 4, kernel_size: 3, stride: 2}, relu]
      shortcut: [max_pool2d: 2]
  - dense: classes
""")
    assert lines == [
        "a.yaml:7:17: residual does not fit: the body gives 4x13x13, the shortcut 2x14x14",
        "    7 |       shortcut: [max_pool2d: 2]",
        "      |                 ^",
        "  body: 2x28x28 -> conv2d 4x13x13 -> relu 4x13x13",
        "  shortcut: 2x28x28 -> max_pool2d 2x14x14",
        "  shapes: data 1x28x28 -> conv2d 2x28x28 -> residual ?",
    ]


def test_what_to_do_about_an_identity_that_does_not_fit() -> None:
    lines = misfit("  - residual: [conv2d: {filters: 4, kernel_size: 1}]\n  - dense: classes")
    assert lines[0] == (
        "a.yaml:4:5: residual does not fit: the body gives 4x28x28, the shortcut 1x28x28: give the shortcut layers "
        "that do the same to the shape, or try `shortcut: zero_padded`"
    )
    assert "  shortcut: 1x28x28 (identity)" in lines


@pytest.mark.parametrize(
    "body", ["max_pool2d: {kernel_size: 5, stride: 1}", "max_pool2d: {kernel_size: [1, 9], stride: 1}"]
)
def test_a_zero_padded_shortcut_that_does_not_fit(body: str) -> None:
    lines = misfit(f"  - residual: {{body: [{body}], shortcut: zero_padded}}\n  - dense: classes", Shape(1, 28, 30))
    assert "which no stride and no added channels make of 1x28x30" in lines[0]
    assert "  shortcut: 1x28x30 (zero_padded)" in lines


def test_a_zero_padded_shortcut_takes_no_channels_away() -> None:
    body = "conv2d: {filters: 2, kernel_size: 1}"
    lines = misfit(f"  - residual: {{body: [{body}], shortcut: zero_padded}}\n  - dense: classes", Shape(3, 4, 4))
    assert "the body gives 2x4x4, which no stride and no added channels make of 3x4x4" in lines[0]


@pytest.mark.parametrize(("merge", "what"), [("concat", "rows and columns"), ("add", "shape")])
def test_branches_that_do_not_fit_together(merge: str, what: str) -> None:
    lines = misfit(f"""
  - branches:
      merge: {merge}
      sequences:
        - [tanh]
        - []
        - [relu, max_pool2d: 2]
  - dense: classes
""")
    assert lines[0] == (
        "a.yaml:4:5: branches does not fit: sequence 0 gives 1x28x28, sequence 2 gives 1x14x14: "
        f"merge: {merge} needs the same {what} from all"
    )
    assert lines[3:6] == [
        "  sequence 0: 1x28x28 -> tanh 1x28x28",
        "  sequence 1: 1x28x28 (identity)",
        "  sequence 2: 1x28x28 -> relu 1x28x28 -> max_pool2d 1x14x14",
    ]


def test_added_branches_need_the_same_channels_too() -> None:
    layers = "  - branches: {merge: add, sequences: [[], [conv2d: {filters: 2, kernel_size: 1}]]}\n  - dense: classes"
    assert "sequence 0 gives 1x28x28, sequence 1 gives 2x28x28" in misfit(layers)[0]


def test_a_long_chain_is_cut_in_the_middle() -> None:
    chain = misfit("  - repeat: {times: 40, layers: [conv2d: {filters: 1, kernel_size: 2}]}\n  - dense: classes")[-1]
    assert chain.startswith("  shapes: data 1x28x28 -> repeat: conv2d 1x27x27 -> ... -> conv2d 1x13x13 -> ")
    assert chain.endswith(" -> conv2d 1x1x1 -> conv2d ?")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("residual", "network.0.residual.body is missing"),
        ("residual: []", "network.0.residual needs 1 or more entries; received []"),
        ("residual: [tanh, tahn]", 'unknown layer "tahn"'),
        ("residual: {body: [tanh], shortcut: identty}", "shortcut must be 'identity' or 'zero_padded' or a list"),
        ("branches: [[tanh]]", "network.0.branches needs 2 or more entries"),
        ("branches: [tanh, relu]", "network.0.branches.0 must be a list"),
        ("branches: {sequences: [[], []], merge: mul}", "merge must be 'concat' or 'add'"),
        ("repeat: [tanh]", "needs the names of its settings (times, layers)"),
        ("repeat: {times: 0, layers: [tanh]}", "times must be at least 1"),
        ("repeat: {times: 2}", "network.0.repeat.layers is missing"),
    ],
)
def test_wrong_settings(layer: str, message: str) -> None:
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork:\n  - {layer}\n  - dense: classes\n"
    assert message in failure(text)


@pytest.mark.parametrize("times", [10_000, 10**17])
def test_repeats_cannot_fill_the_memory(times: int) -> None:
    inner = "tanh"
    for _ in range(3):
        inner = f"repeat: {{times: {times}, layers: [{inner}]}}"
    begin = perf_counter()
    report = misfit(f"  - {inner}\n  - dense: classes")
    assert perf_counter() - begin < 5
    assert "repeat makes a network of " in report[0]
    assert report[0].endswith("layers; at most 10,000 are allowed")


def test_deep_nesting_is_refused_before_the_resolved_config_could_not_be_read() -> None:
    def nested(levels: int) -> str:
        inner = "conv2d: {filters: 1, kernel_size: 1}"
        for _ in range(levels):
            inner = f"residual: [{inner}]"
        return f"  - {inner}\n  - dense: classes"

    deepest = config(nested(8))
    infer_shapes(deepest, IMAGE, 10)
    assert parse_config(resolved_yaml(deepest), "a.yaml") == deepest
    assert "residual has layers nested 9 levels deep; at most 8 are allowed" in misfit(nested(9))[0]
