"""Proof of the loss: its formula, and its gradient by Taylor's test."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cnntrain.losses import Loss
from cnntrain.settings import Choice
from cnntrain.shape import LANES, Shape
from cnntrain.verify.forward_forms import LOSS_FORMS
from cnntrain.verify.proof import PassProof
from cnntrain.verify.taylor import (
    EPS,
    NOISE,
    TRIALS,
    Slope,
    best_of,
    distance,
    other_piece,
    proof_of,
    proof_of_distance,
    slope_of,
)
from cnntrain.verify.workbench import enter, leave

Array = NDArray[np.float64]


def prove_loss(loss: Choice, shape: Shape, batches: list[tuple[int, int]], seed: int) -> list[PassProof]:
    """Test a loss and its gradient, and that this is zero where no image is.

    Parameters
    ----------
    loss : Choice
    shape : Shape
        Of the network's output.
    batches : list of (int, int)
        As for `prove_curved`.
    seed : int
        Of all numbers.
    """
    classes, generator = shape.size, np.random.default_rng([seed, 1])
    blocks = -(-max(map(max, batches)) // LANES)
    layer: Loss = loss.registered(loss.settings, classes, blocks, np.dtype(np.float64))
    lanes = np.zeros(blocks * classes * LANES)

    slopes, fault, farthest = [], "", 0.0
    form = LOSS_FORMS.get(loss.name)
    for images, before in batches[:TRIALS]:
        _loss_of(layer, lanes, 3 * generator.standard_normal((before, classes)), generator.integers(0, classes, before))
        layer.gradient.fill(np.nan)
        slopes.append(best_of(partial(_loss_slope, layer, lanes, images, generator)))
        used = layer.gradient[: layer.blocks * classes * LANES].reshape(-1, classes, LANES)
        if used.transpose(0, 2, 1).reshape(-1, classes)[images:].any():
            fault = "a gradient where the last block has no image"
        if form is not None:
            z, labels = 2 * generator.standard_normal((images, classes)), generator.integers(0, classes, images)
            farthest = max(farthest, distance(_loss_of(layer, lanes, z, labels), form(z, labels, loss.settings)))
    what = "mean over the batch"
    proofs = [proof_of("loss", f"{loss.name} gradient", what, slopes, fault)]
    if form is not None:
        proofs.insert(0, proof_of_distance("loss", f"{loss.name} forward", what, len(slopes), farthest))
    return proofs


def _loss_of(layer: Loss, lanes: Array, z: Array, labels: NDArray[np.int64]) -> float:
    enter(z[:, :, None, None], lanes, fill=0.0)
    return layer(lanes, labels)


def _loss_slope(layer: Loss, lanes: Array, images: int, generator: np.random.Generator) -> Slope:
    classes = layer.classes
    z, labels = 2 * generator.standard_normal((images, classes)), generator.integers(0, classes, images)
    value = _loss_of(layer, lanes, z, labels)
    gradient = leave(layer.gradient, images, Shape(classes, 1, 1))[:, :, 0, 0]
    made = layer.decisions()
    made = None if made is None else made.copy()
    direction = 0.5 + generator.standard_normal(z.shape)

    def difference(h: float) -> tuple[float, float] | None:
        moved = _loss_of(layer, lanes, z + h * direction, labels)
        return None if other_piece(layer.decisions(), made) else (moved - value, NOISE * EPS * max(1.0, abs(value)))

    return slope_of(difference, math.fsum((gradient * direction).ravel()))
