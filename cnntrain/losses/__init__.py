"""The losses; a new one is a file here and a line in `LOSSES`."""

from __future__ import annotations

from cnntrain.losses.base import Loss
from cnntrain.losses.cross_entropy import CrossEntropy
from cnntrain.losses.hinge import Hinge
from cnntrain.losses.mse import Mse
from cnntrain.losses.multi_margin import MultiMargin

LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (CrossEntropy, Mse, Hinge, MultiMargin)}

__all__ = ["LOSSES", "Loss"]
