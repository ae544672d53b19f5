"""Damaged files of the cache: no flipped bit reaches Python's pickle or the processor."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cnntrain.kernels.compiler.files import KernelFiles
from cnntrain.kernels.compiler.versions import KNOWN
from tests.kernels.compiler.copied import Copy, Outcome

STAMP = "0123456789abcdef" * 4
KEY = ("float32", ("x86_64", "skylake"), "digest of bytecode")


@pytest.fixture
def files(tmp_path: Path) -> KernelFiles:
    made = KernelFiles(tmp_path, "sample", STAMP)
    made.save(KEY, {"code": random.Random(1).randbytes(3000)})
    return made


def test_what_is_saved_is_found_by_its_key(files: KernelFiles, tmp_path: Path) -> None:
    files.save("another key", [1, 2])
    again = KernelFiles(tmp_path, "sample", STAMP)
    assert again.load(KEY) == {"code": random.Random(1).randbytes(3000)}
    assert again.load("another key") == [1, 2]
    assert again.load("a third") is None
    assert KernelFiles(tmp_path, "sample", "f" * 64).load(KEY) is None
    assert KernelFiles(tmp_path, "another", STAMP).load(KEY) is None
    again.save(KEY, "new")
    assert (files.load(KEY), files.load("another key")) == ("new", [1, 2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.1.nbc", "sample.2.nbc", "sample.nbi"]
    files.flush()
    assert again.load(KEY) is None


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_every_flipped_bit_and_every_cut_is_noticed(
    original: tuple[Copy, Outcome], tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real cache: each bit of the first 300 bytes and of the last, and of each byte between one, in turn."""
    (source,) = original[0].cache.glob(f"sample*.{suffix}")
    content = source.read_bytes()
    path = tmp_path / source.name
    found = KernelFiles(tmp_path, "", content[32:96].decode())
    path.write_bytes(content)
    monkeypatch.setattr(pickle, "loads", lambda _: "unpickled")
    assert found._read(path.name) == "unpickled"
    last = 8 * len(content)
    with path.open("r+b", buffering=0) as file:
        for bit in (*range(2400), *range(2401, last - 80, 9), *range(last - 80, last)):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([content[place] ^ 1 << bit % 8]), place)
            assert found._read(path.name) is None
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert found._read(path.name) == "unpickled"
    for size in (0, 1, 31, 32, 33, 95, 96, 97, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert found._read(path.name) is None
    path.write_bytes(content + b"\0")
    assert found._read(path.name) is None


@pytest.mark.parametrize(("suffix", "at"), [("nbi", 0.02), ("nbi", 0.6), ("nbc", 0.01), ("nbc", 0.5)])
def test_a_flipped_bit_costs_one_compilation(copy: Copy, before: list[float], suffix: str, at: float) -> None:
    (path,) = copy.cache.glob(f"sample*.{suffix}")
    content = path.read_bytes()
    path.write_bytes(flipped(content, int(8 * len(content) * at)))
    folder = str(copy.cache)
    assert copy.run() == Outcome(["sample"], [], folder, before, ["  sample"], True)
    assert copy.run() == Outcome([], ["sample"], folder, before, [], not KNOWN)


class Unreadable:
    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_what_cannot_be_unpickled_counts_as_not_there(files: KernelFiles, tmp_path: Path) -> None:
    rest = STAMP.encode() + pickle.dumps((KEY, Unreadable()))
    (tmp_path / "sample.1.nbc").write_bytes(sha256(rest).digest() + rest)
    assert files.load(KEY) is None


@pytest.mark.parametrize("name", ["sample.nbi", "sample.1.nbc"])
def test_an_empty_folder_in_place_of_a_file_makes_way(files: KernelFiles, tmp_path: Path, name: str) -> None:
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert files.load(KEY) is None
    files.save(KEY, "new")
    assert files.load(KEY) == "new"


def test_a_full_folder_in_place_of_a_file_is_named(files: KernelFiles, tmp_path: Path) -> None:
    path = tmp_path / "sample.nbi"
    path.unlink()
    (path / "something").mkdir(parents=True)
    with pytest.raises(OSError, match=r"sample\.nbi"):
        files.save(KEY, "new")
    assert not list(tmp_path.glob("*.tmp.*"))


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_folder_in_place_of_a_file_is_no_traceback(copy: Copy, before: list[float], suffix: str) -> None:
    (path,) = copy.cache.glob(f"sample*.{suffix}")
    path.unlink()
    (path / "something").mkdir(parents=True)
    outcome = copy.run()
    assert (outcome.compiled, outcome.result) == (["sample"], before)
    (warning,) = outcome.warned
    assert warning.startswith(f"compiled kernels could not be kept in {copy.cache}: ")
    assert path.name in warning
    shutil.rmtree(path)
    assert copy.run().compiled == ["sample"]
    assert copy.run().compiled == []
