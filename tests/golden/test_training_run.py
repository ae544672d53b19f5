"""A few steps of training LeNet-5, held against PyTorch's run in float64: every loss, and the weights at the end.

This is the whole path: layout, convolutions, tanh, pooling, dense layers, loss, backward, Nesterov SGD. The batches of
20 images leave 12 lanes empty.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.network import Network
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.shape import Shape
from tests.golden import cases, checks
from tests.golden.cases import Array


class Affine:
    """The normalisation of the golden run."""

    def affine(self) -> tuple[Array, Array]:
        return np.array([cases.LENET_SCALE], np.float32), np.array([cases.LENET_SHIFT], np.float32)


def train(dtype: Any, batch_size: int = cases.LENET_BATCH) -> tuple[list[float], dict[str, Array]]:
    """Losses of all steps, and the final parameters by PyTorch's names."""
    config = parse_config(cases.LENET_YAML, "golden.yaml")
    rows = infer_shapes(config, Shape(1, 28, 28), 10)
    network = Network(rows, batch_size=batch_size, loss=config.loss, dtype=dtype)
    names = [parameter.name for parameter in network.parameters]
    initial = cases.lenet_weights()
    assert len(names) == len(initial)
    network.load_state(dict(zip(names, initial.values(), strict=True)))
    optimizer = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, network.parameters)
    images, labels = cases.lenet_images()
    losses = []
    for step in range(cases.LENET_STEPS):
        indices = cases.lenet_batch(step)
        network.load(images, indices, Affine())
        network.forward(training=True)
        losses.append(network.loss(labels[indices]))
        network.backward()
        optimizer.step(config.optimizer.settings.learning_rate)
    state = network.state()
    return losses, {golden: state[name] for golden, name in zip(initial, names, strict=True)}


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # float64: rounding only. float32: about 1e-7 per operation, some 20 operations deep, six steps with momentum.
    [(np.float64, 1e-12), (np.float32, 2e-6)],
    ids=["float64", "float32"],
)
def test_losses_and_weights_are_those_of_pytorch(dtype: Any, tolerance: float) -> None:
    golden = checks.load("lenet")[""]
    losses, final = train(dtype)
    np.testing.assert_allclose(losses, golden["losses"], rtol=tolerance, atol=0)
    for name, tensor in final.items():
        assert tensor.shape == cases.LENET_SHAPES[name]
        np.testing.assert_allclose(cases.kept(name, tensor), golden[name], rtol=0, atol=tolerance, err_msg=name)


def test_the_run_changes_every_tensor_by_more_than_the_tolerance() -> None:
    """So that a layer that does not learn could not pass."""
    golden, initial = checks.load("lenet")[""], cases.lenet_weights()
    for name, start in initial.items():
        assert np.median(np.abs(cases.kept(name, start) - golden[name])) > 2e-5, name
    assert golden["losses"][-1] < golden["losses"][0] - 0.02


def test_room_for_a_larger_batch_changes_nothing_but_rounding() -> None:
    """Lanes and blocks without an image contribute nothing; the weight gradients are cut into other partial sums."""
    losses, final = train(np.float32)
    roomy_losses, roomy_final = train(np.float32, batch_size=100)
    np.testing.assert_allclose(roomy_losses, losses, rtol=1e-6)
    for name, tensor in final.items():
        np.testing.assert_allclose(roomy_final[name], tensor, rtol=0, atol=1e-6, err_msg=name)


THREADS_SCRIPT = """
import hashlib, json
import numba
import numpy as np
from tests.golden.test_training_run import train

digests = []
for threads in (1, 2, 3):
    numba.set_num_threads(threads)
    losses, final = train(np.float32)
    everything = np.array(losses).tobytes() + b"".join(tensor.tobytes() for tensor in final.values())
    digests.append(hashlib.sha256(everything).hexdigest())
    assert numba.get_num_threads() == threads
print(json.dumps(digests))
"""


def test_the_same_bits_for_any_number_of_threads() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", THREADS_SCRIPT],
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    digests = json.loads(finished.stdout.splitlines()[-1])
    assert len(digests) == 3
    assert len(set(digests)) == 1
