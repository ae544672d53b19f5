"""Where a training that became NaN began to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import TrainingError
from cnntrain.network import Network
from cnntrain.optimizers import Optimizer
from cnntrain.training.setup import Training

NOWHERE = "the loss itself; all parameters and outputs of layers are finite"


def diverged(training: Training, step: int, what: str, where: str, kept: str) -> TrainingError:
    """Return the error of a training that broke in a 0-based step; `kept` says which checkpoint there is."""
    rate, setting, name = training.learning_rate_at(step), training.learning_rate, training.config.optimizer.name
    return TrainingError(
        f"epoch {step // training.steps_per_epoch + 1}, step {step + 1}, learning rate {rate:.4g}: {what}\n"
        f"  first found: {where}\n"
        f"  {kept}\n"
        f"  a smaller learning rate often helps: --set optimizer.{name}.learning_rate={setting / 10:.4g}"
    )


def where_not_finite(network: Network, *, updated: bool = True) -> str:
    """Find where NaN or infinity first appears, after a forward pass whose loss is not finite.

    In the order in which things are computed: the gradients of the last update, the parameters that it changed (without
    one, their initial values), the outputs of the layers in the forward pass just made.
    """
    found = _parameter(network, "after the previous update" if updated else None)
    if found is not None:
        return found

    def look(path: str, output: NDArray[np.floating]) -> None:
        nonlocal found
        if found is None and not np.isfinite(output).all():
            found = f"the output of layer {path} holds {_count(output)}, from finite parameters and inputs"

    network.watch(look)
    return found or NOWHERE


def left_not_finite(network: Network, optimizer: Optimizer) -> str | None:
    """Find NaN or infinity in what an update left behind, which no loss has seen yet; None if all is finite."""
    found = _parameter(network, "after the update")
    if found is not None:
        return found
    kept = {f"statistic {statistic.name}": statistic.value for statistic in network.statistics}
    kept |= {f"the optimiser's {name}": value for name, value in optimizer.state().items()}
    for name, value in kept.items():
        if not np.isfinite(value).all():
            return f"{name} holds {_count(value)}; all parameters are finite"
    return None


def _parameter(network: Network, when: str | None) -> str | None:
    for parameter in network.parameters:
        if not np.isfinite(parameter.value).all():
            holds = f"parameter {parameter.name} holds {_count(parameter.value)}"
            if when is None:
                return f"{holds} from the start: its initialiser gives such values"
            gradient_is_bad = not np.isfinite(parameter.gradient).all()
            cause = (
                "its gradient already did" if gradient_is_bad else "its gradient was finite: the update was too large"
            )
            return f"{holds} {when} ({cause})"
    return None


def _count(values: NDArray[np.floating]) -> str:
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    counts = [f"{nan:,} NaN"] * (nan > 0) + [f"{infinite:,} infinite"] * (infinite > 0)
    return f"{' and '.join(counts)} of {values.size:,} values"
