"""Some of a data set's classes: `data.classes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.source import Loaded, Split
from cnntrain.errors import ConfigError
from cnntrain.hints import hint
from cnntrain.printable import printable


def select_classes(loaded: Loaded, classes: Sequence[str]) -> Loaded:
    """Keep the images of some classes, which get the labels 0, 1, ... in the order in which they are named.

    Raises
    ------
    ConfigError
        The data have no class of that name, or a split has no image of any of them.
    """
    for name in classes:
        if name not in loaded.class_names:
            raise ConfigError(f'data.classes: no class is named "{printable(name)}"{hint(name, loaded.class_names)}')
    label_of = np.full(len(loaded.class_names), -1, np.int64)
    label_of[[loaded.class_names.index(name) for name in classes]] = np.arange(len(classes))
    validation = None if loaded.validation is None else _selected(loaded.validation, label_of, "validation")
    return Loaded(
        _selected(loaded.train, label_of, "training"),
        _selected(loaded.test, label_of, "test"),
        list(classes),
        validation,
    )


def _selected(split: Split, label_of: NDArray[np.int64], which: str) -> Split:
    labels = label_of[split.labels]
    kept = np.flatnonzero(labels >= 0)
    if not kept.size:
        raise ConfigError(f"data.classes: the {which} split has no image of these classes")
    return replace(split.part(kept), labels=labels[kept])
