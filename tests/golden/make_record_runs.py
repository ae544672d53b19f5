"""Make `record_runs.npz`: the losses and outputs of PyTorch for the runs of `record_runs.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the file in the repository) and cnntrain:

    python -m tests.golden.make_record_runs
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import layer
from benchmarks.recipe_pytorch import outputs
from benchmarks.torch_layers import sequence
from benchmarks.torch_updates import Updates
from tests.golden import cases
from tests.golden import record_runs as runs


def trained(name: str) -> dict[str, Any]:
    """The initial values, the loss of each step, and the outputs at the end."""
    run: Any = runs.run(name)
    model = sequence([layer(row) for row in run.rows]).double()
    tensors = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for tensor, parameter in zip(tensors, run.network.parameters, strict=True):
            tensor.copy_(torch.from_numpy(parameter.canonical(parameter.value)))
    result = {f"initial/{parameter.name}": parameter.canonical(parameter.value) for parameter in run.network.parameters}
    criterion = nn.CrossEntropyLoss(label_smoothing=run.config.loss.settings.label_smoothing)
    updates, losses = Updates(run, model), []
    model.train()
    for step in range(runs.STEPS):
        rows = runs.chosen(step)
        model.zero_grad(set_to_none=True)
        loss = criterion(model(torch.from_numpy(run.images[rows])), torch.from_numpy(run.labels[rows]))
        loss.backward()
        updates.step(run.rate(step))
        losses.append(float(loss.detach()))
    model.eval()
    with torch.inference_mode():
        result["outputs"] = outputs(run.config, model, torch.from_numpy(run.images[: runs.BATCH])).numpy()
    return result | {"losses": np.array(losses)}


def main() -> None:
    """Write the file beside this script."""
    content = {f"{name}/{key}": value for name in runs.RUNS for key, value in trained(name).items()}
    np.savez_compressed(cases.FOLDER / "record_runs.npz", allow_pickle=False, **content)


if __name__ == "__main__":
    main()
