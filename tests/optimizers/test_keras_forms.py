"""The forms that PyTorch does not have, against plain loops written from their definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.optimizers.parameters import flat, optimizer, parameters, set_gradients

SHAPES = {"a": (2, 3), "b": (4,)}
STEPS = 6
RATES = [0.1, 0.1, 0.05, 0.2, 0.2, 0.1]


def run(name: str, **settings: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, gradients (step, element), and values after the last step, in float64."""
    generator = np.random.default_rng(7)
    start, gradients = generator.standard_normal(10), generator.standard_normal((STEPS, 10))
    made = parameters(start, SHAPES)
    tested = optimizer(name, made, learning_rate=1.0, **settings)
    for rate, gradient in zip(RATES, gradients, strict=True):
        set_gradients(made, gradient)
        tested.step(rate)
    return start, gradients, flat(made)


def close(actual: np.ndarray, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def test_adam_adds_eps_before_the_bias_correction() -> None:
    """Kingma and Ba 2015, end of section 2: the correction is in the learning rate, eps is added to sqrt(v)."""
    w, gradients, values = run("adam", form="keras", betas=[0.8, 0.9], eps=0.1)
    m, v = np.zeros(10), np.zeros(10)
    for t, (rate, g) in enumerate(zip(RATES, gradients, strict=True), 1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - rate * math.sqrt(1 - 0.9**t) / (1 - 0.8**t) * m / (np.sqrt(v) + 0.1)
    close(values, w)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_rmsprop_adds_eps_inside_the_root(momentum: float, centered: bool) -> None:
    """Keras 3, RMSprop.update_step: the learning rate is inside the velocity."""
    w, gradients, values = run("rmsprop", form="keras", alpha=0.9, eps=0.05, momentum=momentum, centered=centered)
    mean, square, velocity = np.zeros(10), np.zeros(10), np.zeros(10)
    for rate, g in zip(RATES, gradients, strict=True):
        mean, square = 0.9 * mean + 0.1 * g, 0.9 * square + 0.1 * g * g
        increment = rate * g / np.sqrt(square - (mean**2 if centered else 0) + 0.05)
        velocity = momentum * velocity + increment
        w = w - velocity
    close(values, w)


def test_adagrad_adds_eps_inside_the_root() -> None:
    """Keras 3, Adagrad.update_step; its initial_accumulator_value is 0.1."""
    w, gradients, values = run("adagrad", form="keras", eps=0.05, initial_sum=0.1)
    total = np.full(10, 0.1)
    for rate, g in zip(RATES, gradients, strict=True):
        total = total + g * g
        w = w - rate * g / np.sqrt(total + 0.05)
    close(values, w)


def test_adamw_takes_both_decays_off_the_weights() -> None:
    w, gradients, values = run("adamw", weight_decay=0.2, l1_decay=0.1, betas=[0.5, 0.5], eps=1e-3)
    m, v = np.zeros(10), np.zeros(10)
    for t, (rate, g) in enumerate(zip(RATES, gradients, strict=True), 1):
        w = w - rate * (0.2 * w + 0.1 * np.sign(w))
        m, v = 0.5 * m + 0.5 * g, 0.5 * v + 0.5 * g * g
        w = w - rate * m / (1 - 0.5**t) / (np.sqrt(v / (1 - 0.5**t)) + 1e-3)
    close(values, w)


@pytest.mark.parametrize("nesterov", [False, True])
def test_caffes_momentum_with_l1(nesterov: bool) -> None:
    from tests import naive

    w, gradients, values = run("sgd", form="caffe", momentum=0.9, nesterov=nesterov, l1_decay=0.05)
    velocity = np.zeros(10)
    for rate, g in zip(RATES, gradients, strict=True):
        w, velocity = naive.caffe_sgd_step(w, g + 0.05 * np.sign(w), velocity, rate, momentum=0.9, nesterov=nesterov)
    close(values, w)


def test_a_centered_mean_square_that_rounding_makes_negative() -> None:
    """Equal gradients: mean square and squared mean differ by rounding alone; the root of -1e-9 would be NaN."""
    made = parameters(np.zeros(10, np.float32), SHAPES)
    tested = optimizer("rmsprop", made, centered=True, alpha=0.5)
    for step in range(200):
        set_gradients(made, np.full(10, 0.1 + 0.3 * (step % 7 == 0), np.float32))
        tested.step(1e-6)
    assert np.isfinite(flat(made)).all()
