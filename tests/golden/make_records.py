"""Make `records.npz`: what PyTorch computes for `record_cases.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the file in the repository) and NumPy:

    python -m tests.golden.make_records
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from tests.golden import cases
from tests.golden import record_cases as records
from tests.golden.make_golden import arrays, collect

Values = dict[str, cases.Array]


def orthogonalised(matrix: torch.Tensor, steps: int) -> torch.Tensor:
    """Newton and Schulz's iteration as torch.optim.Muon has it, in the matrix's own type instead of bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    if x.size(0) > x.size(1):
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x


def muon(name: str, dtype: str, seed: int) -> Values:
    """All values after each step with given gradients; the others are torch.optim.SGD's."""
    settings = {"learning_rate": 0.02, "momentum": 0.95, "nesterov": True, "steps": 5, "normalize": False}
    settings |= {"weight_decay": 0.0} | records.MUON[name]
    others = {"momentum": 0.9, "nesterov": True} | records.MUON[name].get("others", {})
    rate, decay = (others.get(key, settings[key]) for key in ("learning_rate", "weight_decay"))
    kind, rng = getattr(torch, dtype), cases.generator(seed)
    made = [torch.tensor(rng.standard_normal(s), dtype=kind, requires_grad=True) for s in records.SHAPES.values()]
    start = flat(made)
    gradients = [[rng.standard_normal(tensor.shape).astype(dtype) for tensor in made] for _ in records.RATES]
    filters = [tensor for tensor in made if tensor.dim() == 4]
    sgd = torch.optim.SGD(
        [tensor for tensor in made if tensor.dim() != 4], rate, others["momentum"], weight_decay=decay,
        nesterov=others["nesterov"],
    )  # fmt: skip
    velocities = [torch.zeros_like(tensor) for tensor in filters]
    values = []
    for factor, of_step in zip(records.RATES, gradients, strict=True):
        for tensor, gradient in zip(made, of_step, strict=True):
            tensor.grad = torch.tensor(gradient)
        sgd.param_groups[0]["lr"] = rate * factor
        sgd.step()
        for tensor, velocity in zip(filters, velocities, strict=True):
            step_of_filters(tensor, velocity, settings, settings["learning_rate"] * factor)
        values.append(flat(made))
    return arrays(start=start, gradients=np.array([joined(g) for g in gradients]), values=np.array(values))


@torch.no_grad()
def step_of_filters(tensor: torch.Tensor, velocity: torch.Tensor, settings: Any, rate: float) -> None:
    gradient = tensor.grad
    assert gradient is not None
    velocity.mul_(settings["momentum"]).add_(gradient)
    direction = gradient.add(velocity, alpha=settings["momentum"]) if settings["nesterov"] else velocity
    if settings["normalize"]:
        tensor.mul_(len(tensor) ** 0.5 / tensor.norm())
    tensor.mul_(1 - rate * settings["weight_decay"])
    step = orthogonalised(direction.reshape(len(tensor), -1), settings["steps"])
    tensor.add_(step.view(tensor.shape), alpha=-rate)


def torch_muon(seed: int) -> Values:
    """torch.optim.Muon itself, whose iteration is in bfloat16, on one wide matrix."""
    rng = cases.generator(seed)
    tensor = torch.tensor(rng.standard_normal((6, 18)), dtype=torch.float32, requires_grad=True)
    start, gradients = tensor.detach().numpy().copy(), rng.standard_normal((4, 6, 18)).astype(np.float32)
    stepper = torch.optim.Muon([tensor], lr=0.1, weight_decay=0.3, momentum=0.9, nesterov=True)
    values = []
    for gradient in gradients:
        tensor.grad = torch.tensor(gradient)
        stepper.step()
        values.append(tensor.detach().numpy().copy())
    return arrays(start=start, gradients=gradients, values=np.array(values))


