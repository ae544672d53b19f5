from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cnntrain import __version__
from cnntrain.cli import COMMANDS, main
from cnntrain.errors import CnntrainError, ConfigError, DataError, TrainingError

REPO = Path(__file__).parents[2]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=REPO, check=False)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Make `cnntrain check` do something else."""

    def install(action: Callable[[], None]) -> None:
        monkeypatch.setattr("cnntrain.cli.check.command", click.Command("check", callback=action))

    return install


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_command(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"  {name} " in result.output
        assert text in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_begins_as_the_list_of_commands_says(name: str) -> None:
    command = import_module(f"cnntrain.cli.{name.replace('-', '_')}").command
    assert command.name == name
    assert command.help.startswith(COMMANDS[name])
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    command = import_module(f"cnntrain.cli.{name.replace('-', '_')}").command
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_python_m_cnntrain() -> None:
    result = python("-m", "cnntrain", "--version")
    assert (result.returncode, result.stdout) == (0, f"cnntrain {__version__}\n")


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["chek"])
    assert result.exit_code == 2
    assert 'no command "chek"; did you mean check?' in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (ConfigError("a.yaml:1:1: wrong"), 2, "a.yaml:1:1: wrong\n"),
        (DataError("data/mnist: no such folder"), 2, "data/mnist: no such folder\n"),
        (TrainingError("the loss became NaN"), 1, "the loss became NaN\n"),
        (CnntrainError("something"), 2, "something\n"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "interrupted\n"),
        (
            MemoryError("Unable to allocate 9 TiB"),
            2,
            "out of memory: Unable to allocate 9 TiB\n"
            "Make the network or train.batch_size smaller, or train.shards larger.\n",
        ),
    ],
)
def test_errors_become_a_message_and_an_exit_code(
    command: Callable[[Callable[[], None]], None], error: BaseException, exit_code: int, message: str
) -> None:
    def fail() -> None:
        raise error

    command(fail)
    result = CliRunner().invoke(main, ["check"])
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", message)


def test_a_mistake_of_ours_is_not_hidden(command: Callable[[Callable[[], None]], None]) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    command(fail)
    assert isinstance(CliRunner().invoke(main, ["check"]).exception, ZeroDivisionError)


def test_an_exit_code_of_a_command_is_kept(command: Callable[[Callable[[], None]], None]) -> None:
    command(lambda: click.get_current_context().exit(1))
    assert CliRunner().invoke(main, ["check"]).exit_code == 1


def test_a_closed_pipe_is_quiet() -> None:
    code = (
        "import click, cnntrain.cli.check as check\nfrom cnntrain.cli import main\n"
        "check.command = click.Command('check', callback=lambda: print('x' * 1_000_000))\n"
        "main(['check'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPO
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
