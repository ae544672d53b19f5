"""Networks from a few lines of YAML, and their gradients by differences, in float64 through the compiled kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import infer_shapes, parse_config
from cnntrain.network import Network
from cnntrain.shape import Shape

Array = NDArray[Any]
STEP = 1e-5


class Unchanged:
    """A normalisation that changes nothing."""

    def __init__(self, channels: int) -> None:
        self._affine = np.ones(channels), np.zeros(channels)

    def affine(self) -> tuple[Array, Array]:
        return self._affine


def network(
    layers: str,
    shape: tuple[int, int, int],
    *,
    images: int,
    classes: int = 3,
    dtype: Any = np.float64,
    needs_grad_input: bool = True,
    seed: int = 5,
    extensions: Sequence[str] = (),
    fusions: bool = True,
) -> Network:
    """A network of the YAML list `layers`; its last layer must give `classes` values."""
    lines = "\n".join(f"  {line}" for line in layers.strip("\n").splitlines())
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork:\n{lines}\n"
    config = parse_config(text, "layers.yaml", [f"extensions=[{', '.join(extensions)}]"])
    rows = infer_shapes(config, Shape(*shape), classes)
    return Network(
        rows,
        batch_size=images,
        loss=config.loss,
        dtype=dtype,
        seed=seed,
        needs_grad_input=needs_grad_input,
        fusions=fusions,
    )


def loss(net: Network, images: Array, labels: Array, training: bool = True) -> float:
    """Forward pass and loss."""
    net.load(images, np.arange(len(images), dtype=np.int64), Unchanged(images.shape[1]))
    net.forward(training=training)
    return net.loss(labels)


def batch(net: Network, images: int, seed: int = 11) -> tuple[Array, Array]:
    """Normal images and labels."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((images, *net.input_shape))
    return x, generator.integers(0, net.output_shape.size, images)


def check_gradients(net: Network, images: int, *, most: int = 40, tolerance: float = 1e-6) -> list[str]:
    """Compare up to `most` entries of the gradients of all parameters and of the input with central differences.

    Returns the names of the tensors that were compared and had a gradient other than zero.
    """
    x, labels = batch(net, images)
    generator = np.random.default_rng(12)
    for parameter in net.parameters:
        parameter.value += 0.1 * generator.standard_normal(parameter.value.shape)  # zero biases hide mistakes
    loss(net, x, labels)
    net.backward()
    tensors = [("input", x, net.grad_input)]
    tensors += [(p.name, p.value, p.gradient.copy()) for p in net.parameters if not p.frozen]
    seen = []
    for name, value, gradient in tensors:
        flat, analytic = value.reshape(-1), gradient.reshape(-1)
        for i in _some(flat.size, most, generator):
            kept = flat[i]
            flat[i] = kept + STEP
            above = loss(net, x, labels)
            flat[i] = kept - STEP
            numeric = (above - loss(net, x, labels)) / (2 * STEP)
            flat[i] = kept
            error = abs(numeric - analytic[i])
            assert error < tolerance * max(1.0, abs(numeric)), f"{name}[{i}]: {analytic[i]} but {numeric}"
        if np.abs(analytic).max() > 1e-4:
            seen.append(name)
    return seen


def _some(size: int, most: int, generator: np.random.Generator) -> Iterator[int]:
    yield from generator.choice(size, min(size, most), replace=False).tolist()
