"""The same learning rate from beginning to end."""

from __future__ import annotations

from cnntrain.schedules.base import Schedule


class Constant(Schedule):
    """factor = 1."""

    name = "constant"

    def decay(self, step: int) -> float:
        return 1.0
