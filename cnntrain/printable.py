r"""Names that strangers chose (in a file, a checkpoint, a server's answer) made harmless where they are shown.

Data, checkpoints and JSON keep a name as it is. A terminal obeys some characters instead of showing them: escapes
recolour or clear it, a carriage return overwrites what stands there, U+202E turns the rest of the line round.
`printable` shows those as Python writes them (`\x1b`, `\u202e`), so that names that differ look different, and leaves
everything else alone: letters of all scripts, spaces of all widths, and the joiners that Persian, Hindi and emoji need.
"""

from __future__ import annotations

import unicodedata

# Controls; formats (invisible, or turning the direction of writing); halves of characters; separators of lines.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def printable(text: str, keep: str = "") -> str:
    r"""Return a text that a terminal shows and does not obey.

    Parameters
    ----------
    text : str
        Anything, also with the surrogates that stand for bytes that are no UTF-8.
    keep : str
        Characters to leave alone: "\n" for a message of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    allowed = _JOINERS + keep
    return "".join(
        char if char in allowed or unicodedata.category(char) not in _OBEYED else _escaped(char) for char in text
    )


def message(text: object) -> str:
    """Return a whole message as a terminal may have it: its lines stay, all else is as in `printable`."""
    return printable(str(text), keep="\n")


def as_text(name: str) -> str:
    r"""Return a file's name as text that UTF-8 can hold: bytes that are no UTF-8 become `\xff`, the rest stays."""
    return "".join(_escaped(char) if "\ud800" <= char <= "\udfff" else char for char in name)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return ascii(char)[1:-1]
