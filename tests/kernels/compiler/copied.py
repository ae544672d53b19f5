"""A copy of the package that nobody else uses, with a small kernel, and a program that runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

KERNEL = """
from numba import prange

from cnntrain.kernels.lanes.exponential import hyperbolic_tangent
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import constant, load, select, store
from cnntrain.shape import LANES


@parallel_kernel
def sample(z, y):
    for index in prange(1):
        for i in range(0, z.size, LANES):
            v = load(z, i)
            store(y, i, select(v <= constant(z, 0), constant(z, 2), hyperbolic_tangent(v)))
"""
PROGRAM = """
import json, sys, warnings
import numpy as np
from cnntrain.kernels.compiler.report import announce, cache_folder, loaded_kernels, reported
from cnntrain.kernels.sample import sample

warnings.simplefilter("error")
compiled, lines, warned = [], [], []
for dtype in (TYPES,):
    z = np.linspace(-2, 2, 32, dtype=dtype)
    y = np.zeros_like(z)
    with announce(compiled.append), reported(lines.append, warned.append):
        sample(z, y)
ready = "numba.cpython.cmathimpl" in sys.modules
print(json.dumps([compiled, loaded_kernels(), cache_folder(), y.tolist(), lines[1:], ready, warned]))
"""


@dataclass
class Outcome:
    compiled: list[str]
    loaded: list[str]
    folder: str | None
    result: list[float]
    lines: list[str]
    ready_to_compile: bool
    warned: list[str] = field(default_factory=list)


@dataclass
class Copy:
    """A copy of the package that nobody else uses, and a program that runs one of its kernels."""

    root: Path

    @property
    def kernels(self) -> Path:
        return self.root / "cnntrain" / "kernels"

    @property
    def cache(self) -> Path:
        return self.kernels / "__pycache__"

    def run(self, types: str = "np.float32", **environment: str) -> Outcome:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CACHE")}
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("TYPES", types)],
            env={**inherited, "PYTHONPATH": str(self.root), **environment},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return Outcome(*json.loads(finished.stdout))

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a kernel file in one place; its size and time stay what they were."""
        path = self.kernels / file
        text, times = path.read_text(), path.stat()
        assert text.count(old) == 1
        assert len(old) == len(new)
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
