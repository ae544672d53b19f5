from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cnntrain.report.records import Row, RunRecord, read_run
from cnntrain.report.summary import Summary, cells_of, duration, epochs_of, number
from cnntrain.runs.folder import RunFolder


def test_the_table(records: list[RunRecord]) -> None:
    lines = Summary(records).as_text().splitlines()
    assert lines[0].split("  ")[0] == "run"
    assert [line.split()[:3] for line in lines[1:3]] == [["slow", "3", "3"], ["fast", "3", "3"]]
    best = records[1].best
    assert best is not None
    assert f"{float(best.cells['validation_accuracy']):.2%}" in lines[2]
    assert "1,490" in lines[2]
    assert [line.split() for line in lines[4:]] == [
        ["what", "differs", "slow", "fast"],
        ["optimizer.sgd.learning_rate", "0.01", "0.05"],
    ]


@pytest.mark.parametrize("width", [60, 40])
def test_narrow_terminals(records: list[RunRecord], width: int) -> None:
    for runs in (records, records * 3):
        lines = Summary(runs).as_text(width).splitlines()
        assert all(len(line) <= width for line in lines)
        assert sum("validation accuracy" in line for line in lines) == (1 if len(runs) == 2 else 6)


def test_without_validation_there_are_no_columns_for_it(records: list[RunRecord]) -> None:
    def alone(run: RunRecord) -> RunRecord:
        return replace(
            run, rows=[Row(row.cells | {"validation_loss": "", "validation_accuracy": ""}) for row in run.rows]
        )

    head = Summary([alone(records[0])]).as_text().splitlines()[0]
    assert "validation" not in head
    assert "training loss" in head
    mixed = Summary([alone(records[0]), records[1]]).as_text().splitlines()
    assert "validation accuracy" in mixed[0]
    assert " - " in mixed[1]


def test_equal_configs(records: list[RunRecord]) -> None:
    assert Summary([records[0], records[0]]).as_text().splitlines()[-1] == "the configs are equal"


def test_many_differences_are_counted(run: RunFolder, records: list[RunRecord]) -> None:
    text = run.config.read_text() + "more:\n" + "".join(f"  key{n}: {n}\n" for n in range(40))
    run.config.write_text(text)
    lines = Summary([records[0], read_run(run.path, "other")]).as_text().splitlines()
    assert lines[-1] == "... and 11 more keys (--json and --html have all)"


def test_epochs(records: list[RunRecord]) -> None:
    run = records[0]
    assert epochs_of(run) == "3"
    assert epochs_of(replace(run, rows=run.rows[:2])) == "2 of 3"
    assert epochs_of(replace(run, rows=[])) == "0 of 3"
    steps = replace(run, config_text=run.config_text.replace("epochs: 3", "steps: 1000"))
    assert epochs_of(steps) == "3 (42 of 1,000 steps)"
    assert cells_of(replace(run, rows=[]))[2:8] == ["-"] * 6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (4.56, "4.6 s"), (59.9, "59.9 s"), (723, "12 min 3 s"), (12000.4, "3 h 20 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.12345, "0.1235"), (0, "0.0000"), (1.23456e-8, "1.235e-08"), (123456, "1.235e+05")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_json(records: list[RunRecord], trained: tuple[RunFolder, RunFolder]) -> None:
    report = json.loads(json.dumps(Summary(records).as_dict(), allow_nan=False))
    assert [run["run"] for run in report["runs"]] == [str(folder.path) for folder in trained]
    run, rows = report["runs"][1], records[1].rows
    assert [row["train_loss"] for row in run["metrics"]] == [float(row.cells["train_loss"]) for row in rows]
    assert run["metrics"][0]["step"] == 14
    assert (run["epochs"], run["steps"], run["planned"], run["finished"]) == (3, 42, {"epochs": 3}, True)
    assert report["differences"] == {"optimizer.sgd.learning_rate": ["0.01", "0.05"]}


def test_json_has_no_nan(records: list[RunRecord]) -> None:
    rows = [Row(row.cells | {"train_loss": "nan", "validation_loss": "inf"}) for row in records[0].rows]
    report = json.loads(json.dumps(Summary([replace(records[0], rows=rows)]).as_dict(), allow_nan=False))
    assert report["runs"][0]["metrics"][0]["train_loss"] is None


def test_names_that_a_terminal_would_obey(records: list[RunRecord]) -> None:
    text = Summary([replace(records[0], label="a\x1b[2J\udcff"), records[1]]).as_text()
    assert "a\\x1b[2J\\xff" in text
