"""The `data:` block of the config: what every source has in common. A source adds its own keys in a subclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from cnntrain.hints import hint
from cnntrain.settings import Choice, ChoiceFrom, PositiveFloat, Settings

LARGEST = 1e30  # 1 / std and mean / std of given statistics: fits into float32 with room to spare
NORMALIZATIONS = ("none", "unit", "standard")


def _sources() -> Mapping[str, Any]:
    from cnntrain.data import SOURCES  # late: the package imports the sources, and those import this file

    return SOURCES


def _augmentations() -> Mapping[str, Any]:
    from cnntrain.data import AUGMENTATIONS  # late, as above

    return AUGMENTATIONS


def _held_out(value: object) -> object:
    """Accept a count (a whole number) or a fraction (0 <= x < 1)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0 <= value < 1:
        return value
    raise PydanticCustomError(
        "validation",
        "must be a number of images (5000) or a fraction of the training split from 0 up to, not including, 1",
    )


_HELD_OUT = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]
}
HeldOut = Annotated[int | float, BeforeValidator(_held_out), WithJsonSchema(_HELD_OUT)]


def _per_channel(value: object) -> object:
    """Let one number stand for a list of one."""
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


def _values_schema(above: float | None = None) -> WithJsonSchema:
    number = {"type": "number"} | ({"exclusiveMinimum": above} if above is not None else {})
    return WithJsonSchema({"anyOf": [number, {"type": "array", "items": number, "minItems": 1}]})


def _distinct(names: list[str] | None) -> list[str] | None:
    if names is not None and len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise PydanticCustomError("class_names", f'the class name "{repeated}" is given twice')
    return names


FirstLabel = Annotated[
    int,
    Field(
        0,
        ge=0,
        le=1_000_000,
        description="Smallest label in the files: 1 where labels count from 1, as those of EMNIST's letters do.",
    ),
]
# Digits need no quotes in YAML.
ClassName = Annotated[
    str,
    BeforeValidator(lambda name: str(name) if isinstance(name, int) and not isinstance(name, bool) else name),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
# Names in the order of the labels; None: the labels themselves.
ClassNames = Annotated[Annotated[list[str], Field(min_length=1)] | None, AfterValidator(_distinct)]


class MeanStd(Settings):
    """Given statistics, per channel; one value stands for all channels.

    For uint8 images they are on the scale 0..1 (MNIST: mean 0.1307, std 0.3081), for float images on their own scale.
    """

    mean: Annotated[list[float], Field(min_length=1), BeforeValidator(_per_channel), _values_schema()] = Field(
        description="What is subtracted."
    )
    std: Annotated[list[PositiveFloat], Field(min_length=1), BeforeValidator(_per_channel), _values_schema(0)] = Field(
        description="What the difference is divided by."
    )

    @model_validator(mode="after")
    def _same_channels(self) -> MeanStd:
        if len(self.mean) != len(self.std):
            raise PydanticCustomError(
                "mean_std",
                f"mean and std must have one value per channel each; found {len(self.mean)} and {len(self.std)}",
            )
        for mean, std in zip(self.mean, self.std, strict=True):
            if not (1 / LARGEST <= std <= LARGEST and abs(mean) <= std * LARGEST):
                raise PydanticCustomError(
                    "mean_std",
                    f"std must be {1 / LARGEST:g} to {LARGEST:g}, and mean / std at most {LARGEST:g}: pixels "
                    f"become (pixel - mean) / std in 32-bit numbers; found mean {mean:g} and std {std:g}",
                )
        return self


class MeanImageSettings(Settings):
    """How the mean image is subtracted."""

    unit: bool = Field(
        True, description="Divide uint8 pixels by 255 first; false leaves them on the scale 0 to 255, as Caffe does."
    )
    std: bool = Field(False, description="Divide by the standard deviation, per channel, of what is left.")


class MeanImage(Settings):
    """Subtract the mean of the training images, pixel by pixel (`normalize: mean_image`)."""

    mean_image: MeanImageSettings = Field(
        default_factory=MeanImageSettings, description="How the mean image is subtracted."
    )


def _normalize(value: object) -> object:
    """Accept a known word, the mean image, or mean and std, with one message for everything else."""
    if isinstance(value, MeanStd | MeanImage) or (isinstance(value, str) and value in NORMALIZATIONS):
        return value
    if value == "mean_image":
        return MeanImage()
    if isinstance(value, dict):
        return (MeanImage if "mean_image" in value else MeanStd).model_validate(value)
    raise PydanticCustomError("normalize", "must be none, unit, standard, mean_image or {mean: [...], std: [...]}")


@dataclass(frozen=True)
class Origin:
    """Where settings came from; all origins are equal, so that settings are equal when their values are.

    `folder` is that of the config's file; None if it is in none of its own.
    """

    folder: Path | None = field(default=None, compare=False)


class DataSettings(Settings):
    """Settings that all sources share.

    `DataSettings.model_validate` picks the subclass by `source`: what it returns has the source's own keys too, and a
    key that belongs to another source is an error.
    """

    source: str = Field(description="Kind of the data set.")
    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] = Field(
        description="The data set's folder or file, relative to the working directory or, if that does not have it, to "
        "the config's folder."
    )
    validation: HeldOut = Field(
        0,
        description="Training images held out to choose the best epoch: a count, or a fraction; equally many from "
        "each class.",
    )
    classes: Annotated[Annotated[list[ClassName], Field(min_length=2)] | None, AfterValidator(_distinct)] = Field(
        None, description="Only the images of these classes, by their names, in this order; all classes otherwise."
    )
    normalize: Annotated[
        Literal["none", "unit", "standard", "mean_image"] | MeanStd | MeanImage,
        BeforeValidator(_normalize),
    ] = Field(
        "standard",
        description="What happens to pixels before they enter the network. none: nothing. unit: uint8 pixels to 0..1. "
        "standard: zero mean and unit deviation per channel over the training images. mean_image: the mean of the "
        "training images is subtracted pixel by pixel. {mean: [...], std: [...]}: given values, on the scale that unit "
        "has.",
    )
    augment: list[Annotated[Choice, ChoiceFrom("augmentation", _augmentations)]] = Field(
        default_factory=list, description="Random changes of the training images, in order."
    )

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @classmethod
    def variant(cls, values: object) -> type[Settings]:
        source = values.get("source") if isinstance(values, dict) else None
        return _sources()[source].Settings if isinstance(source, str) and source in _sources() else cls

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_source(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if cls is not DataSettings or not isinstance(value, dict) or "source" not in value:
            return handler(value)
        chosen = cls.variant(value)
        if chosen is DataSettings:
            source = value["source"]
            message = f'unknown data source "{source}"{hint(str(source), _sources())}'
            error = InitErrorDetails(type=PydanticCustomError("unknown_choice", message), loc=("source",), input=source)
            raise ValidationError.from_exception_data("data", [error])
        return chosen.model_validate(value)
