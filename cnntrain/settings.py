"""What every YAML-configurable thing shares: typed settings that refuse what they do not know.

A layer, loss, optimiser, schedule or data source declares its YAML keys as a `Settings` subclass; types, defaults and
ranges live there and nowhere else. The config turns violations into problems with file:line:column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from cnntrain.hints import hint


class Settings(BaseModel):
    """Immutable, typed settings; an unknown key is an error.

    `main` names the key that a bare value sets: with `main = "kernel_size"`, `max_pool2d: 2` means
    `max_pool2d: {kernel_size: 2}`. None: the thing has no main setting and a bare value is an error.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        defer_build=True,  # of some 80 classes a config uses 10: building the others took a tenth of `cnntrain check`
    )
    main: ClassVar[str | None] = None

    @classmethod
    def variant(cls, values: object) -> type[Settings]:
        """Return the class that validates `values`: this one, unless one of the values picks a subclass."""
        return cls


def _pair(value: object) -> object:
    """Make (rows, columns) of one number or of a list of two."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number or a pair of them")
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return tuple(value)
    raise ValueError("must be a whole number or a pair of them: [rows, columns]")


def _pair_schema(minimum: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": minimum}
    return WithJsonSchema({"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]})


PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
PositivePair = Annotated[tuple[PositiveInt, PositiveInt], BeforeValidator(_pair), _pair_schema(1)]
NonNegativePair = Annotated[tuple[NonNegativeInt, NonNegativeInt], BeforeValidator(_pair), _pair_schema(0)]


@dataclass(frozen=True)
class Choice:
    """One of several named things, with its settings: a layer, a loss, an optimiser, a schedule, an augmentation.

    Attributes
    ----------
    name : str
        As the config has it.
    settings : Settings
    registered : type
        The class of that name, to which the settings belong: whoever builds it looks no name up.
    """

    name: str
    settings: Any
    registered: Any


CHOICE = "x-choice"  # marks, in pydantic's JSON schemas, where a choice of a kind stands


@lru_cache(maxsize=256)  # making one takes longer than a hundred validations
def _named(settings_class: Any) -> TypeAdapter[dict[str, Any]]:
    """Return what validates {name: settings}, so that errors are located below the name."""
    return TypeAdapter(dict[str, settings_class])


@dataclass(frozen=True)
class ChoiceFrom:
    """Annotation that makes a field a `Choice`: `Annotated[Choice, ChoiceFrom("layer", registry)]`.

    In YAML a choice is a bare name (`tanh`), a name with its main setting (`max_pool2d: 2`) or a name with settings
    (`conv2d: {filters: 6, kernel_size: 5}`). Lists of choices and choices within choices need nothing more.

    Parameters
    ----------
    kind : str
        What is chosen, for messages.
    registry : callable
        Gives the registered classes by name, each with `.Settings`. Called late, so that a layer that contains layers
        can import its own registry.
    """

    kind: str
    registry: Callable[[], Mapping[str, Any]]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: object, handler: object) -> dict[str, Any]:
        return {CHOICE: self.kind}

    def validate(self, value: object) -> Choice:
        """Make a `Choice` of what the YAML says; raises pydantic's ValidationError located below the choice's name."""
        if isinstance(value, Choice):
            return value
        name, given = self._name_and_settings(value)
        registry = self.registry()
        if name not in registry:
            self._refuse(name, "unknown_choice", f'unknown {self.kind} "{name}"{hint(name, registry, self.kind)}')
        settings_class = registry[name].Settings
        if given is None:
            given = {}
        elif not isinstance(given, dict):
            if settings_class.main is None:
                known = ", ".join(settings_class.model_fields)
                takes = f"needs the names of its settings ({known})" if known else "takes no settings"
                self._refuse(name, "choice_value", takes, given)
            given = {settings_class.main: given}
        settings = _named(settings_class).validate_python({name: given})
        return Choice(name, settings[name], registry[name])

    def _name_and_settings(self, value: object) -> tuple[str, object]:
        if isinstance(value, str):
            return value, None
        if isinstance(value, dict) and len(value) == 1:
            return next(iter(value.items()))
        article = "an" if self.kind[0] in "aeiou" else "a"
        if isinstance(value, dict) and len(value) > 1:
            raise PydanticCustomError("choice_form", f"must name one {self.kind}, its settings indented below it")
        raise PydanticCustomError("choice_form", f"must be the name of {article} {self.kind}, with or without settings")

    def _refuse(self, name: str, code: str, message: str, value: object = None) -> None:
        error = InitErrorDetails(type=PydanticCustomError(code, message), loc=(name,), input=value)
        raise ValidationError.from_exception_data(self.kind, [error])
