"""PyTorch, on batches that are float tensors already: NCHW or channels_last, SGD plain or fused, compiled or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers import protocol
from benchmarks.peers.protocol import Array, Plan, Program
from benchmarks.peers.serving import serve
from benchmarks.torch_layers import load, sequence

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
COMPILED = "torch.compile"


class Torch(protocol.Peer):
    """A model for each mode and variant."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        torch.set_num_threads(plan["threads"])
        torch.set_num_interop_threads(1)

    def version(self) -> str:
        return f"PyTorch {torch.__version__}"

    def threads(self) -> int:
        return torch.get_num_threads()

    def about(self) -> dict[str, Any]:
        return {"instructions": torch.backends.cpu.get_cpu_capability()}

    def variants(self, mode: str) -> Sequence[str]:
        compiled = [f"channels_last, {COMPILED}"] if self.plan.get("compile") else []
        if mode == "evaluation":
            return [*FORMATS, *compiled]
        both = [f"{name}, {kind} SGD" for name in FORMATS for kind in ("plain", "fused")]
        return [*both, *(f"{variant}, fused SGD" for variant in compiled)]

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        memory_format = FORMATS[variant.partition(",")[0]]
        model = sequence(self.plan["layers"])
        load(model, self.plan["layers"], state)
        model = model.to(memory_format=memory_format)
        model.train(mode == "training")
        run = torch.compile(model) if COMPILED in variant else model
        batches = [
            (torch.from_numpy(x).contiguous(memory_format=memory_format), torch.from_numpy(y))
            for x, y in protocol.batches(self.plan)
        ]
        if mode == "evaluation":
            return _evaluation(run, batches)
        return _training(run, model, batches, self.plan, fused="fused" in variant)


def _evaluation(run: Any, batches: Sequence[Any]) -> Program:
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        with torch.inference_mode():
            run(batches[number % len(batches)][0])

    def answer() -> Array:
        with torch.inference_mode():
            logits: Array = run(batches[0][0]).numpy()
        return logits

    return Program(step, answer)


def _training(run: Any, model: Any, batches: Sequence[Any], plan: Plan, *, fused: bool) -> Program:
    settings, criterion, number = plan["optimizer"], nn.CrossEntropyLoss(), 0
    optimizer = torch.optim.SGD(
        model.parameters(), protocol.LEARNING_RATE, momentum=settings["momentum"],
        weight_decay=settings["weight_decay"], nesterov=settings["nesterov"], fused=fused,
    )  # fmt: skip

    def step_on(x: Any, y: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(run(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def step() -> None:
        nonlocal number
        number += 1
        step_on(*batches[number % len(batches)])

    def answer() -> Array:
        (group,) = optimizer.param_groups
        group["lr"] = plan["rate"]
        losses = [step_on(*batches[0]).item() for _ in range(2)]
        group["lr"] = protocol.LEARNING_RATE
        return np.array(losses)

    return Program(step, answer)


if __name__ == "__main__":
    serve(Torch)
