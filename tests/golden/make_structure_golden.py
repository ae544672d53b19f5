"""Make `structures.npz`: what PyTorch computes, in float64, for the network in `structure_cases.py`.

Run from the repository, with a Python that has PyTorch (2.13.0 made the file in the repository) and NumPy:

    python -m tests.golden.make_structure_golden
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the usual name

from tests.golden import structure_cases as cases
from tests.golden.cases import FOLDER, Array


def structure() -> dict[str, Array]:
    """Logits, loss, and the gradients of the image and of all parameters ("grad/NAME")."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in cases.parameters().items()}

    def conv(name: str, x: Any, **settings: int) -> Any:
        return F.conv2d(x, p[f"{name}.conv2d.weight"], p.get(f"{name}.conv2d.bias"), **settings)

    values, labels = cases.images()
    image = torch.tensor(values, requires_grad=True)
    x = F.relu(conv("0", image, padding=1))
    body = conv("2.residual.body.2", F.relu(conv("2.residual.body.0", x, padding=1)), padding=1)
    x = F.relu(body + x)
    body = conv("4.residual.body.2", F.relu(conv("4.residual.body.0", x, stride=2, padding=1)), padding=1)
    x = F.leaky_relu(body + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2)), 0.1)
    body = conv("6.residual.body.2", torch.tanh(conv("6.residual.body.0", x, stride=2, padding=1)), padding=1)
    x = body + conv("6.residual.shortcut.0", x, stride=2)
    x = torch.cat([conv("7.branches.0.0", x), x, torch.tanh(conv("7.branches.2.0", x, padding=1))], dim=1)
    logits = F.linear(x.flatten(1), p["9.dense.weight"], p["9.dense.bias"])
    loss = F.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    gradients = {f"grad/{name}": tensor.grad.numpy() for name, tensor in {"input": image, **p}.items()}
    return {"logits": logits.detach().numpy(), "loss": np.asarray(loss.detach()), **gradients}


def main() -> None:
    """Write the file beside this script."""
    content: dict[str, Any] = structure()
    np.savez_compressed(FOLDER / "structures.npz", **content)


if __name__ == "__main__":
    main()
