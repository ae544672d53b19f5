"""Where the paths in a config begin: at the working directory, or else at the config's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def settled(path: str, folder: Path | None) -> str:
    """Return a path of a config as it is to be opened.

    Parameters
    ----------
    path : str
        As it is written.
    folder : Path or None
        The folder of the config's file; None if the config is in no file of its own.

    Returns
    -------
    str
        The path itself where the working directory has it (or nobody does); that in the config's folder if only that
        folder has it.
    """
    if folder is None:
        return path
    try:
        here, there = Path(path).expanduser(), folder / path
        if here.is_absolute() or here.exists() or not there.exists():
            return path
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, no home: whoever opens it says so
        return path
    return str(there)


def settle(values: dict[str, Any], folder: Path | None) -> None:
    """Replace every path in the plain values of a config by what `settled` makes of it."""
    data, extensions, init = values.get("data"), values.get("extensions"), values.get("init")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = settled(data["path"], folder)
    if isinstance(init, dict) and isinstance(init.get("from"), str):
        init["from"] = settled(init["from"], folder)
    if isinstance(extensions, list):
        extensions[:] = [settled(file, folder) if isinstance(file, str) else file for file in extensions]
