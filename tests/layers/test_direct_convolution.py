"""`train.convolution: direct` reaches every network that is built from a config, and stays in its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnntrain.bench.subject import subject_of_config
from cnntrain.config import infer_shapes, load_config, resolved_yaml
from cnntrain.evaluation.restored import restore
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.explanation import Explanation
from cnntrain.network import Network
from cnntrain.runs.checkpoint import save_checkpoint
from cnntrain.runs.progress import Metrics, Progress
from cnntrain.shape import Shape
from cnntrain.training.setup import build_training
from cnntrain.verify.case import case_of_config
from tests.training.small import write_config

METRICS = Metrics(train_loss=1.0, train_accuracy=0.5)
PROGRESS = Progress(epoch=1, step=1, metrics=METRICS, best_epoch=1, best_metrics=METRICS)
ASKED = "the config asks for direct convolution"


def algorithms(network: Network) -> Iterator[str]:
    for _, layer in network.layers():
        if isinstance(layer, Conv2d):
            yield from (str(chosen) for chosen in layer.passes.choices)


def uses_winograd(network: Network) -> bool:
    return any(choice.startswith("winograd") for choice in algorithms(network))


def convolution() -> dict[str, dict[str, object]]:
    return {"conv2d": {"filters": 16, "kernel_size": 3, "padding": "same"}}


def written(folder: Path, choice: str) -> Path:
    """The second convolution runs with its pooling, the third inside a layer."""
    network = [convolution(), convolution(), {"max_pool2d": 2}, {"residual": [convolution()]}, {"dense": "classes"}]
    return write_config(folder, choice, network=network, train={"convolution": choice, "epochs": 1})


@pytest.mark.parametrize("choice", ["fastest", "direct"])
def test_every_network_of_a_config(tmp_path: Path, choice: str) -> None:
    config = written(tmp_path, choice)
    training = build_training(load_config(config), print)
    checkpoint = tmp_path / "a.safetensors"
    save_checkpoint(checkpoint, training.checkpoint(PROGRESS))
    networks = {
        "train": training.network,
        "eval": restore(checkpoint, batch_size=16).network,
        "gradcheck": case_of_config(config, [], 20, 1, print).network,
        "bench": subject_of_config(config).network,
    }
    assert {name: uses_winograd(network) for name, network in networks.items()} == dict.fromkeys(
        networks, choice == "fastest"
    )
    assert f"convolution: {choice}" in resolved_yaml(restore(checkpoint, batch_size=16).config)


def test_the_reason_is_told(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "direct"))
    told = list(algorithms(build_training(config, print).network))
    assert len(told) == 9
    assert all(ASKED in choice for choice in told), told
    rows = infer_shapes(config, Shape(1, 14, 14), 10)
    explained = [found for found in Explanation.of(rows, 32, direct=True).passes if found.shape.startswith("16→16")]
    assert len(explained) == 6
    assert all(ASKED in found.refusals.values() for found in explained)
