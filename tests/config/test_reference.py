from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.config.reference import in_words, reference
from cnntrain.config.registries import REGISTRIES

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_page_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == reference(), "run: python -m cnntrain.config.reference docs/reference.md"


def test_every_entry_and_key_is_on_the_page() -> None:
    page = reference()
    for registry in REGISTRIES:
        for name, entry in registry.entries.items():
            begin = page.index(f"\n### `{name}`\n", page.index(f"\n## {registry.title}\n"))
            chapter = page[page.index(f"\n## {registry.title}\n") : page.find("\n### ", begin + 1)]
            for key in entry.Settings.model_fields:
                assert f"\n| `{key}` | " in chapter, f"{name}: {key}"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number ≥ 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number > 0 and < 1"),
        ({"type": "boolean"}, "`true` or `false`"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "array", "items": {"$ref": "#/$defs/layer"}}, "a list of: [a layer](#layers)"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, "[rows, columns]"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}, "[number, number]"),
        ({"$ref": "#/$defs/initializer"}, "[an initializer](#initialisers)"),
    ],
)
def test_values_in_words(schema: dict[str, object], words: str) -> None:
    assert in_words(schema, {}) == words
