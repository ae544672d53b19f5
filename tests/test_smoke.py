"""The whole in less than a minute, once kernels are compiled (`make smoke`): numbers, a training, an error.

For a first look after a change; what each part does is tested with that part.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

from cnntrain.config import infer_shapes, load_config
from cnntrain.network import Network
from cnntrain.shape import Shape
from tests import naive
from tests.layers.networks import Array, Unchanged
from tests.training.small import write_config

REPO = Path(__file__).parents[1]
LENET = REPO / "configs" / "mnist-lenet5.yaml"
IMAGES = 17  # two blocks, the second with fifteen lanes without an image


def lenet(x: Array, labels: Array, state: dict[str, Array]) -> tuple[float, Array, dict[str, Array]]:
    """Loss, dL/dx and the gradients of all parameters, formula by formula."""
    weight = {number: state[f"{number}.weight"] for number in (0, 3, 6, 8, 10)}
    bias = {number: state[f"{number}.bias"] for number in weight}
    gradients: dict[str, Array] = {}

    def keep(number: int, grad_input: Array, grad_weight: Array, grad_bias: Array) -> Array:
        gradients[f"{number}.weight"], gradients[f"{number}.bias"] = grad_weight, grad_bias
        return grad_input

    a1 = naive.tanh(naive.conv2d(x, weight[0], bias[0], padding=2))
    p1, mask1 = naive.max_pool2d(a1, 2)
    a2 = naive.tanh(naive.conv2d(p1, weight[3], bias[3]))
    p2, mask2 = naive.max_pool2d(a2, 2)
    flat = p2.reshape(len(x), -1)
    a3 = naive.tanh(naive.dense(flat, weight[6], bias[6]))
    a4 = naive.tanh(naive.dense(a3, weight[8], bias[8]))
    loss, delta = naive.cross_entropy(naive.dense(a4, weight[10], bias[10]), labels)

    delta = naive.tanh_backward(keep(10, *naive.dense_backward(delta, a4, weight[10])), a4)
    delta = naive.tanh_backward(keep(8, *naive.dense_backward(delta, a3, weight[8])), a3)
    delta = keep(6, *naive.dense_backward(delta, flat, weight[6])).reshape(p2.shape)
    delta = naive.tanh_backward(naive.max_pool2d_backward(delta, mask2, a2.shape), a2)
    delta = keep(3, *naive.conv2d_backward(delta, p1, weight[3]))
    delta = naive.tanh_backward(naive.max_pool2d_backward(delta, mask1, a1.shape), a1)
    delta = keep(0, *naive.conv2d_backward(delta, x, weight[0], padding=2))
    return loss, delta, gradients


def test_lenet_forward_and_backward_equal_the_naive_loops() -> None:
    config, random = load_config(LENET), np.random.default_rng(51)
    rows = infer_shapes(config, Shape(1, 28, 28), 10)
    network = Network(rows, batch_size=IMAGES, loss=config.loss, dtype=np.float64, needs_grad_input=True)
    state = {name: 0.2 * random.standard_normal(value.shape) for name, value in network.state().items()}
    network.load_state(state)
    x, labels = random.standard_normal((IMAGES, 1, 28, 28)), random.integers(0, 10, IMAGES)
    network.load(x, np.arange(IMAGES), Unchanged(1))
    network.forward(training=True)
    loss = network.loss(labels)
    network.backward()

    short = {name: ".".join(name.split(".")[::2]) for name in state}  # 0.conv2d.weight: 0.weight
    expected = lenet(x, labels, {short[name]: value for name, value in state.items()})
    received = {short[one.name]: one.canonical(one.gradient) for one in network.parameters}
    np.testing.assert_allclose(loss, expected[0], rtol=1e-12)
    for name, gradient in {**expected[2], "input": expected[1]}.items():
        found = network.grad_input if name == "input" else received.pop(name)
        np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-12 * np.abs(gradient).max(), err_msg=name)
    assert received == {}


def cnntrain(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnntrain", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_short_training(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    trained = cnntrain("train", "--config", config, folder=tmp_path)
    assert (trained.returncode, trained.stdout) == (0, "runs/digits-1\n"), trained.stderr
    run = tmp_path / "runs" / "digits-1"
    files = ["best.safetensors", "config.yaml", "environment.json", "last.safetensors", "log.txt", "metrics.csv"]
    assert sorted(path.name for path in run.iterdir()) == files
    with (run / "metrics.csv").open() as file:
        first, second = csv.DictReader(file)
    assert float(second["train_loss"]) < float(first["train_loss"]) < np.log(10) + 0.2
    evaluated = cnntrain("eval", run, folder=tmp_path)
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    assert "accuracy" in evaluated.stdout


WRONG = """\
data: {source: mnist, path: nowhere}
network:
  - conv2d: {filters: 20, kernel_size: 5}
  - max_pool2d: 2
  - dens: classes
optimizer:
  sgd: {learning_rate: 0}
"""
MESSAGE = """\
wrong.yaml:5:5: unknown layer "dens"; did you mean dense?
    5 |   - dens: classes
      |     ^
wrong.yaml:7:24: optimizer.sgd.learning_rate must be greater than 0; received 0
    7 |   sgd: {learning_rate: 0}
      |                        ^
"""


def test_an_error(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG)
    result = cnntrain("check", "--config", "wrong.yaml", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", MESSAGE)
