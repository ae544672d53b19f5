"""The JSON schema of configs, for editors: completion, hover texts and red lines while one types.

`cnntrain check --schema` prints it. It follows from the same `Settings` classes that validate; what they check beyond
types and ranges (shapes, combinations of keys) only `cnntrain check` can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import cleandoc
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cnntrain.config.load import extended
from cnntrain.config.model import Config
from cnntrain.config.registries import REGISTRIES, Registry
from cnntrain.layers.registry import known_layers
from cnntrain.settings import CHOICE

Schema = dict[str, Any]


def schema_for(path: Path, overrides: Sequence[str] = ()) -> Schema:
    """Return the schema with the layers that a config's extensions add; the rest of the config need not be right.

    Raises `ConfigError` if it is no YAML, `ExtensionError` if the extensions may not be loaded or are wrong.
    """
    with extended(path, overrides):
        return json_schema()


def json_schema() -> Schema:
    """Return the schema of a whole config (JSON Schema, draft 2020-12)."""
    definitions: Schema = {}
    for registry in map(_with_added, REGISTRIES):
        for name, entry in registry.entries.items():
            settings = schema_of(entry.Settings, definitions)
            settings["description"] = cleandoc(entry.__doc__ or "")
            if registry.kind == "source":
                settings["properties"]["source"]["const"] = name
            definitions[f"{registry.kind}.{name}"] = settings
        definitions[registry.kind] = _choice(registry, definitions)
    config = schema_of(Config, definitions)
    config["required"].remove("name")  # the file's name otherwise
    definitions["DataSettings"] = {"$ref": "#/$defs/source"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnntrain config",
        **config,
        "$defs": definitions,
    }


def _with_added(registry: Registry) -> Registry:
    """Return the registry of layers with those that extensions added."""
    return replace(registry, entries=known_layers()) if registry.kind == "layer" else registry


def schema_of(settings: type[BaseModel], definitions: Schema) -> Schema:
    """Return the schema of a class of settings; those that it contains are put into `definitions`."""
    schema: Schema = _linked(settings.model_json_schema())
    definitions.update(schema.pop("$defs", {}))
    schema.setdefault("properties", {})
    schema.setdefault("required", [])
    return schema


def _choice(registry: Registry, definitions: Schema) -> Schema:
    """A bare name; {name: main setting}; {name: {settings}}."""
    forms: list[Schema] = []
    for name, entry in registry.entries.items():
        settings: Schema = definitions[f"{registry.kind}.{name}"]
        reference = {"$ref": f"#/$defs/{registry.kind}.{name}"}
        if registry.kind == "source":
            forms.append(reference)
            continue
        main = entry.Settings.main
        if not settings["required"]:
            forms.append({"const": name, "description": settings["description"]})
        values = [reference, settings["properties"][main]] if alone_suffices(main, settings) else [reference]
        if not settings["required"]:
            values.append({"type": "null"})
        forms.append(
            {
                "type": "object",
                "properties": {name: {"anyOf": values, "description": settings["description"]}},
                "required": [name],
                "additionalProperties": False,
            }
        )
    return {"oneOf": forms} if forms else {"not": {}}


def alone_suffices(main: str | None, settings: Schema) -> bool:
    """Tell whether the main setting can be all that is given."""
    return main is not None and set(settings["required"]) <= {main}


def _linked(value: Any) -> Any:
    """Put references in place of the marks that `ChoiceFrom` leaves."""
    if isinstance(value, Mapping):
        linked = {key: _linked(item) for key, item in value.items() if key != CHOICE}
        return {**linked, "$ref": f"#/$defs/{value[CHOICE]}"} if CHOICE in value else linked
    return [_linked(item) for item in value] if isinstance(value, list) else value
