"""All that a config can choose from, by kind; for the reference page, the JSON schema and the tests that cover them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.data import AUGMENTATIONS, SOURCES
from cnntrain.initializers import INITIALIZERS
from cnntrain.layers import LAYERS
from cnntrain.losses import LOSSES
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.schedules import SCHEDULES


@dataclass(frozen=True)
class Registry:
    """One kind of thing.

    Attributes
    ----------
    kind : str
        As `ChoiceFrom` has it; "source" for data sources, which are chosen by a key of `data:`.
    title : str
        Heading of its chapter.
    where : str
        Where in a config it is chosen.
    entries : dict
        The registered classes by name, each with `Settings`.
    """

    kind: str
    title: str
    where: str
    entries: Mapping[str, Any]


REGISTRIES = [
    Registry("source", "Data sources", "`data: {source: NAME, ...}`", SOURCES),
    Registry("augmentation", "Augmentations", "in the list `data.augment`", AUGMENTATIONS),
    Registry("layer", "Layers", "in the list `network`, and in the lists of layers that contain layers", LAYERS),
    Registry("initializer", "Initialisers", "`weight_init` and `bias_init` of layers", INITIALIZERS),
    Registry("loss", "Losses", "`loss`", LOSSES),
    Registry("optimizer", "Optimisers", "`optimizer`", OPTIMIZERS),
    Registry("schedule", "Learning-rate schedules", "`schedule`", SCHEDULES),
]
