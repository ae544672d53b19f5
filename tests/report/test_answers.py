from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cnntrain.config import parse_config
from cnntrain.data import DataSet, Split
from cnntrain.data.images import LazyRows
from cnntrain.data.terminal import load_and_tell
from cnntrain.evaluation.restored import Restored, restore
from cnntrain.report.answers import BATCH, SHOWN, _Collector, answers_of, log_softmax
from cnntrain.report.filters import first_filters, first_maps
from cnntrain.report.insight import Loading, look_into
from cnntrain.report.pictures import coloured
from cnntrain.report.records import RunRecord, read_run
from cnntrain.runs.folder import RunFolder
from cnntrain.shape import Shape
from tests import naive
from tests.data.pictures import encoded, load, pixels, tree, write_folder


@pytest.fixture(scope="module")
def restored(trained: tuple[RunFolder, RunFolder]) -> Restored:
    return restore(trained[1].best, batch_size=BATCH)


@pytest.fixture(scope="module")
def data(restored: Restored) -> DataSet:
    return load_and_tell(restored.config.data, restored.config.seed, print)


def test_log_softmax() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]], np.float32)
    expected: list[list[float]] = [
        [value - math.log(sum(math.exp(v) for v in (1, 2, 3))) for value in (1, 2, 3)],
        [0, -1000, -2000],
    ]
    np.testing.assert_allclose(log_softmax(logits), expected, rtol=1e-12)


def test_which_images_are_shown(restored: Restored, data: DataSet) -> None:
    """Against plain loops over the softmax of all outputs."""
    answers = answers_of(restored, data, "test")
    images, labels = data.test.images, data.test.labels.tolist()
    logits = restored.network.predict_logits(images[:], data.normalization).astype(np.float64)
    probabilities = [[math.exp(z - max(row)) for z in row] for row in logits.tolist()]
    probabilities = [[value / sum(row) for value in row] for row in probabilities]
    taken = [row.index(max(row)) for row in probabilities]
    own = [row[label] for row, label in zip(probabilities, labels, strict=True)]
    wrong = sorted((i for i in range(len(labels)) if taken[i] != labels[i]), key=lambda i: own[i])[:SHOWN]
    right = sorted((i for i in range(len(labels)) if taken[i] == labels[i]), key=lambda i: own[i])[:SHOWN]
    assert [one.index for one in answers.mistakes] == wrong
    assert [one.index for one in answers.unsure] == right
    assert len(right) == SHOWN
    for one in (*answers.mistakes, *answers.unsure):
        assert one.label == labels[one.index]
        assert one.label_probability == pytest.approx(own[one.index], rel=1e-5)
        best = sorted(range(10), key=lambda k: -probabilities[one.index][k])[:3]
        assert [label for label, _ in one.answers] == best
        assert [p for _, p in one.answers] == pytest.approx([probabilities[one.index][k] for k in best], rel=1e-4)
        np.testing.assert_array_equal(one.picture, images[one.index])
        assert one.name is None
    assert answers.evaluation.accuracy == sum(t == label for t, label in zip(taken, labels, strict=True)) / len(labels)


def test_nothing_right_and_nothing_wrong() -> None:
    collector = _Collector(np.array([0, 1]), 2)
    collector(np.array([0, 1]), np.array([[2.0, 1.0], [0.0, 1.0]]))
    assert collector.answers(Split(np.zeros((2, 1, 1, 1)), np.array([0, 1])), np.array([], np.int64)) == []


def test_names_of_files_follow_their_images(tmp_path: Path) -> None:
    """Through a validation split, files that are skipped, and decoding whenever images are needed."""
    files = (
        tree() | {f"train/cat/{n}.png": encoded(pixels(n)) for n in range(5, 20)} | {"train/cat/00.png": b"no picture"}
    )
    folder = write_folder(tmp_path / "a", files)
    with pytest.warns(UserWarning, match="skipped 1 of"):
        found = load(folder, storage="memory", skip_bad=True, validation=6)
    del files["train/cat/00.png"]
    streamed = load(write_folder(tmp_path / "b", files), storage="stream", validation=6)
    for data in (found, streamed):
        assert data.validation is not None
        for split in (data.train, data.validation, data.test):
            assert split.names is not None
            assert len(split.names) == len(split)
            for name, image, label in zip(split.names, split.images[:], split.labels, strict=True):
                assert name.split("/")[1] == data.class_names[label]
                assert encoded(image.transpose(1, 2, 0)) == files[name]


def test_parts_of_a_split_without_names() -> None:
    part = Split(np.arange(4).reshape(4, 1, 1, 1), np.array([3, 2, 1, 0])).part(np.array([2, 0]))
    assert isinstance(part.images, LazyRows)
    assert (part.images[:].ravel().tolist(), part.labels.tolist(), part.names) == ([2, 0], [1, 3], None)


