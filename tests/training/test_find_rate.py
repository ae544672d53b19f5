from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.config import load_config
from cnntrain.runs.reporter import Reporter
from cnntrain.training.find_rate import Finding, Point, find_rate, suggestion_of
from cnntrain.training.rate_curve import as_csv, drawing
from cnntrain.training.session import build_anew
from tests.training.small import train, write_config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["find-rate", *arguments])


def curve(losses: list[float]) -> list[Point]:
    return [Point(10.0 ** (index - 6), loss, loss) for index, loss in enumerate(losses)]


def test_the_steepest_descent_and_a_tenth_of_the_minimum() -> None:
    """Rates 1e-6, 1e-5, ...; central differences by hand: steepest at 1e-4, smallest at 1e-2."""
    found = suggestion_of(curve([2.0, 1.9, 1.2, 0.6, 0.5, 3.0]))
    assert found is not None
    assert (found.steepest, found.lowest) == (pytest.approx(1e-4), pytest.approx(1e-2))
    assert (found.learning_rate, found.reason) == (1e-4, "there the loss falls fastest; it is smallest at 0.01")
    found = suggestion_of(curve([2.0, 1.9, 1.8, 1.7, 0.5, 3.0]))
    assert found is not None
    assert found.learning_rate == 1e-3
    assert found.reason == "a tenth of the rate with the smallest loss (0.01); it falls fastest at 0.01"
    assert suggestion_of(curve([1.0, 2.0, 3.0])) is None
    assert suggestion_of([]) is None


def test_the_losses_are_those_of_the_batches_of_a_training(config: Path) -> None:
    """With rates of nearly nothing: cross-entropy in NumPy, of the network as it began, batch by batch in its order."""
    training = build_anew(load_config(config), Reporter(quiet=True))
    data = training.data.train
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence(7, spawn_key=(2, 0)))).permutation(len(data))
    logits = training.network.predict_logits(data.images[order], training.data.normalization).astype(np.float64)
    each = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(order)), data.labels[order]]
    found = find_rate(training, 1e-12, 1e-11, 10)
    assert [point.loss for point in found.points] == pytest.approx(each[:320].reshape(10, 32).mean(axis=1), rel=1e-5)
    assert [point.learning_rate for point in found.points] == pytest.approx(np.geomspace(1e-12, 1e-11, 10))
    mean, weight = 0.0, 0.0
    for point in found.points:  # weights 0.9**age, made to add up to 1
        mean, weight = 0.9 * mean + point.loss, 0.9 * weight + 1
        assert point.smoothed == pytest.approx(mean / weight)


def test_it_stops_when_the_loss_diverges_and_suggests_a_rate_that_trains(config: Path) -> None:
    found = find_rate(build_anew(load_config(config), Reporter(quiet=True)), 1e-5, 1e3, 100)
    assert found.diverged
    assert 50 < len(found.points) < 100
    assert found.suggestion is not None
    assert 1e-3 < found.suggestion.learning_rate < 1
    folder = train(config, Path("run"), f"optimizer.sgd.learning_rate={found.suggestion.learning_rate}")
    assert float(folder.metrics.read_text().splitlines()[-1].split(",")[2]) < 1.2  # the training loss


def test_the_terminal(config: Path) -> None:
    before = sorted(path.name for path in Path.cwd().iterdir())
    result = run(str(config), "--from", "1e-5", "--steps", "100", "--csv", "rates.csv")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in result.stdout
    assert lines[0] == "    loss"
    assert lines[-3].startswith("suggestion: 0.")
    assert "the loss falls fastest" in lines[-2] or "it falls fastest at" in lines[-2]
    assert lines[-1].startswith("try it: --set optimizer.sgd.learning_rate=0.")
    assert sorted(path.name for path in Path.cwd().iterdir()) == sorted([*before, "rates.csv"])  # no run folder
    with Path("rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} of 100 steps" in result.stdout
    assert [row["step"] for row in rows] == [str(step) for step in range(1, len(rows) + 1)]
    again = json.loads(run("--config", str(config), "--from", "1e-5", "--steps", "100", "--json").stdout)
    assert (again["name"], len(again["points"])) == ("digits", len(rows))
    assert float(rows[-1]["loss"]) == again["points"][-1]["loss"]
    assert again["suggestion"]["learning_rate"] == float(lines[-1].rpartition("=")[2])


def test_a_loss_that_never_falls(config: Path) -> None:
    """Batches differ by chance, which is no fall."""
    result = run(str(config), "--from", "1e-12", "--to", "1e-11", "--steps", "60")
    assert (result.exit_code, "the loss never fell: no suggestion" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a config: cnntrain find-rate CONFIG"),
        (["digits.yaml", "--config", "digits.yaml"], "name the config once"),
        (["runs/a"], "runs/a: is no config"),
        (["gone.yaml"], "gone.yaml: cannot read the config"),
        (["digits.yaml", "--from", "1", "--to", "0.1"], "must be rates above 0, the second the larger"),
        (["digits.yaml", "--from", "0"], "must be rates above 0"),
        (["digits.yaml", "--steps", "10", "--csv", "gone/rates.csv"], "gone/rates.csv: could not be written"),
    ],
)
def test_mistakes(config: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_drawing_is_where_the_numbers_are() -> None:
    points = curve([2.0, 2.0, 1.0, 9.0])
    lines = drawing(Finding(points, True, None)).splitlines()
    assert lines[1] == "     2.5"  # half the fall above the beginning: 9 is cut off
    assert lines[14] == "       1 " + " " * round(2 / 3 * 65) + "*"
    assert sum(line.count("*") for line in lines) == 3
    assert lines[15].split() == ["1e-6", "1e-5", "1e-4", "1e-3"]
    assert math.isclose(float(as_csv(Finding(points, True, None)).splitlines()[1].split(",")[1]), 1e-6)
