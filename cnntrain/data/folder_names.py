"""What the names of folders say: which hold a split, which lie around everything, which are of no account."""

from __future__ import annotations

from collections import Counter

from cnntrain.data.image_files import ImageFiles
from cnntrain.printable import printable

# Names of a split's folder, in small letters; capitals will do.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave in folders; names with a dot in front too


def split_named(folder: str) -> str | None:
    """Return the split that a folder of this name holds; None if it holds none."""
    return next((split for split, names in SPLIT_FOLDERS.items() if folder.lower() in names), None)


def is_clutter(parts: list[str]) -> bool:
    """Tell whether a path is that of something that systems leave in folders."""
    return any(part.startswith(".") or part in _CLUTTER for part in parts)


def outer_folders(files: ImageFiles) -> str:
    """Return "" when train/ lies at the top, "outer/" or "outer/inner/" when everything lies in folders around it."""
    prefix = ""
    while True:
        tops = {rest.split("/")[0] for name in files.names if "/" in (rest := name.removeprefix(prefix))}
        tops = {top for top in tops if not is_clutter([top])}
        if len(tops) != 1 or split_named(top := tops.pop()) is not None:
            return prefix
        deeper = f"{prefix}{top}/"
        if not any("/" in name.removeprefix(deeper) for name in files.names if name.startswith(deeper)):
            return prefix  # a folder of files: a class, perhaps, but nothing around splits
        prefix = deeper


def few(counts: Counter[str]) -> str:
    """A few names of folders, with how many image files each has."""
    shown = [f"{printable(name)}/ ({count:,})" for name, count in sorted(counts.items())[:5]]
    return ", ".join(shown) + (f" and {len(counts) - 5:,} more" if len(counts) > 5 else "")
