"""A copy of the package that nobody else uses, with a small kernel, and a program that runs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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

# Python and Numba take longer to begin than most tests take to run a kernel. One process imports Numba, and nothing of
# cnntrain; every program runs in a fork of it, with variables of its own.
SERVER = """
import json, os, signal, socket, sys, tempfile, traceback
import numba, numpy
from numba.core import config

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print(flush=True)
while True:
    connection, _ = server.accept()
    if os.fork() == 0:
        break
    connection.close()

signal.signal(signal.SIGCHLD, signal.SIG_DFL)
sys.dont_write_bytecode = True  # sources that are edited within a second look the same
program, root, variables = json.loads(connection.makefile().readline())
os.environ.clear()
os.environ.update(variables)
config.reload_config()
os.chdir(root)
sys.path.insert(0, root)
printed = [tempfile.TemporaryFile("w+") for _ in range(2)]
for number, file in enumerate(printed):
    os.dup2(file.fileno(), number + 1)
failed = False
try:
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})
except BaseException:
    failed = True
    traceback.print_exc()
for number, (stream, file) in enumerate(zip((sys.stdout, sys.stderr), printed)):
    stream.flush()
    file.seek(0)
    printed[number] = file.read()
connection.sendall(json.dumps([failed, *printed]).encode())
os._exit(0)
"""


@dataclass
class Processes:
    """Runs programs in new processes that have imported Numba already."""

    address: str

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Processes]:
        with tempfile.TemporaryDirectory() as folder:
            made = cls(f"{folder}/socket")
            command = [sys.executable, "-c", SERVER, made.address]
            with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as server:
                assert server.stdout is not None
                server.stdout.readline()
                try:
                    yield made
                finally:
                    server.kill()

    def run(self, program: str, root: Path, variables: dict[str, str]) -> str:
        """Return what it prints."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(600)
            connection.connect(self.address)
            connection.sendall(json.dumps([program, str(root), variables]).encode() + b"\n")
            answer = connection.makefile().read()
        assert answer, "the process crashed"
        failed, output, messages = json.loads(answer)
        assert not failed, messages
        return str(output)


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
    processes: Processes

    @property
    def kernels(self) -> Path:
        return self.root / "cnntrain" / "kernels"

    @property
    def cache(self) -> Path:
        return self.kernels / "__pycache__"

    def run(self, types: str = "np.float32", **environment: str) -> Outcome:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CACHE")}
        output = self.processes.run(PROGRAM.replace("TYPES", types), self.root, {**inherited, **environment})
        return Outcome(*json.loads(output))

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a kernel file in one place; its size and time stay what they were."""
        path = self.kernels / file
        text, times = path.read_text(), path.stat()
        assert text.count(old) == 1
        assert len(old) == len(new)
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
