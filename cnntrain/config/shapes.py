"""Walking an image's shape through the network of a config, and where in the YAML it does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.config.document import Document
from cnntrain.config.model import Config
from cnntrain.config.problems import Problem
from cnntrain.errors import ConfigError, ShapeError
from cnntrain.layers.base import LayerRow
from cnntrain.layers.plan import MAX_LAYERS, MAX_NESTING, Misfit, Part, count_layers, join, nesting, plan_part, resolved
from cnntrain.settings import Choice
from cnntrain.shape import Shape


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
        A layer does not fit, the last one does not give one value per class, the loss has settings for another
        number of classes, or `test_time` does not fit the images; with the place in the YAML.
    """
    try:
        rows = walk_shapes(config.network, Shape(*input_shape), classes)
        check_output(rows, classes)
    except Misfit as misfit:
        if config._document is None:
            raise ConfigError(f"{misfit.layer}: {misfit}") from misfit
        raise ConfigError(str(problem(misfit, config._document))) from misfit
    _check_loss(config, classes)
    _check_views(config, Shape(*input_shape))
    return rows


def _check_views(config: Config, image: Shape) -> None:
    """Raise `ConfigError`, with the place in the YAML, where images cannot be moved as far as `test_time` says."""
    most = min(image.rows, image.columns) - 1
    if config.test_time is not None and config.test_time.shift > most:
        message = f"test_time.shift must be at most {most} for images of {image}; received {config.test_time.shift}"
        document = config._document
        raise ConfigError(str(Problem(message, document.mark(["test_time", "shift"]))) if document else message)


def _check_loss(config: Config, classes: int) -> None:
    """Raise `ConfigError`, with the place in the YAML, where the loss does not fit the number of classes."""
    loss = config.loss
    try:
        loss.settings.check(classes)
    except ShapeError as error:
        message = f"{loss.name} {error}"
        if config._document is None:
            raise ConfigError(message) from error
        path = ["loss", loss.name, *([error.key] if error.key else [])]
        raise ConfigError(str(Problem(message, config._document.mark(path)))) from error


def problem(misfit: Misfit, document: Document) -> Problem:
    """Find the place of a misfit in the YAML: the setting's value if it is written there, the layer otherwise."""
    path: list[str | int] = ["network", *misfit.place]
    if misfit.key is not None:
        path += [int(step) if step.isdecimal() else step for step in misfit.key.split(".")]
    notes = [*misfit.notes, f"shapes: {join(misfit.chain)}"]
    return Problem(f"{misfit.layer} {misfit}", document.mark(path, at_key=misfit.key is None), "\n  ".join(notes))


def walk_shapes(network: Sequence[Choice], shape: Shape, classes: int) -> list[LayerRow]:
    """Return all layers with their shapes, or raise `Misfit` for the first that does not fit."""
    data, total = f"data {shape}", 0
    for index, layer in enumerate(network):
        total += count_layers(layer)
        error = None
        if total > MAX_LAYERS:
            error = ShapeError(f"makes a network of {total:,} layers; at most {MAX_LAYERS:,} are allowed")
        elif nesting(layer) > MAX_NESTING:
            error = ShapeError(f"has layers nested {nesting(layer)} levels deep; at most {MAX_NESTING} are allowed")
        if error:
            raise Misfit(layer.name, [index, layer.name], [data, "..."], error)
    try:
        return list(plan_part(Part("", "", [resolved(layer, classes) for layer in network]), shape).rows)
    except Misfit as misfit:
        error = ShapeError(f"does not fit: {misfit}", misfit.key, misfit.notes)
        raise Misfit(misfit.layer, misfit.place, [data, *misfit.chain], error) from misfit


def check_output(rows: Sequence[LayerRow], classes: int) -> None:
    """Raise `Misfit` when the last layer does not give one value per class."""
    last = rows[-1]
    if last.output_shape == (classes, 1, 1):
        return
    chain = [f"data {rows[0].input_shape}", *(f"{row.name} {row.output_shape}" for row in rows)]
    message = f"gives {last.output_shape} but the data has {classes} classes: end the network with `dense: classes`"
    raise Misfit(last.name, [len(rows) - 1, last.name], chain, ShapeError(message))
