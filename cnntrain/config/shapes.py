"""Walking an image's shape through the network of a config."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnntrain.config.model import Config
from cnntrain.config.problems import Problem
from cnntrain.config.source import Source
from cnntrain.errors import ConfigError, ShapeError
from cnntrain.layers.base import LayerSettings, Shape
from cnntrain.settings import Choice


@dataclass(frozen=True)
class LayerRow:
    """One layer of a network whose shapes are known; `parameters` and `macs` are counts, the latter per image."""

    name: str
    settings: LayerSettings
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int


def infer_shapes(config: Config, input_shape: Shape, classes: int) -> list[LayerRow]:
    """Infer the shape of every layer's output, and resolve settings that depend on the number of classes.

    Parameters
    ----------
    config : Config
        Its network.
    input_shape : Shape
        (channels, rows, columns) of an image.
    classes : int
        Classes of the data.

    Raises
    ------
    ConfigError
        A layer does not fit, the last one does not give one value per class, or the loss has settings for another
        number of classes; with the place in the YAML.
    """
    rows, misfit = walk_shapes(config.network, Shape(*input_shape), classes)
    misfit = misfit or check_output(rows, classes)
    if misfit is None:
        _check_loss(config, classes)
        return rows
    if config._source is None:
        raise ConfigError(f"{misfit.layer}: {misfit.message}")
    raise ConfigError(str(misfit.problem(config._source)))


def _check_loss(config: Config, classes: int) -> None:
    """Raise `ConfigError`, with the place in the YAML, where the loss does not fit the number of classes."""
    loss = config.loss
    try:
        loss.settings.check(classes)
    except ShapeError as error:
        message = f"{loss.name} {error}"
        if config._source is None:
            raise ConfigError(message) from error
        path = ["loss", loss.name, *([error.key] if error.key else [])]
        raise ConfigError(str(Problem(message, config._source.mark(path)))) from error


@dataclass(frozen=True)
class Misfit:
    """Where and why shapes do not fit."""

    index: int
    layer: str
    message: str
    chain: str
    key: str | None = None

    def problem(self, source: Source) -> Problem:
        """Find the place in the YAML: the setting's value if it is written there, the layer otherwise."""
        path: list[str | int] = ["network", self.index, self.layer]
        if self.key is not None:
            path += [int(step) if step.isdecimal() else step for step in self.key.split(".")]
        return Problem(f"{self.layer} {self.message}", source.mark(path, at_key=self.key is None), self.chain)


def walk_shapes(network: Sequence[Choice], shape: Shape, classes: int) -> tuple[list[LayerRow], Misfit | None]:
    """Return the layers that fit, and what is wrong with the first that does not."""
    rows: list[LayerRow] = []
    chain = f"shapes: data {shape}"
    for index, layer in enumerate(network):
        try:
            settings = layer.settings.resolve(classes)
            output = settings.output_shape(shape)
        except ShapeError as error:
            return rows, Misfit(index, layer.name, f"does not fit: {error}", f"{chain} -> {layer.name} ?", error.key)
        parameters = sum(math.prod(sizes) for sizes in settings.parameter_shapes(shape).values())
        rows.append(LayerRow(layer.name, settings, shape, output, parameters, settings.macs(shape)))
        chain += f" -> {layer.name} {output}"
        shape = output
    return rows, None


def check_output(rows: Sequence[LayerRow], classes: int) -> Misfit | None:
    """Say what is wrong when the last layer does not give one value per class."""
    last = rows[-1]
    if last.output_shape == (classes, 1, 1):
        return None
    chain = " -> ".join([f"shapes: data {rows[0].input_shape}", *(f"{row.name} {row.output_shape}" for row in rows)])
    message = f"gives {last.output_shape} but the data has {classes} classes: end the network with `dense: classes`"
    return Misfit(len(rows) - 1, last.name, message, chain)
