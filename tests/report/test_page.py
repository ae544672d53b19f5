from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cnntrain.report.insight import Insight, Loading, look_into
from cnntrain.report.markup import Cell, esc, table
from cnntrain.report.page import page_of
from cnntrain.report.records import RunRecord

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202e"


class Elements(HTMLParser):
    """Collects elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def insights(trained: tuple[object, object]) -> list[Insight]:
    from cnntrain.report.records import read_run

    load = Loading(print)
    return [look_into(read_run(folder.path, "it"), None, load) for folder in trained]  # type: ignore[attr-defined]


def test_the_page_of_two_runs(records: list[RunRecord], insights: list[Insight]) -> None:
    text = page_of(records, insights)
    for part in ("What differs", "Curves", "Worst mistakes", "Right, but least sure", "Layers", "Where it was trained"):
        assert f"<h3>{part}</h3>" in text
    elements = Elements(text)
    assert len(elements.of("figure")) > 8
    assert [one["id"] for one in elements.of("details") if one.get("class") == "run"] == ["run-0", "run-1"]
    assert "optimizer.sgd.learning_rate" in text
    assert esc(records[1].config_text) in text


def test_the_page_of_one_run(records: list[RunRecord], insights: list[Insight]) -> None:
    text = page_of(records[:1], insights[:1])
    assert "What differs" not in text
    assert '<dl class="facts">' in text
    assert not [one for one in Elements(text).of("details") if one.get("class") == "run"]


def test_nothing_on_it_asks_the_network(records: list[RunRecord], insights: list[Insight]) -> None:
    text = page_of(records, insights)
    elements = Elements(text)
    addresses = [value for _, found in elements.found for key, value in found.items() if key in ("src", "href")]
    assert len(addresses) > 50
    assert all(str(address).startswith("data:") for address in addresses)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", text)
    policy = next(one["content"] for one in elements.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; ")
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy)


def test_hostile_names(records: list[RunRecord], insights: list[Insight]) -> None:
    plain = Elements(page_of(records, insights))
    first = insights[0].answers
    assert first is not None
    mistakes = [replace(one, name=HOSTILE) for one in first.mistakes]
    answers = replace(first, class_names=[f"{HOSTILE}{n}" for n in range(10)], mistakes=mistakes)
    hostile = replace(
        records[0],
        label=HOSTILE,
        config_text=records[0].config_text.replace("name: digits", f"name: {json.dumps(HOSTILE)}"),
        environment={HOSTILE: HOSTILE, "packages": {"a": [HOSTILE]}},
    )
    text = page_of([hostile, records[1]], [replace(insights[0], answers=answers, problem=HOSTILE), insights[1]])
    elements = Elements(text)
    assert len(elements.of("script")) == len(plain.of("script")) == 2
    assert len(elements.of("img")) == len(plain.of("img"))
    assert not [key for _, found in elements.found for key in found if key.startswith("on")]
    assert "\u202e" not in text
    assert text.count(html.escape(HOSTILE.replace("\u202e", "\\u202e"))) > 30
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert data["matrices"]["0"]["names"][3] == HOSTILE.replace("\u202e", "\\u202e") + "3"


def test_what_is_missing_is_said(records: list[RunRecord]) -> None:
    text = page_of(records[:1], [Insight(problem="The data are gone")], [("runs/x", "it is damaged")])
    assert '<p class="problem" role="note">The data are gone</p>' in text
    assert "runs/x was left out: it is damaged" in text
    assert "Worst mistakes" not in text


def test_a_run_without_an_epoch(records: list[RunRecord]) -> None:
    text = page_of([replace(records[0], rows=[], metadata=None, environment=None)], [Insight(problem="nothing yet")])
    assert "No epoch was finished yet." in text
    assert "not finished: slow" in text


def test_many_classes_are_listed_and_not_drawn(records: list[RunRecord], insights: list[Insight]) -> None:
    answers = insights[0].answers
    assert answers is not None
    evaluation = replace(answers.evaluation, classes=150)
    many = replace(answers, class_names=[f"class {n}" for n in range(150)], evaluation=evaluation)
    text = page_of(records[:1], [replace(insights[0], answers=many)])
    assert "150 classes are too many to draw a matrix." in text
    assert "data-matrix" not in text.partition("<script>")[0]


def test_charts_have_tables_and_words(records: list[RunRecord], insights: list[Insight]) -> None:
    text = page_of(records, insights)
    elements = Elements(text)
    for svg in elements.of("svg"):
        assert svg["role"] == "img"
        assert svg["tabindex"] == "0"
        assert svg["aria-label"]
    assert all(image["alt"] for image in elements.of("img"))
    for row in records[0].rows:
        assert f"<td>{row.cells['train_loss']}</td>" in text


def test_cells() -> None:
    text = table(["a", "b"], [["<x>", Cell("1,000", 1000, "share", 0.25)]], "all & all", sortable=True)
    assert '<th scope="row">&lt;x&gt;</th><td class="share" data-value="1000" style="--share:0.2500">1,000</td>' in text
    assert 'aria-label="all &amp; all"' in text
