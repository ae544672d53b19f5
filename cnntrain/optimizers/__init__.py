"""The optimisers; a new one is a file here and a line in `OPTIMIZERS`."""

from __future__ import annotations

from cnntrain.optimizers.base import Optimizer
from cnntrain.optimizers.sgd import Sgd

OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (Sgd,)}

__all__ = ["OPTIMIZERS", "Optimizer"]
