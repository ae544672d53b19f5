"""One training step kept whole: what each layer took and gave, forward and backward, from the kernels that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.kernels.layout import from_lanes
from cnntrain.layers import Layer, LayerRow
from cnntrain.losses import Loss
from cnntrain.network import AsTheyAre, Network
from cnntrain.optimizers import Optimizer
from cnntrain.optimizers.base import STEPS
from cnntrain.optimizers.course import Phase
from cnntrain.parameters import Parameter
from cnntrain.shape import LANES, Shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ParameterTrace:
    """A learned array around one step; arrays are float64 in canonical shape.

    Attributes
    ----------
    name : str
        The tensor's name within its layer, for example "weight".
    parameter : Parameter
        Where it comes from: factors, `frozen`.
    value, gradient, updated : ndarray
        Before the step, dL/d(value), and after the optimiser's step; `updated` is `value` where there was no optimiser.
    """

    name: str
    parameter: Parameter
    value: Array
    gradient: Array
    updated: Array


@dataclass(frozen=True)
class LayerTrace:
    """A layer in one step; arrays are float64, (images, channels, rows, columns).

    Attributes
    ----------
    row : LayerRow
        Its class, settings, path and shapes.
    layer : Layer
        At work.
    input, output : ndarray
    grad_output : ndarray or None
        dL/d(output), the delta that reaches the layer; None where nothing before it needs it.
    grad_input : ndarray or None
        dL/d(input).
    decisions : ndarray or None
        `Layer.decisions` where it has one value per output: of max-pooling the number of the tap that won, row by row.
    parameters : mapping
        The layer's own learned arrays by their names.
    statistics : mapping
        By their names: (before the step, after it).
    inside : tuple of (str, tuple of LayerTrace)
        The layers of each part, under the part's label.
    """

    row: LayerRow
    layer: Layer
    input: Array
    output: Array
    grad_output: Array | None
    grad_input: Array | None
    decisions: NDArray[Any] | None
    parameters: Mapping[str, ParameterTrace]
    statistics: Mapping[str, tuple[Array, Array]]
    inside: tuple[tuple[str, tuple[LayerTrace, ...]], ...]

    @property
    def path(self) -> str:
        """Where the layer stands, for example "4.residual.body.0.conv2d"."""
        return self.row.path

    def walk(self) -> Iterator[LayerTrace]:
        """Yield this layer, then those inside it."""
        yield self
        for _, layers in self.inside:
            for layer in layers:
                yield from layer.walk()


@dataclass(frozen=True)
class Trace:
    """One training step.

    Attributes
    ----------
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised.
    labels : ndarray, int64, (N,)
    logits : ndarray, float64, (N, classes)
    loss : float
        The mean over the images.
    grad_logits : ndarray, float64, (N, classes)
        dL/d(logits).
    loss_layer : Loss
        What computed it.
    layers : tuple of LayerTrace
        In order; layers inside others hang on these.
    optimizer : Optimizer or None
        After its step.
    learning_rate : float
        Of the step, the schedule's factor included.
    kept : mapping
        Arrays that the optimiser keeps, before and after the step, by "<slot>/<parameter>".
    step : int
        0-based number of the step.
    """

    images: Array
    labels: NDArray[np.int64]
    logits: Array
    loss: float
    grad_logits: Array
    loss_layer: Loss
    layers: tuple[LayerTrace, ...]
    optimizer: Optimizer | None
    learning_rate: float
    kept: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    step: int

    def walk(self) -> Iterator[LayerTrace]:
        """Yield every layer, one that contains layers before those."""
        for layer in self.layers:
            yield from layer.walk()

    @property
    def step_number(self) -> int:
        """The number of the optimiser's step, from 1."""
        return int(self.kept[STEPS][0][0]) + 1

    @property
    def plain_step(self) -> bool:
        """The step is the optimiser's rule alone: no Lookahead in it, no parameter that learns in some epochs only."""
        if self.optimizer is None:
            return True
        own = any(made.parameter.epochs is not None for layer in self.walk() for made in layer.parameters.values())
        return not own and self.optimizer.phase_of(self.step_number) == Phase(0.0, False)

    def layer(self, path: str) -> LayerTrace:
        """Return the layer at a path; raises `ArgumentError` with the paths that there are."""
        found = {layer.path: layer for layer in self.walk()}
        if path not in found:
            raise ArgumentError(f'no layer "{path}"; the layers are {", ".join(found)}')
        return found[path]


