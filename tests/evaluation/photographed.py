"""A network that was trained on pictures: light and dark ones, some transparent, of any size, padded to 14x14."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.runs.folder import RunFolder
from tests.data.pictures import encoded, write_folder
from tests.training.small import train, write_config

KINDS = ("dark", "light")
DATA: dict[str, Any] = {
    "source": "folder", "path": "photos", "test": 0.2, "validation": 0, "resize": [14, 14], "fit": "pad",
    "background": [10, 200, 30],
}  # fmt: skip


def picture(kind: str, seed: int, channels: int = 3) -> NDArray[np.uint8]:
    """A picture of a kind: rows and columns differ, and from seed to seed."""
    random = np.random.default_rng(seed + 1000 * KINDS.index(kind))
    shape = (12 + seed % 7, 30 - seed % 5, channels)
    image = random.integers(0, 120, shape) + 130 * (kind == "light")
    return image.astype(np.uint8)


def photos(count: int = 12) -> dict[str, bytes]:
    return {f"photos/{kind}/{n:02}.png": encoded(picture(kind, n)) for kind in KINDS for n in range(count)}


def trained(folder: Path, **data: Any) -> RunFolder:
    """Train on photos in a folder."""
    write_folder(folder, photos())
    config = write_config(folder, data=DATA | data, train={"epochs": 6, "batch_size": 8})
    return train(config, folder / "run")
