from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data import DataSet, describe, load_data
from cnntrain.errors import DataError
from tests.data.files import settings

GREY = np.random.default_rng(1).integers(0, 256, (6, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def arrays(**changed: Any) -> dict[str, NDArray[Any]]:
    return {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:2], "y_test": LABELS[:2], **changed}


def write(folder: Path, content: dict[str, NDArray[Any]], compressed: bool = True) -> Path:
    path = folder / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, **content)  # type: ignore[arg-type]
    return path


def load(path: Path, **keys: Any) -> DataSet:
    return load_data(settings(source="npz", path=path, **keys), seed=1)


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **keys)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def write_entries(folder: Path, **entries: bytes) -> Path:
    """Write an archive whose entries need not be what np.savez would write."""
    path = folder / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            archive.writestr(f"{name}.npy", entries.get(name, npy(array)))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_grey(tmp_path: Path, compressed: bool) -> None:
    path = write(tmp_path, arrays(), compressed)
    data = load(path)
    np.testing.assert_array_equal(data.train.images, GREY[:, None])
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.tolist() == LABELS.tolist()
    assert data.train.labels.dtype == np.int64
    assert len(data.test) == 2
    assert data.class_names == ["0", "1", "2"]
    assert describe(settings(source="npz", path=path)) == ((1, 4, 5), 3)


@pytest.mark.parametrize("channels", ["last", "first"])
def test_colour(tmp_path: Path, channels: str) -> None:
    stored = np.random.default_rng(2).integers(0, 256, (6, 3, 7, 5), dtype=np.uint8)
    x = stored.transpose(0, 2, 3, 1) if channels == "last" else stored
    path = write(tmp_path, arrays(x_train=x, x_test=x[:2]))
    data = load(path, channels=channels)
    np.testing.assert_array_equal(data.train.images, stored)
    assert data.train.images.flags.c_contiguous
    assert describe(settings(source="npz", path=path, channels=channels)) == ((3, 7, 5), 3)
    other = "first" if channels == "last" else "last"
    assert refused(path, channels=other).endswith(f"channels; set data.channels to {channels}")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8"])
def test_floats_become_float32(tmp_path: Path, dtype: Any) -> None:
    x = (GREY / 255).astype(dtype)
    data = load(write(tmp_path, arrays(x_train=x, x_test=x[:2])), normalize="unit")
    assert data.train.images.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(data.train.images[:, 0], x.astype(np.float32))
    assert data.normalization.unit == 1


def test_fortran_order_and_column_labels(tmp_path: Path) -> None:
    data = load(write(tmp_path, arrays(x_train=np.asfortranarray(GREY), y_train=LABELS[:, None].astype(np.uint8))))
    np.testing.assert_array_equal(data.train.images[:, 0], GREY)
    assert data.train.images.flags.c_contiguous
    assert data.train.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, "inf")])