def trace(
    network: Network,
    images: Array,
    labels: NDArray[np.int64],
    *,
    optimizer: Optimizer | None = None,
    learning_rate: float = 0.0,
    step: int = 0,
) -> Trace:
    """Make one training step and keep all of it; afterwards the network is as before the step.

    Parameters
    ----------
    network : Network
        float64, with a loss, built with `needs_grad_input` and without `fusions`.
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised.
    labels : ndarray, int64, (N,)
    optimizer : Optimizer or None
        Of the network's parameters; makes one step.
    learning_rate : float
        For that step.
    step : int
        0-based number of the step, from which dropout draws its mask.
    """
    before = {parameter.name: parameter.canonical(parameter.value) for parameter in network.parameters}
    statistics = {statistic.name: statistic.value.copy() for statistic in network.statistics}
    images = np.array(images, np.float64, order="C")
    network.load(images, np.arange(len(images), dtype=np.int64), AsTheyAre(images.shape[1]))
    network.forward(training=True, step=step)
    loss = network.loss(labels)
    after = {statistic.name: statistic.value.copy() for statistic in network.statistics}
    for statistic in network.statistics:  # a step starts from what it was before
        statistic.value[...] = statistics[statistic.name]
    seen: dict[tuple[str, str], NDArray[Any]] = {}
    network.watch_step(lambda path, name, array: seen.update({(path, name): array.copy()}))
    gradients = {parameter.name: parameter.canonical(parameter.gradient) for parameter in network.parameters}
    kept_before = {} if optimizer is None else dict(optimizer.state())
    kept_after, updated = kept_before, before
    if optimizer is not None:
        for statistic in network.statistics:  # Lookahead slows them down too
            statistic.value[...] = after[statistic.name]
        optimizer.step(learning_rate)
        for statistic in network.statistics:
            statistic.value[...] = statistics[statistic.name]
        updated = {parameter.name: parameter.canonical(parameter.value) for parameter in network.parameters}
        kept_after = dict(optimizer.state())
        for parameter in network.parameters:
            parameter.assign(parameter.value, before[parameter.name])
    reader = _Reader(network, seen, before, gradients, updated, statistics, after, len(images))
    made = network.logits().astype(np.float64)
    return Trace(
        images=images,
        labels=labels,
        logits=made,
        loss=loss,
        grad_logits=reader.plain(network.loss_layer.gradient, network.output_shape).reshape(len(images), -1),
        loss_layer=network.loss_layer,
        layers=reader.sequence(network.body.rows),
        optimizer=optimizer,
        learning_rate=learning_rate,
        kept={name: (kept_before[name], kept_after[name]) for name in kept_before},
        step=step,
    )


@dataclass(frozen=True)
class _Reader:
    """Brings what was seen into order."""

    network: Network
    seen: Mapping[tuple[str, str], NDArray[Any]]
    before: Mapping[str, Array]
    gradients: Mapping[str, Array]
    updated: Mapping[str, Array]
    statistics: Mapping[str, Array]
    statistics_after: Mapping[str, Array]
    images: int

    def plain(self, array: NDArray[Any], shape: Shape) -> Array:
        """Return a buffer as (images, channels, rows, columns)."""
        result = np.empty((self.images, *shape), np.float64)
        from_lanes(array, result.reshape(-1), self.images, *shape)
        return result

    def sequence(self, rows: Sequence[LayerRow]) -> tuple[LayerTrace, ...]:
        """Return the layers of planned rows."""
        layers = dict(self.network.layers())
        return tuple(self._layer(row, layers) for row in rows)

    def _layer(self, row: LayerRow, layers: Mapping[str, Layer]) -> LayerTrace:
        layer = layers[row.path]

        def found(name: str, shape: Shape) -> Array | None:
            array = self.seen.get((row.path, name))
            return None if array is None else self.plain(array, shape)

        taken, given = found("input", row.input_shape), found("output", row.output_shape)
        if row.stands_for or taken is None or given is None:
            raise ArgumentError(f"{row.path} stands for several layers: the network must be built with fusions=False")
        own = len(row.path) + 1
        return LayerTrace(
            row=row,
            layer=layer,
            input=taken,
            output=given,
            grad_output=found("grad_output", row.output_shape),
            grad_input=found("grad_input", row.input_shape),
            decisions=self._decisions(layer, row.output_shape),
            parameters={
                parameter.name[own:]: ParameterTrace(
                    parameter.name[own:],
                    parameter,
                    self.before[parameter.name],
                    self.gradients[parameter.name],
                    self.updated[parameter.name],
                )
                for parameter in layer.parameters
            },
            statistics={
                statistic.name[own:]: (self.statistics[statistic.name], self.statistics_after[statistic.name])
                for statistic in layer.statistics
            },
            inside=tuple((part.label, tuple(self._layer(inner, layers) for inner in part.rows)) for part in row.parts),
        )

    def _decisions(self, layer: Layer, shape: Shape) -> NDArray[Any] | None:
        blocks = -(-self.images // LANES)
        made = layer.decisions(blocks)
        if made is None or made.size != blocks * shape.size * LANES:
            return None
        by_image = made.reshape(blocks, shape.rows, shape.columns, shape.channels, LANES).transpose(0, 4, 3, 1, 2)
        return by_image.reshape(blocks * LANES, *shape)[: self.images].copy()
