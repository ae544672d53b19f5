"""The networks that are compared: one entry each, a config file and the size of its images.

Another network is one more line here, as long as `torch_layers` knows its layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnntrain.layers.base import LayerRow

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Entry:
    """A config in the repository; the data are synthetic, so their size is given here."""

    config: str
    image: tuple[int, int, int]  # channels, rows, columns
    batch_size: int
    classes: int = 10


NETWORKS = {
    "lenet5": Entry("configs/mnist-lenet5.yaml", (1, 28, 28), 64),
    "caffe-lenet": Entry("configs/caffe-lenet.yaml", (1, 28, 28), 64),
    "cifar10-quick": Entry("configs/caffe-cifar10-quick.yaml", (3, 32, 32), 128),
    "resnet20": Entry("configs/resnet20.yaml", (3, 32, 32), 128),
    "vgg": Entry("benchmarks/configs/vgg.yaml", (3, 32, 32), 128),
}


def plan(name: str, batch_size: int | None) -> dict[str, Any]:
    """Everything that both workers need, as plain JSON: resolved layers, batch size, optimiser, size of the data."""
    from cnntrain.config import infer_shapes, load_config
    from cnntrain.shape import Shape

    entry = NETWORKS[name]
    config = load_config(ROOT / entry.config)
    rows = infer_shapes(config, Shape(*entry.image), entry.classes)
    return {
        "name": name,
        "config": str(ROOT / entry.config),
        "image": list(entry.image),
        "classes": entry.classes,
        "batch_size": batch_size or entry.batch_size,
        "layers": [layer(row) for row in rows],
        "optimizer": config.optimizer.settings.model_dump(mode="json"),
        "macs": sum(row.macs for row in rows),
        "parameters": sum(row.parameters for row in rows),
    }


def layer(row: LayerRow) -> dict[str, Any]:
    """One layer: its settings, or, if it contains layers, these in "parts"."""
    shapes = {"name": row.name, "input_shape": list(row.input_shape), "output_shape": list(row.output_shape)}
    if row.parts:
        return {**shapes, "parts": [[layer(inner) for inner in part.rows] for part in row.parts]}
    initial = {key for key in type(row.settings).model_fields if key.endswith("_init")}  # of no concern here
    return {**shapes, **row.settings.model_dump(mode="json", exclude=initial)}
