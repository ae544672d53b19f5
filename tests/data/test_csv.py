from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.data import DataSet, describe, load_data
from cnntrain.errors import CnntrainError
from tests.data.files import images, settings

PIXELS = images(6, 3, 3)
LABELS = [0, 1, 2, 0, 1, 2]


def lines(header: str = "", label_last: bool = False, pixels: Any = PIXELS) -> list[str]:
    rows = []
    for label, image in zip(LABELS, pixels, strict=True):
        values = [str(value) for value in image.reshape(-1)]
        rows.append(",".join([*values, str(label)] if label_last else [str(label), *values]))
    return ([header] if header else []) + rows


def write(folder: Path, train: list[str], test: list[str] | None = None) -> Path:
    (folder / "train.csv").write_text("\n".join(train) + "\n")
    (folder / "test.csv").write_text("\n".join(test or train) + "\n")
    return folder


def load(path: Path, **keys: Any) -> DataSet:
    return load_data(settings(source="csv", path=path, **keys), seed=1)


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises(CnntrainError) as caught:
        load(path, **keys)
    return str(caught.value).replace(f"{path}/", "")


@pytest.mark.parametrize("header", ["", "label,a,b,c,d,e,f,g,h,i"])
@pytest.mark.parametrize("label_last", [False, True])
def test_pixels_and_labels(tmp_path: Path, header: str, label_last: bool) -> None:
    path = write(tmp_path, lines(header, label_last))
    keys = {"label": -1} if label_last else {}
    data = load(path, **keys)
    np.testing.assert_array_equal(data.train.images[:, 0], PIXELS)
    assert data.train.images.dtype == np.uint8
    assert data.train.images.flags.c_contiguous
    assert data.train.labels.tolist() == LABELS
    assert len(data.test) == 6
    assert describe(settings(source="csv", path=path, **keys)) == ((1, 3, 3), 3)


def test_label_by_name_gzip_bom_blank_lines_and_quotes(tmp_path: Path) -> None:
    text = "\ufeff" + "\n\n".join(lines("a,b,c,d,e,f,g,h,i,class", label_last=True)) + "\n"
    for name in ("train.csv", "other.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text.replace(",2\n", ',"2"\n').encode()))
    data = load(tmp_path, label="class", test="other.gz", validation_file="train.csv", class_names=["x", "y", "z"])
    np.testing.assert_array_equal(data.test.images[:, 0], PIXELS)
    assert data.class_names == ["x", "y", "z"]
    assert data.split("validation").labels.tolist() == LABELS


def test_shapes(tmp_path: Path) -> None:
    path = write(tmp_path, lines(pixels=images(6, 3, 4)))
    np.testing.assert_array_equal(load(path, shape=[3, 4]).train.images, images(6, 3, 4)[:, None])
    np.testing.assert_array_equal(load(path, shape=[3, 2, 2]).train.images, images(6, 3, 4).reshape(6, 3, 2, 2))
    assert refused(path) == "train.csv: has 12 pixels per image, which make no square: set data.shape: [rows, columns]"
    assert refused(path, shape=[3, 5]) == "train.csv: has 12 pixels per image, but data.shape 3x5 means 15"
    write(tmp_path, lines(), lines(pixels=images(6, 2, 2)))
    assert refused(path) == "test.csv: images of 1x2x2, but train.csv has 1x3x3 (channels x rows x columns)"


def test_floats(tmp_path: Path) -> None:
    floats = PIXELS / 7 - 3
    data = load(write(tmp_path, lines(pixels=floats)), values="float")
    assert data.train.images.dtype == np.float32
    np.testing.assert_array_equal(data.train.images[:, 0], floats.astype(np.float32))


def changed(line: int, column: int, value: str, header: bool = True) -> list[str]:
    """The lines with one field changed; lines count from 1."""
    rows = lines("label,a,b,c,d,e,f,g,h,i") if header else lines()
    fields = rows[line - 1].split(",")
    fields[column] = value
    rows[line - 1] = ",".join(fields)
    return rows


@pytest.mark.parametrize(
    ("value", "values", "problem"),
    [
        ("256", "byte", "pixels must be whole numbers from 0 to 255 (others: data.values: float)"),
        ("-1", "byte", "pixels must be whole numbers from 0 to 255 (others: data.values: float)"),
        ("0.5", "byte", "pixels must be whole numbers from 0 to 255 (others: data.values: float)"),
        ("", "byte", "pixels must be whole numbers from 0 to 255 (others: data.values: float)"),
        ("9" * 30, "byte", "pixels must be whole numbers from 0 to 255 (others: data.values: float)"),
        ("nan", "float", "pixels must be finite numbers within the range of float32"),
        ("1e39", "float", "pixels must be finite numbers within the range of float32"),
        ("x", "float", "pixels must be finite numbers within the range of float32"),
    ],
)
def test_a_wrong_pixel_is_named_with_line_and_column(tmp_path: Path, value: str, values: str, problem: str) -> None:
    message = refused(write(tmp_path, changed(5, 3, value)), values=values)
    assert message == f"train.csv: line 5, column 3: {value!r} is no pixel: {problem}"


@pytest.mark.parametrize("values", ["byte", "float"])
@pytest.mark.parametrize("value", ["cat", "1.5", ""])
def test_a_wrong_label(tmp_path: Path, values: str, value: str) -> None:
    message = refused(write(tmp_path, changed(7, 0, value)), values=values)
    assert message == f"train.csv: line 7, column 0: {value!r} is no label: labels must be whole numbers"


def test_labels_out_of_range(tmp_path: Path) -> None:
    assert "label 7 (of image 2, counted from 0) is out of range" in refused(
        write(tmp_path, lines(), changed(3, 0, "7", False))
    )
    assert "labels go from -1 to 2" in refused(write(tmp_path, changed(3, 0, "-1", False)))


def test_lines_of_differing_length(tmp_path: Path) -> None:
    rows = lines()
    rows[3] += ",5"
    assert refused(write(tmp_path, rows)) == "train.csv: line 4: has 11 columns, the first line has 10"
    rows[3] = "1,2"
    assert refused(write(tmp_path, rows)) == "train.csv: line 4: has 2 columns, the first line has 10"


def test_other_mistakes(tmp_path: Path) -> None:
    path = write(tmp_path, lines("label,a,b,c,d,e,f,g,h,i"))
    assert refused(path, label="class").startswith(
        "data.label: train.csv has no column named 'class'; found label, a, b"
    )
    assert refused(path, label=10) == "data.label: train.csv has 10 columns, there is no column 10"
    assert "line 1, column 0: 'label' is no label" in refused(path, header=False)
    assert refused(path, train="gone.csv").startswith("gone.csv: no such file (looked for ")
    assert "it has no header" in refused(write(tmp_path, lines()), label="class")
    (tmp_path / "test.csv").write_text("0,1,2,3,4")
    for content, message in (
        (b"", "train.csv: empty"),
        (b"\n\n", "train.csv: empty"),
        (b"label,a,b,c,d\n", "train.csv: holds no images (nothing but its header)"),
        (b"0,1,2,3,4\n0,1,\xff\xfe,3,4\n", "train.csv: not a text file in UTF-8"),
        (gzip.compress(b"0,1,2,3,4\n" * 1000)[:-9], "train.csv: truncated or corrupt ("),
    ):
        (tmp_path / "train.csv").write_bytes(content)
        assert refused(tmp_path).startswith(message)
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.csv").mkdir()
    assert refused(tmp_path) == "train.csv: cannot be read: Is a directory"
