"""What a layer is: settings that know shapes, and a runtime object that owns buffers and calls kernels.

A layer file holds, in this order: its `Settings` (YAML keys, shape rule, parameters, cost) and its `Layer` (forward
directly above backward). Nothing else in the package needs to know about it but the list in `layers/__init__.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.settings import Settings

LANES = 16  # images side by side; one 64-byte cache line of float32


class Shape(NamedTuple):
    """The shape of one image inside the network."""

    channels: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Values per image."""
        return self.channels * self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.channels}x{self.rows}x{self.columns}"


@dataclass
class Parameter:
    """A learned array in its canonical shape, with its gradient.

    `name` is the layer's path and the tensor's name, e.g. "0.conv2d.weight". `learning_rate` and `weight_decay` are
    factors on the optimiser's settings.
    """

    name: str
    value: NDArray[np.floating]
    gradient: NDArray[np.floating]
    learning_rate: float = 1.0
    weight_decay: float = 1.0


class LayerSettings(Settings, ABC):
    """YAML keys of a layer, and everything about it that can be said without buffers."""

    def resolve(self, classes: int) -> LayerSettings:
        """Replace words that depend on the data (`dense: classes`) by numbers."""
        return self

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape after the layer; raises `ShapeError` when it does not fit."""

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Names and canonical shapes of the learned arrays."""
        return {}

    def macs(self, input_shape: Shape) -> int:
        """Multiply-adds of one image's forward pass (taps on the padding included, as is usual)."""
        return 0


@dataclass
class LayerContext:
    """What the network gives each layer when it builds it."""

    path: str  # e.g. "0.conv2d"; parameters are named path + "." + tensor
    batch_size: int
    dtype: np.dtype
    generator: np.random.Generator  # initialisation
    needs_grad_input: bool  # False for the first layer with parameters: nobody uses dL/dx there

    @property
    def blocks(self) -> int:
        """Blocks of 16 images that hold one batch."""
        return -(-self.batch_size // LANES)


class Layer(ABC):
    """A layer at work. Buffers are flat 1-D arrays in the layout (block, row, column, channel, lane).

    Attributes
    ----------
    output : ndarray
        What forward writes, for up to `context.blocks` blocks.
    grad_input : ndarray or None
        What backward writes; None when `context.needs_grad_input` is False.
    parameters : list of Parameter
    """

    name: ClassVar[str]
    Settings: ClassVar[type[LayerSettings]]

    output: NDArray[np.floating]
    grad_input: NDArray[np.floating] | None = None
    parameters: Sequence[Parameter] = field(default_factory=list)

    @abstractmethod
    def __init__(self, settings: LayerSettings, input_shape: Shape, context: LayerContext) -> None: ...

    @abstractmethod
    def forward(self, x: NDArray[np.floating], blocks: int, training: bool) -> NDArray[np.floating]:
        """Compute `output` for the first `blocks` blocks of `x` and return it."""

    @abstractmethod
    def backward(self, grad_output: NDArray[np.floating], blocks: int) -> NDArray[np.floating] | None:
        """From dL/d(output) compute dL/d(parameters) into `Parameter.gradient`, and return dL/d(input)."""
