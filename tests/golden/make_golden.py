"""Make the golden files: what PyTorch computes, in float64, for the cases in `cases.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the files in the repository) and NumPy:

    python -m tests.golden.make_golden

The live tests (`tests/golden/test_live.py`) call the same functions with other random numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the usual name

from tests.golden import cases
from tests.golden.cases import Array


def tensor(array: Array) -> Any:
    """A float64 tensor that wants a gradient."""
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def arrays(**tensors: Any) -> dict[str, Array]:
    """The NumPy arrays of named tensors (or numbers)."""
    return {name: np.asarray(t.detach().numpy() if hasattr(t, "detach") else t) for name, t in tensors.items()}


def convolution(name: str, seed: int) -> dict[str, Array]:
    """Forward and backward of one entry of `CONVOLUTIONS` on random numbers."""
    x_shape, weight_shape, settings = cases.CONVOLUTIONS[name]
    rng, settings = cases.generator(seed), dict(settings)
    rotated = settings.pop("mode", None) == "convolution"
    x, weight, bias = (tensor(rng.standard_normal(shape)) for shape in (x_shape, weight_shape, weight_shape[:1]))
    y = F.conv2d(x, weight.flip(2, 3) if rotated else weight, bias, **settings)
    grad_output = rng.standard_normal(y.shape)
    y.backward(torch.tensor(grad_output))
    return arrays(
        x=x, weight=weight, bias=bias, y=y, grad_output=grad_output,
        grad_input=x.grad, grad_weight=weight.grad, grad_bias=bias.grad,
    )  # fmt: skip


def pooling(name: str, seed: int) -> dict[str, Array]:
    """Forward, mask and backward of one entry of `POOLINGS`; whole numbers, so that ties occur."""
    x_shape, settings = cases.POOLINGS[name]
    rng = cases.generator(seed)
    x = tensor(rng.integers(-5, 6, x_shape))
    y, mask = F.max_pool2d(x, **settings, return_indices=True)
    grad_output = rng.standard_normal(y.shape)
    y.backward(torch.tensor(grad_output))
    return arrays(x=x, y=y, mask=mask, grad_output=grad_output, grad_input=x.grad)


def activation(name: str, seed: int) -> dict[str, Array]:
    """Forward and backward over ordinary, tiny, large and extreme inputs."""
    rng = cases.generator(seed)
    special = [0.0, 1e-30, -1e-30, 1e-8, -1e-8, 1e-3, -1e-3, 20.0, -20.0, 90.0, -90.0, 1000.0, -1000.0]
    x = tensor(np.concatenate([special, rng.standard_normal(40), 5 * rng.standard_normal(40)]))
    y = getattr(torch, name)(x)
    grad_output = rng.standard_normal(y.shape)
    y.backward(torch.tensor(grad_output))
    return arrays(x=x, y=y, grad_output=grad_output, grad_input=x.grad)


def losses(seed: int) -> dict[str, Array]:
    """Cross-entropy and quadratic cost of 19 rows of 7 outputs, a few of them extreme."""
    rng = cases.generator(seed)
    outputs, labels = 3 * rng.standard_normal((19, 7)), rng.integers(0, 7, 19)
    outputs[3, 2], outputs[4, 1], outputs[5] = 800.0, -800.0, 1e4 + rng.standard_normal(7)
    logits = tensor(outputs)
    cross_entropy = F.cross_entropy(logits, torch.tensor(labels))
    cross_entropy.backward()
    small, targets = tensor(outputs[6:]), rng.standard_normal((13, 7))
    mse = F.mse_loss(small, torch.tensor(targets), reduction="sum") / (2 * len(targets))
    mse.backward()
    return arrays(
        logits=logits, labels=labels, cross_entropy=cross_entropy, grad_logits=logits.grad,
        outputs=small, targets=targets, mse=mse, grad_outputs=small.grad,
    )  # fmt: skip


def sgd(name: str, seed: int) -> dict[str, Array]:
    """The values of a vector of 5 after each step with given gradients."""
    momentum, nesterov, weight_decay = cases.SGD_VARIANTS[name]
    rng = cases.generator(seed)
    parameter = tensor(rng.standard_normal(5))
    start, gradients, values = parameter.detach().numpy().copy(), rng.standard_normal((len(cases.SGD_RATES), 5)), []
    optimizer = torch.optim.SGD([parameter], 0.0, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    for rate, gradient in zip(cases.SGD_RATES, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        values.append(parameter.detach().numpy().copy())
    return arrays(start=start, gradients=gradients, values=np.array(values))


def lenet() -> dict[str, Array]:
    """Loss of every step and the parameters after the last, of the training run that `cases.py` describes."""
    parameters = {name: tensor(value) for name, value in cases.lenet_weights().items()}
    p = list(parameters.values())
    optimizer = torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images, labels = cases.lenet_images()
    steps = []
    for step in range(cases.LENET_STEPS):
        index = cases.lenet_batch(step)
        x = torch.tensor(images[index] * cases.LENET_SCALE + cases.LENET_SHIFT)
        optimizer.zero_grad()
        a = F.max_pool2d(torch.tanh(F.conv2d(x, p[0], p[1], padding=2)), 2)
        a = F.max_pool2d(torch.tanh(F.conv2d(a, p[2], p[3])), 2).flatten(1)
        a = torch.tanh(F.linear(a, p[4], p[5]))
        a = torch.tanh(F.linear(a, p[6], p[7]))
        loss = F.cross_entropy(F.linear(a, p[8], p[9]), torch.tensor(labels[index]))
        loss.backward()
        optimizer.step()
        steps.append(float(loss.detach()))
    final = {name: cases.kept(name, value.detach().numpy()) for name, value in parameters.items()}
    return {"losses": np.array(steps), **final}


def collect(results: dict[str, dict[str, Array]]) -> dict[str, Array]:
    """One flat dictionary, keys "case/array", for one .npz file."""
    return {f"{case}/{name}": array for case, values in results.items() for name, array in values.items()}


def main() -> None:
    """Write the files beside this script."""
    files = {
        "convolutions": collect({name: convolution(name, seed) for seed, name in enumerate(cases.CONVOLUTIONS)}),
        "poolings": collect({name: pooling(name, 100 + seed) for seed, name in enumerate(cases.POOLINGS)}),
        "activations": collect({name: activation(name, 200 + seed) for seed, name in enumerate(cases.ACTIVATIONS)}),
        "losses": losses(300),
        "sgd": collect({name: sgd(name, 400 + seed) for seed, name in enumerate(cases.SGD_VARIANTS)}),
        "lenet": lenet(),
    }
    for name, content in files.items():
        np.savez_compressed(cases.FOLDER / f"{name}.npz", allow_pickle=False, **content)


if __name__ == "__main__":
    main()