def lookahead(settings: dict[str, Any], seed: int) -> Values:
    """Weights and a statistic after each step, slow ones copied back as Jordan's program does."""
    rng = cases.generator(seed)
    made = [torch.tensor(rng.standard_normal(s), requires_grad=True) for s in records.WEIGHTS.values()]
    statistic = torch.tensor(rng.standard_normal(4))
    start = flat([*made, statistic])
    gradients = rng.standard_normal((records.STEPS, records.size(records.WEIGHTS)))
    seen = rng.standard_normal((records.STEPS, 4))
    sgd, slow = torch.optim.SGD(made, 0.1, momentum=0.9), None
    values = []
    for step in range(1, records.STEPS + 1):
        at = 0
        for tensor in made:
            tensor.grad = torch.tensor(gradients[step - 1, at : at + tensor.numel()]).view(tensor.shape)
            at += tensor.numel()
        sgd.step()
        statistic.mul_(0.6).add_(torch.tensor(seen[step - 1]), alpha=0.4)
        everything = [tensor.detach() for tensor in [*made, statistic]]
        epoch = (step - 1) // records.STEPS_PER_EPOCH
        if epoch >= settings.get("start_epochs", 0.0) and step % settings["every"] == 0:
            if slow is None:
                slow = [tensor.clone() for tensor in everything]
            else:
                keep = settings["keep"] * (step / records.STEPS) ** settings.get("power", 0.0)
                for kept, tensor in zip(slow, everything, strict=True):
                    kept.lerp_(tensor, 1 - keep)
                    tensor.copy_(kept)
        if slow is not None and (step % records.STEPS_PER_EPOCH == 0 or step == records.STEPS):
            for kept, tensor in zip(slow, everything, strict=True):
                tensor.copy_(kept)
        values.append(flat([*made, statistic]))
    return arrays(start=start, gradients=gradients, seen=seen, values=np.array(values))


def whitening(seed: int) -> Values:
    """The filters, eigenvectors by torch.linalg.eigh, up to their signs."""
    images = torch.tensor(records.correlated(seed))
    rows, columns = records.WINDOW
    patches = images.unfold(2, rows, 1).unfold(3, columns, 1).permute(0, 2, 3, 1, 4, 5)
    flat_patches = patches.reshape(-1, records.IMAGES[1] * rows * columns)
    eigenvalues, vectors = torch.linalg.eigh(flat_patches.T @ flat_patches / len(flat_patches))
    scaled = (vectors / torch.sqrt(eigenvalues + records.EPSILON)).T.flip(0)
    return arrays(images=images, filters=scaled.reshape(-1, records.IMAGES[1], rows, columns))


def views(seed: int) -> Values:
    """The outputs averaged over the views."""
    rng = cases.generator(seed)
    channels, height, width = records.NETWORK_IMAGES[1:]
    images = torch.tensor(rng.standard_normal(records.NETWORK_IMAGES))
    network = nn.Sequential(
        nn.Conv2d(channels, records.FILTERS, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(records.FILTERS * (height - 2) * (width - 2), records.CLASSES),
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.tensor(rng.standard_normal(parameter.shape)))
        result = {"images": images} | {f"parameter {i}": p.detach() for i, p in enumerate(network.parameters())}
        for name, settings in records.VIEWS.items():
            result[name] = mean_over_views(network, images, settings.get("flip", False), settings.get("shift", 0))
    return arrays(**result)


def mean_over_views(network: nn.Module, images: torch.Tensor, flip: bool, shift: int) -> torch.Tensor:
    def both_sides(seen: torch.Tensor) -> torch.Tensor:
        straight: torch.Tensor = network(seen)
        return 0.5 * straight + 0.5 * network(seen.flip(-1)) if flip else straight

    mean = both_sides(images)
    if shift:
        padded = F.pad(images, (shift,) * 4, "reflect")
        height, width = images.shape[2:]
        moved = [padded[:, :, :height, :width], padded[:, :, -height:, -width:]]
        mean = 0.5 * mean + 0.25 * both_sides(moved[0]) + 0.25 * both_sides(moved[1])
    return mean


def flat(tensors: list[torch.Tensor]) -> cases.Array:
    return joined([tensor.detach().numpy().copy() for tensor in tensors])


def joined(parts: list[cases.Array]) -> cases.Array:
    return np.concatenate([part.ravel() for part in parts])


def main() -> None:
    """Write the file beside this script."""
    content: dict[str, Any] = {
        f"muon {name}/{dtype}": muon(name, dtype, 700 + seed)
        for seed, name in enumerate(records.MUON)
        for dtype in records.DTYPES
    }
    content |= {
        "torch.optim.Muon": torch_muon(710),
        "lookahead": lookahead(records.LOOKAHEAD, 720),
        "lookahead, plain": lookahead(records.PLAIN_LOOKAHEAD, 721),
        "whitening": whitening(730),
        "views": views(740),
    }
    np.savez_compressed(cases.FOLDER / "records.npz", allow_pickle=False, **collect(content))


if __name__ == "__main__":
    main()
