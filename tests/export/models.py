"""Networks to export: of a few lines of YAML or of a recipe, with nothing left at zero or one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config, infer_shapes, load_config, parse_config
from cnntrain.data import Normalization
from cnntrain.data.idx_format import read_idx
from cnntrain.export.model import Model, decoding_of
from cnntrain.network import Network
from cnntrain.shape import Shape
from tests.layers.examples import EXAMPLES

Array = NDArray[Any]
ROOT = Path(__file__).parents[2]
POINTWISE = "conv2d: {filters: 2, kernel_size: 1, bias: false}"
EVERY = [
    (name, number, example.yaml, example.shape)
    for name, some in EXAMPLES.items()
    for number, example in enumerate(some)
]
EVERY += [
    ("conv2d", 10, "conv2d: {filters: 3, kernel_size: [2, 4], padding: same}", (2, 5, 4)),
    ("max_pool2d", 10, "max_pool2d: {kernel_size: [3, 2], stride: 2}", (2, 6, 5)),
    ("avg_pool2d", 10, "avg_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true, count_padding: false}", (2, 6, 6)),
    ("avg_pool2d", 11, "avg_pool2d: 2", (2, 6, 5)),
    ("dense", 10, "dense: {units: 4, bias: false}", (2, 3, 2)),
    ("residual", 10, "residual: {body: [dense: 12, tanh, dense: 12]}", (12, 1, 1)),
    ("residual", 11, f"residual: {{body: [{POINTWISE}, silu], shortcut: [{POINTWISE}]}}", (3, 4, 4)),
    ("branches", 10, "branches: {sequences: [[], [], [relu]], merge: add}", (2, 3, 4)),
    ("flatten", 10, "residual: {body: [flatten, relu]}", (2, 3, 4)),
    ("batch_norm2d", 10, f"residual: {{body: [{POINTWISE}, batch_norm2d]}}", (2, 3, 4)),
    ("prelu", 10, "repeat: {times: 1, layers: [dense: 12, batch_norm2d, prelu]}", (2, 3, 4)),
]  # fmt: skip


class Exported(NamedTuple):
    """A network with all that an exporter takes."""

    config: Config
    network: Network
    model: Model

    def images(self, number: int, seed: int = 3) -> Array:
        """Random pixels, the first image black and the second white."""
        generator = np.random.default_rng(seed)
        shape = (number, *self.model.input_shape)
        if self.model.image_type == "float32":
            return generator.standard_normal(shape).astype(np.float32)
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        pixels[:1], pixels[1:2] = 0, 255
        return pixels

    def logits(self, images: Array) -> Array:
        return self.network.predict_logits(images, self.model.normalization)

    def probabilities(self, images: Array) -> Array:
        logits = self.logits(images).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


def exported(
    config: Config, shape: tuple[int, int, int], classes: int, image_type: str = "uint8", normalization: Any = None
) -> Exported:
    """Build the config's network with the weights that a training begins with, shaken."""
    rows = infer_shapes(config, Shape(*shape), classes)
    network = Network(rows, batch_size=32, seed=config.seed)
    generator = np.random.default_rng(9)
    state = network.state()
    for name, value in state.items():
        if name.endswith("running_variance"):
            state[name] = generator.uniform(0.5, 2.0, value.shape).astype(np.float32)
        elif value.ndim == 1:
            state[name] = value + 0.2 * generator.standard_normal(value.shape).astype(np.float32)
        elif value.std() < 0.3 * (usual := float(np.prod(value.shape[1:])) ** -0.5):
            # some recipes begin with weights so small that images would make no difference
            state[name] = usual * generator.standard_normal(value.shape).astype(np.float32)
    network.load_state(state)
    if normalization is None:
        unit = 255.0 if image_type == "uint8" else 1.0
        mean = generator.uniform(0.2, 0.6, shape[0]).astype(np.float32)
        normalization = Normalization(mean, np.full(shape[0], 0.3, np.float32), unit)
    names = tuple(map(str, range(classes)))
    model = Model(config.name, rows, state, names, image_type, normalization, decoding_of(config.data))
    return Exported(config, network, model)


@cache
def of_layers(layers: str, shape: tuple[int, int, int], image_type: str = "uint8", by_pixel: bool = False) -> Exported:
    """A network of YAML layers in brackets, and `dense: classes` behind them."""
    normalization, classes = mean_image(shape, 255.0 if image_type == "uint8" else 1.0) if by_pixel else None, 3
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork: [{layers}, dense: classes]\n"
    return exported(parse_config(text, "small.yaml"), shape, classes, image_type, normalization)


def of_recipe(name: str) -> Exported:
    """A shipped config, without its data."""
    config = load_config(ROOT / "configs" / f"{name}.yaml")
    grey = "mnist" in config.data.source
    shape = (1, 28, 28) if grey else (3, 32, 32)
    normalization = mean_image(shape) if "mean_image" in str(config.data.normalize) else None
    return exported(config, shape, len(config.data.classes or range(10)), normalization=normalization)


def digits(number: int) -> Array:
    """Images of MNIST's test split."""
    return read_idx(ROOT / "data" / "mnist" / "t10k-images-idx3-ubyte.gz", 3)[:number, None]


def mean_image(shape: tuple[int, int, int], unit: float = 255.0) -> Normalization:
    """A normalisation that subtracts a mean image."""
    mean = np.random.default_rng(4).uniform(0.3, 0.6, shape).astype(np.float32)
    return Normalization(mean, np.full(shape[0], 0.4, np.float32), unit)
