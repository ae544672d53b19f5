"""Documents as text: matrices side by side, long sums, wide matrices, tables."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from cnntrain.explain.document import (
    Beside,
    Block,
    Document,
    Formula,
    Heading,
    Link,
    Sum,
    Table,
    Text,
    matrix,
)
from cnntrain.explain.terminal import render


def text_of(*blocks: Block, width: int = 80) -> str:
    """Return the text below the title."""
    return render(Document("name", "Title", blocks), width=width).split("\n", 3)[3]


def test_title_and_headings() -> None:
    text = render(Document("name", "A title", (Heading("Part"), Text("Words."))))
    assert text == "A title\n═══════\n\nPart\n────\n\nWords."


def test_matrices_side_by_side() -> None:
    image = matrix("x", [[1, 2], [3, -4.5], [5, 6]], highlight=[(0, 0), (1, 1)])
    row = matrix("", [[0, "w₁"]], faint=[(0, 0)])
    assert text_of(Beside((image, "∗", row))) == (
        "       x\n"
        "  ⎡[1]    2 ⎤\n"
        "  ⎢ 3 [−4.5]⎥ ∗ [ ·  w₁ ]\n"
        "  ⎣ 5     6 ⎦"
    )  # fmt: skip


def test_a_name_wider_than_its_matrix() -> None:
    assert text_of(matrix("gradient", [[1], [2]])) == "  gradient\n   ⎡ 1 ⎤\n   ⎣ 2 ⎦"


def test_what_does_not_fit_goes_below() -> None:
    wide = matrix("", [[100] * 5])
    text = text_of(Beside((wide, "+", wide, "=", wide)), width=40)
    assert [line.strip() for line in text.splitlines()] == [
        "[ 100  100  100  100  100 ]",
        "",
        "+ [ 100  100  100  100  100 ]",
        "",
        "= [ 100  100  100  100  100 ]",
    ]


def test_a_matrix_wider_than_the_page_is_cut_into_columns() -> None:
    text = text_of(matrix("M", [list(range(100, 130))]), width=60)
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "M, columns 1 …" in text
    assert "M, columns 11 …" in text
    numbers = [int(word) for line in text.splitlines() if "[" in line for word in line.strip(" []").split()]
    assert numbers == list(range(100, 130))


def test_a_long_sum_is_broken_between_its_terms() -> None:
    terms = tuple((Fraction(n, 2), -n) for n in range(1, 30))
    text = text_of(Sum("z₁₁", terms, -1))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert " ".join(line.strip() for line in text.splitlines()).startswith("z₁₁ = 0.5·(−1) + 1·(−2) + 1.5·(−3)")
    assert text.endswith(" = −1")


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (Sum("z", ((-1, 2), (-1, -2), (3,)), 3), "  z = −1·2 + (−1)·(−2) + 3 = 3"),
        (Sum("z", ((3,),), 3, "a note"), "  z = 3   a note"),  # not 3 = 3
        (Sum("z", (), 0), "  z = 0"),
        (Sum("z", (("w", "x"),), "?"), "  z = w·x = ?"),
        (Link("There", "docs/a.md#b"), "There: docs/a.md#b"),
        (Formula(("a = b", "  = c"), "note"), "    a = b\n      = c\n    (note)"),
    ],
)
def test_small_blocks(block: Block, text: str) -> None:
    assert text_of(block) == text


def test_sums_stand_together() -> None:
    assert text_of(Sum("a", ((1,),), 1), Sum("b", ((2,),), 2), Text("c")) == "  a = 1\n  b = 2\n\nc"


def test_tables_align_numbers_right_and_words_left() -> None:
    text = text_of(Table(("name", "value"), (("a", 1.5), ("long name", -20))))
    assert text == "  name       value\n  ─────────  ─────\n  a            1.5\n  long name    −20"


def test_a_document_as_json() -> None:
    block = matrix("x", np.array([[1.5, 2]]), highlight=[(0, 1)], role="image")
    document = Document("name", "Title", (Beside((block, "=", block)), Sum("s", ((Fraction(1, 4),),), 0.25)))
    plain = json.loads(json.dumps(document.as_dict()))
    shown = {"name": "x", "values": [[1.5, 2]], "highlight": [[0, 1]], "faint": [], "role": "image"}
    assert plain == {
        "lesson": "name",
        "title": "Title",
        "blocks": [
            {"kind": "beside", "items": [shown, "=", shown]},
            {"kind": "sum", "name": "s", "terms": [[0.25]], "value": 0.25, "note": ""},
        ],
    }
