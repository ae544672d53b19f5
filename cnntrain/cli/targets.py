"""What a plain argument names: a config, or a run folder or checkpoint."""

from __future__ import annotations

from pathlib import Path

CONFIG_SUFFIXES = {".yaml", ".yml"}


def is_config(target: Path) -> bool:
    """Tell whether a path is meant as a config; a run folder or a checkpoint otherwise."""
    return target.suffix.lower() in CONFIG_SUFFIXES and not target.is_dir()
