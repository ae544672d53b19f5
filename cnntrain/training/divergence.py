"""Where a training that became NaN began to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.network import Network


def where_not_finite(network: Network) -> str:
    """Find where NaN or infinity first appears, after a forward pass whose loss is not finite.

    In the order in which things are computed: the gradients of the last update, the parameters that it changed, the
    outputs of the layers in the forward pass just made.
    """
    for parameter in network.parameters:
        if not np.isfinite(parameter.value).all():
            gradient_is_bad = not np.isfinite(parameter.gradient).all()
            cause = (
                "its gradient already did" if gradient_is_bad else "its gradient was finite: the update was too large"
            )
            return f"parameter {parameter.name} holds {_count(parameter.value)} after the previous update ({cause})"
    found: list[str] = []

    def look(path: str, output: NDArray[np.floating]) -> None:
        if not found and not np.isfinite(output).all():
            found.append(f"the output of layer {path} holds {_count(output)}, from finite parameters and inputs")

    network.watch(look)
    return found[0] if found else "the loss itself; all parameters and outputs of layers are finite"


def _count(values: NDArray[np.floating]) -> str:
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    counts = [f"{nan:,} NaN"] * (nan > 0) + [f"{infinite:,} infinite"] * (infinite > 0)
    return f"{' and '.join(counts)} of {values.size:,} values"
