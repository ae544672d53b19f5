"""The page in a real browser: what it shows where one points, what it sorts, that it fits, that it asks nobody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnntrain.report.insight import Loading, look_into
from cnntrain.report.page import page_of
from cnntrain.report.records import RunRecord, read_run
from cnntrain.runs.folder import RunFolder

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202e"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def runs(trained: tuple[RunFolder, RunFolder]) -> list[RunRecord]:
    return [read_run(folder.path, name) for folder, name in zip(trained, (HOSTILE, "fast"), strict=True)]


@pytest.fixture(scope="module")
def file(runs: list[RunRecord], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs; names of the first one's classes and files are hostile."""
    load = Loading(print)
    first, second = (look_into(run, None, load) for run in runs)
    assert first.answers is not None
    mistakes = [replace(one, name=f"{HOSTILE}/{one.index}.png") for one in first.answers.mistakes]
    names = [f"{n}{HOSTILE}" for n in range(10)]
    answers = replace(first.answers, class_names=names, mistakes=mistakes)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_of(runs, [replace(first, answers=answers), second]))
    return path


@pytest.fixture(scope="module")
def page(browser: Any, file: Path) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1000, "height": 900})
    opened.told, opened.asked = [], []
    opened.on("console", lambda message: opened.told.append(message.text))
    opened.on("pageerror", lambda error: opened.told.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.told.append("a dialog"), dialog.dismiss()))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


def shown(run: RunRecord, column: str, row: int) -> str:
    return f"{float(run.rows[row].cells[column]):.4f}"


def test_the_numbers_where_one_points_are_those_of_the_file(page: Any, runs: list[RunRecord]) -> None:
    chart = page.locator("svg[data-chart='0']")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    tip = page.locator(".chart .tip").first
    for share, row in ((0.13, 0), (0.55, 1), (0.97, 2)):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        lines = tip.inner_text().splitlines()
        assert lines[0] == f"epoch {row + 1}"
        found = [line for line in lines if line.replace(".", "").isdigit()]
        columns = [(run, column) for run in runs for column in ("train_loss", "validation_loss")]
        assert found == [shown(run, column, row) for run, column in columns]
    page.mouse.move(box["x"] + 5, box["y"] - 40)
    assert tip.is_hidden()


def test_keys_read_the_numbers_aloud(page: Any, runs: list[RunRecord]) -> None:
    chart = page.locator("svg[data-chart='0']")
    said = page.locator(".chart [aria-live]").first
    chart.focus()
    page.keyboard.press("ArrowLeft")
    assert said.inner_text().startswith("epoch 3: ")
    page.keyboard.press("Home")
    assert f"fast validation {shown(runs[1], 'validation_loss', 0)}" in said.inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".chart .tip").first.is_hidden()


def test_a_run_can_be_taken_out_of_the_drawings(page: Any) -> None:
    button = page.locator("[data-toggle='0']")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator(".chart .off").count() == 6
    assert page.locator(".chart [data-run='1']").first.is_visible()
    chart = page.locator("svg[data-chart='1']")
    chart.focus()
    page.keyboard.press("End")
    assert page.locator(".chart .tip").nth(1).locator(".row").count() == 2
    page.keyboard.press("Escape")
    button.click()
    assert page.locator(".chart .off").count() == 0


def test_headings_sort(page: Any) -> None:
    classes = page.locator("table.classes").first

    def column(number: int) -> list[str]:
        found: list[str] = classes.locator(f"tbody tr > :nth-child({number})").all_inner_texts()
        return found

    names = column(1)
    recall = [float(text.rstrip("%")) for text in column(4)]
    heading = classes.locator("thead th").nth(3)
    heading.locator("button").click()
    assert [float(text.rstrip("%")) for text in column(4)] == sorted(recall, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    assert [float(text.rstrip("%")) for text in column(4)] == sorted(recall)
    assert heading.get_attribute("aria-sort") == "ascending"
    classes.locator("thead th").nth(0).locator("button").press("Enter")
    assert column(1) == names


def test_cells_of_the_confusion_matrix(page: Any) -> None:
    matrix = page.locator("svg[data-matrix='0']")
    matrix.focus()
    page.keyboard.press("ArrowRight")
    said = page.locator(".matrix [aria-live]").first
    assert said.inner_text().startswith("0</script><img")
    assert "and taken for it: " in said.inner_text()
    page.keyboard.press("ArrowDown")
    assert "1</script>" in said.inner_text()
    assert "taken for 0</script>" in said.inner_text()
    cell = matrix.locator("rect.right").first.bounding_box()
    page.mouse.move(cell["x"] + 5, cell["y"] + 5)
    tip = page.locator(".matrix .tip").first.inner_text()
    assert " of " in tip
    assert "taken for it" in tip
    page.mouse.move(2, 2)


def test_hostile_names_are_text(page: Any) -> None:
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("h1").inner_text() == f"{HOSTILE[:-1]}\\u202e · fast"
    assert page.locator(".file").first.inner_text().endswith(".png")


def test_narrow_and_wide_views_have_no_sideways_scroll(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for width in (400, 320, 1000):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark_are_readable(page: Any) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ground, ink, soft = page.evaluate(
            "[document.body, document.body, document.querySelector('.note')].map((one, index) => "
            "getComputedStyle(one)[index ? 'color' : 'backgroundColor'])"
        )
        grounds.append(luminance(ground))
        assert contrast(ink, ground) > 7
        assert contrast(soft, ground) > 4.5
    assert grounds[0] > 0.8
    assert grounds[1] < 0.05


def test_everything_is_open_on_paper(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details.run').forEach((one) => { one.open = false; })")
    assert len(page.pdf()) > 10_000
    assert page.locator("details.run:not([open])").count() == 0


def test_no_request_and_no_error(page: Any, file: Path) -> None:
    """At the end: of everything that the tests before did."""
    assert page.told == []
    assert [address for address in page.asked if not address.startswith("data:")] == [file.as_uri()]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