def test_filters_of_the_first_layer(restored: Restored, records: list[RunRecord]) -> None:
    state = restored.network.state()
    tiles = first_filters(records[1].layers, state, Shape(1, 14, 14))
    assert tiles is not None
    assert (tiles.title, len(tiles.pictures), tiles.left_out) == ("0.conv2d: 4 filters of 1x3x3", 4, 0)
    first = state["0.conv2d.weight"][0]
    assert tiles.names[0] == f"filter 0: {first.min():.3g} to {first.max():.3g}"


def test_a_dense_first_layer_has_weights_for_each_pixel() -> None:
    from cnntrain.config import infer_shapes

    config = parse_config(
        "data: {source: mnist, path: x}\noptimizer: {sgd: 0.1}\nnetwork: [dense: 100, relu, dense: classes]", "a.yaml"
    )
    rows = infer_shapes(config, Shape(3, 4, 5), 10)
    tiles = first_filters(rows, {"0.dense.weight": np.ones((100, 60))}, Shape(3, 4, 5))
    assert tiles is not None
    assert (tiles.title, len(tiles.pictures), tiles.left_out) == ("0.dense: 100 units; grey is zero", 64, 36)
    assert first_filters(rows, {}, Shape(3, 4, 5)) is None


def test_maps_of_the_first_layers(
    restored: Restored, data: DataSet, records: list[RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map after the convolution is what plain loops make of the image."""
    shown: list[np.ndarray] = []

    def show(values: np.ndarray) -> str:
        shown.append(values.copy())
        return ""

    monkeypatch.setattr("cnntrain.report.filters.diverging", show)
    tiles = first_maps(restored, records[1].layers, data.test, 5)
    assert [one.title for one in tiles[:2]] == ["the image", "after 0.conv2d: 4x12x12"]
    state = restored.network.state()
    x = data.normalization.apply(data.test.images[5:6], np.float64)
    z = naive.conv2d(x, state["0.conv2d.weight"], state["0.conv2d.bias"])
    np.testing.assert_allclose(np.stack(shown[:4]), z[0], rtol=1e-4, atol=1e-5)
    assert len(tiles) == 4, "the layer behind them has one number for each class"


def test_a_whole_insight(records: list[RunRecord]) -> None:
    insight = look_into(records[1], None, Loading(print))
    assert insight.answers is not None
    assert (insight.answers.split, insight.problem, insight.damaged) == ("validation", None, False)
    assert insight.epoch == records[1].best.epoch  # type: ignore[union-attr]
    tested = look_into(records[1], "test", Loading(print)).answers
    assert tested is not None
    assert tested.split == "test"


def test_data_that_are_gone(records: list[RunRecord]) -> None:
    insight = look_into(records[1], None, Loading(print), ["data.path=nowhere.npz"])
    assert (insight.answers, insight.maps, insight.damaged) == (None, (), False)
    assert insight.filters is not None
    assert str(insight.problem).startswith("There are no answers and no pictures: nowhere.npz")


def test_a_split_that_is_not_there(records: list[RunRecord]) -> None:
    insight = look_into(records[1], "validation", Loading(print), ["data.validation=0"])
    assert "no validation split" in str(insight.problem)


def test_data_of_another_run(records: list[RunRecord], data: DataSet) -> None:
    other = DataSet(data.train, None, data.test, list("abcdefghij"), data.normalization)
    insight = look_into(records[1], None, lambda _: other)
    assert "the network knows 10 classes" in str(insight.problem)


def test_no_checkpoint_and_a_damaged_one(run: RunFolder) -> None:
    run.best.write_bytes(b"no tensors")
    insight = look_into(read_run(run.path, "it"), None, Loading(print))
    assert (insight.damaged, insight.epoch) == (True, None)
    assert "The network could not be read: " in str(insight.problem)
    for path in (run.best, run.last, run.metrics):
        path.unlink()
    insight = look_into(read_run(run.path, "it"), None, Loading(print))
    assert not insight.damaged
    assert "no epoch of this run was finished" in str(insight.problem)


def test_equal_data_are_loaded_once(records: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(
        "cnntrain.report.insight.load_and_tell", lambda settings, seed, warn: loaded.append((settings, seed))
    )
    load_data = Loading(print)
    config = parse_config(records[0].config_text, "a.yaml")
    load_data(config)
    load_data(parse_config(records[1].config_text, "b.yaml"))
    load_data(parse_config(records[1].config_text, "b.yaml", ["seed=8"]))
    assert [seed for _, seed in loaded] == [7, 8]


def test_colours_of_signed_numbers() -> None:
    found = coloured(np.array([[-2.0, 0.0, 2.0, np.nan, np.inf]]), 2.0)
    assert found.tolist() == [[[33, 102, 172], [247, 247, 247], [178, 24, 43], [247, 247, 247], [247, 247, 247]]]
    assert coloured(np.array([[1.0]])).tolist() == [[[178, 24, 43]]]
    assert coloured(np.zeros((1, 1))).tolist() == [[[247, 247, 247]]]
