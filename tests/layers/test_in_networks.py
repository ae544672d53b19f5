"""What dropout and batch normalisation ask of the network, of checkpoints and of the training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from cnntrain.config import infer_shapes, load_config
from cnntrain.errors import CheckpointError
from cnntrain.network import Network
from cnntrain.shape import Shape
from cnntrain.verify.probe import Probe
from cnntrain.warm_up import warm_up
from tests.layers.networks import Unchanged
from tests.training.small import resume, train, write_config

LAYERS: list[Any] = [
    {"conv2d": {"filters": 4, "kernel_size": 3, "bias": False}},
    "batch_norm2d",
    "relu",
    {"avg_pool2d": 2},
    {"dropout": 0.3},
    {"dense": "classes"},
]
NAMES = {f"1.batch_norm2d.{name}" for name in ("running_mean", "running_variance")}


def network(tmp_path: Path, dtype: Any = np.float64) -> Network:
    config = load_config(write_config(tmp_path, network=LAYERS))
    rows = infer_shapes(config, Shape(1, 14, 14), 10)
    return Network(rows, batch_size=20, loss=config.loss, dtype=dtype, needs_grad_input=True)


def load(net: Network, images: int = 20) -> None:
    values = np.random.default_rng(1).standard_normal((20, 1, 14, 14))
    net.load(values, np.arange(images, dtype=np.int64), Unchanged(1))


def test_state_holds_the_running_statistics(tmp_path: Path) -> None:
    first, second = network(tmp_path), network(tmp_path)
    load(first)
    first.forward(training=True)
    state = first.state()
    assert state.keys() > NAMES
    assert not np.array_equal(state["1.batch_norm2d.running_mean"], np.zeros(4))
    second.load_state(state)
    load(first, 5)
    load(second, 5)
    first.forward()
    second.forward()
    np.testing.assert_array_equal(first.logits(), second.logits())
    with pytest.raises(CheckpointError, match="running_mean"):
        second.load_state({name: value for name, value in state.items() if name not in NAMES})


def test_only_training_moves_the_running_statistics(tmp_path: Path) -> None:
    net = network(tmp_path)
    before = net.state()
    warm_up(net, np.float64)
    load(net)
    net.forward()
    for name, value in net.state().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_the_step_chooses_the_mask(tmp_path: Path) -> None:
    net = network(tmp_path)
    logits = []
    for step in (3, 3, 4):
        load(net)
        net.forward(training=True, step=step)
        logits.append(net.logits())
    np.testing.assert_array_equal(logits[0], logits[1])
    assert not np.array_equal(logits[0], logits[2])


def test_all_gradients_of_the_network(tmp_path: Path) -> None:
    """As `cnntrain gradcheck` does it: batch statistics, and the mask of one step."""
    net = network(tmp_path)
    probe = Probe(net, np.random.default_rng(2).standard_normal((17, 1, 14, 14)), np.arange(17) % 10)
    generator = np.random.default_rng(3)
    checked = 0
    for tensor in probe.differentiate():
        for place in generator.choice(tensor.value.size, min(8, tensor.value.size), replace=False):
            difference = probe.difference(tensor, int(place), 1e-5)
            if difference is not None:
                assert tensor.gradient.ravel()[place] == pytest.approx(difference, rel=1e-5, abs=1e-8), tensor.name
                checked += 1
    assert checked > 25


def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    """The last batch of an epoch is short here: 448 = 9 * 48 + 16."""
    config = write_config(tmp_path, network=LAYERS, train={"epochs": 2, "batch_size": 48})
    whole = train(config, tmp_path / "whole")
    parts = train(config, tmp_path / "parts", "train.epochs=1")
    resume(parts.path, "train.epochs=2")
    one, other = load_file(whole.last), load_file(parts.last)
    assert one.keys() > NAMES
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
