"""SGD over several steps: PyTorch's stored values, and the naive forms, with momentum, Nesterov and weight decay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.optimizers import OPTIMIZERS
from cnntrain.parameters import Parameter
from tests import naive
from tests.golden import cases, checks

Sgd = OPTIMIZERS["sgd"]


def parameters(values: list[NDArray[Any]], dtype: Any, **factors: Any) -> list[Parameter]:
    """Parameters as a network keeps them: stretches of one flat array; the last one has the given factors."""
    flat, gradients = (
        np.concatenate([v.ravel() for v in values]).astype(dtype),
        np.zeros(sum(v.size for v in values), dtype),
    )
    found, start = [], 0
    for index, value in enumerate(values):
        stretch = slice(start, start + value.size)
        own = factors if index == len(values) - 1 else {}
        found.append(
            Parameter(str(index), flat[stretch].reshape(value.shape), gradients[stretch].reshape(value.shape), **own)
        )
        start += value.size
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)], ids=["float64", "float32"])
@pytest.mark.parametrize("variant", cases.SGD_VARIANTS)
def test_pytorchs_sequence(variant: str, dtype: Any, tolerance: float) -> None:
    momentum, nesterov, weight_decay = cases.SGD_VARIANTS[variant]
    golden = checks.load("sgd")[variant]
    [parameter] = parameters([golden["start"]], dtype)
    settings = Sgd.Settings(learning_rate=0.1, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)  # type: ignore[call-arg]
    optimizer = Sgd(settings, [parameter])
    for rate, gradient, after in zip(cases.SGD_RATES, golden["gradients"], golden["values"], strict=True):
        parameter.gradient[...] = gradient
        optimizer.step(rate)
        np.testing.assert_allclose(parameter.value, after, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("form", ["pytorch", "caffe"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_naive_sequence(form: str, nesterov: bool) -> None:
    """Several tensors, one longer than a unit of work, one with its own learning rate and weight decay."""
    generator = np.random.default_rng(91)
    values = [generator.standard_normal(shape) for shape in ((3, 2, 2), (5000,), (7,))]
    found = parameters(values, np.float64, learning_rate=2.0, weight_decay=0.0)
    settings = Sgd.Settings(learning_rate=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01, form=form)  # type: ignore[call-arg]
    optimizer = Sgd(settings, found)
    step = naive.sgd_step if form == "pytorch" else naive.caffe_sgd_step
    velocities = [np.zeros(value.shape) for value in values]
    for rate in cases.SGD_RATES:
        for index, parameter in enumerate(found):
            gradient = generator.standard_normal(parameter.value.shape)
            parameter.gradient[...] = gradient
            values[index], velocities[index] = step(
                values[index],
                gradient,
                velocities[index],
                rate * parameter.learning_rate,
                momentum=0.9,
                nesterov=nesterov,
                weight_decay=0.01 * parameter.weight_decay,
            )
        optimizer.step(rate)
        for parameter, value in zip(found, values, strict=True):
            np.testing.assert_allclose(parameter.value, value, rtol=1e-13, atol=1e-14, err_msg=parameter.name)
