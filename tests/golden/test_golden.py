"""Stored values that PyTorch computed (`make_golden.py`), for `cnntrain.functional` and for the naive reference."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from cnntrain import functional
from tests import naive
from tests.golden import cases, checks


@pytest.fixture(params=[functional, naive], ids=["functional", "naive"])
def on(request: pytest.FixtureRequest) -> ModuleType:
    """The implementation under test."""
    module: ModuleType = request.param
    return module


@pytest.mark.parametrize("name", cases.CONVOLUTIONS)
def test_convolution(on: ModuleType, name: str) -> None:
    checks.convolution(on, name, checks.load("convolutions")[name])


@pytest.mark.parametrize("name", cases.POOLINGS)
def test_max_pooling(on: ModuleType, name: str) -> None:
    checks.pooling(on, name, checks.load("poolings")[name])


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation(on: ModuleType, name: str) -> None:
    checks.activation(on, name, checks.load("activations")[name])


def test_losses(on: ModuleType) -> None:
    checks.losses(on, checks.load("losses")[""])


@pytest.mark.parametrize("variant", cases.SGD_VARIANTS)
def test_sgd_of_the_naive_reference(variant: str) -> None:
    momentum, nesterov, weight_decay = cases.SGD_VARIANTS[variant]
    expected = checks.load("sgd")[variant]
    value, velocity = expected["start"], np.zeros(5)
    for rate, gradient, after in zip(cases.SGD_RATES, expected["gradients"], expected["values"], strict=True):
        value, velocity = naive.sgd_step(
            value, gradient, velocity, rate, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )
        np.testing.assert_allclose(value, after, **checks.CLOSE)
