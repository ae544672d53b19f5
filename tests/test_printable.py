from __future__ import annotations

import unicodedata
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from cnntrain.cli import main
from cnntrain.config import ExpectSettings
from cnntrain.errors import DataError
from cnntrain.evaluation.report import Promise
from cnntrain.printable import as_text, message, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with blanks", "plain, with blanks"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb\nc\td\x9b1m\x7f", "a\\rb\\nc\\td\\x9b1m\\x7f"),
        ("\u202eevil\u2066\u200f", "\\u202eevil\\u2066\\u200f"),
        ("\u2028\u2029\ufeff\U000e0041", "\\u2028\\u2029\\ufeff\\U000e0041"),
        ("می\u200cخواهم 👩\u200d🔬 全\u3000角 é\u0301\u00a0x", "می\u200cخواهم 👩\u200d🔬 全\u3000角 é\u0301\u00a0x"),
        ("caf\udce9 \ud83d", "caf\\xe9 \\ud83d"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out_and_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_of_a_message_stay() -> None:
    assert message("a\nb\x1bc\r\n") == "a\nb\\x1bc\\r\n"
    assert str(DataError("a\nb\x1b[31m\u202e")) == "a\nb\\x1b[31m\\u202e"


@given(st.text(st.characters(exclude_categories=())))
@example("\udce9\ud800\x1b\u202e")
def test_nothing_that_is_shown_is_obeyed(text: str) -> None:
    shown = printable(text)
    assert [
        c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\u200c\u200d"
    ] == []
    assert printable(shown) == shown
    shown.encode("utf-8")


@given(st.text(st.characters(exclude_categories=())))
def test_names_as_text_can_be_written_and_are_otherwise_as_they_were(name: str) -> None:
    as_text(name).encode("utf-8")
    if not any("\ud800" <= char <= "\udfff" for char in name):
        assert as_text(name) == name


def test_the_source_of_a_promise() -> None:
    expected = ExpectSettings(test_accuracy=0.5, source="\x1b[8mhidden")
    assert "(\\x1b[8mhidden)" in str(Promise(expected, 0.6))


def test_a_warning_of_any_command_is_one_plain_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    def action() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("look at \x1b[31mthis", stacklevel=1)

    monkeypatch.setattr("cnntrain.cli.check.command", click.Command("check", callback=action))
    result = CliRunner().invoke(main, ["check"])
    assert result.stderr == "warning: look at \\x1b[31mthis\n"
