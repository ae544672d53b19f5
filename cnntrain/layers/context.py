"""What a network gives each layer when it builds it: room for arrays, parameters, random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers.gradients import GradientBuffers, GradInput, Level
from cnntrain.memory import line_aligned
from cnntrain.parameters import Parameter, Statistic
from cnntrain.randomness import generator
from cnntrain.settings import Choice
from cnntrain.shape import LANES, Shape


@dataclass(frozen=True)
class LayerContext:
    """What the network gives each layer when it builds it.

    Attributes
    ----------
    blocks : int
        Blocks of 16 images that every buffer must hold.
    dtype : float32 or float64
    generator : callable
        Gives the random generator for the initial values of a parameter, from the layer's path and the tensor's name.
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
    direct : bool
        Convolutions take products of weights and pixels only; see `passes.problem.Problem`.
    few : bool
        No batch has more than `machine.FEW` images, and layers may leave empty lanes out where that keeps the bits.
    path : str
        Where the layer stands, e.g. "0.conv2d"; its parameters are named path + "." + tensor.
    parameter_shapes : mapping
        The shapes of its learned arrays, by their names.
    """

    blocks: int
    dtype: np.dtype
    generator: Callable[[str, str], np.random.Generator]
    needs_grad_input: bool
    seed: int
    gradients: GradientBuffers
    level: Level = (0, 0)
    overwrites: bool = False
    direct: bool = False
    few: bool = False
    path: str = ""
    parameter_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def of(self, path: str, parameter_shapes: Mapping[str, tuple[int, ...]]) -> LayerContext:
        """Return the context of a layer of the same sequence."""
        return replace(self, path=path, parameter_shapes=parameter_shapes)

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
        init: Choice,
        *,
        learning_rate: float = 1.0,
        weight_decay: float = 1.0,
        order: NDArray[np.intp] | None = None,
        frozen: bool = False,
        epochs: float | None = None,
        whole_schedule: bool = False,
    ) -> Parameter:
        """Create a parameter that `parameter_shapes` names, with the values that the initialiser `init` draws."""
        if tensor not in self.parameter_shapes:
            raise ValueError(f'parameter_shapes of the settings of {self.path} does not name "{tensor}"')
        shape = self.parameter_shapes[tensor]
        value = init.registered(init.settings).values(shape, self.generator(self.path, tensor)).astype(self.dtype)
        rate = 0.0 if frozen else learning_rate
        name = f"{self.path}.{tensor}"
        gradient = np.zeros(shape, self.dtype)
        parameter = Parameter(name, value, gradient, rate, weight_decay, order, frozen, epochs, whole_schedule)
        parameter.assign(parameter.value, value.copy())
        return parameter

    def statistic(self, tensor: str, value: NDArray[Any]) -> Statistic:
        """Make a piece of state that is not learned, with its initial value."""
        return Statistic(f"{self.path}.{tensor}", value.astype(self.dtype))

    def random_key(self) -> int:
        """Return 64 random bits that only this layer has: they follow from the seed and the layer's path."""
        drawn = generator(self.seed, "dropout", *self.path.encode()).integers(2**64, dtype=np.uint64)
        return int(drawn)
