from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.config import infer_shapes, load_config
from cnntrain.config.yaml_nodes import compose, value_of
from cnntrain.shape import Shape


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["new", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("kind", "image"), [("mnist", Shape(1, 28, 28)), ("photos", Shape(3, 64, 64))])
def test_a_starter_is_a_right_config_that_its_schema_accepts(kind: str, image: Shape) -> None:
    result = run(kind)
    assert (result.exit_code, result.stdout) == (0, f"{kind}.yaml\n")
    text = Path(f"{kind}.yaml").read_text()
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=cnntrain.schema.json"
    node = compose(text, "starter")
    assert node is not None
    jsonschema.validate(value_of(node, []), json.loads(Path("cnntrain.schema.json").read_text()))
    config = load_config(f"{kind}.yaml")
    assert infer_shapes(config, image, 5)[-1].output_shape == (5, 1, 1)
    steps = [line.strip() for line in result.stderr.splitlines()[1:]]
    assert any(step.startswith(f"cnntrain train {kind}.yaml") for step in steps)
    assert all(step.startswith("cnntrain ") for step in steps)


def test_the_starter_without_a_word_and_another_folder() -> None:
    assert run().stdout == "mnist.yaml\n"
    result = run("photos", "sub/of mine")
    assert result.stdout == "sub/of mine/photos.yaml\n"
    assert result.stderr.splitlines()[1] == "  cd 'sub/of mine'"
    assert Path("sub/of mine/cnntrain.schema.json").is_file()


def test_nothing_is_overwritten() -> None:
    Path("photos.yaml").write_text("mine")
    result = run("photos")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "photos.yaml: is there already, and nothing is overwritten: name another folder\n"
    assert (Path("photos.yaml").read_text(), Path("cnntrain.schema.json").exists()) == ("mine", False)
    Path("cnntrain.schema.json").write_text("mine too")
    result = run("mnist")
    assert result.exit_code == 0
    assert "cnntrain.schema.json is left as it is (cnntrain check --schema prints today's)" in result.stderr
    assert Path("cnntrain.schema.json").read_text() == "mine too"


def test_a_folder_that_cannot_be() -> None:
    Path("file").write_text("")
    result = run("mnist", "file")
    assert (result.exit_code, result.stderr) == (
        2, "file: is there already, and nothing is overwritten: name another folder\n"
    )  # fmt: skip
    assert "file/deeper: cannot be written: Not a directory" in run("mnist", "file/deeper").stderr
