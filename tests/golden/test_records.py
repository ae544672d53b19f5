"""Muon, Lookahead, whitening and views of an image against what PyTorch computed: `records.npz`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.evaluation.views import views_of
from cnntrain.initializers import INITIALIZERS
from cnntrain.network import AsTheyAre, Network
from cnntrain.optimizers import Course
from cnntrain.parameters import Statistic
from cnntrain.shape import Shape
from tests.golden import record_cases as records
from tests.golden.checks import load
from tests.optimizers.parameters import flat, optimizer, parameters, set_gradients

# float64: products of matrices that make small singular values three times as large, step for step. float32: the
# iteration's rounding, some 1e-6, in steps of up to 0.5.
CLOSE: dict[str, Any] = {"float64": {"rtol": 0, "atol": 1e-10}, "float32": {"rtol": 0, "atol": 2e-5}}


@pytest.mark.parametrize("dtype", records.DTYPES)
@pytest.mark.parametrize("name", records.MUON)
def test_muon(name: str, dtype: str) -> None:
    expected = load("records")[f"muon {name}/{dtype}"]
    made = parameters(expected["start"], records.SHAPES)
    tested = optimizer("muon", made, **records.MUON[name])
    for step, factor in enumerate(records.RATES):
        set_gradients(made, expected["gradients"][step])
        tested.step(tested.settings.learning_rate * factor)
        np.testing.assert_allclose(flat(made), expected["values"][step], **CLOSE[dtype], err_msg=f"step {step}")


def test_muon_is_pytorchs_but_for_its_bfloat16() -> None:
    """Numbers of 8 bits in the iteration: torch.optim.Muon's steps are off by 1 % of a step's largest element."""
    expected = load("records")["torch.optim.Muon"]
    made = parameters(expected["start"].ravel(), {"0.weight": (6, 2, 3, 3)})
    tested = optimizer("muon", made, learning_rate=0.1, momentum=0.9, weight_decay=0.3)
    before = expected["start"].ravel()
    for gradient, value in zip(expected["gradients"], expected["values"], strict=True):
        set_gradients(made, gradient.ravel())
        tested.step(0.1)
        largest = np.abs(value.ravel() - before).max()
        np.testing.assert_allclose(flat(made), value.ravel(), rtol=0, atol=0.1 * largest)
        before = value.ravel()
    # all four steps together come closer than a step is long
    assert np.abs(flat(made) - before).max() < 0.01


@pytest.mark.parametrize(
    ("name", "settings"), [("lookahead", records.LOOKAHEAD), ("lookahead, plain", records.PLAIN_LOOKAHEAD)]
)
def test_lookahead(name: str, settings: dict[str, Any]) -> None:
    expected = load("records")[name]
    made = parameters(expected["start"][:-4], records.WEIGHTS)
    statistic = Statistic("1.batch_norm2d.running_mean", expected["start"][-4:].copy())
    tested = optimizer("sgd", made, learning_rate=0.1, momentum=0.9, lookahead=settings)
    tested.follow(Course(records.STEPS_PER_EPOCH, records.STEPS, [statistic], _no_schedule))
    for step, values in enumerate(expected["values"]):
        set_gradients(made, expected["gradients"][step])
        statistic.value[...] = 0.6 * statistic.value + 0.4 * expected["seen"][step]
        tested.step(0.1)
        found = np.concatenate([flat(made), statistic.value])
        np.testing.assert_allclose(found, values, rtol=1e-12, atol=1e-13, err_msg=f"step {step + 1}")


def _no_schedule(steps: int) -> Callable[[int], float]:
    raise AssertionError("nothing has a schedule of its own")


def test_whitening() -> None:
    expected = load("records")["whitening"]
    half = expected["filters"]
    entry = INITIALIZERS["whitening"]
    shape = (2 * len(half), *half.shape[1:])
    found = entry(entry.Settings(epsilon=records.EPSILON)).values_of(expected["images"], shape)  # type: ignore[attr-defined, call-arg]
    np.testing.assert_array_equal(found[: len(half)], -found[len(half) :])
    signs = np.sign((found[: len(half)] * half).sum(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(found[: len(half)], signs * half, rtol=1e-9, atol=1e-9)


CONFIG = """
name: views
data: {{source: mnist, path: none}}
network:
  - conv2d: {{filters: {filters}, kernel_size: 3}}
  - relu
  - dense: classes
optimizer: {{sgd: 0.1}}
test_time: {views}
"""


@pytest.mark.parametrize("name", records.VIEWS)
def test_views(name: str) -> None:
    expected = load("records")["views"]
    text = CONFIG.format(filters=records.FILTERS, views=str(records.VIEWS[name]).replace("True", "true"))
    config = parse_config(text, "views.yaml")
    images = expected["images"]
    network = Network(infer_shapes(config, Shape(*images.shape[1:]), records.CLASSES), batch_size=4, dtype=np.float64)
    names = [parameter.name for parameter in network.parameters]
    network.load_state({name: expected[f"parameter {index}"] for index, name in enumerate(names)})
    found = network.predict_logits(images, AsTheyAre(images.shape[1]), views_of(config))
    np.testing.assert_allclose(found, expected[name], rtol=1e-12, atol=1e-12)
    plain = network.predict_logits(images, AsTheyAre(images.shape[1]))
    assert np.abs(plain - found).max() > 0.1
