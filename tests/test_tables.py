from __future__ import annotations

import pytest

from cnntrain.tables import aligned, fitted, wrapped

ROWS = [["run", "accuracy", "time"], ["a", "98.94%", "4.6 s"], ["much-longer", "9.10%", ""]]


def test_columns_stand_below_each_other() -> None:
    assert aligned(ROWS) == [
        "run          accuracy   time",
        "a              98.94%  4.6 s",
        "much-longer     9.10%",
    ]
    assert aligned(ROWS, left=(1, 2))[1:] == ["          a  98.94%    4.6 s", "much-longer  9.10%"]


@pytest.mark.parametrize("width", [None, 28, 100])
def test_a_table_that_fits(width: int | None) -> None:
    assert fitted(ROWS, width) == aligned(ROWS)


def test_a_table_that_fits_when_it_is_turned_round() -> None:
    wide = [["run", *(f"quantity {n}" for n in range(8))], ["a", *"12345678"], ["b", *"abcdefgh"]]
    lines = fitted(wide, 40)
    assert lines[0] == "run         a  b"
    assert lines[3] == "quantity 2  3  c"
    assert len(lines) == 9


def test_a_table_that_fits_neither_way_becomes_blocks() -> None:
    wide = [["what", "first run with a name", "second run"], ["key", "a value of some length", ""], ["other", "1", "2"]]
    assert fitted(wide, 41) == aligned(wide)
    assert fitted(wide, 40) == [
        "key",
        "  first run with a name  a value of some length",  # a cell is never cut
        "",
        "other",
        "  first run with a name  1",
        "  second run             2",
    ]


def test_parts_are_wrapped_between_parts() -> None:
    parts = ["epoch 1/3", "loss 0.5 90.00%", "1.3 s", "best"]
    assert wrapped(parts, None) == ["epoch 1/3  loss 0.5 90.00%  1.3 s  best"]
    assert wrapped(parts, 33, indent=11) == ["epoch 1/3  loss 0.5 90.00%  1.3 s", "           best"]
    assert wrapped(parts, 5) == parts
