from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from cnntrain.data import describe, load_data
from cnntrain.data.cache_entries import entries
from cnntrain.data.decoding import decode, image_size
from cnntrain.data.image_files import UnreadableFileError
from cnntrain.data.image_form import Form
from cnntrain.data.safe_pickle import UnsafePickleError, read_pickle
from tests.data.files import MNIST_FILES, idx, images, settings, write_mnist
from tests.data.pictures import encoded, pixels, tree, write_zip
from tests.fuzz.damage import FEWER, damaged, edits, quiet, read

LABELS = np.arange(6) % 3
_kept: dict[str, Path] = {}


@pytest.fixture(scope="module", autouse=True)
def _folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A sound data set of each kind, made once."""
    root = tmp_path_factory.mktemp("fuzz")
    for kind in ("csv", "idx", "npz", "npy", "zip", "scratch"):
        _kept[kind] = root / kind
        _kept[kind].mkdir()
    write_mnist(_kept["idx"], [0, 1, 2, 1], [2, 0], suffix="")
    arrays: dict[str, Any] = {"x_train": images(6), "y_train": LABELS, "x_test": images(2), "y_test": LABELS[:2]}
    np.savez(_kept["npz"] / "data.npz", **arrays)
    for name, array in arrays.items():
        np.save(_kept["npy"] / f"{name}.npy", array)
    lines = [f"{label},{','.join(map(str, range(label, label + 9)))}" for label in LABELS]
    for name in ("train.csv", "test.csv"):
        (_kept["csv"] / name).write_text("\n".join(lines) + "\n")
    write_zip(_kept["zip"] / "a.zip", tree(), zipfile.ZIP_STORED)


def scratch(kind: str, name: str, content: bytes) -> Path:
    """A copy of a data set with one file replaced."""
    folder = _kept["scratch"]
    shutil.rmtree(folder)
    shutil.copytree(_kept[kind], folder)
    (folder / name).write_bytes(content)
    return folder


def use(**keys: Any) -> None:
    """Describe and load; images of other sources than mapped ones are looked at."""
    chosen = settings(**keys)
    read(lambda: describe(chosen))
    data = read(lambda: load_data(chosen, seed=1))
    if data is not None:
        assert len(data.train.images) == len(data.train.labels)
        assert 0 <= data.train.labels.min() <= data.train.labels.max() < len(data.class_names)
        assert len(set(data.class_names)) == len(data.class_names) > 1


CSV_TEXT = st.text(st.sampled_from("0123456789,,,\n\n.-+eE \"';\t_xa\r\x1c\x00\x85\u2009\uff15é"), max_size=300)


@given(
    CSV_TEXT, st.sampled_from(["byte", "float"]), st.sampled_from([0, -1, "a"]), st.sampled_from(["auto", True, False])
)
@example("1,5,5,5,5\n1,5,\x1c5,5,5\n1,5,x,5,5\n", "byte", 0, "auto")  # int() knows fewer blanks than strip()
@example('"' + "1 " * 70_000 + '",2\n', "byte", 0, "auto")  # csv.Error: field larger than field limit
@example('a\n"', "byte", "a", "auto")
def test_csv_text(text: str, values: str, label: Any, header: Any) -> None:
    folder = scratch("csv", "train.csv", text.encode("utf-8", "surrogateescape"))
    use(source="csv", path=folder, values=values, label=label, header=header, class_names=["x", "a"])


@FEWER
@given(edits, st.booleans(), st.booleans())
def test_csv_bytes(plan: Any, compressed: bool, floats: bool) -> None:
    content = (_kept["csv"] / "train.csv").read_bytes()
    content = gzip.compress(damaged(content, plan), 1) if compressed else damaged(content, plan)
    for name in ("train.csv", "test.csv"):
        use(source="csv", path=scratch("csv", name, content), values="float" if floats else "byte")


@FEWER
@given(edits, st.sampled_from(MNIST_FILES), st.sampled_from(["plain", "gzip", "damaged gzip"]))
def test_idx(plan: Any, name: str, form: str) -> None:
    content = (_kept["idx"] / name).read_bytes()
    if form == "damaged gzip":
        content = damaged(gzip.compress(content), plan)
    else:
        content = damaged(content, plan)
        content = gzip.compress(content, 1) if form == "gzip" else content
    keys = dict(zip(("train_images", "train_labels", "test_images", "test_labels"), MNIST_FILES, strict=True))
    use(source="idx", path=scratch("idx", name, content), **keys)


@given(st.binary(max_size=80))
@example(idx([1])[:3])
def test_idx_of_anything(content: bytes) -> None:
    use(source="mnist", path=scratch("idx", MNIST_FILES[1], content))


@given(edits)
def test_npz(plan: Any) -> None:
    content = damaged((_kept["npz"] / "data.npz").read_bytes(), plan)
    use(source="npz", path=scratch("npz", "data.npz", content) / "data.npz")


HEADER = st.text(
    st.sampled_from("{}()[]'\",: 0123456789LuifObVS<>|=descrfortran_oshapeTrueFalseNone\\\n-+.e#"), max_size=120
)


@FEWER
@given(HEADER, st.integers(0, 4), st.sampled_from(["x_train", "y_test"]))
@example("{'descr': '|u1', 'fortran_order': False, 'shape': (6, 4, 5), ", 1, "x_train")  # tokenize.TokenError
@example("(" * 120, 1, "y_test")
def test_headers_of_arrays(header: str, version: int, name: str) -> None:
    text = header.encode()
    content = (
        b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version < 2 else 4, "little") + text + bytes(40)
    )
    use(source="npy", path=scratch("npy", f"{name}.npy", content))
    stream = io.BytesIO((_kept["npz"] / "data.npz").read_bytes())
    with zipfile.ZipFile(stream) as whole:
        members = {member: whole.read(member) for member in whole.namelist()} | {f"{name}.npy": content}
    use(source="npz", path=write_zip(scratch("npz", "data.npz", b"") / "data.npz", members))


@FEWER
@given(edits, st.sampled_from(["x_train", "y_train", "x_test", "y_test"]))
def test_npy(plan: Any, name: str) -> None:
    content = damaged((_kept["npy"] / f"{name}.npy").read_bytes(), plan)
    use(source="npy", path=scratch("npy", f"{name}.npy", content))


@FEWER
@given(edits, st.booleans(), st.sampled_from(["memory", "cache", "stream"]))
def test_folder_in_an_archive(plan: Any, skip_bad: bool, storage: str) -> None:
    content = damaged((_kept["zip"] / "a.zip").read_bytes(), plan)
    path = scratch("zip", "a.zip", content) / "a.zip"
    use(source="folder", path=path, skip_bad=skip_bad and storage != "stream", storage=storage, normalize="unit")


NAME = st.text(st.sampled_from("trainestval/\\.ab \x00\u202e\x1b\udce9é"), max_size=30)


@given(st.lists(st.one_of(NAME, NAME.map(lambda name: f"train/{name}.png"), NAME.map(lambda name: f"test/{name}.png"))))
@example(["train/a/1.png", "train\\a\\1.png"])
def test_names_in_an_archive(names: list[str]) -> None:
    stream, image = io.BytesIO(), encoded(pixels(1))
    with zipfile.ZipFile(stream, "w") as archive:
        for name in dict.fromkeys(name.partition("\0")[0] for name in names):
            with contextlib.suppress(UnicodeEncodeError):
                archive.writestr(zipfile.ZipInfo(f"{name}x"), image)
    path = scratch("zip", "a.zip", stream.getvalue()) / "a.zip"
    use(source="folder", path=path, storage="memory", normalize="unit")


def pictures() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    see_through = Image.fromarray(np.dstack([pixels(1), pixels(2)[..., :1]]))
    deep = Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6))
    cases: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (see_through, "PNG", {"exif": exif}), (see_through, "WEBP", {}), (see_through, "TIFF", {"exif": exif}),
        (see_through.convert("P"), "GIF", {"transparency": 1}), (see_through.convert("RGB"), "JPEG", {"exif": exif}),
        (see_through.convert("RGB"), "BMP", {}), (deep, "PNG", {}), (deep, "PPM", {}), (deep, "TIFF", {}),
    ]  # fmt: skip
    made: list[bytes] = []
    for image, kind, keys in cases:
        stream = io.BytesIO()
        image.save(stream, kind, **keys)
        made.append(stream.getvalue())
    return made


PICTURES = pictures()


@given(st.sampled_from(PICTURES), edits, st.sampled_from(["rgb", "grey"]), st.booleans(), st.sampled_from([None, 30]))
def test_images(content: bytes, plan: Any, color: str, resize: bool, white: int | None) -> None:
    content = damaged(content, plan)
    form = Form(color, 4, 6, resize, (1, 2, 3), white)
    with quiet():
        with contextlib.suppress(UnreadableFileError):
            assert decode(content, form).shape == form.shape
        with contextlib.suppress(UnreadableFileError):
            assert min(image_size(content, white)) > 0


@FEWER
@given(edits, st.sampled_from(["index.json", "train.u8", "test.u8"]))
def test_cache_of_decoded_images(plan: Any, name: str) -> None:
    """Whatever is done to an entry, the images and labels are those of the source."""
    keys = {"source": "folder", "path": _kept["zip"] / "a.zip"}
    with quiet():
        expected = load_data(settings(**keys), seed=1)
        train = np.array(expected.train.images)
        [entry] = entries()
        file = entry.folder / name
        content = damaged(file.read_bytes(), plan)
        file.unlink()
        file.write_bytes(content)
        found = load_data(settings(**keys), seed=1)
    np.testing.assert_array_equal(found.train.images, train)
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.class_names == ["cat", "dog"]


BATCH: dict[bytes, Any] = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}


@given(edits, st.integers(0, 5))
@example(([("set", 0.1875, b"\\")], 1.0), 0)  # Python warned of an escape
def test_pickles(plan: Any, protocol: int) -> None:
    content = pickle.dumps({**BATCH, b"data": BATCH[b"data"][:, :4]}, protocol)
    with contextlib.suppress(UnsafePickleError):
        read_pickle(damaged(content, plan))


@given(st.binary(max_size=60))
def test_pickles_of_anything(content: bytes) -> None:
    with contextlib.suppress(UnsafePickleError):
        read_pickle(content)
