"""dL/d(logits) of every loss, and the step of every optimiser, written out and compared with the kernels'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.errors import MismatchError
from cnntrain.explain.difference import Differences
from cnntrain.explain.terms.loss import LOSSES, loss_gradient
from cnntrain.explain.terms.update import RULES, update_of
from cnntrain.explain.trace import Trace, trace
from cnntrain.losses import LOSSES as ALL_LOSSES
from cnntrain.network import Network
from cnntrain.optimizers import OPTIMIZERS, Course
from cnntrain.shape import Shape
from tests.layers.networks import batch


def traced(loss: str = "cross_entropy", optimizer: str = "{sgd: 0.1}", images: int = 3) -> tuple[Network, Trace]:
    """A step in the middle of a training: what the optimiser keeps is not zero."""
    text = (
        f"data: {{source: mnist, path: none}}\nloss: {loss}\noptimizer: {optimizer}\n"
        "network: [dense: {units: 4, bias_learning_rate: 2.0, bias_decay: 0.5}, tanh, dense: classes]\n"
    )
    config = parse_config(text, "step.yaml")
    rows = infer_shapes(config, Shape(1, 2, 3), 3)
    net = Network(
        rows, batch_size=images, loss=config.loss, dtype=np.float64, needs_grad_input=True, fusions=False, seed=3
    )
    kept = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, net.parameters)
    generator = np.random.default_rng(8)
    state = {name: generator.random(value.shape) / 2 + 0.4 for name, value in kept.state().items()}
    kept.load_state({**state, "steps": np.array([4])})
    return net, trace(net, *batch(net, images), optimizer=kept, learning_rate=0.05, step=4)


LOSS_SETTINGS = [
    "cross_entropy",
    "{cross_entropy: {label_smoothing: 0.2}}",
    "{cross_entropy: {class_weights: [1, 2.5, 0.5]}}",
    "mse",
    "hinge",
    "{hinge: 2}",
    "multi_margin",
    "{multi_margin: {norm: 2, margin: 0.7}}",
]


@pytest.mark.parametrize("loss", LOSS_SETTINGS)
def test_every_gradient_of_a_loss(loss: str) -> None:
    net, made = traced(loss)
    differences = Differences(net, made)
    for image in range(3):
        for k in range(3):
            found = loss_gradient(made, image, k)
            found.check("loss")
            assert found.last.value == pytest.approx(made.grad_logits[image, k], rel=1e-12, abs=1e-15)
            assert differences.of_logit(image, k).agrees


def test_every_loss_and_optimiser_is_known() -> None:
    assert set(LOSSES) == set(ALL_LOSSES)
    assert set(RULES) == set(OPTIMIZERS)


STEPS = [
    "{sgd: 0.1}",
    "{sgd: {learning_rate: 0.1, momentum: 0.9, weight_decay: 0.1, l1_decay: 0.02}}",
    "{sgd: {learning_rate: 0.1, momentum: 0.9, nesterov: true, clip_norm: 0.05}}",
    "{sgd: {learning_rate: 0.1, momentum: 0.9, form: caffe, ema: 0.9}}",
    "{sgd: {learning_rate: 0.1, momentum: 0.9, nesterov: true, form: caffe, clip_value: 0.01}}",
    "{adam: {learning_rate: 0.1, weight_decay: 0.1}}",
    "{adam: {learning_rate: 0.1, form: keras, betas: [0.8, 0.95]}}",
    "{adamw: {learning_rate: 0.1, weight_decay: 0.1, l1_decay: 0.05}}",
    "{rmsprop: 0.1}",
    "{rmsprop: {learning_rate: 0.1, centered: true, momentum: 0.8}}",
    "{rmsprop: {learning_rate: 0.1, form: keras, momentum: 0.8, weight_decay: 0.1}}",
    "{adagrad: {learning_rate: 0.1, learning_rate_decay: 0.3}}",
    "{adagrad: {learning_rate: 0.1, form: keras}}",
    "{adadelta: {rho: 0.8}}",
    "{muon: {learning_rate: 0.05, weight_decay: 0.1, l1_decay: 0.02}}",
]


@pytest.mark.parametrize("optimizer", STEPS)
def test_every_step_is_the_kernels(optimizer: str) -> None:
    _, made = traced(optimizer=optimizer)
    compared = 0
    for layer in made.walk():
        for parameter in layer.parameters.values():
            for index in np.ndindex(parameter.value.shape):
                found = update_of(made, parameter, index)
                assert found is not None
                found.check(layer.path)
                assert found.last.value == pytest.approx(parameter.updated[index], rel=1e-13)
                assert found.last.value != parameter.value[index]
                compared += sum(line.kernel is not None for line in found.lines)
    assert compared > 40  # what is kept, too


COURSE = """
data: {source: mnist, path: none}
optimizer: OPTIMIZER
network:
  - conv2d: {filters: 4, kernel_size: 2, bias_epochs: EPOCHS, bias_learning_rate: 2, epochs_schedule: whole}
  - batch_norm2d
  - dense: classes
