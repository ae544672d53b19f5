"""The numbers of a lesson as they are written on the command line: "1 2 3; 4 5 6 | 0 1/2 -1; 2 0.5 3"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from cnntrain.errors import ArgumentError
from cnntrain.explain.numbers import readable
from cnntrain.hints import hint
from cnntrain.printable import printable

Plane = list[list[Fraction]]
MOST = 8  # rows or columns, so that a lesson can be read
MOST_CHANNELS = 4
LARGEST = 10**6
MODES = ("cross_correlation", "convolution")
_NUMBER = re.compile(r"[-+−]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][-+]?\d{1,2})?|[-+−]?\d{1,15}/\d{1,15}")
_SAYS = 'write rows of numbers such as "1 2 3; 4 1/2 -0.5"'


def planes(option: str, text: str) -> list[Plane]:
    """Return the channels that a text holds, as exact numbers, all of one size.

    Parameters
    ----------
    option : str
        "--image", for errors.
    text : str
        Rows divided by ";", numbers by blanks (or ", "), channels by "|".

    Raises
    ------
    ArgumentError
        When something is no number, rows or channels differ in size, or there is too much of anything.
    """
    found = [
        _plane(option, part, f"channel {n + 1}, " if "|" in text else "") for n, part in enumerate(text.split("|"))
    ]
    if len(found) > MOST_CHANNELS:
        raise ArgumentError(f"{option}: a lesson shows at most {MOST_CHANNELS} channels; received {len(found)}")
    for n, plane in enumerate(found):
        if size(plane) != size(found[0]):
            raise ArgumentError(
                f"{option}: all channels must have one size; received {size(found[0])} in channel 1, {size(plane)} in "
                f"channel {n + 1}"
            )
    return found


def _plane(option: str, text: str, where: str) -> Plane:
    rows = [_row(option, part, f"{where}row {n + 1}") for n, part in enumerate(text.split(";"))]
    if not rows[-1] and len(rows) > 1:
        rows.pop()  # a semicolon at the end
    for n, row in enumerate(rows):
        if not row:
            raise ArgumentError(f"{option}: no numbers in {where}row {n + 1}; {_SAYS}")
        if len(row) != len(rows[0]):
            raise ArgumentError(
                f"{option}: rows must have one length; received {len(rows[0])} numbers in {where}row 1, {len(row)} in "
                f"{where}row {n + 1}"
            )
    if max(len(rows), len(rows[0])) > MOST:
        raise ArgumentError(
            f"{option}: a lesson shows at most {MOST} rows and columns; received {len(rows)}x{len(rows[0])}"
        )
    return rows


def _row(option: str, text: str, where: str) -> list[Fraction]:
    return [number(option, word, f" in {where}") for word in re.sub(r",(?=\s|$)", " ", text).split()]


def number(option: str, word: str, where: str = "") -> Fraction:
    """Return one number exactly: 3, −0.5, 1e-3, 1/2; raises `ArgumentError` for anything else."""
    shown = printable(word if len(word) <= 20 else f"{word[:20]}...")
    if not _NUMBER.fullmatch(word):
        comma = "; write decimals with a point" if re.fullmatch(r"[-+]?\d+,\d+", word) else ""
        raise ArgumentError(f'{option}: "{shown}"{where} is no number{comma or "; write 3, -0.5 or 1/2"}')
    try:
        value = Fraction(word.replace("−", "-"))
    except ZeroDivisionError:
        raise ArgumentError(f'{option}: "{shown}"{where} divides by zero') from None
    if abs(value) > LARGEST:
        raise ArgumentError(
            f"{option}: numbers of a lesson lie between -{LARGEST} and {LARGEST}; received {shown}{where}"
        )
    return value


def numbers(option: str, text: str) -> list[Fraction]:
    """Return one row of numbers; raises `ArgumentError` where there are none, or something else."""
    row = _row(option, text, "its text")
    if not row:
        raise ArgumentError(f'{option}: no number; write 3, -0.5 or 1/2; received "{printable(text)}"')
    return row


def pair(option: str, text: str, lowest: int, largest: int = 10) -> tuple[int, int]:
    """Return (rows, columns) of "2" or "2,1"; raises `ArgumentError` for anything else."""
    words = text.replace(",", " ").split()
    if len(words) not in (1, 2) or not all(re.fullmatch(r"\d{1,9}", word) for word in words):
        raise ArgumentError(
            f'{option} must be a whole number or two (rows,columns): 2 or 2,1; received "{printable(text[:40])}"'
        )
    values = [int(word) for word in words]
    if not all(lowest <= value <= largest for value in values):
        raise ArgumentError(f"{option} must be {lowest} to {largest}; received {printable(text[:40])}")
    return values[0], values[-1]


def padding(text: str) -> tuple[int, int] | str:
    """Return (rows, columns) or one of the words "same", "valid", "full"."""
    if text in ("same", "valid", "full"):
        return text
    if re.fullmatch(r"[a-z_]+", text):
        raise ArgumentError(f'--padding must be a number, "same", "valid" or "full"; received "{text}"')
    return pair("--padding", text, 0)


def mode(text: str) -> str:
    """Return a mode of `conv2d`; raises `ArgumentError` for another word."""
    plain = text.replace("-", "_")
    if plain not in MODES:
        raise ArgumentError(f'--mode: no mode "{printable(text[:40])}"{hint(text, MODES)}')
    return plain


def size(plane: Sequence[Sequence[object]]) -> str:
    """Return "3x2" for three rows of two numbers."""
    return f"{len(plane)}x{len(plane[0])}"


def shown(plane: Plane) -> str:
    """Return a plane as it would be written on the command line."""
    return "; ".join(" ".join(readable(value) for value in row) for row in plane)
