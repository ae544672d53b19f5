from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from tests.data.pictures import tree, write_zip
from tests.training.small import VALIDATION, digits, write_config


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_inspect_json(tmp_path: Path, split: str) -> None:
    result = run("inspect", "--config", write_config(tmp_path), "--json", "--split", split)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["images"] == {"train": 448, "validation": VALIDATION, "test": 128}
    assert (found["split"], found["shape"], found["image_type"]) == (split, [1, 14, 14], "uint8")
    assert sum(found["classes"].values()) == found["images"][split]
    if split == "test":
        assert found["classes"] == {str(n): int(count) for n, count in enumerate(np.bincount(digits()["y_test"]))}
        assert found["mean"] == [pytest.approx(digits()["x_test"].mean())]
        assert found["std"] == [pytest.approx(digits()["x_test"].std())]
        assert (found["smallest"], found["largest"]) == ([0], [digits()["x_test"].max()])


def test_inspect_text_with_and_without_images(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with_images, without = run("inspect", "--config", config), run("inspect", "--config", config, "--no-images")
    assert with_images.stdout.startswith(without.stdout)
    assert (
        "images    train 448, validation 64, test 128\nsplit     train: 448 images, 1x14x14 uint8, 10 classes\n"
        in without.stdout
    )
    assert "█" in with_images.stdout.removeprefix(without.stdout)
    assert "\x1b" not in with_images.stdout


def test_inspect_float_images(tmp_path: Path) -> None:
    arrays = {name: array / 100 if name.startswith("x") else array for name, array in digits().items()}
    np.savez(tmp_path / "digits.npz", allow_pickle=False, **arrays)
    found = json.loads(run("inspect", "--config", write_config(tmp_path), "--json", "--split", "test").stdout)
    assert found["image_type"] == "float32"
    assert found["largest"] == [pytest.approx(digits()["x_test"].max() / 100)]


def test_inspect_tells_of_warnings_and_mistakes(tmp_path: Path) -> None:
    write_zip(tmp_path / "pets.zip", tree(**{"train/cat/0.png": b"x"}))
    config = write_config(tmp_path, data={"source": "folder", "path": "pets.zip", "validation": 0})
    refused = run("inspect", "--config", config)
    assert refused.exit_code == 2
    assert "train/cat/0.png: is no image in a known format" in refused.stderr
    skipped = run("inspect", "--config", config, "--set", "data.skip_bad=true", "--no-images")
    assert skipped.exit_code == 0
    assert "warning: " in skipped.stderr
    assert "skipped 1 of 6 files of the train split" in skipped.stderr
    missing = run("inspect", "--config", config, "--set", "data.skip_bad=true", "--split", "validation")
    assert (missing.exit_code, missing.stdout) == (2, "")


def test_download_of_what_is_there(tmp_path: Path) -> None:
    here = Path(__file__).parents[2] / "data" / "mnist"
    result = run("download", "mnist", "--to", here, "--mirror", "http://127.0.0.1:9/")
    assert (result.exit_code, result.stdout) == (0, f"{here}\n")
    assert result.stderr.count("is there, checksum right") == 4


def test_download_mistakes(tmp_path: Path) -> None:
    assert run("download", "imagenet").exit_code == 2
    result = run("download", "mnist", "--to", tmp_path, "--mirror", "file:///etc/")
    assert result.exit_code == 2
    assert "--mirror file:///etc/: must begin with http:// or https://" in result.stderr
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"mine")
    result = run("download", "mnist", "--to", tmp_path)
    assert result.exit_code == 2
    assert "it is left alone" in result.stderr


def test_inspect_of_equal_pixels(tmp_path: Path) -> None:
    arrays = {name: np.full_like(array, 7) if name.startswith("x") else array for name, array in digits().items()}
    config = write_config(tmp_path)
    np.savez(tmp_path / "digits.npz", allow_pickle=False, **arrays)
    warning = "warning: channel 0: all training pixels are equal (deviation 0): it tells the network nothing\n"
    for options in ((), ("--set", "data.normalize=unit")):
        result = run("inspect", "--config", config, "--no-images", *options)
        assert result.stderr == warning
        assert "channel 0 7 to 7, mean 7.0000, standard deviation 0.0000" in result.stdout
    assert run("inspect", "--config", config, "--split", "test", "--set", "data.normalize=unit").stderr == ""


def test_class_names_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    names = ["\x1b[31mRED", "\x1b]0;x\a", "a\rb", "\x1b[2J", "d", "e\nf", "\u202eevil", "می\u200cخ", "i", "j"]
    config = write_config(tmp_path)
    result = run("inspect", "--config", config, "--set", f"data.class_names={json.dumps(names)}")
    assert result.exit_code == 0
    assert not {"\x1b", "\a", "\r", "\u202e"} & set(result.stdout + result.stderr)
    assert "  \\x1b[31mRED " in result.stdout
    assert "می\u200cخ" in result.stdout
    as_json = run("inspect", "--config", config, "--json", "--set", f"data.class_names={json.dumps(names)}").stdout
    assert list(json.loads(as_json)["classes"]) == names
    assert "\x1b" not in as_json
    twice = run("inspect", "--config", config, "--set", 'data.class_names=[a, "\\e[2J", "\\e[2J"]')
    assert twice.exit_code == 2
    assert 'the class name "\\x1b[2J" is given twice' in twice.stderr


def test_misspelt_commands() -> None:
    result = run("dowload")
    assert result.exit_code == 2
    assert 'no command "dowload"; did you mean download? (known: cache, download, inspect)' in result.stderr
