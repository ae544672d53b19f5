from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnntrain.cli import main
from cnntrain.config import infer_shapes, load_config
from cnntrain.data import describe
from cnntrain.data.survey import survey
from cnntrain.errors import DataError
from cnntrain.shape import Shape
from tests.data.pictures import encoded, pixels, tree, write_folder, write_zip


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "inspect", *map(str, arguments)])


def found(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def classes(count: int = 20) -> dict[str, bytes]:
    return {
        f"{kind}/{n}.png": encoded(pixels(n + 100 * (kind == "dog"), rows=30 + n, columns=40))
        for kind in ("cat", "dog")
        for n in range(count)
    }


@pytest.mark.parametrize("packed", [False, True])
def test_all_bad_files_at_once(tmp_path: Path, packed: bool) -> None:
    whole = encoded(pixels(1, 60, 60), "JPEG")
    bad = {
        "cat/empty.png": b"",
        "cat/page.jpg": b"<html>",
        "dog/cut.jpg": whole[: len(whole) // 2],
        "dog/\x1b[2Jevil.png": b"x",
        "dog/deep.png": encoded(np.zeros((4, 4), np.float32), "TIFF"),
    }
    files = classes(4) | bad
    path = write_zip(tmp_path / "a.zip", files) if packed else write_folder(tmp_path / "a", files)
    told = found(path)
    reasons = {each["file"]: each["reason"] for each in told["bad"]}
    assert reasons.keys() == bad.keys()
    assert reasons["cat/empty.png"] == "is empty (0 bytes)"
    assert "is text or a web page" in reasons["cat/page.jpg"]
    assert "truncated" in reasons["dog/cut.jpg"]
    assert "has floating-point pixels" in reasons["dog/deep.png"]
    text = run(path).stdout
    assert "  dog/\\x1b[2Jevil.png: is no image in a known format (1 bytes)\n" in text
    assert "\x1b" not in text


def test_sizes_modes_and_what_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(pixels(7, 10, 50)).save(stream, "JPEG", exif=exif)
    clear = np.dstack([pixels(8, 9, 9), np.full((9, 9), 100, np.uint8)])
    path = write_folder(tmp_path, classes(3) | {"cat/turned.JPG": stream.getvalue(), "dog/clear.png": encoded(clear)})
    told = found(path)
    assert told["sizes"] == {"30x40": 2, "31x40": 2, "32x40": 2, "50x10": 1, "9x9": 1}
    assert (told["rows"], told["turned"], told["transparent"]) == (
        {"smallest": 9, "median": 31, "largest": 50}, 1, 1
    )  # fmt: skip
    assert (told["modes"], told["formats"]) == ({"RGB": 7, "RGBA": 1}, {"PNG": 7, "JPEG": 1})
    assert "sizes     5 different: 9x9 to 50x40, median 31x40 (rows x columns)" in run(path).stdout


def test_duplicates_leaks_and_contradictions(tmp_path: Path) -> None:
    files = tree()
    files["test/cat/copy.png"] = files["train/cat/0.png"]
    files["test/cat/other.bmp"] = encoded(np.asarray(Image.open(io.BytesIO(files["train/cat/1.png"]))), "BMP")
    files["train/dog/9.png"] = files["train/cat/2.png"]
    told = found(write_folder(tmp_path, files))
    assert [[(each["file"], each["split"]) for each in names] for names in told["duplicates"]] == [
        [("test/cat/copy.png", "test"), ("train/cat/0.png", "train")],
        [("test/cat/other.bmp", "test"), ("train/cat/1.png", "train")],
        [("train/cat/2.png", "train"), ("train/dog/9.png", "train")],
    ]
    assert (told["leaks"], told["contradictions"]) == (2, 1)
    assert told["classes"] == {"train": {"cat": 3, "dog": 4}, "test": {"cat": 3, "dog": 1}}
    text = run(tmp_path).stdout
    assert "duplicates  6 files show 3 pictures\n  LEAK: 2 pictures are in more than one split" in text
    assert "  CONTRADICTION: 1 pictures are in more than one class\n" in text
    assert "  test/cat/copy.png (test) = train/cat/0.png (train)\n" in text


GREY_DEEP = {
    f"{kind}/{n}.png": encoded((np.arange(64).reshape(8, 8) * 60 + n).astype(np.uint16))
    for kind in "ab"
    for n in range(4)
}


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        (
            classes(20),
            ["test: 0.2", "validation: 0.1", "color: rgb", "resize: [32, 32]", "fit: crop", "horizontal_flip"],
        ),
        (tree(), ["validation: 0.1", "color: rgb"]),
        (GREY_DEEP, ["color: grey", "white: 4095  # the largest value found is 3783", "test: 0.2"]),
        (
            {f"x/{n}.png": encoded(pixels(n)) for n in range(9)}
            | {"labels.csv": b"\n".join(b"x/%d.png,%d" % (n, n % 2) for n in range(9))},
            ['labels: "labels.csv"', "test: 0.2"],
        ),
        (classes(3) | {"cat/bad.png": b"x"}, ["skip_bad: true  # 1 files cannot be read"]),
    ],
    ids=["flat", "split", "deep", "table", "bad"],
)
def test_the_suggested_config_is_right(tmp_path: Path, files: dict[str, bytes], lines: list[str]) -> None:
    path = write_folder(tmp_path / "my: photos", files)
    config = tmp_path / "first.yaml"
    result = run(path, "--write", config)
    assert result.exit_code == 0
    text = config.read_text()
    for line in lines:
        assert line in text
    shown = result.stdout.partition("a config to begin with\n")[2]
    assert "".join(f"{line[2:]}\n" for line in shown.splitlines()) == text
    loaded = load_config(config)
    shape, number = describe(loaded.data)
    assert infer_shapes(loaded, Shape(*shape), number)[-1].output_shape == (2, 1, 1)
    again = run(path, "--write", config)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "first.yaml: cannot be written: File exists" in again.stderr


