"""Residual blocks and branches in a network against PyTorch's logits, loss and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.golden import structure_cases as cases
from tests.golden.cases import FOLDER, Array
from tests.layers.networks import loss, network

CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-13}


def test_residual_and_branches() -> None:
    with np.load(FOLDER / "structures.npz") as stored:
        compare(dict(stored))


def test_residual_and_branches_live() -> None:
    pytest.importorskip("torch", reason="PyTorch (torch) is not installed: pip install 'cnntrain[compare]'")
    from tests.golden.make_structure_golden import structure

    compare(structure())


def compare(expected: dict[str, Array]) -> None:
    net = network(cases.LAYERS, cases.IMAGE, images=cases.IMAGES, classes=cases.CLASSES)
    net.load_state(cases.parameters())
    images, labels = cases.images()
    np.testing.assert_allclose(loss(net, images, labels), expected["loss"], rtol=1e-13)
    np.testing.assert_allclose(net.logits(), expected["logits"], **CLOSE)
    net.backward()
    np.testing.assert_allclose(net.grad_input, expected["grad/input"], **CLOSE)
    for parameter in net.parameters:
        gradient = parameter.canonical(parameter.gradient)
        np.testing.assert_allclose(gradient, expected[f"grad/{parameter.name}"], err_msg=parameter.name, **CLOSE)
