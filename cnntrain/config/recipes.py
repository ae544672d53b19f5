"""The recipes of the package: configs that reproduce published results, by name.

In a clone they are `configs/`; a wheel carries them as `cnntrain/recipes/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnntrain.config.document import Document
from cnntrain.config.yaml_nodes import read_text
from cnntrain.errors import ConfigError
from cnntrain.hints import hint
from cnntrain.printable import printable

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Recipe:
    """A config of the package.

    Attributes
    ----------
    name : str
    path : Path
        The file.
    text : str
        Its content.
    what : str
        The first line of its head comment.
    data : str
        The source of its data.
    promise : float or None
        Share of the test images that it promises to recognise.
    origin : str
        Who published that number.
    """

    name: str
    path: Path
    text: str
    what: str
    data: str
    promise: float | None
    origin: str

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe's file; nothing is validated but that it is YAML."""
        text = read_text(path)
        values = Document.parse(text, str(path)).values([])
        data, expect = values.get("data"), values.get("expect")
        data, expect = (block if isinstance(block, dict) else {} for block in (data, expect))
        promise = expect.get("test_accuracy")
        return cls(
            name=path.stem,
            path=path,
            text=text,
            what=text.partition("\n")[0].lstrip("# "),
            data=str(data.get("source", "")),
            promise=promise if isinstance(promise, float) else None,
            origin=str(expect.get("source", "")),
        )


def recipe_folder() -> Path:
    """Return the folder with the recipes; raises `ConfigError` if this installation has none."""
    for folder in (_PACKAGE / "recipes", _PACKAGE.parent / "configs"):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"{_PACKAGE / 'recipes'}: there is no such folder: this installation has no recipes; install cnntrain again"
    )


def recipe_names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """Return the file of a recipe; raises `ConfigError` if there is none of that name."""
    names = recipe_names()
    if name not in names:
        raise ConfigError(f'no recipe is named "{printable(name)}"{hint(name, names)} (`cnntrain recipes` lists them)')
    return recipe_folder() / f"{name}.yaml"
