"""What every YAML-configurable thing shares: typed settings that refuse what they do not know.

A layer, loss, optimiser, schedule or data source declares its YAML keys as a `Settings` subclass; types, defaults and
ranges live there and nowhere else. The config turns violations into problems with file:line:column.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Immutable, typed settings; an unknown key is an error.

    `main` names the key that a bare value sets: with `main = "kernel_size"`, `max_pool2d: 2` means
    `max_pool2d: {kernel_size: 2}`. None: the thing has no main setting and a bare value is an error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    main: ClassVar[str | None] = None


def _pair(value: object) -> object:
    """Make (rows, columns) of one number or of a list of two."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number or a pair of them")
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return tuple(value)
    raise ValueError("must be a whole number or a pair of them: [rows, columns]")


PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
PositivePair = Annotated[tuple[PositiveInt, PositiveInt], BeforeValidator(_pair)]
NonNegativePair = Annotated[tuple[NonNegativeInt, NonNegativeInt], BeforeValidator(_pair)]
