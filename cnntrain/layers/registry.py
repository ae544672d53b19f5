"""Layers by name: the built-in ones, and those that a config's own Python files add while it is in use.

The lists are read late: layers that contain layers are in them, and use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Annotated

from cnntrain.layers.base import Layer
from cnntrain.settings import Choice, ChoiceFrom

ADDED: dict[str, type[Layer]] = {}  # every layer of the user's own that this process has loaded
visible: ContextVar[frozenset[str]] = ContextVar("visible", default=frozenset())  # those the config at hand names


def known_layers() -> Mapping[str, type[Layer]]:
    """Return the layers that the config at hand can use, by name."""
    from cnntrain.layers import LAYERS  # late, see above

    return LAYERS | {name: ADDED[name] for name in ADDED if name in visible.get()}


def layer_class(name: str) -> type[Layer]:
    """Return the class of a layer that some config has named."""
    from cnntrain.layers import LAYERS

    return LAYERS[name] if name in LAYERS else ADDED[name]


LayerChoice = Annotated[Choice, ChoiceFrom("layer", known_layers)]
