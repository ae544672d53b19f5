"""One thing that is wrong with a config, where it is, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from yaml.error import Mark

SET = "--set "  # begins the name of every mark that lies in an override
MAX_SHOWN = 50
_WIDTH = 120


@dataclass(frozen=True)
class Problem:
    """A message at a place.

    Parameters
    ----------
    message : str
        What is wrong, with what was received.
    mark : yaml.Mark
        The place; its name is the file, or the whole `--set` argument. Without a buffer no line is shown.
    note : str
        A last line, such as the chain of shapes.
    path : tuple
        Keys and indices of the value in question.
    """

    message: str
    mark: Mark
    note: str = ""
    path: tuple[str | int, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        mark = self.mark
        lines = [f"{self.place}: {clip(self.message, 600)}"]
        if mark.buffer is not None and not mark.name.startswith(SET):
            line, column = _line_at(mark.buffer, mark.pointer)
            lines += [f"{mark.line + 1:5d} | {line}", f"{'':5} | {'':{column}}^"]
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)

    @property
    def place(self) -> str:
        """file:line:column, counted from 1; the file alone for a mark before its first line; or the override."""
        if self.mark.name.startswith(SET):
            return clip(self.mark.name)
        return (
            f"{self.mark.name}:{self.mark.line + 1}:{self.mark.column + 1}" if self.mark.line >= 0 else self.mark.name
        )


def report(problems: Iterable[Problem]) -> str:
    """All problems, each once, in the order of the file; overrides at the end. After many the rest is left out."""
    distinct = {(problem.place, problem.message): problem for problem in problems}.values()
    ordered = sorted(distinct, key=lambda p: (p.mark.name.startswith(SET), p.mark.line, p.mark.column))
    shown = [str(problem) for problem in ordered[:MAX_SHOWN]]
    return "\n".join([*shown, "... and more"] if len(ordered) > MAX_SHOWN else shown)


def clip(text: str, width: int = 80) -> str:
    """Shorten what a user wrote, and keep it on one line, so that it fits into a message."""
    text = text.replace("\n", " ")
    return text if len(text) <= width else text[: width - 3] + "..."


def _line_at(text: str, offset: int) -> tuple[str, int]:
    """Return the line around an offset, and the offset's column in it; a long line is cut to what is around it."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else None].rstrip("\r\0").replace("\t", " ")
    column = offset - start
    cut = 0 if len(line) <= _WIDTH else max(column - _WIDTH // 2, 0)
    return line[cut : cut + _WIDTH], column - cut
