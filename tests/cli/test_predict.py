from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import cnntrain
from cnntrain.cli import main
from cnntrain.evaluation.restored import restore
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.data.pictures import encoded
from tests.evaluation.photographed import KINDS, photos, picture, trained


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose data are gone: the checkpoint must do."""
    folder = tmp_path_factory.mktemp("pictures")
    run = trained(folder)
    shutil.rmtree(folder / "photos")
    return run


@pytest.fixture
def run(original: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run; the working directory has photos/<kind>/ with new pictures, and one that is damaged."""
    monkeypatch.chdir(tmp_path)
    for kind in KINDS:
        for n in range(50, 54):
            path = Path("photos", kind, f"{n}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture(kind, n)))
    return str(original.path)


def predict(run: str, *arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["predict", run, *map(str, arguments)], input=stdin)


def rows(result: Result) -> list[list[str]]:
    return list(csv.reader(io.StringIO(result.stdout)))


def files(result: Result) -> list[str]:
    return [row[0] for row in rows(result)[1:]]


NAMES = [f"photos/{kind}/{n}.png" for kind in KINDS for n in range(50, 54)]


def test_a_folder_as_csv(run: str) -> None:
    result = predict(run, "photos")
    said = [line for line in result.stderr.splitlines() if not line.startswith("compiling ")]
    assert (result.exit_code, said) == (0, [])
    head, *lines = rows(result)
    assert head == ["file", "class", "probability"]
    assert [line[0] for line in lines] == NAMES
    assert [line[1] for line in lines] == [name.split("/")[1] for name in NAMES]
    assert all(0.5 <= float(line[2]) <= 1 for line in lines)


def test_the_probabilities_are_those_of_the_network_and_of_python(run: str) -> None:
    told = json.loads(predict(run, *NAMES, "--top", "2", "--json").stdout)
    assert (told["class_names"], told["bad"]) == (list(KINDS), [])
    network = cnntrain.load(run)
    by_path = network.probabilities(NAMES)
    for entry, row in zip(told["predictions"], by_path, strict=True):
        assert {each["class"]: each["probability"] for each in entry["classes"]} == dict(zip(KINDS, row, strict=True))
        assert entry["classes"][0]["probability"] >= entry["classes"][1]["probability"]
    np.testing.assert_allclose(by_path.sum(axis=1), 1)


def test_top_adds_columns(run: str) -> None:
    result = predict(run, NAMES[0], "--top", "5")  # there are two classes
    head, line = rows(result)
    assert head == ["file", "class", "probability", "class_2", "probability_2"]
    assert {line[1], line[3]} == set(KINDS)
    assert float(line[2]) + float(line[4]) == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_result_does_not_depend_on_the_others(run: str, batch: int) -> None:
    Path("bad.png").write_bytes(b"x")
    alone = [json.loads(predict(run, name, "--json").stdout)["predictions"][0] for name in NAMES[:3]]
    among = json.loads(predict(run, *NAMES[:2], "bad.png", *NAMES[2:], "--json", "--batch", str(batch)).stdout)
    assert among["predictions"][:3] == alone


def test_ways_to_name_files(run: str) -> None:
    with zipfile.ZipFile("all.zip", "w") as archive:
        for name in NAMES:
            archive.write(name)
        archive.writestr("__MACOSX/photos/._50.png", b"x")
        archive.writestr("readme.txt", b"x")
    assert files(predict(run, "all.zip")) == [f"all.zip/{name}" for name in NAMES]
    assert files(predict(run, "photos/*/5[01].png")) == [NAMES[n] for n in (0, 1, 4, 5)]
    assert files(predict(run, "photos/**/*.png")) == NAMES
    assert files(predict(run, "photos/dark/")) == NAMES[:4]
    assert files(predict(run, "-", NAMES[7], stdin=f"{NAMES[3]}\r\n\nphotos/light\n".encode())) == [
        NAMES[3],
        *NAMES[4:],
        NAMES[7],
    ]
    assert files(predict(run, "-", stdin="\0".join(NAMES[:2]).encode())) == NAMES[:2]
    Path("a*b[1].png").write_bytes(Path(NAMES[0]).read_bytes())
    assert files(predict(run, "a*b[1].png")) == ["a*b[1].png"]
    assert files(predict(run, NAMES[0], NAMES[0])) == [NAMES[0]] * 2


def test_bad_files_are_named_and_do_not_stop_the_others(run: str) -> None:
    Path("photos/dark/49.png").write_bytes(b"<html>")
    Path("photos/light/cut.png").write_bytes(encoded(picture("light", 1))[:200])
    Path("empty").mkdir()
    Path("damaged.zip").write_bytes(b"PK")
    os.mkfifo("pipe.png")
    given = ("photos", "gone.png", "no*.png", "empty", "damaged.zip", "pipe.png", "-")
    result = predict(run, *given, stdin=b"also gone\0a\nb")
    assert result.exit_code == 1
    assert files(result) == NAMES
    assert result.stderr.splitlines() == [
        "photos/dark/49.png: is text or a web page (6 bytes)",
        "photos/light/cut.png: is damaged (image file is truncated)",
        "gone.png: no such file",
        "no*.png: matches no file",
        "empty: no image files in it, among 0",
        "damaged.zip: not a zip file, truncated or corrupt (File is not a zip file)",
        "pipe.png: is no regular file",
        "also gone: no such file",
        "a\\nb: no such file",
        "9 of 17 files could not be read",
    ]
    skipped = predict(run, *given[:2], "--skip-bad", "--json")
    assert skipped.exit_code == 0
    told = json.loads(skipped.stdout)
    assert [bad["file"] for bad in told["bad"]] == ["photos/dark/49.png", "photos/light/cut.png", "gone.png"]
    assert len(told["predictions"]) == 8


def test_hostile_files_do_no_harm(run: str) -> None:
    evil = "photos/dark/\x1b[2J\u202egnp.\n.png"
    Path(evil).write_bytes(Path(NAMES[0]).read_bytes())
    bomb = bytearray(encoded(np.zeros((8, 8), np.uint8)))
    bomb[16:24] = (200_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    Path("photos/dark/bomb.png").write_bytes(bomb)
    with zipfile.ZipFile("evil.zip", "w") as archive:
        archive.writestr("../../../escaped.png", Path(NAMES[0]).read_bytes())
        archive.writestr("/tmp/absolute.png", Path(NAMES[0]).read_bytes())
        archive.writestr("link.png", b"/etc/passwd")
    before = sorted(path for path in Path().rglob("*"))
    result = predict(run, "photos/dark", "evil.zip")
    assert result.exit_code == 1
    assert not {"\x1b", "\u202e"} & set(result.output)
    assert "photos/dark/\\x1b[2J\\u202egnp.\\n.png,dark," in result.stdout
    assert "photos/dark/bomb.png: is damaged (Image size (40000000000 pixels) exceeds limit" in result.stderr
    assert "evil.zip/link.png: is no image in a known format (11 bytes)" in result.stderr
    assert files(result)[-1] == "evil.zip//tmp/absolute.png"
    assert not any("escaped" in name for name in files(result))  # what leads upwards is no picture of the archive
    assert sorted(path for path in Path().rglob("*")) == before
    assert evil in [each["file"] for each in json.loads(predict(run, "photos/dark", "--json").stdout)["predictions"]]


def test_a_table_in_a_file(run: str) -> None:
    result = predict(run, "photos", "--csv", "out.csv")
    assert (result.exit_code, result.output) == (0, "")
    with Path("out.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["file", *NAMES]
    assert (
        "nowhere/out.csv: cannot be written: No such file or directory"
        in predict(run, "photos", "--csv", "nowhere/out.csv").stderr
    )
    both = predict(run, "photos", "--csv", "out.csv", "--json")
    assert (both.exit_code, both.stdout) == (2, "")


def test_every_picture_is_treated_as_in_training(run: str, tmp_path: Path) -> None:
    """The training images again, on the same background: what `eval` sees is what `predict` sees."""
    for name, content in photos().items():
        (tmp_path / "again" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / name).write_bytes(content)
    told = json.loads(CliRunner().invoke(main, ["eval", run, "--set", "data.path=again/photos", "--json"]).stdout)
    network = cnntrain.load(run)
    from cnntrain.data import load_data

    data = load_data(network.config.data.model_copy(update={"path": "again/photos"}), 1)
    from_arrays = network.probabilities(data.test.images[:])
    shown = {image.tobytes(): row for image, row in zip(data.test.images[:], from_arrays, strict=True)}
    names = sorted(str(path) for path in Path("again").rglob("*.png"))
    from cnntrain.data.chosen_files import SingleFiles
    from cnntrain.evaluation.pictures import decoded

    restored = restore(Path(run) / "best.safetensors", batch_size=4)
    seen = 0
    for name, picture_, row in zip(
        names, decoded(restored, SingleFiles(), names), network.probabilities(names), strict=True
    ):
        if picture_.tobytes() in shown:
            np.testing.assert_array_equal(row, shown[picture_.tobytes()], err_msg=name)
            seen += 1
    assert seen == len(data.test) == told["images"]


def test_networks_that_pictures_do_not_fit(run: str, tmp_path: Path) -> None:
    original = read_checkpoint(Path(run) / "best.safetensors")
    floats = original.metadata.model_copy(update={"image_type": "float32"})
    save_checkpoint(tmp_path / "floats", Checkpoint(floats, original.network))
    result = predict(str(tmp_path / "floats"), "photos")
    assert (result.exit_code, files(result)) == (2, [])
    assert "floats: the network was trained on float images, which pictures cannot be turned into" in result.stderr
    nan = {name: np.full_like(value, np.nan) for name, value in original.network.items()}
    save_checkpoint(tmp_path / "nan", Checkpoint(original.metadata, nan))
    assert "nan: NaN or infinity in " in predict(str(tmp_path / "nan"), "photos").stderr
    assert "there is no such run folder or checkpoint" in predict("nowhere", "photos").stderr
    assert "Missing argument 'PATH...'" in predict(run).stderr
