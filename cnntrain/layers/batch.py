"""What layers must know about the images that are passing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from cnntrain.shape import LANES

Watch = Callable[[str, str, NDArray[Any]], None]


class Batch(NamedTuple):
    """The images that a pass is about.

    Attributes
    ----------
    images : int
        How many there are. The last block may have lanes without an image: gradients are zero there, activations are
        those of a blank image, and sums over the batch must not count them.
    training : bool
        False in evaluation: no dropout, running statistics in place of the batch's.
    step : int
        Number of the training step: all randomness of a step follows from it, so a resumed training repeats it.
    watch : callable or None
        Is shown arrays of each layer by the layer's path and the array's name, before another layer may write over
        them: "input" and "output" on the way forward, "grad_output" and "grad_input" on the way back.
    """

    images: int
    training: bool = False
    step: int = 0
    watch: Watch | None = None

    @property
    def blocks(self) -> int:
        """Blocks of 16 images in use; buffers may hold more."""
        return -(-self.images // LANES)
