"""What a layer is: settings that know shapes, and a runtime object that owns buffers and calls kernels.

A layer file holds, in this order: its `Settings` (YAML keys, shape rule, parameters, cost) and its `Layer` (forward
directly above backward). Nothing else in the package needs to know about it but the list in `layers/__init__.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.initializers import INITIALIZERS
from cnntrain.layers.gradients import GradientBuffers, GradInput, Level
from cnntrain.memory import line_aligned
from cnntrain.parameters import Parameter, Statistic
from cnntrain.randomness import generator
from cnntrain.settings import Choice, Settings
from cnntrain.shape import LANES, Shape

if TYPE_CHECKING:
    from cnntrain.layers.sequence import LayerSequence


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

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `ShapeError` where learned arrays of these shapes cannot be made."""
        return

    def macs(self, input_shape: Shape) -> int:
        """Multiply-adds of one image's forward pass (taps on the padding included, as is usual)."""
        return 0


class Batch(NamedTuple):
    """What the layers must know about the images that are passing.

    Attributes
    ----------
    images : int
        How many there are. The last block may have lanes without an image: gradients are zero there, activations are
        those of a blank image, and sums over the batch must not count them.
    training : bool
        False in evaluation: no dropout, running statistics in place of the batch's.
    step : int
        Number of the training step: all randomness of a step follows from it, so a resumed training repeats it.
    watch : callable or None
        Is shown each layer's path and output, before the next layer may write over it.
    first : int
        Of a part of a batch (see `parts`), the block with which it begins.
    """

    images: int
    training: bool = False
    step: int = 0
    watch: Callable[[str, NDArray[Any]], None] | None = None
    first: int = 0

    @property
    def blocks(self) -> int:
        """Blocks of 16 images in use; buffers may hold more."""
        return -(-self.images // LANES)

    def parts(self, blocks: int) -> Iterator[Batch]:
        """Divide the batch into parts of so many blocks, the last of fewer."""
        if self.blocks <= blocks:
            yield self
            return
        for first in range(0, self.blocks, blocks):
            yield self._replace(images=min(self.images - first * LANES, blocks * LANES), first=first)


@dataclass(frozen=True)
class LayerContext:
    """What the network gives each layer when it builds it.

    Attributes
    ----------
    path : str
        Where the layer stands, e.g. "0.conv2d"; its parameters are named path + "." + tensor.
    blocks : int
        Blocks of 16 images that every buffer must hold.
    dtype : float32 or float64
    generator : callable
        Gives the random generator for the initial values of the parameter with the given name.
    needs_grad_input : bool
        False where no layer before this one has parameters that learn: nobody uses dL/d(input) there.
    seed : int
        The config's seed, for layers that draw random numbers during training.
    gradients : GradientBuffers
        Of the network; see `grad_input`.
    level : Level
        Of the sequence that the layer is in.
    overwrites : bool
        The layer may write its output over its input: nobody else needs it.
    """

    path: str
    blocks: int
    dtype: np.dtype
    generator: Callable[[str], np.random.Generator]
    needs_grad_input: bool
    seed: int
    gradients: GradientBuffers
    level: Level = (0, 0)
    overwrites: bool = False

    def inside(self, number: int) -> LayerContext:
        """Return the context of a layer's sequence of that number, beside which others run on the same arrays."""
        return replace(self, level=(self.level[0] + 1, number), overwrites=False)

    def grad_input(self, input_shape: Shape) -> GradInput | None:
        """Return room for the layer's dL/d(input), or None where nobody needs it."""
        return self.reserve(input_shape) if self.needs_grad_input else None

    def reserve(self, input_shape: Shape) -> GradInput:
        """Return room for the layer's dL/d(input), needed or not."""
        return self.gradients.room(self.level, self.blocks * input_shape.size * LANES)

    def buffer(self, shape: Shape, dtype: type | np.dtype | None = None) -> NDArray[Any]:
        """Return a flat array for a batch of images of a shape."""
        return line_aligned(self.blocks * shape.size * LANES, dtype or self.dtype)

    def parameter(
        self,
        tensor: str,
        shape: tuple[int, ...],
        init: Choice,
        *,
        learning_rate: float = 1.0,
        weight_decay: float = 1.0,
        order: NDArray[np.intp] | None = None,
        frozen: bool = False,
    ) -> Parameter:
        """Create a parameter and fill it with the values that the initialiser `init` draws."""
        name = f"{self.path}.{tensor}"
        value = INITIALIZERS[init.name](init.settings).values(shape, self.generator(name)).astype(self.dtype)
        rate = 0.0 if frozen else learning_rate
        parameter = Parameter(name, value, np.zeros(shape, self.dtype), rate, weight_decay, order, frozen)
        parameter.assign(parameter.value, value.copy())
        return parameter

    def statistic(self, tensor: str, value: NDArray[Any]) -> Statistic:
        """Make a piece of state that is not learned, with its initial value."""
        return Statistic(f"{self.path}.{tensor}", value.astype(self.dtype))

    def random_key(self) -> int:
        """Return 64 random bits that only this layer has: they follow from the seed and the layer's path."""
        drawn = generator(self.seed, "dropout", *self.path.encode()).integers(2**64, dtype=np.uint64)
        return int(drawn)


class Layer(ABC):
    """A layer at work. Buffers are flat arrays in the layout (block, row, column, channel, lane).

    Attributes
    ----------
    output : ndarray
        What `forward` writes.
    parameters : list of Parameter
        The layer's own, without those of layers inside it.
    statistics : list of Statistic
        State that is not learned.
    monotone : bool
        The layer works on each value alone, by a function that never falls, and has no parameters.
    takes_maximum : bool
        The layer selects values, by being the largest.
    output_is_free : bool
        No pass of this layer reads `output` once the next layer has run: that layer may write over it.
    sequences : list of LayerSequence
        The layers inside this one, in the order in which they run.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[LayerSettings]]
    monotone: ClassVar[bool] = False
    takes_maximum: ClassVar[bool] = False

    output: NDArray[Any]
    parameters: Sequence[Parameter] = ()
    sequences: Sequence[LayerSequence] = ()
    statistics: Sequence[Statistic] = ()
    output_is_free: bool = False

    @abstractmethod
    def __init__(self, settings: Any, input_shape: Shape, context: LayerContext) -> None: ...

    @abstractmethod
    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute `output` for the images of `batch`, which are in the first `batch.blocks` blocks of `x`."""

    @abstractmethod
    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Turn dL/d(output) into dL/d(parameters), kept in each `Parameter.gradient`, and return dL/d(input).

        `batch` is that of the `forward` before. Lanes without an image must get a zero gradient, as they do in
        `grad_output`. None is returned instead where `LayerContext.needs_grad_input` is False.
        """

    def walk(self, path: str) -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) of the layers inside this one, in the order in which they run, then of this one."""
        for sequence in self.sequences:
            yield from sequence.walk()
        yield path, self

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
