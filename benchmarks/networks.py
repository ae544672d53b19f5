"""The networks that are compared: one entry each, a config file and the size of its images.

Another network is one more line here, as long as `torch_layers` and `peers.layers` know its layers: this one
description serves all peers.
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

    title: str
    config: str
    image: tuple[int, int, int]  # channels, rows, columns
    batch_size: int
    classes: int = 10
    overrides: tuple[str, ...] = ()


OWN = "benchmarks/configs"
MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
SIXTEEN = tuple(f"network.{index}.conv2d.groups=16" for index in (2, 4, 7, 9))
NETWORKS = {
    "lenet5": Entry("LeNet-5", "configs/mnist-lenet5.yaml", MNIST, 64),
    "caffe-lenet": Entry("Caffe LeNet", "configs/caffe-lenet.yaml", MNIST, 64),
    "cifar10-quick": Entry("cifar10_quick", "configs/caffe-cifar10-quick.yaml", CIFAR, 128),
    "resnet20": Entry("ResNet-20", "configs/resnet20.yaml", CIFAR, 128),
    "vgg": Entry("VGG-like", f"{OWN}/vgg.yaml", CIFAR, 128),
    "mobilenet": Entry("MobileNet-like", f"{OWN}/mobilenet.yaml", CIFAR, 64),
    "mlp": Entry("multilayer perceptron", f"{OWN}/mlp.yaml", MNIST, 128),
    "alexnet": Entry("AlexNet-like", f"{OWN}/alexnet.yaml", (3, 64, 64), 32, 200),
    "groups8": Entry("8 groups", f"{OWN}/grouped.yaml", CIFAR, 64),
    "groups16": Entry("16 groups", f"{OWN}/grouped.yaml", CIFAR, 64, 10, SIXTEEN),
    "dilated": Entry("dilated", f"{OWN}/dilated.yaml", CIFAR, 64),
}


def plan(name: str, batch_size: int | None = None) -> dict[str, Any]:
    """Everything that the peers need, as plain JSON: resolved layers, batch size, optimiser, size of the data.

    All make the same steps: SGD in PyTorch's form, every parameter with the same rate and decay, no augmentation.
    """
    from cnntrain.config import infer_shapes, load_config
    from cnntrain.shape import Shape

    entry = NETWORKS[name]
    size = batch_size or entry.batch_size
    overrides = [*entry.overrides, f"train.batch_size={size}", "data.augment=[]", "optimizer.sgd.form=pytorch"]
    config = load_config(ROOT / entry.config, overrides)
    rows = infer_shapes(config, Shape(*entry.image), entry.classes)
    return {
        "name": name,
        "title": entry.title,
        "config": str(ROOT / entry.config),
        "overrides": overrides,
        "image": list(entry.image),
        "classes": entry.classes,
        "batch_size": size,
        "layers": [layer(row) for row in rows],
        "optimizer": config.optimizer.settings.model_dump(mode="json"),
        "macs": sum(row.macs for row in rows),
        "parameters": sum(row.parameters for row in rows),
    }


def layer(row: LayerRow) -> dict[str, Any]:
    """One layer: its settings, or, if it contains layers, these in "parts"."""
    about = {
        "name": row.name, "path": row.path,
        "input_shape": list(row.input_shape), "output_shape": list(row.output_shape),
    }  # fmt: skip
    if row.parts:
        return {**about, "parts": [[layer(inner) for inner in part.rows] for part in row.parts]}
    initializers = {key for key in type(row.settings).model_fields if key.endswith("_init")}  # weights come from a file
    return {**about, **row.settings.model_dump(mode="json", exclude=initializers)}
