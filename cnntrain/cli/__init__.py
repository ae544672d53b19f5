"""The command line: one file per command, imported when it is used, so that `cnntrain --help` is quick."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from importlib import import_module
from typing import Any

import click

from cnntrain import __version__, extensions, interrupts, streams
from cnntrain.errors import CnntrainError
from cnntrain.hints import hint
from cnntrain.printable import message, printable
from cnntrain.processes import ending, launch
from cnntrain.processes.team import EndedError
from cnntrain.terminal import has_colours, painted

# The module cnntrain.cli.<name>, "_" for "-", holds `command`; the texts are here so that help imports none of them.
COMMANDS = {
    "new": "Write a config to start from.",
    "recipes": "List the recipes of the package, or print one.",
    "train": "Train a network.",
    "eval": "Measure a trained network on a data set.",
    "predict": "Recognise pictures with a trained network.",
    "report": "Compare runs: a table, and a page with curves and pictures.",
    "export": "Write a trained network for other programs: ONNX, PyTorch, C.",
    "convert": "Make a checkpoint of a PyTorch state dict.",
    "reproduce": "Train a recipe and say whether it keeps its promise.",
    "explain": "Show every number of a step with the numbers it was made of.",
    "gradcheck": "Check every gradient of a network against finite differences.",
    "prove": "Prove the passes of a network on whole numbers.",
    "check": "Check a config and show its layers, without training.",
    "find-rate": "Find a learning rate: the loss while the rate grows.",
    "bench": "Measure a network's speed, pass by pass.",
    "warmup": "Compile a config's kernels ahead of time.",
    "data": "Fetch published data sets, look at data, clear decoded images.",
}


# those of them that several processes can share; the others run in one
SHARED = ("train", "eval", "predict", "reproduce")


class SuggestingGroup(click.Group):
    """A group of commands that says which one a misspelt name may mean."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            ctx.fail(f'no command "{printable(args[0])}"{hint(args[0], known)}')
        return super().resolve_command(ctx, args)


class CommandLine(SuggestingGroup):
    """Finds commands by name, and turns what goes wrong in them into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"cnntrain.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be the whole process: its streams and Ctrl-C are taken over first."""
        streams.guard()
        interrupts.install()
        interrupts.before_leaving = ending.end_all
        launch.speak_once()
        try:
            return super().__call__(*args, **kwargs)
        except OSError as error:
            if error is not getattr(sys.stdout, "lost", None):
                raise
            click.echo(f"stdout: could not be written: {streams.reason(error)}", err=True)
            sys.exit(CnntrainError.exit_code)
        except SystemExit as left:
            ending.leave_early(left.code if isinstance(left.code, int) else left.code is not None)
            raise
        finally:
            interrupts.done()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in SHARED:
            launch.join()
        else:
            launch.refuse_several(str(name))
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        interrupts.catch(True)
        try:
            return self._invoke(ctx)
        except EndedError as ended:  # another process has failed, and process 0 has said so
            launch.joined().leave(ended.code)
        except KeyboardInterrupt:
            ending.fail("interrupted", interrupts.INTERRUPTED)
            click.echo("interrupted", err=True)
            ctx.exit(interrupts.INTERRUPTED)
        except click.ClickException as error:
            shown = io.StringIO()
            error.show(shown)
            ending.fail(shown.getvalue().rstrip("\n"), error.exit_code)
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            ending.fail(traceback.format_exc().rstrip("\n"), 1)
            raise
        finally:
            interrupts.catch(False)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning  # type: ignore[assignment]
                result = super().invoke(ctx)
            sys.stdout.flush()
        except CnntrainError as error:
            _tell(error)
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort):
            raise
        except MemoryError as error:
            text = f"out of memory: {error}\nMake the network or train.batch_size smaller, or train.shards larger."
            ending.fail(text, CnntrainError.exit_code)
            click.echo(text, err=True)
            ctx.exit(CnntrainError.exit_code)
        except Exception as error:
            # What an error in a layer of the user's own looks like from here; an error of ours shows its traceback.
            theirs = extensions.blame(error)
            if theirs is None:
                raise
            theirs.__cause__ = error
            _tell(theirs)
            ctx.exit(theirs.exit_code)
        return result


def _show_warning(text: Warning | str, *_: object) -> None:
    """Print a warning as plain text, where Python would show a line of our source too."""
    mark = painted("warning:", "yellow", sys.stderr)
    click.echo(f"{mark} {message(text)}", err=True, color=has_colours(sys.stderr))


def _tell(error: CnntrainError) -> None:
    """Print an error's message; its traceback too if the user asked for it. One of several processes ends here."""
    text = message(error)
    if os.environ.get("CNNTRAIN_TRACEBACK") == "1":
        text = f"{''.join(traceback.format_exception(error))}\n{text}"
    ending.fail(text, error.exit_code)
    click.echo(text, err=True)


@click.group(cls=CommandLine, name="cnntrain", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnntrain", message="%(prog)s %(version)s")
def main() -> None:
    """Train small convolutional networks on the CPU, from one YAML file."""
