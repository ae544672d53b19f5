"""What differs between the configs of runs, key by key."""

from __future__ import annotations

import json
from collections.abc import Sequence

Values = dict[str, object]
NOT_THERE = "-"


def flattened(config: object, path: str = "") -> dict[str, object]:
    """Return the values at the ends of a config by their dotted keys: {"optimizer.sgd.momentum": 0.9, ...}.

    A mapping with nothing in it, and a list of plain values, are ends.
    """
    if isinstance(config, dict) and config:
        inside = [(str(key), value) for key, value in config.items()]
    elif isinstance(config, list) and (path == "network" or any(isinstance(item, dict | list) for item in config)):
        inside = [(str(index), value) for index, value in enumerate(config)]
    else:
        return {path: config}
    found: dict[str, object] = {}
    for name, value in inside:
        found |= flattened(value, f"{path}.{name}" if path else name)
    return found


def differences(configs: Sequence[Values]) -> dict[str, list[str]]:
    """Return the keys whose values are not the same in all configs, with each config's value as text.

    Parameters
    ----------
    configs : sequence of dict
        As plain data, all defaults written out.

    Returns
    -------
    dict of list of str
        By dotted key, in the order of the first config that has it; "-" where a config has no such key.
    """
    flat = [flattened(config) for config in configs]
    keys = dict.fromkeys(key for values in flat for key in values)
    found = {key: [_text(values[key]) if key in values else NOT_THERE for values in flat] for key in keys}
    return {key: texts for key, texts in found.items() if len(set(texts)) > 1}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)  # floats in their shortest exact form
