"""Mutants that are edits of a kernel's source, in a copy of the package, compiled and run in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PATIENCE = 600.0  # seconds for one mutant: compiling takes most of it

_RUN = """
import json, sys
import cnntrain
assert cnntrain.__file__.startswith(sys.argv[1]), cnntrain.__file__
from cnntrain.verify.grounds import GROUNDS
ground = GROUNDS[sys.argv[2]]
print(json.dumps([ground.proven(), ground.checked()]))
"""


@dataclass(frozen=True)
class SourceMutant:
    """An edit.

    Attributes
    ----------
    name : str
        What is done wrong.
    ground : str
        The network of `grounds.GROUNDS` that it is tried on.
    file : str
        Below `cnntrain/kernels`.
    old, new : str
        A piece of text that occurs once, and what stands in its place.
    linear, consistent : bool
        As of `Mutant`.
    """

    name: str
    ground: str
    file: str
    old: str
    new: str
    linear: bool = True
    consistent: bool = False


SOURCES = [
    SourceMutant(
        "edge of the image off by one",
        "convolution",
        "convolution.py",
        "(axis.input_size - base + axis.dilation - 1)",
        "(axis.input_size - base + axis.dilation - 2)",
    ),
    SourceMutant(
        "a slot of the sums left out",
        "depthwise",
        "slots.py",
        "for slot in range(1, slots):",
        "for slot in range(1, slots - 1):",
    ),
    SourceMutant(
        "a fraction of winograd's transform",
        "winograd",
        "winograd_matrices.py",
        "y1 = fma(constant(a, 0.5), d, fma(constant(a, -2), e, odd))",
        "y1 = fma(constant(a, 0.25), d, fma(constant(a, -2), e, odd))",
    ),
    SourceMutant(
        "the last of equal values wins, in the kernel", "max", "pooling.py", "(value <= best)", "(value < best)"
    ),
    SourceMutant(
        "windows that overlap not added up",
        "max",
        "pooling.py",
        "store(grad_input, place + c, load(grad_input, place + c) + routed)",
        "store(grad_input, place + c, routed)",
    ),
    SourceMutant("an input too few", "dense", "dense.py", "for _ in range(sums):", "for _ in range(sums - 1):"),
    SourceMutant(
        "a pixel of the bias's gradient left out",
        "dense",
        "weight_gradient.py",
        "for x in range(count):\n            total = total + load(delta.memory",
        "for x in range(count - 1):\n            total = total + load(delta.memory",
    ),
    SourceMutant(
        "columns that a shortcut did not take",
        "zero-padded sum",
        "merging.py",
        "if row % g.row_stride == 0 and column % g.column_stride == 0:",
        "if row % g.row_stride == 0:",
    ),
    SourceMutant(
        "1 - y in the place of 1 - y**2",
        "activations",
        "activations.py",
        "return g * (constant(y, 1) - y * y)",
        "return g * (constant(y, 1) - y)",
        linear=False,
    ),
]


def edited(mutant: SourceMutant, package: Path = PACKAGE) -> str:
    """Return the text of the mutant's file; raises `ValueError` unless the old text occurs once."""
    text = (package / "kernels" / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file}: not once in it: {mutant.old}")
    return text.replace(mutant.old, mutant.new)


def run_source(mutant: SourceMutant) -> tuple[str, str]:
    """Run a mutant; return what `prove` and what the gradient check finds.

    Raises
    ------
    RuntimeError
        The process did not come to an end, or failed.
    """
    with tempfile.TemporaryDirectory(prefix="cnntrain-mutant-") as name:
        folder = Path(name).resolve()
        shutil.copytree(PACKAGE, folder / "cnntrain", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "cnntrain" / "kernels" / mutant.file).write_text(edited(mutant))
        environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
        command = [sys.executable, "-c", _RUN, str(folder), mutant.ground]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=folder, env=environment, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{mutant.name}: not done in {PATIENCE:.0f} seconds") from None
        if done.returncode:
            raise RuntimeError(f"{mutant.name}: {done.stderr.strip()[-2000:]}")
        proven, checked = json.loads(done.stdout.splitlines()[-1])
        return proven, checked
