"""The cache of compiled kernels: never stale, never in the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnntrain.kernels.compiler.versions import KNOWN
from tests.kernels.compiler.copied import Copy, Outcome


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
    """The stamp of each file counts, not that of the index alone."""
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
    copy.edit("compiler/cache.py", "PATIENCE = 60.0", "PATIENCE = 0.25")
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
