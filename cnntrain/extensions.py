"""Layers of the user's own: Python files that a config names under `extensions:`.

Loading such a file runs it, so it happens only when the user has said so: with `--allow-extensions` on the command
line, CNNTRAIN_ALLOW_EXTENSIONS=1 in the environment, or inside `with allowed():`. A config that comes with a checkpoint
is no exception. The file lists its layers: `LAYERS = [MyLayer, ...]`.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnntrain.errors import CnntrainError, ExtensionError

if TYPE_CHECKING:
    from cnntrain.layers.base import Layer

ENVIRONMENT = "CNNTRAIN_ALLOW_EXTENSIONS"
_TRACEBACK = "set CNNTRAIN_TRACEBACK=1 to see the traceback"

_allowed: ContextVar[bool] = ContextVar("_allowed", default=False)
_loaded: dict[Path, tuple[str, dict[str, type[Layer]]]] = {}  # file: (hash of its content, its layers)


@contextmanager
def allowed() -> Iterator[None]:
    """Let configs load the Python files that they name, which runs the code in them."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def are_allowed() -> bool:
    """Tell whether Python files may be loaded."""
    return _allowed.get() or os.environ.get(ENVIRONMENT) == "1"


def load_extension(name: str, others: Mapping[str, type[Layer]]) -> dict[str, type[Layer]]:
    """Load the layers of a Python file; a file that has not changed is loaded once.

    Parameters
    ----------
    name : str
        The file, relative to the working directory.
    others : mapping
        The layers of other files that the same config names.

    Returns
    -------
    dict
        The layers by name.

    Raises
    ------
    ExtensionError
        It is not allowed, the file is missing, or something in it is wrong; the message does not name the config.
    """
    if not are_allowed():
        raise ExtensionError(
            f"{name} is Python code, which would run with all your rights: read it first, then allow it with "
            f"--allow-extensions or {ENVIRONMENT}=1"
        )
    path = Path(name).expanduser()
    try:
        file = path.resolve()
        content = file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL; RuntimeError: no home, or a loop
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ExtensionError(f"{name}: {reason} (the working directory is {Path.cwd()})") from error
    digest = hashlib.sha256(content).hexdigest()
    known = _loaded.get(file)
    if known is None or known[0] != digest:
        known = digest, _layers_of(file, name)
        _loaded[file] = known
    _check_names(name, known[1], others)
    return known[1]


class _Loader(SourceFileLoader):
    """Compiles the file as it is now: a bytecode cache could be older, and would leave files in the user's folder."""

    def path_stats(self, path: Any) -> Any:
        raise OSError


def _layers_of(file: Path, name: str) -> dict[str, type[Layer]]:
    """Run a file and check what it lists."""
    module_name = f"cnntrain_extension_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    loader = _Loader(module_name, str(file))
    spec = spec_from_loader(module_name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses, pydantic and Numba look a class's or function's module up there
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        del sys.modules[module_name]
        raise ExtensionError(f"{name}:{error.lineno}: {type(error).__name__}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ExtensionError(_describe(error, file, name)) from error
    return _checked(getattr(module, "LAYERS", None), name)


def _checked(listed: object, name: str) -> dict[str, type[Layer]]:
    from cnntrain.layers import LAYERS, Layer, LayerSettings

    if not isinstance(listed, list | tuple) or not listed:
        raise ExtensionError(f"{name}: must end with a list of its layers: LAYERS = [MyLayer]")
    layers: dict[str, type[Layer]] = {}
    for item in listed:
        if not (isinstance(item, type) and issubclass(item, Layer)):
            raise ExtensionError(f"{name}: LAYERS must list subclasses of cnntrain.extending.Layer; found {item!r}")
        label, settings = getattr(item, "name", None), getattr(item, "Settings", None)
        where = f"{name}: {item.__name__}"
        if not (isinstance(label, str) and label.isidentifier()):
            raise ExtensionError(f'{where} needs a name for the YAML, such as name = "my_layer"; found {label!r}')
        if not (isinstance(settings, type) and issubclass(settings, LayerSettings)):
            raise ExtensionError(f"{where} needs Settings, a subclass of cnntrain.extending.LayerSettings")
        for kind in (item, settings):
            if inspect.isabstract(kind):
                missing = ", ".join(sorted(kind.__abstractmethods__))
                raise ExtensionError(f"{name}: {kind.__name__} must define {missing}")
        if not _takes_row_and_context(item):
            raise ExtensionError(
                f"{where} must be built from its planned row: def __init__(self, row, context), where row.settings, "
                f"row.input_shape and row.output_shape say what for; found __init__{inspect.signature(item)}"
            )
        if label in LAYERS or label in layers:
            raise ExtensionError(f'{where}: there is a layer "{label}" already; give it another name')
        layers[label] = item
    return layers


def _takes_row_and_context(layer: type[Layer]) -> bool:
    try:
        inspect.signature(layer).bind(None, None)
    except TypeError:
        return False
    return True


def _check_names(name: str, layers: Mapping[str, type[Layer]], others: Mapping[str, type[Layer]]) -> None:
    """Raise `ExtensionError` where a layer has the name of one in another file."""
    for label in sorted(layers.keys() & others.keys()):
        if layers[label] is not others[label]:
            file = sys.modules[others[label].__module__].__file__
            raise ExtensionError(f'{name}: the layer "{label}" is defined in {file} already, which is loaded too')


def blame(error: BaseException) -> ExtensionError | None:
    """Return an error that names the line of the user's own file in which `error` came up; None if it was in none."""
    if isinstance(error, CnntrainError):
        return None
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        file = Path(frame.filename)
        if file in _loaded:
            return ExtensionError(_describe(error, file, str(file)))
    return None


def _describe(error: BaseException, file: Path, name: str) -> str:
    """Say where in the file an exception came up, and what it says."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    what = str(error).strip()
    shown = f": {what}" if what else ""
    return f"{name}:{lines[-1] if lines else 1}: {type(error).__name__}{shown} ({_TRACEBACK})"
