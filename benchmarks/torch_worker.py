"""PyTorch's side of the comparison, on batches that are float tensors already.

Needs torch and numpy only, so that it runs in an environment without cnntrain's dependencies. Asked to "calibrate", it
measures all variants (memory format NCHW or channels_last; for training, SGD plain or fused); otherwise it builds the
given ones alone, so that the memory of the others does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import protocol
from benchmarks.torch_layers import sequence

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
VARIANTS = {
    "training": [f"{name}, {kind} SGD" for name in FORMATS for kind in ("plain", "fused")],
    "evaluation": list(FORMATS),
}


def batches_of(plan: dict[str, Any], memory_format: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the batches as they enter the model."""
    images, labels = protocol.synthetic(plan)
    size = plan["batch_size"]
    batches = []
    for i in range(0, len(images), size):
        x = torch.from_numpy(images[i : i + size]).to(torch.float32) * (2 / 255) - 1
        batches.append((x.contiguous(memory_format=memory_format), torch.from_numpy(labels[i : i + size].copy())))
    return batches


def step_of(plan: dict[str, Any], mode: str, variant: str) -> tuple[Any, protocol.Step]:
    """Build the model in one variant and return it with its step."""
    torch.manual_seed(1)
    memory_format = FORMATS[variant.partition(",")[0]]
    model = sequence(plan["layers"]).to(memory_format=memory_format)
    batches, number = batches_of(plan, memory_format), 0

    def next_batch() -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal number
        number += 1
        return batches[number % len(batches)]

    if mode == "evaluation":
        model.eval()

        def evaluate() -> None:
            with torch.inference_mode():
                model(next_batch()[0])

        return model, evaluate

    settings, criterion = plan["optimizer"], nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), protocol.LEARNING_RATE, momentum=settings["momentum"],
        weight_decay=settings["weight_decay"], nesterov=settings["nesterov"], fused="fused" in variant,
    )  # fmt: skip

    def train() -> None:
        x, y = next_batch()
        optimizer.zero_grad(set_to_none=True)
        criterion(model(x), y).backward()
        optimizer.step()

    return model, train


def calibrate(plan: dict[str, Any], seconds: float) -> dict[str, dict[str, float]]:
    """Return the speed of every variant of both modes."""
    size = plan["batch_size"]
    speeds: dict[str, dict[str, float]] = {}
    for mode, variants in VARIANTS.items():
        steps = {variant: step_of(plan, mode, variant)[1] for variant in variants}
        for step in steps.values():
            protocol.images_per_second(step, size, 0.2)
        speeds[mode] = dict.fromkeys(variants, 0.0)
        for _ in range(3):  # in turn, so that a slow moment of the machine meets all of them
            for variant, step in steps.items():
                found = protocol.images_per_second(step, size, seconds / 3 / len(variants))["images_per_second"]
                speeds[mode][variant] = max(speeds[mode][variant], found)
    return speeds


def build(plan: dict[str, Any]) -> tuple[dict[str, Any], Callable[[str], protocol.Step]]:
    """Measure every variant, or build the given ones."""
    torch.set_num_threads(plan["threads"])
    if "calibrate" in plan:
        return {"speeds": calibrate(plan, plan["calibrate"])}, lambda mode: lambda: None
    variants = plan["variants"]
    model, train = step_of(plan, "training", variants["training"])
    description = {
        "version": f"torch {torch.__version__}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "threads": torch.get_num_threads(),
        "variants": variants,
    }
    return description, lambda mode: train if mode == "training" else step_of(plan, mode, variants[mode])[1]


if __name__ == "__main__":
    protocol.serve(build)
