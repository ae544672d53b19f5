"""The cache of compiled kernels: never stale, never in the way. On a copy of the package, in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import cnntrain
from cnntrain.kernels.compiler.versions import KNOWN

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
compiled, lines = [], []
for dtype in (TYPES,):
    z = np.linspace(-2, 2, 32, dtype=dtype)
    y = np.zeros_like(z)
    with announce(compiled.append), reported(lines.append):
        sample(z, y)
ready = "numba.cpython.cmathimpl" in sys.modules
print(json.dumps([compiled, loaded_kernels(), cache_folder(), y.tolist(), lines[1:], ready]))
"""


@dataclass
class Outcome:
    compiled: list[str]
    loaded: list[str]
    folder: str | None
    result: list[float]
    lines: list[str]
    ready_to_compile: bool


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


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, Outcome]:
    """A copy of the package and what came of the first run."""
    root = tmp_path_factory.mktemp("original")
    source = Path(cnntrain.__file__).parent
    shutil.copytree(source, root / "cnntrain", ignore=shutil.ignore_patterns("__pycache__"))
    made = Copy(root)
    (made.kernels / "sample.py").write_text(KERNEL)
    return made, made.run()


@pytest.fixture
def copy(original: tuple[Copy, Outcome], tmp_path: Path) -> Copy:
    """A copy that has run once: the cache is copied along, and does not depend on the place."""
    shutil.copytree(original[0].root, tmp_path / "copy")
    return Copy(tmp_path / "copy")


@pytest.fixture
def before(original: tuple[Copy, Outcome]) -> list[float]:
    """What the first run computed."""
    return original[1].result


def test_the_second_process_compiles_nothing(original: tuple[Copy, Outcome]) -> None:
    copy, first = original
    assert (first.compiled, first.loaded, first.folder) == (["sample"], [], str(copy.cache))
    assert (first.lines, first.ready_to_compile) == (["  sample"], True)
    assert copy.run() == Outcome([], ["sample"], first.folder, first.result, [], not KNOWN)


def test_a_process_that_loads_can_compile_too(copy: Copy, before: list[float]) -> None:
    """Loading leaves out most of Numba, which compiling then brings in."""
    both = copy.run("np.float32, np.float64")
    assert (both.compiled, both.loaded, both.ready_to_compile) == (["sample"], ["sample"], True)
    assert both.result == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("sample.py", "constant(z, 2)", "constant(z, 3)", True),
        ("lanes/vectors.py", '(operator.le, "<=")', '(operator.le, ">=")', True),  # an intrinsic that it uses
        ("lanes/exponential.py", "0.693359375", "0.593359375", True),  # a constant of a kernel that it calls
        ("losses.py", "from __future__", "from  __future__", not KNOWN),  # nothing to do with it
    ],
)
def test_an_edit_is_noticed(copy: Copy, before: list[float], file: str, old: str, new: str, changes: bool) -> None:
    if changes:
        copy.edit(file, old, new)
    else:
        (copy.kernels / file).write_text((copy.kernels / file).read_text().replace(old, new))
    after = copy.run()
    assert after.compiled == ["sample"]
    assert (after.result != before) == changes
    assert copy.run().compiled == []


def test_another_version_in_the_same_place_is_noticed(copy: Copy, before: list[float]) -> None:
    """An upgrade replaces files; kernels that are new or gone count too, and files outside the kernels do not."""
    (copy.root / "cnntrain" / "__init__.py").write_text('__version__ = "99"\n')
    assert copy.run().compiled == []
    (copy.kernels / "another.py").write_text("")
    assert copy.run().compiled == ["sample"]
    (copy.kernels / "another.py").unlink()
    after = copy.run()
    assert (after.compiled, after.result) == (["sample"], before)


def test_code_of_older_sources_under_a_new_index_is_not_used(copy: Copy, before: list[float]) -> None:
    """Numba writes the index first: a process that dies in between leaves the old file under the new index."""
    (data,) = copy.cache.glob("sample*.nbc")
    content = data.read_bytes()
    copy.edit("sample.py", "constant(z, 2)", "constant(z, 3)")
    new = copy.run()
    data.write_bytes(content)
    after = copy.run()
    assert (after.compiled, after.result) == (["sample"], new.result)
    assert new.result != before


