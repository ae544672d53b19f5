from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.explain import document as d
from cnntrain.explain.lessons import LESSONS
from cnntrain.explain.page import lesson_page, save_lessons, save_page
from tests.explain.chromium import chromium, opened

HOSTILE = "</script><script>alert(1)</script>"
IMAGE = d.matrix("x", [[1, 2, 3], [4, 5, 6]], role="image")
FILTER = d.matrix("w", [[1, -2]], role="filter")
OUTPUT = d.matrix("z", [[-3, -4], [-6, -7]], role="output")
STEPS = tuple(
    d.Step(
        frozenset({(i, j), (i, j + 1)}), frozenset({(0, 0), (0, 1)}), (i, j),
        d.Sum(f"z{i}{j}", ((1, IMAGE.values[i][j]), (-2, IMAGE.values[i][j + 1])), OUTPUT.values[i][j]),
    )
    for i in (0, 1) for j in (0, 1)
)  # fmt: skip
DOCUMENT = d.Document(
    "test", "A & B",
    (
        d.Heading(HOSTILE), d.Text(f"words, `code` and {HOSTILE}"), d.Formula(("a < b",), note=HOSTILE),
        d.Beside((d.matrix("m", [["w11", Fraction(1, 3)]], highlight=[(0, 0)], faint=[(0, 1)]), "=", IMAGE)),
        d.Sum("s", ((1, -2), (3,)), 1, note=HOSTILE), d.Slide(HOSTILE, IMAGE, FILTER, OUTPUT, STEPS),
        d.Table(("a", HOSTILE), ((1, "x"), (2.5, HOSTILE))), d.Link(HOSTILE, "docs/a.md#b"), IMAGE,
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def test_every_block_is_on_the_page() -> None:
    text = lesson_page(DOCUMENT, [(HOSTILE, '"><script>')])
    assert HOSTILE not in text
    assert text.count("<script") == 2  # the page's own, and the steps
    assert "<h1>A &amp; B</h1>" in text
    for words in ("<code>code</code>", "a &lt; b", "s = 1·(−2) + 3 = 1", "1/3", "docs/a.md#b", "2.5"):
        assert words in text, words
    assert text.count("<table") == 2 + 3 + 1 + 1


def test_the_window_slides(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "lesson.html"
    file.write_text(lesson_page(DOCUMENT), encoding="utf-8")
    with opened(browser, file, width=400) as page:
        figure = page.locator(".slide")
        lit = lambda part: figure.locator(f"table[data-part={part}] td.lit")  # noqa: E731
        said = lambda: figure.locator(".said").text_content()  # noqa: E731
        assert said() == "z00 = 1·1 + (−2)·2 = −3"
        figure.locator("table[data-part=output] td").nth(3).click()
        assert said() == "z11 = 1·5 + (−2)·6 = −7"
        assert [lit("image").nth(i).get_attribute("data-value") for i in (0, 1)] == ["5", "6"]
        assert lit("image").locator("sub").all_text_contents() == ["×1", "×−2"]
        page.keyboard.press("ArrowUp")
        assert said() == "z01 = 1·2 + (−2)·3 = −4"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")  # the first: it stays
        assert lit("output").all_text_contents() == ["−3"]
        figure.locator("input").fill("2")
        assert said().startswith("z10 =")
        figure.locator(".play").click()
        figure.locator(".said", has_text="z11").wait_for()
        figure.locator(".play").click()
        assert figure.locator(".play").get_attribute("aria-pressed") == "false"


def test_a_gallery_of_all_lessons(browser: Any, tmp_path: Path) -> None:
    files = save_lessons(tmp_path / "new" / "lessons")
    names = [file.name for file in files]
    assert names == ["index.html", *(f"{name}.html" for name in LESSONS)]
    for file in files:
        assert set(re.findall(r'href="([^"]*)"', file.read_text("utf-8"))) <= set(names)
        with opened(browser, file, width=400) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 400, file
            for figure in page.locator(".slide").all():
                last = int(figure.locator("input").get_attribute("max"))
                figure.locator("input").fill(str(last))
                assert figure.locator("table[data-part=output] td.lit").count() == 1


def test_the_gallery_in_the_docs_is_up_to_date(tmp_path: Path) -> None:
    kept = Path(__file__).parents[2] / "docs" / "lessons"
    made = save_lessons(tmp_path)
    assert sorted(path.name for path in kept.iterdir()) == sorted(path.name for path in made)
    for path in made:
        same = path.read_text("utf-8") == (kept / path.name).read_text("utf-8")
        assert same, f"{path.name}: run: cnntrain explain --lessons --html docs/lessons"


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    assert save_page(tmp_path / "a.html", "ä") == 2
    with pytest.raises(RunFolderError, match="is a folder: name the file that the page shall be"):
        save_page(tmp_path, "page")
    with pytest.raises(RunFolderError, match=r"none/a\.html: could not be written"):
        save_page(tmp_path / "none" / "a.html", "page")
    with pytest.raises(RunFolderError, match=r"a\.html: this folder cannot be made"):
        save_lessons(tmp_path / "a.html")
