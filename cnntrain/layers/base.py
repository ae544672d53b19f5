"""A layer in two states: planned, as a row whose shapes are known, and at work, with its buffers.

A layer's own file holds, in this order, its settings (YAML keys, shape rule, learned arrays, cost) and the layer
(forward directly above backward). Nothing else in the package needs to know about it but the list in
`layers/__init__.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.machine import Machine
from cnntrain.parameters import Parameter, Statistic
from cnntrain.shape import Shape


@dataclass(frozen=True)
class LayerRow:
    """A planned layer: everything that it is built from, but for buffers.

    Attributes
    ----------
    layer : type
        The class that is built.
    settings : LayerSettings
        Of that class; resolved: the number of classes is known.
    path : str
        Where the layer stands, for example "4.residual.body.0.conv2d"; parameters' names begin with it.
    input_shape, output_shape : Shape
    parameter_shapes : mapping
        Canonical shapes of the layer's own learned arrays, by their names.
    macs : int
        Multiply-adds per image, layers inside included.
    parts : tuple of PlannedPart
        The layers inside it.
    stands_for : tuple of LayerRow
        Where a fusion put it in the place of others: those.
    """

    layer: type[Layer]
    settings: Any
    path: str
    input_shape: Shape
    output_shape: Shape
    parameter_shapes: Mapping[str, tuple[int, ...]]
    macs: int
    parts: tuple[PlannedPart, ...] = ()
    stands_for: tuple[LayerRow, ...] = ()

    @property
    def name(self) -> str:
        """As the config names the layer."""
        return self.layer.name

    @property
    def parameters(self) -> int:
        """How many learned numbers, layers inside included."""
        inside = [*self.stands_for, *(row for part in self.parts for row in part.rows)]
        return sum(map(math.prod, self.parameter_shapes.values())) + sum(row.parameters for row in inside)


@dataclass(frozen=True)
class PlannedPart:
    """A sequence of layers inside another, planned; see `plan.Part`."""

    label: str
    rows: tuple[LayerRow, ...]
    input_shape: Shape

    @property
    def output_shape(self) -> Shape:
        """Shape after the last layer."""
        return self.rows[-1].output_shape if self.rows else self.input_shape


class Timed(NamedTuple):
    """A piece of a layer's work that is worth timing.

    Attributes
    ----------
    path : str
        Of the layer.
    name : str
        forward or backward; in the place of backward "to input" and "to weights" where these are apart.
    target, method : object, str
        What does it.
    shape : str
        What the arithmetic depends on, for example "6→16 5x5 on 14x14"; empty where there is nothing to say.
    macs : int
        Multiply-adds per image, those on the padding not counted; 0 where they are not what it is about.
    """

    path: str
    name: str
    target: object
    method: str
    shape: str = ""
    macs: int = 0


class Conditions(NamedTuple):
    """What the choice of algorithms depends on beside the layer.

    Attributes
    ----------
    blocks : int
        Blocks of 16 images that buffers hold: a `Machine.capacity`.
    dtype : float32 or float64
    machine : Machine
    direct : bool
        The config asks for direct convolution.
    """

    blocks: int
    dtype: np.dtype
    machine: Machine
    direct: bool = False


class PassChoice(NamedTuple):
    """What computes a pass of a layer, and why.

    Attributes
    ----------
    path : str
        Of the layer.
    shape : str
        What the arithmetic depends on, as in `Timed`.
    name : str
        forward, to input or to weights.
    algorithm : str or None
        None where the pass is never computed; `note` says why.
    refusals : mapping
        Why the algorithms before it in the list of this pass refused, by their names.
    note : str
        What else there is to say, for example what is done in the same go.
    """

    path: str
    shape: str
    name: str
    algorithm: str | None
    refusals: Mapping[str, str]
    note: str = ""


class Layer(ABC):
    """A layer at work. Buffers are flat arrays in the layout (block, row, column, channel, lane).

    Attributes
    ----------
    output : ndarray
        What `forward` writes.
    parameters : sequence of Parameter
        The layer's own, without those of layers inside it.
    statistics : sequence of Statistic
        State that is not learned.
    monotone : bool
        The layer works on each value alone, by a function that never falls, and has no parameters.
    takes_maximum : bool
        The layer selects values, by being the largest.
    output_is_free : bool
        No pass of this layer reads `output` once the next layer has run: that layer may write over it.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[LayerSettings]]
    monotone: ClassVar[bool] = False
    takes_maximum: ClassVar[bool] = False

    output: NDArray[Any]
    parameters: Sequence[Parameter] = ()
    statistics: Sequence[Statistic] = ()
    output_is_free: bool = False

    @abstractmethod
    def __init__(self, row: LayerRow, context: LayerContext) -> None: ...

    @classmethod
    def explain(cls, row: LayerRow, conditions: Conditions) -> Iterator[PassChoice]:
        """Yield what computes the passes of a planned layer that has algorithms to choose from; nothing is built."""
        return iter(())

    @abstractmethod
    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute `output` for the images of `batch`, which are in the first `batch.blocks` blocks of `x`."""

    @abstractmethod
    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Turn dL/d(output) into dL/d(parameters), kept in each `Parameter.gradient`, and return dL/d(input).

        `batch` is that of the `forward` before. Lanes without an image must get a zero gradient, as they do in
        `grad_output`. None is returned instead where `LayerContext.needs_grad_input` is False.
        """

    @property
    def learns(self) -> bool:
        """The layer, or one inside it, has parameters that change in training."""
        return not all(parameter.frozen for parameter in self.parameters)

    def walk(self, path: str) -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) of the layers inside this one, in the order in which they run, then of this one."""
        yield path, self

    def timed(self, path: str) -> Iterator[Timed]:
        """Yield what is worth timing, the layers inside first; `path` is this layer's."""
        yield Timed(path, "forward", self, "forward")
        yield Timed(path, "backward", self, "backward")

    def decisions(self, blocks: int) -> NDArray[Any] | None:
        """Return which smooth piece of the layer's function the last `forward` used, for the first `blocks` blocks.

        A layer that is smooth everywhere has no decisions: None. ReLU and max-pooling are made of smooth pieces; where
        a difference quotient steps from one piece to another it says nothing about the gradient, and the gradient check
        notices by comparing decisions.

        Returns
        -------
        ndarray or None
            Flat, any type, with the lane as its last axis like every buffer; equal where the same piece was used.
        """
        return None
