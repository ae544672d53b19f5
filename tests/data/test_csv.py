from __future__ import annotations

import gzip
import os
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
    names = ", or names that data.class_names would have to list" if value == "cat" else ""
    assert message == f"train.csv: line 7, column 0: {value!r} is no label: labels must be whole numbers{names}"


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
    assert refused(tmp_path) == "train.csv: is a folder, not a file"


def test_labels_as_text_and_as_floats(tmp_path: Path) -> None:
    named = [f"{'abc'[int(line[0])]}{line[1:]}" for line in lines()]
    path = write(tmp_path, ["what,a,b,c,d,e,f,g,h,i", *named], named)  # the first line of the test file is an image
    for values in ("byte", "float"):
        data = load(path, class_names=["a", "b", "c"], values=values)
        assert data.train.labels.tolist() == data.test.labels.tolist() == LABELS
        np.testing.assert_array_equal(data.test.images[:, 0], PIXELS)
    assert load(path, class_names=["a", "b", "c"], first_label=1).train.labels.tolist() == LABELS
    assert "'c' is no label: labels must be whole numbers, or names that data.class_names has" in refused(
        path, class_names=["a", "b"]
    )
    floats = [f"{line[0]}.0{line[1:]}" for line in lines()]
    assert load(write(tmp_path, floats)).train.labels.tolist() == LABELS
    assert describe(settings(source="csv", path=tmp_path)) == ((1, 3, 3), 3)


def test_a_first_label(tmp_path: Path) -> None:
    counted = [f"{int(line[0]) + 1}{line[1:]}" for line in lines()]
    data = load(write(tmp_path, counted), first_label=1)
    assert data.train.labels.tolist() == LABELS
    assert data.class_names == ["1", "2", "3"]
    with pytest.warns(
        UserWarning, match="no image of 1 of 4 classes .0.; if labels count from 1, set data.first_label: 1"
    ):
        load(tmp_path)
    assert refused(tmp_path, first_label=2).endswith(
        "labels go from 1 to 3; they must be 2 to 2 + classes - 1 (at most 100000 classes)"
    )


def test_a_header_that_counts(tmp_path: Path) -> None:
    """As pandas writes an array's columns: it was taken for an image."""
    path = write(tmp_path, lines("0,1,2,3,4,5,6,7,8,9"))
    assert len(load(path).train) == 6


def test_what_a_file_looks_like(tmp_path: Path) -> None:
    """Files as they are published, and what was said of them: "63 pixels per image, which make no square"."""
    path = write(tmp_path, lines(), [line.split(",", 1)[1] for line in lines()])
    assert refused(path) == (
        "test.csv: has 9 columns, one fewer than train.csv: does it lack the labels, as the test.csv of a competition "
        "does? Nothing can be measured on it; data.test must name a file with labels"
    )
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), (" ", "spaces"), ("|", "bars")):
        path = write(tmp_path, [line.replace(",", separator) for line in lines()])
        assert refused(path) == (f"train.csv: line 1 has 9 {called} and no comma: columns must be separated by commas")
    fer = ["emotion,pixels,Usage", *(f"{line[0]},{line[2:].replace(',', ' ')},Training" for line in lines())]
    assert refused(write(tmp_path, fer)) == (
        "train.csv: has 2 pixels per image, which make no square: column 1 holds 9 numbers separated by spaces (as in "
        "FER2013): give every pixel a column of its own"
    )
    for name, says in (("", "has no name"), ("Unnamed: 0", "is called 'Unnamed: 0'"), ("id", "is called 'id'")):
        index = [f"{name},label,a,b,c,d,e,f,g,h,i", *(f"{n},{line}" for n, line in enumerate(lines()))]
        for keys, before in (
            ({}, "which make no square"), ({"shape": [3, 3]}, "but data.shape 3x3 means 9"),
        ):  # fmt: skip
            assert refused(write(tmp_path, index), **keys) == (
                f"train.csv: has 10 pixels per image, {before}: its first column {says}: an index? Leave it out "
                "(pandas: to_csv(index=False))"
            )
    counted = [f"{n},{line}" for n, line in enumerate(lines())]
    assert "does its first column count the lines?" in refused(write(tmp_path, counted))


def test_one_class_and_where_the_label_may_be(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:, 0, 0] = 0
    path = write(tmp_path, lines("a,b,c,d,e,f,g,h,i,class", label_last=True, pixels=pixels))
    said = "so there is nothing to learn; its header names a column 'class': set data.label: class"
    assert refused(path) == f"{path}: all 6 training images have the label 0, {said}"
    assert refused(path, class_names=["x", "y"]).endswith(said)
    with pytest.raises(CnntrainError, match="there is only one class, so there is nothing to learn; its header names"):
        describe(settings(source="csv", path=path))
    path = write(tmp_path, lines(label_last=True, pixels=pixels))
    assert refused(path).endswith(
        "; labels are read from column 0: if they are elsewhere, set data.label (-1 is the last column)"
    )


@pytest.mark.parametrize("value", ["1_0", "\uff15", "0x5", "5 5", "--5", "5\x005"])
@pytest.mark.parametrize("column", [0, 3])
@pytest.mark.parametrize("values", ["byte", "float"])
def test_what_only_python_takes_for_a_number(tmp_path: Path, value: str, column: int, values: str) -> None:
    """Some ended in "cannot be read as numbers"."""
    assert f"line 5, column {column}: " in refused(write(tmp_path, changed(5, column, value)), values=values)


@pytest.mark.parametrize("value", ["\x1c{}", "{}\x85", "\u2009{}", "{}\x1f"])
@pytest.mark.parametrize("values", ["byte", "float"])
def test_blanks_that_int_does_not_know(tmp_path: Path, value: str, values: str) -> None:
    """NumPy skips them; looking for something wrong behind them ended in a ValueError of int()."""
    rows = changed(5, 3, value.format(5))
    rows[5] = f"{value.format(1)},{rows[5].partition(',')[2]}"
    np.testing.assert_array_equal(load(write(tmp_path, rows), values=values).train.images[3, 0, 0, 2], 5)
    rows[6] = rows[6].replace(",", ",x", 1)
    assert "train.csv: line 7, column 1: 'x" in refused(write(tmp_path, rows), values=values)


@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_a_pipe_in_place_of_a_file(tmp_path: Path, name: str) -> None:
    """Opening it waited for ever."""
    write(tmp_path, lines())
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert refused(tmp_path) == f"{name}: is a device or pipe, not a file"
