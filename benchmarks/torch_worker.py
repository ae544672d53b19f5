"""PyTorch's side of the comparison: zero_grad, forward, loss, backward, step on batches that are tensors already.

Needs torch and numpy only, so that it runs in an environment without cnntrain's dependencies. It measures four variants
first (memory format NCHW or channels_last, SGD plain or fused) and goes on with the fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import protocol

Settings = dict[str, Any]


def _conv2d(s: Settings) -> Any:
    padding = s["padding"] if isinstance(s["padding"], str) else tuple(s["padding"])
    return nn.Conv2d(
        s["input_shape"][0], s["filters"], tuple(s["kernel_size"]), tuple(s["stride"]), padding,
        tuple(s["dilation"]), s["groups"], s.get("bias", True),
    )  # fmt: skip


def _max_pool2d(s: Settings) -> Any:
    stride = tuple(s["stride"] or s["kernel_size"])
    return nn.MaxPool2d(tuple(s["kernel_size"]), stride, tuple(s["padding"]), ceil_mode=s["ceil_mode"])


def _dense(s: Settings) -> Any:
    channels, rows, columns = s["input_shape"]
    linear = nn.Linear(channels * rows * columns, s["units"], s.get("bias", True))
    return nn.Sequential(nn.Flatten(), linear) if rows * columns > 1 else linear


LAYERS: dict[str, Callable[[Settings], Any]] = {
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "dense": _dense,
    "flatten": lambda s: nn.Flatten(),
    "relu": lambda s: nn.ReLU(),
    "leaky_relu": lambda s: nn.LeakyReLU(s.get("slope", 0.01)),
    "sigmoid": lambda s: nn.Sigmoid(),
    "tanh": lambda s: nn.Tanh(),
}


def training_step(plan: dict[str, Any], memory_format: Any, fused: bool) -> tuple[Any, Callable[[int], None]]:
    """Build the model in one memory format and return it with its training step."""
    torch.manual_seed(1)
    model = nn.Sequential(*(LAYERS[layer["name"]](layer) for layer in plan["layers"])).to(memory_format=memory_format)
    settings = plan["optimizer"]
    optimizer = torch.optim.SGD(
        model.parameters(), protocol.LEARNING_RATE, momentum=settings["momentum"],
        weight_decay=settings["weight_decay"], nesterov=settings["nesterov"], fused=fused,
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    images, labels = protocol.synthetic(plan)
    size = plan["batch_size"]
    scaled = torch.from_numpy(images).to(torch.float32) * (2 / 255) - 1
    batches = [
        (scaled[i : i + size].contiguous(memory_format=memory_format), torch.from_numpy(labels[i : i + size].copy()))
        for i in range(0, len(images) - size + 1, size)
    ]

    def step(number: int) -> None:
        x, y = batches[number % len(batches)]
        optimizer.zero_grad(set_to_none=True)
        criterion(model(x), y).backward()
        optimizer.step()

    return model, step


def build(plan: dict[str, Any]) -> tuple[dict[str, Any], Callable[[float], dict[str, float]]]:
    """Measure every variant and keep the fastest."""
    torch.set_num_threads(plan["threads"])
    size = plan["batch_size"]
    steps: dict[str, Callable[[int], None]] = {}
    speed: dict[str, float] = {}
    for format_name, memory_format in (("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)):
        for fused in (False, True):
            variant = f"{format_name}, {'fused' if fused else 'plain'} SGD"
            model, steps[variant] = training_step(plan, memory_format, fused)
            protocol.images_per_second(steps[variant], size, 0.2)
    for _ in range(3):  # in turn, so that a slow moment of the machine meets all of them
        for variant, step in steps.items():
            found = protocol.images_per_second(step, size, plan["calibration_seconds"] / 12)["images_per_second"]
            speed[variant] = max(speed.get(variant, 0.0), found)
    best = max(speed, key=lambda variant: speed[variant])
    description = {
        "version": f"torch {torch.__version__}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "threads": torch.get_num_threads(),
        "variant": best,
        "variants": speed,
    }
    return description, lambda seconds: protocol.images_per_second(steps[best], size, seconds)


if __name__ == "__main__":
    protocol.serve(build)
