from __future__ import annotations

import io
import os
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.data import DataSet, describe, load_data
from cnntrain.errors import DataError
from tests.data.files import settings

NAMES = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
PIXELS = {
    name: np.random.default_rng(seed).integers(0, 256, (4, 3072), dtype=np.uint8) for seed, name in enumerate(NAMES)
}
LABELS = {name: [(2 * seed + k) % 10 for k in range(4)] for seed, name in enumerate(NAMES)}


def binary() -> dict[str, bytes]:
    return {
        f"{name}.bin": b"".join(
            bytes([label]) + row.tobytes() for label, row in zip(LABELS[name], PIXELS[name], strict=True)
        )
        for name in NAMES
    }


def pickled(protocol: int = 2, **changed: Any) -> dict[str, bytes]:
    return {
        name: pickle.dumps(
            {b"data": PIXELS[name], b"labels": LABELS[name], b"batch_label": name.encode(), **changed}, protocol
        )
        for name in NAMES
    }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(path: Path, files: Mapping[str, bytes], folder: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return path


def load(path: Path) -> DataSet:
    return load_data(settings(source="cifar10", path=path), seed=1)


def check(data: DataSet) -> None:
    expected = np.concatenate([PIXELS[name] for name in NAMES[:5]]).reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(data.train.images, expected)
    assert data.train.labels.tolist() == [label for name in NAMES[:5] for label in LABELS[name]]
    np.testing.assert_array_equal(data.test.images, PIXELS["test_batch"].reshape(-1, 3, 32, 32))
    assert data.test.labels.tolist() == LABELS["test_batch"]
    assert data.class_names[3] == "cat"
    assert data.train.images.flags.c_contiguous
    assert data.train.images.dtype == np.uint8


@pytest.mark.parametrize("folder", [".", "cifar-10-batches-bin"])
def test_binary(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder, binary())
    check(load(tmp_path))
    assert describe(settings(source="cifar10", path=tmp_path)) == ((3, 32, 32), 10)


@pytest.mark.parametrize("protocol", [2, 5])
def test_pickled(tmp_path: Path, protocol: int) -> None:
    check(load(write(tmp_path / "cifar-10-batches-py", pickled(protocol))))
    check(load(tmp_path))


def test_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "a" / "cifar-10-binary.tar.gz", binary(), "cifar-10-batches-bin")
    check(load(path))
    check(load(path.parent))
    check(load(archive(tmp_path / "p.tgz", {"batches.meta": b"x", **pickled()}, "cifar-10-batches-py")))


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hacked",)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_a_hostile_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "c", pickled() | {"data_batch_3": pickle.dumps({b"data": Payload()})})
    message = refused(path)
    assert message.startswith("/data_batch_3: not a pickle as CIFAR-10 has them: refused at byte ")
    assert "system', but may hold arrays and plain values only" in message
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {b"data": PIXELS["test_batch"][:, :-1]},
            "data must be uint8 of shape (N, 3072); found uint8 of shape (4, 3071)",
        ),
        (
            {b"data": PIXELS["test_batch"].astype(np.int64)},
            "data must be uint8 of shape (N, 3072); found int64 of shape (4, 3072)",
        ),
        ({b"data": b"x"}, "data must be uint8 of shape (N, 3072); found bytes"),
        ({b"data": PIXELS["test_batch"][:0], b"labels": []}, "holds no images"),
        ({b"labels": [1, 2, 3]}, "data: holds 4 images but labels holds 3 labels"),
        ({b"labels": [1, 2, 3, 10]}, "label 10 (of image 3, counted from 0) is out of range"),
        ({b"labels": [1, 2, 3, 2**70]}, "labels must be a list of whole numbers; found list"),
        ({b"labels": b"1234"}, "labels must be a list of whole numbers; found bytes"),
    ],
)
def test_wrong_content(tmp_path: Path, changed: dict[bytes, Any], message: str) -> None:
    batch = {b"data": PIXELS["test_batch"], b"labels": LABELS["test_batch"], **changed}
    path = write(tmp_path / "c", pickled() | {"test_batch": pickle.dumps(batch, 2)})
    assert refused(path).startswith(f"/test_batch: {message}")


def test_missing_keys_and_other_values(tmp_path: Path) -> None:
    path = write(tmp_path / "c", pickled() | {"data_batch_1": pickle.dumps({b"fine_labels": [1]}, 2)})
    assert refused(path) == "/data_batch_1: has no 'data'; found b'fine_labels'"
    write(path, {"data_batch_1": pickle.dumps([1], 2)})
    assert refused(path) == "/data_batch_1: holds a list instead of a dictionary with data and labels"
    write(path, {"data_batch_1": b"<html>"})
    assert "/data_batch_1: not a pickle as CIFAR-10 has them: damaged" in refused(path)


def test_damaged_binary_files(tmp_path: Path) -> None:
    path = write(tmp_path / "c", binary())
    whole = binary()["data_batch_2.bin"]
    for content in (whole[:-1], b""):
        write(path, {"data_batch_2.bin": content})
        assert refused(path) == (
            f"/data_batch_2.bin: truncated or not CIFAR-10: {len(content):,} bytes are no whole number of records "
            "of 3073 bytes"
        )
    write(path, {"data_batch_2.bin": b"\x0a" + whole[1:]})
    assert refused(path).startswith("/data_batch_2.bin: label 10 (of image 0, counted from 0) is out of range")


def test_missing_files(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone").startswith(": no such file or folder (looked for ")
    assert "holds no CIFAR-10" in refused(tmp_path)
    assert "cnntrain data download cifar10" in refused(tmp_path)
    files = binary()
    del files["data_batch_4.bin"]
    assert refused(write(tmp_path / "c", files)) == f": missing data_batch_4.bin (looked in {tmp_path}/c)"
    message = refused(archive(tmp_path / "a.tar.gz", files, "x"))
    assert message == ": holds no CIFAR-10: missing data_batch_4.bin"


def test_damaged_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", binary(), "x")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "not a .tar.gz archive, truncated or corrupt" in refused(path)
    path.write_bytes(b"<html>moved</html>")
    assert "not a .tar.gz archive, truncated or corrupt" in refused(path)
    link = tarfile.TarInfo("x/data_batch_1.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(path, "w:gz") as target:
        target.addfile(link)
    assert "missing data_batch_1.bin" in refused(path)
