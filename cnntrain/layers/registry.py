"""Layers by name: the built-in ones, and those that a config's own Python files add while it is read.

A name is looked up once, where the config is read: the choice that comes out of it carries the class. Layers that
contain layers choose from this table and are in it: `layers/__init__.py`, which knows them all, fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Annotated

from cnntrain.layers.base import Layer
from cnntrain.settings import Choice, ChoiceFrom

LAYERS: dict[str, type[Layer]] = {}
_NONE: Mapping[str, type[Layer]] = {}
added: ContextVar[Mapping[str, type[Layer]]] = ContextVar("added", default=_NONE)  # by the config that is being read


def known_layers() -> Mapping[str, type[Layer]]:
    """Return the layers that the config at hand can use, by name."""
    return {**LAYERS, **added.get()}


LayerChoice = Annotated[Choice, ChoiceFrom("layer", known_layers)]
