"""A config, or any nested values, as one list of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return every scalar of nested mappings and lists under its dotted path."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        return {path: value}
    found: dict[str, Any] = {} if value else {path: value}
    for key, item in value.items():
        found |= flat(item, f"{path}.{key}" if path else str(key))
    return found
