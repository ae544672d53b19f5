from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.data.image_files import DirectoryFiles, ImageFiles
from cnntrain.data.labels_table import read_labels
from cnntrain.errors import DataError
from tests.data.pictures import encoded, load, pixels, write_folder, write_zip

PICTURES = {f"all/{n}.png": encoded(pixels(n)) for n in range(12)}
ROWS = [f"all/{n}.png,{'cat' if n % 2 else 'dog'}" for n in range(12)]


def table(*rows: str) -> dict[str, bytes]:
    return PICTURES | {"labels.csv": "\n".join(rows).encode()}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ["file,class", *ROWS],
        ["\ufeffFilename, Label", *ROWS, ""],
        ["Class,Id,File", *(f"{c},7,{f}" for f, c in (row.split(",") for row in ROWS))],
        [row.replace("/", "\\") for row in ROWS],
    ],
)
def test_tables_that_mean_the_same(tmp_path: Path, rows: list[str], packed: bool) -> None:
    files = table(*rows)
    path = (
        write_zip(tmp_path / "a.zip", {f"outer/{name}": c for name, c in files.items()})
        if packed
        else write_folder(tmp_path / "a", files)
    )
    data = load(path, labels="labels.csv", test=0.25)
    assert data.class_names == ["cat", "dog"]
    assert len(data.train) + len(data.test) == 12
    expected = {pixels(n).tobytes(): n % 2 == 0 for n in range(12)}
    for split in (data.train, data.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert expected[image.transpose(1, 2, 0).tobytes()] == label


def test_names_are_relative_to_the_table_too(tmp_path: Path) -> None:
    write_folder(tmp_path, PICTURES | {"all/t.csv": b"0.png,a\n1.png,b\nall/2.png,b"})
    assert read_labels(DirectoryFiles(tmp_path), "all/t.csv") == [
        ("all/0.png", "a"),
        ("all/1.png", "b"),
        ("all/2.png", "b"),
    ]


def test_folders_may_still_name_the_split(tmp_path: Path) -> None:
    files = {f"{'train' if n < 8 else 'TEST'}/{n}.png": encoded(pixels(n)) for n in range(12)}
    rows = "\n".join(f"{name},{n % 2}" for n, name in enumerate(files))
    data = load(write_folder(tmp_path, files | {"labels.csv": rows.encode()}), labels="labels.csv")
    assert (len(data.train), len(data.test)) == (8, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "labels.csv: is empty; expected a file and its class on each line"),
        (b"\xff\xfe\x00", "labels.csv: is no text in UTF-8 (byte 0)"),
        (b"all/0.png", "expected two columns, file and class, with a comma between; found one"),
        (b"all/0.png,cat\nall/1.png", "labels.csv:2: expected a file and its class; found 'all/1.png'"),
        (b"all/0.png,cat\nall/0.png,dog", "labels.csv:2: all/0.png has a class already, in line 1"),
        (b"all/0.png,cat\nall/x\x1b.png,dog", "labels.csv:2: there is no file all/x\\x1b.png (looked in"),
        (b"gone.png,cat\nall/1.png,dog", "labels.csv:1: there is no file gone.png"),
        (b"all/0.png,cat\n../../etc/passwd,dog", "1 of 2 files are not there"),
        (b'all/0.png,"cat\n' + b"x" * 200_000, "labels.csv: is no CSV (field larger than field limit"),
    ],
)
def test_wrong_tables(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_folder(tmp_path, PICTURES | {"labels.csv": content})
    with pytest.raises(DataError) as caught:
        load(path, labels="labels.csv", test=0.2)
    assert message in str(caught.value)


class Content(ImageFiles):
    """A table of any content beside one picture."""

    def __init__(self, content: bytes) -> None:
        self.path, self.names, self.left_out = Path("here"), ["labels.csv", "a.png"], []
        self._content = content

    def read(self, name: str) -> bytes:
        return self._content

    def fingerprint(self) -> str:
        return ""

    def where(self, name: str) -> str:
        return name


@given(st.binary(max_size=60) | st.text('ab.png,"\n\r\0 file;clas', max_size=60).map(str.encode))
def test_any_content_is_read_or_refused(content: bytes) -> None:
    found: list[tuple[str, str]] = []
    with contextlib.suppress(DataError):
        found = read_labels(Content(content), "labels.csv")
    assert {name for name, _ in found} <= {"a.png", "labels.csv"}


def test_no_table_and_images_without_a_label(tmp_path: Path) -> None:
    path = write_folder(tmp_path, table(*ROWS[:8]))
    with pytest.raises(
        DataError, match=r"gone\.csv: no such file; data\.labels is a table in data\.path; found labels\.csv"
    ):
        load(path, labels="gone.csv", test=0.2)
    with pytest.warns(UserWarning, match=r"ignored 4 files that have no label; the first is all/10\.png"):
        load(path, labels="labels.csv", test=0.25)
