"""From YAML to `Config` and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from cnntrain.config.document import Document
from cnntrain.config.messages import model_at, problems_of
from cnntrain.config.model import Config, safe_name
from cnntrain.config.places import settle, settled
from cnntrain.config.problems import Problem, report
from cnntrain.config.shapes import check_output, problem, walk_shapes
from cnntrain.config.yaml_nodes import Dumper, read_text
from cnntrain.data import DataSettings, describe
from cnntrain.data.settings import Origin
from cnntrain.errors import CnntrainError, ConfigError, ExtensionError
from cnntrain.extensions import load_extension
from cnntrain.layers.base import Layer
from cnntrain.layers.plan import Misfit
from cnntrain.layers.registry import added
from cnntrain.settings import Choice
from cnntrain.shape import Shape


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a config file.

    Parameters
    ----------
    path : Path or str
        The YAML file.
    overrides : sequence of str
        `--set` arguments, "train.epochs=3", applied in order.

    Raises
    ------
    ConfigError
        The file or an override is wrong; the message lists every problem with its place.
    ExtensionError
        A Python file that the config names may not be loaded, or there is an error in it.
    """
    return parse_config(read_text(Path(path)), str(path), overrides, Path(path).parent)


def parse_config(text: str, file: str, overrides: Sequence[str] = (), folder: Path | None = None) -> Config:
    """Make a config of YAML text, as `load_config` does.

    Parameters
    ----------
    text : str
        The YAML.
    file : str
        Names it in messages and gives the default name.
    overrides : sequence of str
        As for `load_config`.
    folder : Path or None
        The folder of the file: where paths may begin that the working directory does not have.
    """
    document = Document.parse(text, file)
    with _extended(document, overrides, folder) as others:
        return _parse(document, others, folder)


@contextmanager
def extended(path: Path | str, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Know the layers of the Python files that a config names, inside the `with` block; no more of it is looked at.

    Raises `ConfigError` if it is no YAML, `ExtensionError` as `load_config` does.
    """
    document = Document.parse(read_text(Path(path)), str(path))
    with _extended(document, overrides, Path(path).parent):
        yield


@contextmanager
def _extended(document: Document, overrides: Sequence[str], folder: Path | None) -> Iterator[list[str]]:
    """Load a config's extensions; give the overrides that are not about them.

    Which files are loaded is settled first: what the other overrides may say depends on the layers in them.
    """
    first = [argument for argument in overrides if argument.startswith("extensions")]
    for argument in first:
        document.override(argument, _main_setting)
    token = added.set(_load_extensions(document, folder))
    try:
        yield [argument for argument in overrides if argument not in first]
    finally:
        added.reset(token)


def _load_extensions(document: Document, folder: Path | None) -> dict[str, type[Layer]]:
    """Load the Python files that a config names, as far as it names them rightly; return their layers by name."""
    files = document.values([]).get("extensions")
    layers: dict[str, type[Layer]] = {}
    for index, file in enumerate(files if isinstance(files, list) else []):
        if isinstance(file, str) and file:
            try:
                layers |= load_extension(settled(file, folder), layers)
            except ExtensionError as error:
                raise ExtensionError(str(Problem(str(error), document.mark(["extensions", index])))) from error
    return layers


def _parse(document: Document, overrides: Sequence[str], folder: Path | None) -> Config:
    for argument in overrides:
        document.override(argument, _main_setting)
    problems: list[Problem] = []
    values = document.values(problems)
    values.setdefault("name", safe_name(Path(document.file).stem))
    settle(values, folder)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems += problems_of(error, Config, document, values)
        problems += _shape_problems(document, values, problems)
    if problems:
        raise ConfigError(report(problems))
    config._document = document
    config.data._origin = Origin(folder)
    return config


def resolved_yaml(config: Config) -> str:
    """Write a config as YAML that loads to the same config, with all defaults written out."""
    return yaml.dump(_plain(config), Dumper=Dumper, sort_keys=False, default_flow_style=None, width=120)


def _main_setting(path: Sequence[str]) -> str | None:
    settings = model_at(Config, path)
    return settings.main if settings else None


def _shape_problems(document: Document, values: dict[str, object], found: list[Problem]) -> list[Problem]:
    """Find what is wrong with the shapes too, as far as the sound part of a faulty config tells."""
    faulty = [problem.path for problem in found]
    layers = values.get("network")
    if not isinstance(layers, list) or any(path[:1] == ("data",) or path == ("network",) for path in faulty):
        return []
    sound = min((int(path[1]) for path in faulty if path[:1] == ("network",)), default=len(layers))
    try:
        input_shape, classes = describe(DataSettings.model_validate(values["data"]))
    except (KeyError, CnntrainError):
        return []  # the data is reported when it is loaded
    field = Config.model_fields["network"].rebuild_annotation()
    network = TypeAdapter(field).validate_python(layers[:sound]) if sound else []
    try:
        rows = walk_shapes(network, Shape(*input_shape), classes)
        if sound == len(layers):
            check_output(rows, classes)
    except Misfit as misfit:
        return [problem(misfit, document)]
    return []


def _plain(value: object) -> object:
    """Make dictionaries, lists and scalars of settings; a None that is the default anyway is left out."""
    if isinstance(value, Choice):
        settings = _plain(value.settings)
        return {value.name: settings} if settings else value.name
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {key: getattr(value, key) for key in fields}
        written = {key: item for key, item in given.items() if item is not None or fields[key].default is not None}
        return {fields[key].alias or key: _plain(item) for key, item in written.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