def test_code_for_other_types_is_not_used(copy: Copy, before: list[float]) -> None:
    """Two processes that compile at once for different types may both write the first file."""
    double = copy.run("np.float64")
    first, second = sorted(copy.cache.glob("sample*.nbc"))
    first.write_bytes(second.read_bytes())
    after = copy.run()
    assert (after.compiled, after.result) == (["sample"], before)
    assert copy.run("np.float64") == Outcome([], ["sample"], str(copy.cache), double.result, [], not KNOWN)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("nbi", lambda content: content[: len(content) * 2 // 3]),
        ("nbi", lambda content: b""),
        ("nbc", lambda content: content[: len(content) * 2 // 3]),
        ("nbc", lambda content: bytes(len(content))),
        ("nbc", lambda content: b"something else entirely\n"),
    ],
    ids=["index cut off", "index empty", "code cut off", "code all zeros", "code replaced"],
)
def test_a_damaged_file_is_written_anew(
    copy: Copy, before: list[float], suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    (path,) = copy.cache.glob(f"sample*.{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    folder = str(copy.cache)
    assert copy.run() == Outcome(["sample"], [], folder, before, ["  sample"], True)
    assert copy.run() == Outcome([], ["sample"], folder, before, [], not KNOWN)


def test_processes_that_begin_together_compile_once(copy: Copy, before: list[float]) -> None:
    pytest.importorskip("fcntl")
    shutil.rmtree(copy.cache)
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: copy.run(), range(3)))
    assert sorted(outcome.compiled for outcome in outcomes) == [[], [], ["sample"]]
    assert ["  sample, by another process"] in [outcome.lines for outcome in outcomes]
    assert all(outcome.result == before for outcome in outcomes)


def test_a_process_that_does_not_come_to_an_end_is_not_waited_for(copy: Copy, before: list[float]) -> None:
    fcntl = pytest.importorskip("fcntl")
    (lock,) = copy.cache.glob("sample.sample*.lock")
    copy.edit("cache.py", "PATIENCE = 60.0", "PATIENCE = 0.25")
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        outcome = copy.run()
    assert (outcome.compiled, outcome.result) == (["sample"], before)
    assert outcome.lines == ["  sample, by another process", "  sample"]


def test_where_nothing_can_be_locked_nobody_waits(copy: Copy, before: list[float]) -> None:
    (lock,) = copy.cache.glob("sample.sample*.lock")
    shutil.rmtree(copy.cache)
    copy.cache.mkdir()
    (copy.cache / lock.name).mkdir()
    assert (copy.run().compiled, copy.run().result) == (["sample"], before)


def block(folder: Path) -> None:
    """Make a folder impossible to create, also for root, who may write everywhere."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("")


def test_without_write_permission_the_cache_is_the_users(copy: Copy, tmp_path: Path) -> None:
    block(copy.cache)
    home = {"XDG_CACHE_HOME": str(tmp_path / "home")}
    first, second = copy.run(**home), copy.run(**home)
    assert (first.compiled, second.compiled, second.loaded) == (["sample"], [], ["sample"])
    assert first.folder is not None
    assert Path(first.folder).is_relative_to(tmp_path / "home")


def test_the_user_may_choose_the_folder(copy: Copy, tmp_path: Path) -> None:
    chosen = {"NUMBA_CACHE_DIR": str(tmp_path / "chosen")}
    first, second = copy.run(**chosen), copy.run(**chosen)
    assert (first.compiled, second.compiled, second.loaded) == (["sample"], [], ["sample"])
    assert first.folder is not None
    assert Path(first.folder).is_relative_to(tmp_path / "chosen")


def test_where_nothing_can_be_written_every_process_compiles(copy: Copy, tmp_path: Path) -> None:
    block(copy.cache)
    block(tmp_path / "home")
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "home")}
    first, second = copy.run(**nowhere), copy.run(**nowhere)
    assert first == second
    assert (first.compiled, first.loaded, first.folder) == (["sample"], [], None)