def test_pixels_that_are_no_numbers(tmp_path: Path, value: float, shown: str) -> None:
    x = np.zeros((600, 4, 5))
    x[555, 2, 3] = value
    x[577] = np.nan
    message = refused(write(tmp_path, arrays(x_train=x, y_train=np.zeros(600, int), x_test=x[:2])))
    assert message.startswith(
        f"x_train: pixel value {shown} in image 555 (counted from 0) at channel 0, row 2, column 3: images must be"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": GREY.astype(np.int64)}, "x_train: has dtype int64; images must be uint8"),
        ({"x_train": GREY > 3}, "x_train: has dtype bool; images must be uint8"),
        ({"x_train": GREY.astype("S1")}, "x_train: has dtype |S1; images must be uint8"),
        ({"x_test": GREY[0]}, "x_test: has shape (4, 5); images must be (N, rows, columns), or"),
        ({"x_train": GREY[:0]}, "x_train: holds nothing: shape (0, 4, 5)"),
        ({"x_train": np.float32(3)}, "x_train: has shape (); images must be"),
        (
            {"x_test": GREY[:2, :3]},
            "x_train has images of shape (1, 4, 5) (channels, rows, columns), x_test of (1, 3, 5)",
        ),
        ({"x_test": GREY[:2] / 255}, "x_train is uint8, x_test is float32: they must be alike"),
        ({"y_train": LABELS[:5]}, "x_train: holds 6 images but y_train holds 5 labels"),
        ({"y_train": LABELS / 2}, "y_train: label 0.5 (of image 1, counted from 0) of dtype float64: labels must be"),
        (
            {"y_train": np.eye(3, dtype=int)[LABELS]},
            "y_train: has shape (6, 3); labels must be (N,) or (N, 1); is it one-hot?",
        ),
        ({"y_train": LABELS - 1}, "y_train: labels go from -1 to 1; they must be 0 to classes - 1"),
        ({"y_train": LABELS * 10**15}, "y_train: labels go from 0 to 2000000000000000; they must be"),
        (
            {"y_test": LABELS[:2] + 2},
            "y_test: label 3 (of image 1, counted from 0) is out of range: with 3 classes labels",
        ),
        ({"y_test": LABELS[:2] - 1}, "y_test: label -1 (of image 0, counted from 0) is out of range"),
        ({"y_test": np.array([0, 2**64 - 1], np.uint64)}, "y_test: label 18446744073709551615 (of image 1"),
        ({"x_train": GREY.astype(object)}, "x_train: holds Python objects (dtype object); they are refused because"),
    ],
)
def test_refused_arrays(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    assert message in refused(write(tmp_path, arrays(**changed)))


def test_missing_arrays(tmp_path: Path) -> None:
    path = write(tmp_path, {"images": GREY, "y_train": LABELS})
    assert refused(path) == "no array named x_train, x_test, y_test; found images, y_train"


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(Path("my.npz")).startswith(f"no such file (looked for {tmp_path / 'my.npz'}); expected an .npz file")


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "is not a file; data.path must be the .npz file itself"


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.touch()
    assert refused(path) == "empty (0 bytes)"


@pytest.mark.parametrize("content", [b"<html>", npy(GREY), b"PK\x03\x04 and no more"])
def test_not_an_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert refused(path).startswith("not an .npz file, truncated or corrupt (")


def test_entry_is_not_an_array(tmp_path: Path) -> None:
    message = refused(write_entries(tmp_path, x_train=b"hello, this is text"))
    assert message.startswith("x_train: corrupt, or not an array (the magic string is not correct")


def test_more_than_the_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*args: object, **kwargs: object) -> None:
        raise MemoryError

    path = write(tmp_path, arrays())
    monkeypatch.setattr(np.lib.format, "read_array", exhausted)
    assert refused(path) == "too large for the memory of this machine"


