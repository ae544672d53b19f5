"""Class weights that depend on the data: resolved before a training, and compared when it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnntrain.config import Config
from cnntrain.config.problems import Problem
from cnntrain.data import DataSet
from cnntrain.errors import ConfigError, ShapeError


def resolve_loss(config: Config, data: DataSet) -> Config:
    """Return a config whose loss has numbers where it had words about the training split.

    The numbers stand in the resolved config and in checkpoints, so that going on and evaluating need no counts.

    Raises
    ------
    ConfigError
        A word does not fit the data; with its place.
    """
    loss = config.loss
    counts = np.bincount(data.train.labels, minlength=len(data.class_names))
    try:
        settings = loss.settings.resolve(data.class_names, counts)
    except ShapeError as error:
        message, document = f"{loss.name} {error}", config._document
        path = ["loss", loss.name, *([error.key] if error.key else [])]
        raise ConfigError(str(Problem(message, document.mark(path))) if document else message) from error
    return config if settings is loss.settings else config.model_copy(update={"loss": replace(loss, settings=settings)})


def has_words(config: Config) -> bool:
    """Tell whether the loss has class weights that only the data can tell in numbers."""
    return isinstance(getattr(config.loss.settings, "class_weights", None), str | dict)


def with_known_weights(config: Config, resolved: Config) -> Config:
    """Return a config whose words about class weights are the numbers of another, resolved one with the same loss.

    To compare the rest of the two before the data are there.
    """
    theirs: Any = getattr(resolved.loss.settings, "class_weights", None)
    if config.loss.name != resolved.loss.name or not has_words(config) or not isinstance(theirs, list):
        return config
    settings = config.loss.settings.model_copy(update={"class_weights": theirs})
    return config.model_copy(update={"loss": replace(config.loss, settings=settings)})
