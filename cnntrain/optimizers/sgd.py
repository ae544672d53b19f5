"""`sgd`: stochastic gradient descent with momentum, Nesterov's momentum and weight decay."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.kernels import optimizers as kernels
from cnntrain.optimizers.base import Optimizer, OptimizerSettings


class SgdSettings(OptimizerSettings):
    """YAML keys of `sgd`; `form: caffe` keeps the learning rate inside the velocity."""

    main = "learning_rate"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    form: Literal["pytorch", "caffe"] = "pytorch"

    @model_validator(mode="after")
    def _momentum_for_nesterov(self) -> SgdSettings:
        if self.nesterov and self.momentum == 0:
            raise ValueError("needs a momentum greater than 0 when nesterov is true")
        return self


class Sgd(Optimizer):
    """v = momentum v + g + decay w;  w -= rate v (see `kernels.optimizers` for the other forms)."""

    name = "sgd"
    Settings = SgdSettings
    slots = ("velocity",)

    def update(
        self, begin: NDArray[np.int64], end: NDArray[np.int64], rates: NDArray[Any], decays: NDArray[Any]
    ) -> None:
        """Run the kernel of the chosen form."""
        kernel = kernels.sgd if self.settings.form == "pytorch" else kernels.sgd_caffe
        kernel(
            self._values, self._gradients, self._kept["velocity"], begin, end, rates, decays,
            self._values.dtype.type(self.settings.momentum), self.settings.nesterov,
        )  # fmt: skip
