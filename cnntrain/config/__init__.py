"""The config file: YAML with line numbers -> typed, validated objects; every problem reported at once."""

from __future__ import annotations

from cnntrain.config.load import load_config, parse_config, resolved_yaml
from cnntrain.config.model import Config, ExpectSettings, TrainSettings
from cnntrain.config.shapes import infer_shapes
from cnntrain.layers.base import LayerRow
from cnntrain.settings import Choice

__all__ = [
    "Choice",
    "Config",
    "ExpectSettings",
    "LayerRow",
    "TrainSettings",
    "infer_shapes",
    "load_config",
    "parse_config",
    "resolved_yaml",
]
