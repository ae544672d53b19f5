"""pydantic's errors as problems with a place and words for people."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import ValidationError

from cnntrain.config.document import Document
from cnntrain.config.problems import MAX_SHOWN, Problem, clip
from cnntrain.hints import hint, nearest
from cnntrain.settings import ChoiceFrom, Settings

_PHRASES = {  # by pydantic's error type; {names} come from its context
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "finite_number": "must be finite",
    "literal_error": "must be {expected}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "needs {min_length} or more entries",
    "value_error": "{error}",
}


def problems_of(error: ValidationError, model: type[Settings], document: Document, values: object) -> list[Problem]:
    """Make one problem per wrong value.

    Parameters
    ----------
    error : ValidationError
        What `model` said.
    model : type
        The class that `values` were validated with.
    document : Document
        Where they were written.
    values : object
        What was validated.
    """
    problems = []
    phrases: dict[tuple[str | int, ...], dict[str, object]] = defaultdict(dict)
    meant: dict[tuple[str | int, ...], str] = {}
    for item in error.errors(include_url=False)[
        : 2 * MAX_SHOWN
    ]:  # finding places takes time, which a hostile file shall not have
        path, value = _walk(values, item["loc"])
        if item["type"] == "missing":
            field = (*path, item["loc"][-1])
            problems.append(Problem(f"{_dotted(field)} is missing", document.mark(path, at_key=True), path=field))
        elif item["type"] == "extra_forbidden":
            settings = model_at(model, path[:-1])
            fields = settings.variant(_walk(values, path[:-1])[1]).model_fields if settings else {}
            legal = [field.alias or key for key, field in fields.items()]
            where = f" in {_dotted(path[:-1])}" if path[1:] else ""
            message = f'unknown key "{clip(str(path[-1]))}"{where}{hint(str(path[-1]), legal)}'
            problems.append(Problem(message, document.mark(path, at_key=True), path=path))
        elif item["type"] == "unknown_choice":
            mark = document.mark(path, at_key=item["input"] is None)  # ChoiceFrom names a key and gives no input
            problems.append(Problem(item["msg"], mark, path=path))
        else:
            phrases[path][_phrase(item)] = value
            if item["type"] == "literal_error" and isinstance(value, str):
                words = re.findall(r"'([^']*)'", item["ctx"]["expected"])
                meant[path] = f"; did you mean {word}?" if (word := nearest(value, words)) else ""
    wrong = [*phrases, *(problem.path for problem in problems)]
    for path, alternatives in phrases.items():
        if any(len(other) > len(path) and other[: len(path)] == path for other in wrong):
            continue  # one alternative of a union fits in form: what is wrong inside it says more
        first, *others = alternatives
        message = " or ".join([first, *(other.removeprefix("must be ") for other in others)])
        received = clip(json.dumps(alternatives[first], ensure_ascii=False))
        text = f"{_dotted(path)} {message}; received {received}{meant.get(path, '')}"
        problems.append(Problem(text, document.mark(path), path=path))
    return problems


def _walk(values: Any, location: Iterable[str | int]) -> tuple[tuple[str | int, ...], Any]:
    """Follow pydantic's location as far as the user wrote it.

    It also holds names of union members, main settings that were not spelt out and indices into a pair that was
    written as one number: they lead nowhere and are left out.
    """
    path: list[str | int] = []
    for step in location:
        is_key = isinstance(values, dict) and step in values
        if is_key or (isinstance(values, list) and step in range(len(values))):
            values = values[step]
        elif isinstance(values, str) and values == step:
            values = {}  # a choice's bare name
        else:
            continue
        path.append(step)
    return tuple(path), values


def _phrase(item: Mapping[str, Any]) -> str:
    phrase = _PHRASES.get(item["type"])
    if phrase is None:
        return str(item["msg"]).replace("Input should be", "must be", 1)
    return phrase.format(**item.get("ctx", {}))


def model_at(annotation: Any, path: Sequence[str | int]) -> type[Settings] | None:
    """Return the class that validates the mapping at `path` below an annotation; None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        if not path:
            return annotation
        fields = annotation.model_fields
        if path[0] in fields:
            return model_at(fields[str(path[0])].rebuild_annotation(), path[1:])
        return model_at(fields[annotation.main].rebuild_annotation(), path) if annotation.main else None
    if isinstance(annotation, ChoiceFrom):
        entry = annotation.registry().get(str(path[0])) if path else None
        return model_at(entry.Settings, path[1:]) if entry else None
    if get_origin(annotation) is list:
        return model_at(get_args(annotation)[0], path[1:])
    parts = (
        (annotation.__origin__, *annotation.__metadata__)
        if get_origin(annotation) is Annotated
        else get_args(annotation)
    )
    return next((found for part in parts if (found := model_at(part, path))), None)


def _dotted(path: Iterable[str | int]) -> str:
    """Write a path as `--set` takes it."""
    return ".".join(map(str, path))
