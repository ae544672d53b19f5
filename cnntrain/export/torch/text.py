"""The Python module that builds a network in PyTorch and loads its weights."""

from __future__ import annotations

import base64
import pprint
from collections.abc import Sequence

from cnntrain.export.model import Array, Model
from cnntrain.export.torch.modules import Module, own_modules

_WIDTH = 110
CLASSES = {
    "Residual": '''class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)
''',
    "ZeroPadded": '''class ZeroPadded(nn.Module):
    """Every s-th pixel, and channels of zeros behind."""

    def __init__(self, row_stride: int, column_stride: int, channels: int) -> None:
        super().__init__()
        self.row_stride, self.column_stride, self.channels = row_stride, column_stride, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, :: self.row_stride, :: self.column_stride], (0, 0, 0, 0, 0, self.channels))
''',
    "Concatenated": '''class Concatenated(nn.Module):
    """The channels of all outputs, one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)
''',
    "Added": '''class Added(nn.Module):
    """The sum of all outputs."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(branch(x) for branch in self.branches)
''',
    "LocalResponseNormWithinChannel": '''class LocalResponseNormWithinChannel(nn.Module):
    """x / (k + alpha * mean of the squares around) ** beta."""

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = F.avg_pool2d(x * x, self.size, stride=1, padding=self.size // 2)
        return x / (self.k + self.alpha * mean) ** self.beta
''',
}


def python_module(model: Model, modules: Sequence[Module], weights: str) -> str:
    """Return the text of the module; `weights` is the name of the file beside it."""
    used = own_modules(modules)
    classes = "".join(f"\n\n{text}" for name, text in CLASSES.items() if name in used)
    functional = "\nimport torch.nn.functional as F" if any("F." in CLASSES[name] for name in used) else ""
    scale, shift = model.normalization.affine()
    image = ", ".join(map(str, model.input_shape))
    sizes = image if shift.ndim == 3 else "-1, 1, 1"
    names = pprint.pformat([str(name) for name in model.class_names], width=_WIDTH, compact=True)
    decoding = pprint.pformat(dict(model.decoding), width=_WIDTH, compact=True)
    return f'''"""A network trained by cnntrain, for PyTorch.

network = load()
probabilities = network(normalize(images)).softmax(dim=1)

images: (N, {image}), {model.image_type}, as they are stored.
"""

import base64
from pathlib import Path

import torch{functional}
from safetensors.torch import load_file
from torch import nn

NAME = {model.name!a}
CLASS_NAMES = {_escaped(names)}
DECODING = {_escaped(decoding)}  # how picture files became images
WEIGHTS = Path(__file__).with_name({weights!a})


def _floats(text: str, *shape: int) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.float32).reshape(shape)


SCALE = _floats({_base64(scale)}, -1, 1, 1)  # {_shown(scale)}
SHIFT = _floats({_base64(shift)}, {sizes})  # {_shown(shift)}
{classes}

def normalize(images: torch.Tensor) -> torch.Tensor:
    """What the network takes, from images as they are stored."""
    return images.to(torch.float32) * SCALE.to(images.device) + SHIFT.to(images.device)


def build() -> nn.Sequential:
    """The network, with weights of PyTorch's own."""
    return {_sequential(modules, 4)}


def load(path: Path = WEIGHTS) -> nn.Sequential:
    """The trained network, ready to be asked."""
    network = build()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def _sequential(modules: Sequence[Module], indent: int) -> str:
    if not modules:
        return "nn.Sequential()"
    inner = " " * (indent + 4)
    lines = []
    for module in modules:
        note = f"  # {module.note}" if module.note else ""
        lines.append(f"{inner}{_expression(module, indent + 4)},{note}")
    return "nn.Sequential(\n" + "\n".join(lines) + f"\n{' ' * indent})"


def _expression(module: Module, indent: int) -> str:
    if not module.parts:
        return module.text
    if module.text == "nn.Sequential":
        (_, inside), *_ = module.parts
        assert isinstance(inside, list)
        return _sequential(inside, indent)
    inner = " " * (indent + 4)
    parts = [
        part.text if isinstance(part, Module) else _sequential(part, indent + 4) for _, part in module.parts
    ]  # fmt: skip
    return f"{module.text}(\n" + "".join(f"{inner}{part},\n" for part in parts) + f"{' ' * indent})"


def _base64(array: Array) -> str:
    return '"' + base64.b64encode(array.astype("<f4").tobytes()).decode() + '"'


def _shown(array: Array) -> str:
    return ", ".join(f"{value:g}" for value in array) if array.size <= 4 else f"{array.size} numbers"


def _escaped(text: str) -> str:
    """Python's text of strings in ASCII."""
    return text.encode("ascii", "backslashreplace").decode()
