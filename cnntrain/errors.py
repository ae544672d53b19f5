"""Every error that a user can cause: one class per cause, all under `CnntrainError`.

The command line prints the message of a `CnntrainError` without a traceback and exits with its `exit_code`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.printable import message


class CnntrainError(Exception):
    """Base of all errors that cnntrain raises on purpose; the message says where, what and what to do."""

    exit_code = 2

    def __str__(self) -> str:
        """The message, with what a terminal would obey made visible: names in it may be a stranger's."""
        return message(super().__str__())


class ArgumentError(CnntrainError, ValueError):
    """A function of the Python interface received arrays or numbers that do not fit together."""


class ConfigError(CnntrainError):
    """The YAML file (or a `--set`) is wrong; the message lists every problem with file:line:column."""


class ShapeError(CnntrainError):
    """A layer does not fit the shape that reaches it.

    Raised by a layer's settings while shapes are inferred; the config turns it into a problem with a position.

    Parameters
    ----------
    message : str
        What does not fit, with the numbers; without the layer's name and position.
    key : str or None
        The layer's YAML key to point at; None points at the layer itself.
    notes : sequence of str
        Further lines, such as the chains of shapes that should meet.
    """

    def __init__(self, message: str, key: str | None = None, notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.key, self.notes = key, tuple(notes)


class ExtensionError(CnntrainError):
    """A Python file of the user's own layers is not allowed to run, or there is an error in it."""


class DataError(CnntrainError):
    """A data set is missing, truncated, corrupt or contradicts itself; the message begins with the file's path."""


class CheckpointError(CnntrainError):
    """A checkpoint cannot be read, or does not belong to this network."""


class ExportError(CnntrainError):
    """A network cannot be written in the format that was asked for, or its package is not installed."""


class RunFolderError(CnntrainError):
    """A run folder cannot be created, written or found."""


class TrainingError(CnntrainError):
    """Training cannot go on (for example the loss became NaN)."""

    exit_code = 1


class MismatchError(CnntrainError):
    """A number that is explained is not the sum that is written out for it: an error in a kernel, or in the formula."""

    exit_code = 1


class EnvironmentVariableError(CnntrainError):
    """An environment variable has a value that kernels cannot be compiled or run with."""


class ForkError(CnntrainError, RuntimeError):
    """A kernel was called in a process that was forked after kernels had run."""
