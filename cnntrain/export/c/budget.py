"""Whether a network's C file fits a small machine: what it takes of flash and RAM, before there are weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.data import Normalization
from cnntrain.errors import ArgumentError, ExportError
from cnntrain.export.c import CFile, check
from cnntrain.export.model import Array, Model, walk
from cnntrain.layers import LAYERS, LayerRow
from cnntrain.printable import printable

# Bytes of machine code of each function: gcc 12.2 -Os for x86-64. Processors with 16-bit instructions need less.
CODE = {
    "taps": 62, "inside": 38, "exponential": 192, "logistic": 63, "softmax": 104, "normalize": 85,
    "normalize_by_pixel": 85, "conv2d": 569, "dense": 83, "max_pool2d": 320, "avg_pool2d": 357, "batch_norm2d": 72,
    "local_response_norm": 515, "prelu": 71, "add": 27, "add_subsampled": 167, "copy": 22, "relu": 33, "leaky_relu": 34,
    "elu": 95, "gelu": 102, "gelu_tanh": 83, "silu": 34, "softplus": 133, "sigmoid": 27, "hyperbolic_tangent": 52,
}  # fmt: skip
CALL = 26  # bytes of a call in `run`, by the same compiler
MOST = 1 << 28  # numbers that a network for such a machine can have; beyond, nothing is planned
_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20}
_MEMORY = ("flash", "ram")


@dataclass(frozen=True)
class Footprint:
    """Bytes that a C file takes; all exact but for the code.

    Attributes
    ----------
    constants : int
        Weights, normalisation and the layers' numbers.
    names : int
        Of the classes, with their pointers of 4 bytes.
    code : int
        Estimated.
    arena : int
        Everything between the layers.
    given : int
        The image and the probabilities, which are the caller's.
    libm : bool
        The C library's mathematics come on top.
    """

    constants: int
    names: int
    code: int
    arena: int
    given: int
    libm: bool

    @property
    def flash(self) -> int:
        """What is never written."""
        return self.constants + self.names + self.code

    @property
    def ram(self) -> int:
        """What is, without the stack (less than 512 bytes)."""
        return self.arena + self.given

    @classmethod
    def of(cls, file: CFile) -> Footprint:
        """Return what a planned file takes."""
        names = sum(len(name.encode("utf-8", "surrogateescape")) + 1 + 4 for name in file.model.class_names)
        code = sum(CODE.get(part, 0) for part in file.parts) + CALL * len(file.program.steps)
        pixel = 1 if file.model.image_type == "uint8" else 4
        given = file.model.input_shape.size * pixel + 4 * len(file.model.class_names)
        return cls(file.program.constants, names, code, file.arena.bytes, given, file.libm)


@dataclass(frozen=True)
class Fit:
    """A footprint beside the memory that there is, by "flash" and "ram", in bytes."""

    footprint: Footprint
    memory: dict[str, int]

    @property
    def fits(self) -> bool:
        """Nothing takes more than there is."""
        return all(getattr(self.footprint, name) <= size for name, size in self.memory.items())

    def as_dict(self) -> dict[str, Any]:
        """Return everything for --json."""
        found = self.footprint
        return {
            "flash": found.flash, "ram": found.ram, "constants": found.constants, "class_names": found.names,
            "code_estimated": found.code, "arena": found.arena, "image_and_probabilities": found.given,
            "libm": found.libm, "available": self.memory, "fits": self.fits,
        }  # fmt: skip

    def as_text(self) -> str:
        """Return two lines, one for each kind of memory."""
        found = self.footprint
        code = f"code about {found.code:,} (estimated)" + (" and libm" if found.libm else "")
        parts = {
            "flash": f"constants {found.constants:,}, class names {found.names:,}, {code}",
            "ram": f"arena {found.arena:,}, image and probabilities {found.given:,}; the stack is not counted",
        }
        lines = []
        for name, text in parts.items():
            needs = getattr(found, name)
            there = self.memory.get(name)
            verdict = "" if there is None else f" of {there:,}: {'fits' if needs <= there else 'does NOT fit'}"
            lines.append(f"{name:<6}{needs:>12,} bytes{verdict} ({text})")
        return "\n".join(lines)


def parse_target(text: str) -> dict[str, int]:
    """Return bytes by memory from "flash=256K,ram=32K"; raises `ArgumentError`."""
    memory: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)=([0-9]{1,12})([KM]?)B?\s*", part, re.IGNORECASE | re.ASCII)
        if match is None or match[1].lower() not in _MEMORY or match[1].lower() in memory:
            raise ArgumentError(f'must be like flash=256K,ram=32K; received "{printable(text)}"')
        memory[match[1].lower()] = int(match[2]) * _UNITS[match[3].upper()]
    return memory


def footprint_of(name: str, rows: Sequence[LayerRow], by_pixel: bool) -> Footprint:
    """Return what the C file of a network takes that takes uint8 images and has no weights yet.

    Parameters
    ----------
    name : str
        Of the config.
    rows : sequence of LayerRow
        The layers.
    by_pixel : bool
        A mean image is subtracted.

    Raises
    ------
    ExportError
        A layer has no C function, or there are too many weights to plan anything.
    """
    check(rows)
    parameters = sum(row.parameters for row in rows)
    if parameters > MOST:
        raise ExportError(f"--target: the network has {parameters:,} weights; C files of up to {MOST:,} are planned")
    shape, classes = rows[0].input_shape, rows[-1].output_shape.size
    tensors: dict[str, Array] = {}
    for row in walk(rows):
        shapes = dict(row.parameter_shapes)
        if row.layer is LAYERS["batch_norm2d"]:
            shapes |= dict.fromkeys(("running_mean", "running_variance"), (row.input_shape.channels,))
        tensors |= {f"{row.path}.{tensor}": np.zeros(size, np.float32) for tensor, size in shapes.items()}
    mean = np.zeros(shape if by_pixel else shape.channels, np.float32)
    normalization = Normalization(mean, np.ones(shape.channels, np.float32), 255.0)
    model = Model(name, rows, tensors, [str(label) for label in range(classes)], "uint8", normalization)
    return Footprint.of(CFile.of(model))
