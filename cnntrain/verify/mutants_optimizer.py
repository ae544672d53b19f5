"""Mutants of optimisers: steps, decays, forms, averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cnntrain.optimizers.adam import Adam
from cnntrain.optimizers.adamw import AdamW
from cnntrain.optimizers.base import Optimizer
from cnntrain.optimizers.rmsprop import Rmsprop
from cnntrain.optimizers.sgd import Sgd
from cnntrain.verify.mutant import How, Mutant, after, all_of, before, instead, with_attribute


def stepping(change: Callable[..., tuple[Any, ...]]) -> How:
    """Let optimisers update with another `work` or step: `change(self, work, step)`."""
    return all_of(*(before(kind, "update", change) for kind in (Sgd, Adam, Rmsprop)))


def with_work(**changes: Callable[[Any], Any]) -> How:
    """Change fields of the optimiser's work: begin, end, rates, decays, l1_decays, scale, limit."""
    names = ("begin", "end", "rates", "decays", "l1_decays")

    def change(self: Any, work: Any, step: int) -> tuple[Any, ...]:
        chunks = tuple(
            changes.get(name, lambda value: value)(value) for name, value in zip(names, work[0], strict=True)
        )
        clipping = tuple(
            changes.get(name, lambda value: value)(value)
            for name, value in zip(("scale", "limit"), work[1], strict=True)
        )
        return (chunks, clipping), step

    return stepping(change)


def rate_of_the_step_before(self: Any, learning_rate: float) -> tuple[float]:
    """Use a schedule's rate a step late."""
    late = self.__dict__.get("late", learning_rate)
    self.late = learning_rate
    return (late,)


def other_settings(kind: Any, **changes: Any) -> How:
    """Update with another setting than the config says."""
    return with_attribute(kind, "update", "settings", lambda settings: settings.model_copy(update=changes))


def _of_pytorch(optimizer: Any) -> None:
    from cnntrain.kernels.optimizers import sgd

    optimizer._sgd = sgd


def _other_share(self: Any) -> None:
    """Take the share of the weights for that of the averages."""
    averages = self._kept["average"]
    if self._steps == 1:
        averages[...] = self._values
    else:
        self._move_averages(self._values, averages, self._begin, self._end, self.number(self.settings.ema))


TABLE = [
    Mutant("nesterov forgotten", "sgd", other_settings(Sgd, nesterov=False)),
    Mutant("half the momentum", "sgd", other_settings(Sgd, momentum=0.45)),
    Mutant("decay with the wrong sign", "sgd", with_work(decays=lambda decays: -decays)),
    Mutant(
        "the last share of work not done",
        "sgd",
        with_work(**{name: (lambda value: value[:-1]) for name in ("begin", "end", "rates", "decays", "l1_decays")}),
    ),
    Mutant("the learning rate of the step before", "sgd", before(Optimizer, "step", rate_of_the_step_before)),
    Mutant("velocity of the other form", "sgd of caffe", after(Sgd, "__init__", lambda self, *_: _of_pytorch(self))),
    Mutant("clipping forgotten", "sgd of caffe", with_work(limit=lambda limit: limit * 0 + np.inf)),
    Mutant(
        "average of weights moved the wrong way", "sgd of caffe", instead(Optimizer, "_average", lambda _: _other_share)
    ),
    Mutant("bias correction of the first step for all", "adam", stepping(lambda self, work, step: (work, 1))),
    Mutant("decoupled decay", "adam", with_attribute(Adam, "update", "decoupled", lambda _: True)),
    Mutant("coupled decay", "adamw", with_attribute(AdamW, "update", "decoupled", lambda _: False)),
    Mutant("norm not clipped", "adamw", with_work(scale=lambda scale: scale * 0 + 1)),
    Mutant("eps inside the root", "rmsprop", other_settings(Rmsprop, form="keras")),
    Mutant("alpha exchanged", "rmsprop", other_settings(Rmsprop, alpha=0.01)),
]


MUTANTS = [replace(mutant, linear=False) for mutant in TABLE]
