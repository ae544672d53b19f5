from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cnntrain.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Series, charts_of, numbers_of
from cnntrain.report.records import Row, RunRecord
from cnntrain.report.summary import number


def chart(points: Sequence[tuple[int, float | None]], *, logarithmic: bool = False) -> Chart:
    return Chart("Loss", [Series(0, "it", "train", points)], number, logarithmic)


def path_of(svg: str) -> str:
    found = re.search(r'<path d="([^"]*)"', svg)
    assert found
    return found[1]


def changed(run: RunRecord, epoch: int, **cells: str) -> RunRecord:
    return replace(run, rows=[Row(row.cells | cells) if row.epoch == epoch else row for row in run.rows])


def test_four_charts(records: list[RunRecord]) -> None:
    charts = charts_of(records)
    assert [one.title for one in charts] == ["Loss", "Accuracy", "Learning rate", "Images per second"]
    assert [one.label for one in charts[0].series] == [
        "slow training",
        "slow validation",
        "fast training",
        "fast validation",
    ]
    loss = charts[0].data
    assert loss["epochs"] == [1, 2, 3]
    assert loss["series"][3]["texts"] == [f"{float(row.cells['validation_loss']):.4f}" for row in records[1].rows]
    accuracy = charts[1].data["series"][2]["texts"]
    assert accuracy == [f"{float(row.cells['train_accuracy']):.2%}" for row in records[1].rows]


def test_a_line_is_inside_the_drawing_and_in_order() -> None:
    places = re.findall(r"[ML]([\d.]+) ([\d.]+)", path_of(chart([(1, 3.0), (2, 1.0), (4, 2.0)]).svg(0)))
    xs, ys = zip(*((float(x), float(y)) for x, y in places), strict=True)
    assert LEFT <= xs[0] < xs[1] < xs[2] <= WIDTH - RIGHT
    assert xs[2] - xs[1] == pytest.approx(2 * (xs[1] - xs[0]), abs=0.2)
    assert TOP <= ys[0] < ys[2] < ys[1] <= HEIGHT - BOTTOM


def test_a_missing_number_is_a_gap() -> None:
    assert re.sub(r"[\d. ]", "", path_of(chart([(1, 3.0), (2, 2.0), (3, None), (4, 1.0), (5, 0.5)]).svg(0))) == "MLML"
    steep = chart([(1, 3.0), (2, 0.0), (3, 1.0)], logarithmic=True).svg(0)
    assert re.sub(r"[\d. ]", "", path_of(steep)) == "MM", "zero has no place on a logarithmic scale"


def test_rows_with_nan(records: list[RunRecord]) -> None:
    run = changed(records[0], 2, train_loss="nan", validation_loss="nan", validation_accuracy="nan")
    charts = charts_of([run])
    assert charts[0].data["series"][0]["texts"][1] == "-"
    assert "nan" not in "".join(one.svg(0) for one in charts)
    assert ">nan<" in numbers_of([run]), "the table shows the file as it is"


def test_one_epoch_is_a_dot_in_the_middle() -> None:
    svg = chart([(1, 3.0)]).svg(0)
    assert svg.count("<circle") == 1
    assert re.findall(r">(\d+)</text>", svg).count("1") == 1
    x = float(path_of(svg)[1:].split()[0])
    assert x == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=1)
    assert chart([(7, None)]).svg(0).count("<circle") == 0


def test_of_many_epochs_the_line_alone_is_drawn() -> None:
    assert "<circle" not in chart([(epoch, 1.0 / epoch) for epoch in range(1, 100)]).svg(0)


def test_steep_losses_have_a_logarithmic_scale(records: list[RunRecord]) -> None:
    assert not charts_of(records)[0].logarithmic
    steep = changed(records[0], 1, train_loss="1e30")
    assert charts_of([steep])[0].logarithmic
    assert "logarithmic scale" in charts_of([steep])[0].svg(0)
    below = changed(steep, 2, train_loss="-1")
    assert not charts_of([below])[0].logarithmic


def test_runs_without_validation(records: list[RunRecord]) -> None:
    rows = [Row(row.cells | {"validation_loss": "", "validation_accuracy": ""}) for row in records[0].rows]
    charts = charts_of([replace(records[0], rows=rows)])
    assert [one.style for one in charts[0].series] == ["train"]


def test_names_are_escaped(records: list[RunRecord]) -> None:
    run = replace(records[0], label="<b>&\u202e")
    assert charts_of([run])[0].data["series"][0]["label"] == "<b>&\\u202e training"
    assert "&lt;b&gt;&amp;\\u202e" in numbers_of([run])
    assert "<b>" not in numbers_of([run])
