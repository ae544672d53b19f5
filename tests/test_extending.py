"""The public module for layers of the user's own: its names, its words, and layers that are made of it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cnntrain import extending, extensions
from tests.layers.networks import check_gradients, network

NAMES = """
    LANES UNITS
    Activation ActivationSettings Batch Field GradInput InitializerChoice Kernel Layer LayerContext LayerRow
    LayerSettings Parameter Shape ShapeError Statistic
    elementwise kernel parallel_kernel prange share span used_lanes
    absolute constant exponential exponential_minus_one fma hyperbolic_tangent is_nan lane_numbers lane_of load
    logarithm logarithm_1p logistic negate normal_distribution power round_even select splat store sum_lanes
"""
# Not element by element: the rows of each image in the opposite order.
UPSIDE_DOWN = '''
import numpy as np

from cnntrain.extending import LANES, Layer, LayerSettings, ShapeError, load, parallel_kernel, prange, store


@parallel_kernel
def turn(x, y, blocks, rows, width):
    """y (block, rows - 1 - row, column, channel, lane) = x (block, row, column, channel, lane)."""
    for index in prange(blocks * rows):
        unit = np.intp(index)
        b, row = unit // rows, unit % rows
        for i in range(0, width, LANES):
            store(y, (b * rows + rows - 1 - row) * width + i, load(x, unit * width + i))


class UpsideDownSettings(LayerSettings):
    def output_shape(self, input_shape):
        if input_shape.rows == 1:
            raise ShapeError("there is one row only")
        return input_shape


class UpsideDown(Layer):
    name = "upside_down"
    Settings = UpsideDownSettings

    def __init__(self, row, context):
        self.rows, self.width = row.input_shape.rows, row.input_shape.columns * row.input_shape.channels * LANES
        self.output = context.buffer(row.output_shape)
        self.grad_input = context.grad_input(row.input_shape)

    def forward(self, x, batch):
        turn(x, self.output, batch.blocks, self.rows, self.width)
        return self.output

    def backward(self, grad_output, batch):
        if self.grad_input is None:
            return None
        grad_input = self.grad_input.beside(grad_output)
        turn(grad_output, grad_input, batch.blocks, self.rows, self.width)
        return grad_input


LAYERS = [UpsideDown]
'''


def test_the_names_are_these() -> None:
    """Files of users import them: a name that goes, or means something else, breaks these."""
    assert sorted(extending.__all__) == sorted(NAMES.split())


def test_every_name_is_explained() -> None:
    """In the words of the module, and in its own where it can have some."""
    assert extending.__doc__ is not None
    explained = set(re.findall(r"`(\w+)`", extending.__doc__))
    assert set(extending.__all__) <= explained
    own = {name: getattr(extending, name) for name in extending.__all__}
    silent = {name for name, value in own.items() if callable(value) and not value.__doc__}
    assert silent == {"Kernel"}  # an alias


def example() -> str:
    """The file that the module's own words show."""
    assert extending.__doc__ is not None
    lines = extending.__doc__.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    from cnntrain.extending"))
    end = next(i for i, line in enumerate(lines) if line.startswith("    LAYERS ="))
    return textwrap.dedent("\n".join(lines[start : end + 1])) + "\n"


@pytest.mark.parametrize(
    ("content", "layer"), [(example(), "cube"), (UPSIDE_DOWN, "upside_down")], ids=["cube", "upside_down"]
)
def test_layers_from_a_folder_have_right_gradients(tmp_path: Path, content: str, layer: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(content)
    with extensions.allowed():
        net = network(
            f"- dense: 6\n- {layer}\n- dense: 3" if layer == "cube" else f"- {layer}\n- dense: 3",
            (2, 3, 4),
            images=17,
            extensions=[str(file)],
        )
    names = ["0.dense.weight", "0.dense.bias", "2.dense.weight", "2.dense.bias"]
    assert check_gradients(net, 17) == ["input", *(names if layer == "cube" else ["1.dense.weight", "1.dense.bias"])]


def test_who_has_no_layers_of_his_own_does_not_load_it(tmp_path: Path) -> None:
    """It loads Numba, which `cnntrain check` must not wait for."""
    config = tmp_path / "net.yaml"
    config.write_text("data: {source: mnist, path: none}\noptimizer: {sgd: 0.1}\nnetwork: [tanh, {dense: classes}]\n")
    program = (
        "import sys; from cnntrain.config import load_config; "
        f"load_config({str(config)!r}); print('cnntrain.extending' in sys.modules, 'cnntrain.layers' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
