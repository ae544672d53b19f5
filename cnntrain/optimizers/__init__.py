"""The optimisers; a new one is a file here and a line in `OPTIMIZERS`."""

from __future__ import annotations

from cnntrain.optimizers.adadelta import Adadelta
from cnntrain.optimizers.adagrad import Adagrad
from cnntrain.optimizers.adam import Adam
from cnntrain.optimizers.adamw import AdamW
from cnntrain.optimizers.base import Optimizer
from cnntrain.optimizers.course import Course
from cnntrain.optimizers.muon import Muon
from cnntrain.optimizers.rmsprop import Rmsprop
from cnntrain.optimizers.sgd import Sgd

OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (Sgd, Adam, AdamW, Rmsprop, Adagrad, Adadelta, Muon)
}

__all__ = ["OPTIMIZERS", "Course", "Optimizer"]
