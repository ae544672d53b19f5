"""The comparisons of `test_golden.py` with PyTorch itself, on fresh random numbers, where it is installed."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch (torch) is not installed: pip install 'cnntrain[compare]'")

from cnntrain import functional
from tests.golden import cases, checks, make_golden

SEEDS = [1001, 1002, 1003]


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", cases.CONVOLUTIONS)
def test_convolution(name: str, seed: int) -> None:
    checks.convolution(functional, name, make_golden.convolution(name, seed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", cases.POOLINGS)
def test_max_pooling(name: str, seed: int) -> None:
    checks.pooling(functional, name, make_golden.pooling(name, seed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", cases.ACTIVATIONS)
def test_activation(name: str, seed: int) -> None:
    checks.activation(functional, name, make_golden.activation(name, seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_losses(seed: int) -> None:
    checks.losses(functional, make_golden.losses(seed))
