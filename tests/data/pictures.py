"""Small data sets of image files, in a folder or a zip archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnntrain.data import DataSet, load_data
from tests.data.files import settings


def pixels(seed: int, rows: int = 4, columns: int = 6, channels: int = 3) -> NDArray[np.uint8]:
    """(rows, columns, 3), or (rows, columns) for one channel."""
    shape = (rows, columns, channels)[: 3 if channels > 1 else 2]
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(array: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def tree(**changed: bytes | None) -> dict[str, bytes]:
    """Six training and two test images of the classes cat and dog; file contents by name."""
    files = {
        f"train/{kind}/{n}.png": encoded(pixels(10 * n + (kind == "dog"))) for n in range(3) for kind in ("dog", "cat")
    }
    files |= {f"test/{kind}/0.png": encoded(pixels(100 + (kind == "dog"))) for kind in ("dog", "cat")}
    for name, content in changed.items():
        if content is None:
            del files[name]
        else:
            files[name] = content
    return files


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def load(path: Path, **keys: Any) -> DataSet:
    return load_data(settings(source="folder", path=path, **keys), seed=1)