def test_pickle_is_not_run(tmp_path: Path) -> None:
    """An object array whose unpickling would fail loudly is refused by its header alone."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (6, 4, 5)})
    message = refused(write_entries(tmp_path, x_train=stream.getvalue() + b"cos\nabort\n(tR."))
    assert message.startswith("x_train: holds Python objects (dtype object); they are refused")


@pytest.mark.parametrize("shape", [(4_000_000_000, 28, 28), (6, 4, 6), (6, 4, 4), (-6, -4, 5), (6, -4, -5)])
def test_header_that_contradicts_the_archive(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    message = refused(write_entries(tmp_path, x_train=stream.getvalue() + GREY.tobytes()))
    assert message.startswith(("x_train: corrupt: its header announces shape (", "x_train: holds nothing: shape ("))


def test_archive_that_promises_more_than_deflate_can_hold(tmp_path: Path) -> None:
    """Both the array's header and the archive's directory lie about the size."""
    stream = io.BytesIO()
    shape = (5_000_000, 28, 28)
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    path = write_entries(tmp_path, x_train=stream.getvalue() + GREY.tobytes())
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")  # the directory's first entry, x_train
    data[entry + 24 : entry + 28] = struct.pack("<I", len(stream.getvalue()) + 5_000_000 * 28 * 28)
    path.write_bytes(data)
    assert "x_train: corrupt: its header announces shape (5000000, 28, 28)" in refused(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    content = path.read_bytes()
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        refused(path)


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = write(tmp_path, arrays())
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        with warnings.catch_warnings(), contextlib.suppress(DataError):
            warnings.simplefilter("ignore")  # a flipped label may leave a class empty
            np.testing.assert_array_equal(load(path).train.images[:, 0], GREY)


def test_validation_of_its_own(tmp_path: Path) -> None:
    data = load(write(tmp_path, arrays(x_validation=GREY[3:], y_validation=LABELS[3:])))
    np.testing.assert_array_equal(data.split("validation").images[:, 0], GREY[3:])
    assert data.split("validation").labels.tolist() == [0, 1, 2]
    assert len(data.train) == 6
    assert "no array named y_validation" in refused(write(tmp_path, arrays(x_validation=GREY)))
    wrong = arrays(x_validation=GREY[:, :3], y_validation=LABELS)
    assert "x_validation of (1, 3, 5)" in refused(write(tmp_path, wrong))


def test_whole_floats_are_labels_too(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        data = load(write(tmp_path, arrays(y_train=LABELS.astype(dtype))))
        assert data.train.labels.tolist() == LABELS.tolist()
        assert data.train.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[LABELS], "y_train: has shape (6, 3); labels must be (N,) or (N, 1); is it one-hot? save y.argmax"),
        (np.where(LABELS == 1, np.nan, 0), "y_train: label nan (of image 1, counted from 0) of dtype float64: labels"),
        (np.where(LABELS == 2, np.inf, 0), "y_train: label inf (of image 2, counted from 0) of dtype float64: labels"),
        (LABELS * 1e300, "y_train: label 1e+300 (of image 1"),
        (LABELS.astype(str), "labels must be whole numbers; number the classes: np.unique(y, return_inverse=True)"),
        (LABELS.astype(complex), "y_train: has dtype complex128; labels must be whole numbers"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: NDArray[Any], message: str) -> None:
    assert message in refused(write(tmp_path, arrays(y_train=labels)))


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_a_validation_split_under_its_usual_names(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, arrays(**{f"x_{name}": GREY[:3], f"y_{name}": LABELS[:3]}))
    np.testing.assert_array_equal(load(path).split("validation").images, GREY[:3, None])
    assert refused(write(tmp_path, arrays(**{f"x_{name}": GREY}))).startswith(f"no array named y_{name}; found x_train")


def test_two_validation_splits(tmp_path: Path) -> None:
    both = {f"{axis}_{name}": GREY if axis == "x" else LABELS for axis in "xy" for name in ("val", "validation")}
    assert refused(write(tmp_path, arrays(**both))) == (
        "x_validation and x_val could both be the validation split: leave one out"
    )


def test_a_first_label(tmp_path: Path) -> None:
    data = load(write(tmp_path, arrays(y_train=LABELS + 1, y_test=LABELS[:2] + 1)), first_label=1)
    assert (data.train.labels.tolist(), data.class_names) == (LABELS.tolist(), ["1", "2", "3"])


# Headers of .npy files: each ended in another exception of the parser of Python literals, or in a warning.
HEADERS = [
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (6, 4, 5), ",  # tokenize.TokenError
    b"{'descr': '|u1', 'fortran_order': False, 'shape': " + b"(" * 5000,  # MemoryError or RecursionError
    b"{'descr': [[[]]], 'fortran_order': False, 'shape': (6, 4, 5), }",
    b"{'descr': {'names': 3}, 'fortran_order': False, 'shape': (6, 4, 5), }",
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (1e999, 4, 5), }",
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (None,), }",
    b"\xff\x00\x0b",
    b"[" * 9000,
    b"'" * 3,
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_damaged_header_of_an_array(tmp_path: Path, header: bytes, version: int) -> None:
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    content = b"\x93NUMPY" + bytes([version, 0]) + length + header + b"\n" + GREY.tobytes()
    for name in ("x_train", "y_test"):
        message = refused(write_entries(tmp_path, **{name: content}))
        assert message.startswith(f"{name}: corrupt, or not an array (")


def test_a_file_that_python_2_wrote_is_read_without_a_warning(tmp_path: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (6L, 4L, 5L), }\n"
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + GREY.tobytes()
    np.testing.assert_array_equal(load(write_entries(tmp_path, x_train=content)).train.images[:, 0], GREY)
    assert describe(settings(source="npz", path=tmp_path / "data.npz")) == ((1, 4, 5), 3)
