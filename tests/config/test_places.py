"""Where the paths in a config begin: at the working directory, or else beside the config."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain import extensions
from cnntrain.config import load_config, resolved_yaml
from cnntrain.config.places import settled
from cnntrain.data import describe, load_data
from cnntrain.errors import DataError, ExtensionError
from tests.config.sample import sample
from tests.data.files import write_mnist


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory; beside it lies `there/` with a config."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.yaml").write_text(sample(("validation: 5000", "validation: 1")))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_data_beside_the_config(folder: Path) -> None:
    write_mnist(folder / "there" / "data" / "mnist", [*range(10), 3, 3], [4])
    config = load_config("../there/a.yaml")
    assert config.data.path == "../there/data/mnist"
    assert len(load_data(config.data, 1).train) == 11
    assert "path: ../there/data/mnist" in resolved_yaml(config)  # a run goes on from here without the config


def test_the_working_directory_goes_first(folder: Path) -> None:
    write_mnist(folder / "there" / "data" / "mnist", [*range(10), 3, 3], [4])
    write_mnist(folder / "here" / "data" / "mnist", list(range(10)) * 2, [4])
    config = load_config("../there/a.yaml")
    assert config.data.path == "data/mnist"
    assert len(load_data(config.data, 1).train) == 19


def test_a_message_names_both_places(folder: Path) -> None:
    config = load_config("../there/a.yaml")
    for action in (lambda: describe(config.data), lambda: load_data(config.data, 1)):
        with pytest.raises(DataError) as caught:
            action()
        first, second = str(caught.value).splitlines()
        assert first.startswith(f"data/mnist: no such folder (looked for {folder}/here/data/mnist); expected in it: ")
        assert second == (
            f"  paths in a config are relative to the working directory ({folder}/here) or to the config's folder "
            f"({folder}/there): neither has data/mnist"
        )
    (folder / "here" / "a.yaml").write_text(sample())
    with pytest.raises(DataError) as caught:
        describe(load_config("a.yaml").data)
    assert "paths in a config" not in str(caught.value)  # both places are one


def test_extensions_beside_the_config(folder: Path) -> None:
    text = "extensions: [mine.py]\n" + sample(("- tanh", "- softsign"))
    (folder / "there" / "a.yaml").write_text(text)
    with extensions.allowed():
        with pytest.raises(ExtensionError, match=r"mine\.py: No such file"):
            load_config("../there/a.yaml")
        mine = (Path(__file__).parents[2] / "examples" / "my_layers.py").read_text()
        (folder / "there" / "mine.py").write_text(mine)
        assert load_config("../there/a.yaml").extensions == ["../there/mine.py"]


@pytest.mark.parametrize("path", ["/absolute", "a\0b", "x" * 5000, "~nobody-of-that-name/x"])
def test_paths_that_are_left_to_whoever_opens_them(folder: Path, path: str) -> None:
    assert settled(path, folder / "there") == path


def test_configs_are_equal_wherever_they_lie(folder: Path) -> None:
    (folder / "here" / "a.yaml").write_text((folder / "there" / "a.yaml").read_text())
    assert load_config("a.yaml") == load_config("../there/a.yaml")
