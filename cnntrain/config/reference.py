"""The page that documents every YAML key, written from the classes that validate them.

    python -m cnntrain.config.reference docs/reference.md

writes it; a test fails when the page is out of date. The texts are the descriptions of the fields and the docstrings of
the classes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cnntrain.config.course import CheckpointSettings, EarlyStoppingSettings, InitSettings, TestTimeSettings
from cnntrain.config.model import Config, ExpectSettings, TrainSettings
from cnntrain.config.registries import REGISTRIES, Registry
from cnntrain.config.schema import Schema, alone_suffices, schema_of

_BLOCKS: dict[str, type[BaseModel]] = {
    "train": TrainSettings,
    "init": InitSettings,
    "early_stopping": EarlyStoppingSettings,
    "checkpoint": CheckpointSettings,
    "test_time": TestTimeSettings,
    "expect": ExpectSettings,
}
_HEAD = """\
# Every key of a config

<!-- Written by `python -m cnntrain.config.reference docs/reference.md` from the classes that validate. -->

A thing that can be chosen (a layer, a loss, ...) is written as its name alone, as its name with its main setting, or as
its name with settings:

```yaml
- tanh
- max_pool2d: 2
- max_pool2d: {kernel_size: 3, stride: 2}
```

`cnntrain check --config FILE` tells whether a config is right, `cnntrain check --schema` prints a JSON schema for
editors, and `--set a.b=c` overrides any key.
"""


def reference() -> str:
    """Return the page, in Markdown."""
    lines = [_HEAD, "## The config\n", *_table(_schema(Config))]
    for key, settings in _BLOCKS.items():
        lines += [f"### `{key}`\n", *_paragraphs(settings.__doc__), *_table(_schema(settings))]
    for registry in REGISTRIES:
        if registry.entries:
            lines += [f"## {registry.title}\n", f"Chosen {_with_preposition(registry.where)}.\n", *_chapter(registry)]
    return "\n".join(lines).rstrip() + "\n"


def _chapter(registry: Registry) -> Iterator[str]:
    schemas = {name: _schema(entry.Settings) for name, entry in registry.entries.items()}
    shared = _shared([schema["properties"] for schema in schemas.values()])
    if shared:
        yield "Keys that all of them have:\n"
        yield from _table({**next(iter(schemas.values())), "properties": shared})
    classes = [entry.Settings for entry in registry.entries.values()]
    for name, entry in registry.entries.items():
        schema, settings = schemas[name], entry.Settings
        yield f"### `{name}`\n"
        yield from _paragraphs(entry.__doc__)
        own = {key: value for key, value in schema["properties"].items() if key not in shared}
        if own and classes.count(settings) == 1:
            yield from _paragraphs(settings.__doc__)
        if alone_suffices(settings.main, schema):
            yield f"`{name}: VALUE` is short for `{name}: {{{settings.main}: VALUE}}`.\n"
        if own:
            yield from _table({**schema, "properties": own})
        else:
            yield "No settings of its own.\n" if shared else "No settings.\n"


def _shared(properties: Sequence[Schema]) -> Schema:
    """The keys that all entries have, and have alike; none if there is only one entry."""
    first, *others = properties
    return {
        key: value
        for key, value in first.items()
        if others and all(key in other and other[key] == value for other in others)
    }


def _schema(settings: type[BaseModel]) -> Schema:
    definitions: Schema = {}
    return {**schema_of(settings, definitions), "$defs": definitions}


def _table(schema: Schema) -> Iterator[str]:
    yield "| key | value | default | |\n|---|---|---|---|"
    for key, value in schema["properties"].items():
        default = "required" if key in schema["required"] else _default(value.get("default"))
        if key == "name":
            default = "the file's name"
        cells = [f"`{key}`", in_words(value, schema["$defs"]), default, value.get("description", "")]
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""


def in_words(schema: Schema, definitions: Schema) -> str:
    """Say what values a piece of JSON schema allows."""
    if "anyOf" in schema:
        alternatives = [in_words(each, definitions) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(alternatives))
    if "enum" in schema:
        return ", ".join(f"`{_yaml(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{_yaml(schema['const'])}`"
    if "$ref" in schema:
        return _of_reference(schema["$ref"].rpartition("/")[2], definitions)
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        what = in_words(items, definitions)
        if schema.get("maxItems") == 2 == schema.get("minItems"):
            return "[rows, columns]" if items.get("type") == "integer" else f"[{what}, {what}]"
        return f"a list of: {what}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"for each name: {in_words(schema['additionalProperties'], definitions)}"
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = " and ".join(f"{sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema)
    return f"{words.get(str(kind), 'anything')} {bounds}".strip()


def _of_reference(name: str, definitions: Schema) -> str:
    registry = next((registry for registry in REGISTRIES if registry.kind == name), None)
    if registry is not None:
        return f"[{_article(name)}](#{registry.title.lower().replace(' ', '-')})"
    for key, settings in _BLOCKS.items():
        if name == settings.__name__:
            return f"[see below](#{key})"
    if name == "DataSettings":
        return "[a data source](#data-sources) with its keys"
    described = definitions.get(name, {})
    keys = [
        f"`{key}`: {in_words(value, definitions)}" + (f" ({value['description']})" if "description" in value else "")
        for key, value in described.get("properties", {}).items()
    ]
    return f"{{{'; '.join(keys)}}}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _with_preposition(where: str) -> str:
    return where if where.startswith("in ") else f"under {where}" if where.count("`") > 2 else f"with {where}"


def _default(value: Any) -> str:
    if value in (None, [], "", {}):
        return "none"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _paragraphs(docstring: str | None) -> Iterator[str]:
    """A docstring's paragraphs, without its numpydoc sections and without "YAML keys of `x`"."""
    text = re.split(r"\n\w[\w ]*\n-{3,}\n", cleandoc(docstring or ""))[0]
    text = re.sub(r"^((YAML keys|Keys) of `[^`]*`|`\w+` has no YAML keys)[.;:,]?\s*", "", text).strip()
    if text:
        is_formula = re.match(r"\w+ = ", text)
        yield (text if is_formula else text[0].upper() + text[1:]) + "\n"


def main() -> None:
    """Write the page to the path that is the only argument."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m cnntrain.config.reference docs/reference.md")
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
