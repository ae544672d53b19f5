from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cnntrain import terminal
from cnntrain.streams import Lasting
from cnntrain.terminal import bar_for, has_colours, in_notebook, painted, width_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def window() -> Iterator[Any]:
    """A real terminal of 60 columns."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with os.fdopen(slave, "w") as stream:
        yield stream
    os.close(master)


def test_the_width_of_a_terminal(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert width_of(window) == 60
    assert width_of(Lasting.of(window)) == 60
    assert width_of(io.StringIO()) is None
    assert width_of(Terminal()) == 80, "one that does not tell"
    monkeypatch.setenv("COLUMNS", "132")
    assert width_of(window) == 132
    assert width_of(io.StringIO()) is None, "a pipe gets whole lines"
    monkeypatch.setenv("COLUMNS", "wide")
    assert width_of(window) == 60


@pytest.mark.parametrize(
    ("environment", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours(
    environment: dict[str, str], on_terminal: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (has_colours(Terminal()), has_colours(io.StringIO())) == (on_terminal, elsewhere)


def test_paint() -> None:
    assert painted("best", "green", Terminal()) == "\x1b[32mbest\x1b[0m"
    assert painted("best", "green", io.StringIO()) == "best"
    closed = io.StringIO()
    closed.close()
    assert painted("best", "green", closed) == "best"


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> type:
    """A process that looks like the kernel of a notebook."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(terminal, "find_spec", lambda name: object() if name == "ipywidgets" else None)
    fake = ModuleType("tqdm.notebook")

    class Bar:
        """Stands for tqdm's widget."""

    fake.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm.notebook", fake)
    return Bar


def test_a_bar_in_a_notebook(notebook: type) -> None:
    assert bar_for(sys.stderr) == (notebook, True)
    assert bar_for(Lasting.of(sys.stderr)) == (notebook, True)
    assert bar_for(io.StringIO())[1] is False, "what goes into a file shows no widget"


def test_a_notebook_without_widgets(notebook: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    assert not in_notebook()


def test_no_notebook() -> None:
    from tqdm import tqdm

    assert not in_notebook()
    assert bar_for(Terminal()) == (tqdm, True)
    assert bar_for(io.StringIO()) == (tqdm, False)


def test_a_shell_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(config={"TerminalIPythonApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert not in_notebook()
