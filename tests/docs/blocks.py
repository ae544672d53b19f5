"""What the documents show: fenced blocks, indented commands with what they print, and other indented text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(r"\$ |(?:[A-Z_]+=\S+ )*(?:\S*/bin/)?(?:cnntrain|python3?|pip|make|mpiexec|mpirun|git|cmp)\s")
SHELLS = ("sh", "shell", "bash", "console")


class Block(NamedTuple):
    """A block of a document; `kind` is "python", "yaml", ..., "commands", or "text" for anything that does not run."""

    document: str
    line: int
    kind: str
    text: str

    @property
    def first(self) -> str:
        """The first line: what lists know it by."""
        return self.text.splitlines()[0].strip()

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


class Command(NamedTuple):
    """A command line as it is shown, and what is shown below it."""

    line: str
    output: list[str]

    @property
    def words(self) -> list[str]:
        words = shlex.split(self.line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        return words

    @property
    def is_ours(self) -> bool:
        return Path(self.words[0]).name == "cnntrain"


def blocks_of(document: str) -> list[Block]:
    """Return the blocks of a document in their order."""
    lines = (ROOT / document).read_text().splitlines()
    found: list[Block] = []
    at = 0
    while at < len(lines):
        fence = re.match(r"( *)(```+)\s*(\w*)", lines[at])
        if fence:
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == fence[2])
            text = "\n".join(line[len(fence[1]) :] for line in lines[at + 1 : end])
            kind = "commands" if fence[3] in SHELLS else fence[3] or "text"
            found.append(Block(document, at + 1, kind, text))
            at = end + 1
        elif lines[at].startswith("    ") and at and not lines[at - 1].strip():
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = [line[4:] for line in lines[at:end]]
            kind = "commands" if any(PROGRAM.match(line) for line in inside) else "text"
            found.append(Block(document, at + 1, kind, "\n".join(inside).rstrip()))
            at = end
        else:
            at += 1
    return found


def commands_of(block: Block) -> Iterator[Command]:
    """Yield the commands of a block: lines that begin with "$ " and what they print, or one on each line."""
    lines = block.text.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        yield from (Command(line, []) for line in lines if line.strip())
        return
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        output = lines[start + 1 : end]
        while output and not output[-1].strip():
            output.pop()
        yield Command(lines[start][2:], output)


def pattern(shown: list[str], figures: bool) -> str:
    """Return a regular expression for output as it is shown; "..." stands for anything.

    Without `figures` any numbers will do, and any number of blanks.
    """
    parts = []
    for line in shown:
        if line.strip() == "..." or line.startswith("compiling "):
            parts.append(r"(?:.*\n)*?")
            continue
        text = re.escape(line.rstrip()).replace(r"\.\.\.", ".*")
        if not figures:
            text = re.sub(r"(?:\\-)?\d[\d,]*(?:\\\.\d+)?(?:e\\?[-+]?\d+)?", r"[-+\\d.,e]+", text)
            text = re.sub(r"(?:\\ )+", r"\\s+", text).replace("threads", "threads?")
        parts.append(text + r"\s*\n")
    return "".join(parts)
