"""YAML keys of every optimiser."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from cnntrain.optimizers.course import LookaheadSettings
from cnntrain.settings import NonNegativeFloat, PositiveFloat, Settings

Share = Annotated[float, Field(ge=0, lt=1)]
Eps = Annotated[float, Field(ge=1e-30)]  # in float32, less would be 0 and divide nothing by nothing


class OptimizerSettings(Settings):
    """YAML keys of every optimiser."""

    main = "learning_rate"
    learning_rate: PositiveFloat = Field(
        description="Size of a step; the schedule's factor and the layers' own factors multiply it."
    )
    weight_decay: NonNegativeFloat = Field(
        0.0, description="L2 decay: this times the weight is added to the gradient; layers may have factors on it."
    )
    l1_decay: NonNegativeFloat = Field(
        0.0,
        description="L1 decay: this times the weight's sign (0 at 0) is added to the gradient; the layers' factors on "
        "weight_decay hold for it too.",
    )
    clip_norm: PositiveFloat | None = Field(
        None,
        description="Gradients of all parameters together are scaled down to this Euclidean norm if theirs is larger, "
        "before the decays are added.",
    )
    clip_value: PositiveFloat | None = Field(
        None, description="Each element of a gradient is held within minus and plus this, before the decays are added."
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Keeps an exponential moving average of the weights: after each step, average = ema * average + "
        "(1 - ema) * weights. Validation and the best checkpoint use the averages.",
    )
    lookahead: LookaheadSettings | None = Field(
        None,
        description="Slow weights (Zhang et al. 2019): every few steps they take a share of the trained ones, which "
        "begin again from them; running statistics likewise. Where an epoch ends, the trained ones are the slow ones. "
        "`lookahead: {}` takes the defaults.",
    )

    @model_validator(mode="after")
    def _one_clipping(self) -> OptimizerSettings:
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("takes either clip_norm or clip_value, not both (null unsets one)")
        if self.ema is not None and self.lookahead is not None:
            raise ValueError("takes either ema or lookahead, not both (null unsets one)")
        return self
