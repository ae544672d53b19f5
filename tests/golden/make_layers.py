"""Make `layers.npz`: what PyTorch computes, in float64, for the layers in `layer_cases.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the file in the repository) and NumPy:

    python -m tests.golden.make_layers
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from tests.golden import cases
from tests.golden.layer_cases import LAYERS
from tests.golden.make_golden import arrays, collect, tensor

BATCHES = 3  # of batch_norm2d, the last one short

# our names of PyTorch's parameters
NAMES = {
    "batch_norm2d": {"weight": "scale", "bias": "shift"},
    "prelu": {"weight": "slope"},
    "conv2d": {"weight": "weight", "bias": "bias"},
}


def module(layer: str, settings: dict[str, Any], channels: int) -> nn.Module | Callable[[Any], Any]:
    """PyTorch's counterpart of a layer; settings not given here have PyTorch's defaults, which are ours."""
    s = dict(settings)
    if layer == "avg_pool2d":
        s["kernel_size"] = tuple(s["kernel_size"]) if isinstance(s["kernel_size"], list) else s["kernel_size"]
        counted = s.pop("count_padding", True)
        return lambda x: F.avg_pool2d(x, **s, count_include_pad=counted)
    if layer == "local_response_norm" and s.pop("region", "") == "within_channel":
        size, alpha = s["size"], s["alpha"]
        return lambda x: x / (1 + alpha * F.avg_pool2d(x * x, size, 1, size // 2)) ** 0.75  # as Caffe builds it
    made: dict[str, Callable[[], Any]] = {
        "global_avg_pool2d": lambda: nn.AdaptiveAvgPool2d(1),
        "batch_norm2d": lambda: nn.BatchNorm2d(channels, eps=s["epsilon"], momentum=s["momentum"]),
        "local_response_norm": lambda: nn.LocalResponseNorm(**s),
        "prelu": lambda: nn.PReLU(1 if s.get("shared") else channels),
        "elu": lambda: nn.ELU(**s),
        "selu": nn.SELU,
        "gelu": lambda: nn.GELU(**s),
        "silu": nn.SiLU,
        "softplus": lambda: nn.Softplus(**s, threshold=1e9),  # PyTorch's 20 would replace the function by a line
        "conv2d": lambda: nn.Conv2d(channels, s.pop("filters"), **s),
    }
    return made[layer]().double()


def case(name: str, seed: int) -> dict[str, cases.Array]:
    """Forward and backward of one entry; batch normalisation sees several batches first, then evaluates one."""
    layer, settings, shape = LAYERS[name]
    rng = cases.generator(seed)
    function = module(layer, settings, shape[1])
    learned = dict(function.named_parameters()) if isinstance(function, nn.Module) else {}
    result: dict[str, Any] = {}
    for theirs, parameter in learned.items():
        parameter.data = torch.tensor(rng.standard_normal(parameter.shape))
        result[NAMES[layer][theirs]] = parameter.detach().numpy().copy()
    if layer == "batch_norm2d":
        assert isinstance(function, nn.BatchNorm2d)
        batches = [2 * rng.standard_normal((shape[0] - 6 * i, *shape[1:])) + 1 for i in range(BATCHES)]
        for i, batch in enumerate(batches):
            result[f"batch{i}"] = batch
            function(torch.tensor(batch))
            result[f"running_mean{i}"] = function.running_mean.numpy().copy()
            result[f"running_variance{i}"] = function.running_var.numpy().copy()
        function.eval()
        result["evaluated"] = function(torch.tensor(batches[0])).detach().numpy()
        function.train()
    spread = 4 if len(shape) == 4 and shape[1] == 1 else 1  # activations are looked at far from zero too
    x = tensor(spread * rng.standard_normal(shape))
    y = function(x)
    grad_output = rng.standard_normal(y.shape)
    y.backward(torch.tensor(grad_output))
    for theirs, parameter in learned.items():
        result[f"grad_{NAMES[layer][theirs]}"] = parameter.grad.numpy().copy()
    return {**result, **arrays(x=x, y=y, grad_output=grad_output, grad_input=x.grad)}


def main() -> None:
    """Write the file beside this script."""
    results = {name: case(name, 500 + seed) for seed, name in enumerate(LAYERS)}
    np.savez_compressed(cases.FOLDER / "layers.npz", **collect(results))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