"""
MUON = "{muon: {learning_rate: 0.05, steps: 3, normalize: true, weight_decay: 0.1, others: {learning_rate: 0.02}}}"
SLOW = "{sgd: {learning_rate: 0.05, momentum: 0.9, lookahead: {every: 5, keep: 0.7, power: 2}}}"


@pytest.mark.parametrize("first", [2, 4, 9, 10, 13])
@pytest.mark.parametrize("optimizer", [MUON, SLOW, MUON.replace("steps: 3", "steps: 3, lookahead: {every: 5}")])
def test_a_step_in_its_training(optimizer: str, first: int) -> None:
    """Steps 3, 5, 10, 11 and 14 of 20, 10 to the epoch: slow weights begin, follow, end an epoch; a bias ends."""
    config = parse_config(COURSE.replace("OPTIMIZER", optimizer).replace("EPOCHS", "1.3"), "step.yaml")
    rows = infer_shapes(config, Shape(1, 4, 4), 3)
    net = Network(rows, batch_size=3, loss=config.loss, dtype=np.float64, needs_grad_input=True, fusions=False, seed=3)
    kept = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, net.parameters)
    kept.follow(Course(10, 20, net.statistics, lambda steps: lambda step: 1 - step / steps))
    generator = np.random.default_rng(8)
    state = {name: generator.random(value.shape) / 2 + 0.4 for name, value in kept.state().items()}
    kept.load_state({**state, "steps": np.array([first])})
    made = trace(net, *batch(net, 3), optimizer=kept, learning_rate=0.05, step=first)
    for layer in made.walk():
        for parameter in layer.parameters.values():
            for index in np.ndindex(parameter.value.shape):
                found = update_of(made, parameter, index)
                assert found is not None
                found.check(layer.path)
                assert found.last.value == pytest.approx(parameter.updated[index], rel=1e-9, abs=1e-10)
    bias = update_of(made, made.layers[0].parameters["bias"], (0,))
    assert bias is not None
    assert bias.title.startswith("no step: it learned in the first 1.3 epochs") == (first >= 13)
    if first < 13 and "muon" not in optimizer:
        assert bias.lines[1].value == pytest.approx(0.1 * (1 - first / 13))
    names = {line.name for line in bias.lines}
    assert ("slow" in names) == ("lookahead" in optimizer and first in (4, 9))


def test_what_does_not_move() -> None:
    _, made = traced()
    layer = made.layers[0]
    parameter = layer.parameters["weight"]
    still: dict[str, Any] = {"learning_rate": 0.0, "frozen": True}
    frozen = replace(parameter, parameter=replace(parameter.parameter, **still), updated=parameter.value)
    found = update_of(made, frozen, (0, 0))
    assert found is not None
    assert found.title == "no step: the layer is frozen"
    found.check("0.dense")
    assert update_of(replace(made, optimizer=None), parameter, (0, 0)) is None


def test_a_wrong_number_is_an_error() -> None:
    _, made = traced()
    wrong = made.grad_logits.copy()
    wrong[1, 2] += 1e-6
    with pytest.raises(
        MismatchError, match=r"loss: dL/dz\[1,2\] = \(p - t\) / 3 gives .*, the kernels gave .*: more than"
    ):
        loss_gradient(replace(made, grad_logits=wrong), 1, 2).check("loss")
    parameter = made.layers[0].parameters["weight"]
    moved = replace(parameter, updated=parameter.updated + 1e-9)
    found = update_of(made, moved, (1, 3))
    assert found is not None
    with pytest.raises(MismatchError, match="0.dense: w after = w - rate v gives"):
        found.check("0.dense")
