"""Make the golden files on optimisers, schedules and losses: what PyTorch computes for `training_cases.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the files in the repository) and NumPy:

    python -m tests.golden.make_training_golden
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the usual name
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.golden import cases
from tests.golden import training_cases as training
from tests.golden.make_golden import arrays, collect, tensor


def optimizer(name: str, dtype: str, seed: int) -> dict[str, cases.Array]:
    """The values of two parameters (and their averages) after each step with given gradients."""
    ours, name_of_class, settings = training.OPTIMIZERS[name][1:]
    rng, kind = cases.generator(seed), getattr(torch, dtype)
    starts = [rng.standard_normal(shape).astype(dtype) for shape in training.SHAPES.values()]
    starts[1][2] = 0  # where the L1 decay's sign is 0
    gradients = [[rng.standard_normal(s.shape).astype(dtype) for s in starts] for _ in training.RATES]
    module = torch.nn.ParameterList([torch.tensor(start, dtype=kind) for start in starts])
    averages = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(ours.get("ema", 0.5)))
    stepper = getattr(torch.optim, name_of_class)(module.parameters(), **settings)
    rate = stepper.param_groups[0]["lr"]
    values, means = [], []
    for factor, of_step in zip(training.RATES, gradients, strict=True):
        stepper.param_groups[0]["lr"] = rate * factor
        for parameter, gradient in zip(module, of_step, strict=True):
            parameter.grad = torch.tensor(gradient)
        if "clip_norm" in ours:
            torch.nn.utils.clip_grad_norm_(module.parameters(), ours["clip_norm"])
        if "clip_value" in ours:
            torch.nn.utils.clip_grad_value_(module.parameters(), ours["clip_value"])
        for parameter in module:
            parameter.grad += ours.get("l1_decay", 0.0) * parameter.detach().sign()
        stepper.step()
        averages.update_parameters(module)
        values.append(np.concatenate([p.detach().numpy().ravel().copy() for p in module]))
        means.append(np.concatenate([p.detach().numpy().ravel().copy() for p in averages.module]))
    flat = [np.concatenate([g.ravel() for g in of_step]) for of_step in gradients]
    result = {"start": np.concatenate([s.ravel() for s in starts]), "gradients": flat, "values": values}
    return arrays(**{key: np.array(value) for key, value in (result | {"averages": means}).items()})


def schedule(name: str) -> dict[str, cases.Array]:
    """The factor at every step."""
    _, parts, milestones = training.SCHEDULES[name]
    stepper = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    made = [getattr(lr_scheduler, name_of_class)(stepper, **settings) for name_of_class, settings in parts]
    whole = made[0] if len(made) == 1 else lr_scheduler.SequentialLR(stepper, made, milestones)
    factors = []
    for _ in range(training.TOTAL):
        factors.append(stepper.param_groups[0]["lr"])
        stepper.step()
        if len(factors) < training.TOTAL:
            whole.step()
    return arrays(factors=np.array(factors))


def plateau(name: str) -> dict[str, cases.Array]:
    """The factor after every epoch."""
    ours, settings = training.PLATEAUS[name]
    stepper = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(stepper, eps=0.0, **settings)
    factors = []
    for value in training.observed(ours.get("metric", "loss")):
        scheduler.step(value)
        factors.append(stepper.param_groups[0]["lr"])
    return arrays(factors=np.array(factors))


def losses(seed: int) -> dict[str, dict[str, cases.Array]]:
    """Loss and gradient of every variant of cross-entropy and of the multi-margin loss."""
    rng = cases.generator(seed)
    start, labels = 2 * rng.standard_normal((19, 7)), rng.integers(0, 7, 19)
    result = {"": arrays(outputs=start, labels=labels)}
    for name, settings in training.CROSS_ENTROPIES.items():
        outputs, weights = tensor(start), settings.get("class_weights")
        loss = F.cross_entropy(
            outputs,
            torch.tensor(labels),
            weight=None if weights is None else torch.tensor(weights, dtype=torch.float64),
            label_smoothing=settings.get("label_smoothing", 0.0),
        )
        loss.backward()
        result[f"cross_entropy {name}"] = arrays(loss=loss, gradient=outputs.grad)
    for name, settings in training.MULTI_MARGINS.items():
        outputs, margin = tensor(start), settings.get("margin", 1.0)
        loss = F.multi_margin_loss(outputs, torch.tensor(labels), p=settings.get("norm", 1), margin=margin)
        loss.backward()
        result[f"multi_margin {name}"] = arrays(loss=loss, gradient=outputs.grad)
    return result


def main() -> None:
    """Write the files beside this script."""
    files: dict[str, Any] = {
        "optimizers": {
            f"{name}/{dtype}": optimizer(name, dtype, 500 + seed)
            for seed, name in enumerate(training.OPTIMIZERS)
            for dtype in training.DTYPES
        },
        "schedules": {name: schedule(name) for name in training.SCHEDULES},
        "plateaus": {name: plateau(name) for name in training.PLATEAUS},
        "more_losses": losses(600),
    }
    for name, content in files.items():
        np.savez_compressed(cases.FOLDER / f"{name}.npz", allow_pickle=False, **collect(content))


if __name__ == "__main__":
    main()