def test_images_without_classes(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "loose", {f"{n}.png": encoded(pixels(n)) for n in range(3)})
    assert (
        "classes   none found: no image files in train/<class>/; found 3 image files that lie in no folder"
        in run(path).stdout
    )
    assert found(path)["classes"] == {}
    one = write_folder(tmp_path / "one", {f"cat/{n}.png": encoded(pixels(n)) for n in range(3)})
    refused = run(one, "--write", tmp_path / "x.yaml")
    assert (refused.exit_code, (tmp_path / "x.yaml").exists()) == (2, False)


def test_mistakes(tmp_path: Path) -> None:
    assert "no such folder or zip file" in run(tmp_path / "gone").stderr
    (tmp_path / "a.txt").write_text("x")
    assert "no image files (.jpg, .jpeg, " in run(tmp_path).stderr
    assert "not a zip file" in run(tmp_path / "a.txt").stderr
    assert "--set changes a config; PATH has none" in run(tmp_path, "--set", "a=1").stderr
    assert "--write goes with a folder or zip" in run("--recipe", "mnist-lenet5", "--write", "x").stderr
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a folder nor a file" in run(tmp_path / "pipe").stderr
    with pytest.raises(DataError, match="no such folder or zip file"):
        survey(tmp_path / "gone")


def test_one_picture_in_two_modes_is_there_twice(tmp_path: Path) -> None:
    grey = Image.fromarray(pixels(3, 9, 9, channels=1))
    files = {}
    for name, image in (("a/0.png", grey), ("b/0.png", grey.convert("RGB")), ("b/1.gif", grey)):
        stream = io.BytesIO()
        image.save(stream, name.rpartition(".")[2])
        files[name] = stream.getvalue()
    assert len(found(write_folder(tmp_path, files))["duplicates"][0]) == 3
