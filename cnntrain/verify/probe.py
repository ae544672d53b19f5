"""The loss of a few images as a function of single numbers: what a central difference needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import TrainingError
from cnntrain.kernels.compiler.pace import Pace
from cnntrain.network import AsTheyAre, Network

Array = NDArray[np.float64]

# Rounding errors of the loss, in units of the last place of the largest number near the loss: sums of some hundred
# terms, whose errors add up like a random walk. Measured: at most 3 (LeNet-5, and ten layers with ReLU).
ROUNDING = 8.0
TREMBLES = 8  # losses with everything moved by a last place, of which the largest change counts
TREMBLING = 4.0  # times that change: rounding rarely does more
MOVE = 0.1  # of a parameter's root mean square
MOVE_FROM_ZERO = 0.05  # for a parameter that is zero throughout


@dataclass(frozen=True)
class Tensor:
    """An array that the loss depends on; `value` is the one the network reads, `gradient` a copy.

    `order` is that of `parameters.Parameter`: the canonical index of each element along the last axis.
    """

    name: str
    value: Array
    gradient: Array
    order: NDArray[np.intp] | None = None

    def canonical_index(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index that an element of `value` has in canonical order."""
        return index if self.order is None else (*index[:-1], int(self.order[index[-1]]))


class Probe:
    """A network on a fixed batch of images.

    Parameters
    ----------
    network : Network
        In float64, with a loss, built with `needs_grad_input`.
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised; a copy is kept.
    labels : ndarray, int64, (N,)

    Attributes
    ----------
    pace : Pace
        Watches the time of each loss.
    """

    def __init__(self, network: Network, images: Array, labels: NDArray[np.int64]) -> None:
        self._network, self._labels = network, labels
        self._images = np.array(images, np.float64, order="C")
        self._indices = np.arange(len(images), dtype=np.int64)
        self._as_they_are = AsTheyAre(images.shape[1])
        self._statistics = [statistic.value.copy() for statistic in network.statistics]
        self._decisions: list[NDArray[Any]] = []
        self._noise = 0.0
        self.pace = Pace()

    def loss(self) -> float:
        """Run the network forward; its statistics are as they were."""
        self._network.load(self._images, self._indices, self._as_they_are)
        self._network.forward(training=True)
        self._restore_statistics()
        found = self._network.loss(self._labels)
        self.pace.lap(len(self._images))
        return found

    def disturb(self, generator: np.random.Generator) -> None:
        """Train on another batch, as large as it may be: what a layer wrongly keeps of it shows afterwards.

        Its images are random numbers with mean and deviation of the right ones, its step is another one.
        """
        network, count = self._network, self._network.batch_size
        network.load(self._images, self._indices, self._as_they_are)  # refuses what does not fit
        drawn = generator.standard_normal((count, *network.input_shape))
        images = float(self._images.mean()) + (float(self._images.std()) or 1.0) * drawn
        network.load(images, np.arange(count, dtype=np.int64), self._as_they_are)
        network.forward(training=True, step=1)
        network.loss(generator.integers(0, network.output_shape.size, count))
        network.backward()
        self._restore_statistics()

    def _restore_statistics(self) -> None:
        for statistic, value in zip(self._network.statistics, self._statistics, strict=True):
            statistic.value[...] = value

    def differentiate(self) -> list[Tensor]:
        """Run backward once; return the input and all parameters that learn, with the gradients that it gave.

        Gradients are NaN before: one that is added to, or not written, stays NaN.

        Raises
        ------
        TrainingError
            The loss is NaN or infinite.
        """
        network = self._network
        loss = self.loss()
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss of the {len(self._images)} images is {loss}: there are no gradients to check"
            )
        scale = max(1.0, abs(loss), float(np.abs(network.logits()).max()))
        self._noise = max(ROUNDING * float(np.finfo(np.float64).eps) * scale, TREMBLING * self._trembling(loss))
        self.loss()
        self._decisions = [made for _, made in network.decisions()]
        learned = [parameter for parameter in network.parameters if not parameter.frozen]
        for parameter in learned:
            parameter.gradient[...] = np.nan
        network.backward()
        parameters = [Tensor(p.name, p.value, p.gradient.copy(), p.order) for p in learned]
        return [Tensor("input", self._images, network.grad_input), *parameters]

    def _trembling(self, loss: float) -> float:
        """Return how far the loss moves when images and parameters move by their last places, up or down.

        That is what rounding does to it, also where small differences of large numbers matter.
        """
        generator = np.random.default_rng(0)
        arrays = [self._images, *(parameter.value for parameter in self._network.parameters)]
        kept = [array.copy() for array in arrays]
        moves = [0.0]
        try:
            for _ in range(TREMBLES):
                for array, value in zip(arrays, kept, strict=True):
                    array[...] = np.nextafter(value, np.where(generator.random(value.shape) < 0.5, -np.inf, np.inf))
                moves.append(abs(self.loss() - loss))
        finally:
            for array, value in zip(arrays, kept, strict=True):
                array[...] = value
        return max(moves)

    def noise(self, step: float) -> float:
        """Return how much rounding may falsify a central difference: the loss's rounding error over the step."""
        return self._noise / step

    def difference(self, tensor: Tensor, place: int, step: float) -> float | None:
        """Return (L(v + h) - L(v - h)) / 2h for the entry at flat index `place`, v being its value.

        Returns
        -------
        float or None
            None at a kink: the layers decided differently at v - h, v and v + h, so that the three lie on different
            smooth pieces.
        """
        flat = tensor.value.reshape(-1)
        value = flat[place]
        above, below = value + step, value - step
        try:
            flat[place] = above
            loss_above, smooth = self.loss(), self._decides_as_before()
            flat[place] = below
            loss_below, smooth = self.loss(), smooth and self._decides_as_before()
        finally:
            flat[place] = value
        return (loss_above - loss_below) / float(above - below) if smooth else None

    def _decides_as_before(self) -> bool:
        made = (decisions for _, decisions in self._network.decisions())
        return all(np.array_equal(before, now) for before, now in zip(self._decisions, made, strict=True))

    @contextmanager
    def moved(self, generator: np.random.Generator) -> Iterator[None]:
        """Move all parameters a little for a while: away from points where everything is a kink, or zero."""
        parameters = self._network.parameters
        kept = [(p.value.copy(), p.gradient.copy()) for p in parameters]
        try:
            for parameter in parameters:
                size = MOVE * float(np.sqrt(np.mean(np.square(parameter.value)))) or MOVE_FROM_ZERO
                parameter.value += size * generator.standard_normal(parameter.value.shape)
            yield
        finally:
            for parameter, (value, gradient) in zip(parameters, kept, strict=True):
                parameter.value[...], parameter.gradient[...] = value, gradient
