from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.training.small import TEST, TRAIN, VALIDATION, digits, train, write_config, write_data

HEAD = ["class", "images", "correct", "precision", "recall", "F1"]
EXPECT = {"test_accuracy": 0.5, "tolerance": 0.01, "source": "a book"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("trained")
    return train(write_config(folder, train={"epochs": 4}, expect=EXPECT), folder / "run")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


def result_of(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_json(trained: RunFolder) -> None:
    report = result_of(trained.path)
    assert report["checkpoint"] == str(trained.best)
    assert (report["split"], report["images"]) == ("test", TEST)
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum() == TEST
    assert report["accuracy"] == np.trace(matrix) / TEST > 0.5
    assert report["accuracy"] <= report["top_5_accuracy"] <= 1.0
    assert 0 < report["loss"] < 2.3
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(digits()["y_test"], minlength=10))
    assert report["classes"][3] == {
        "name": "3",
        "images": matrix[3].sum(),
        "correct": matrix[3, 3],
        "accuracy": matrix[3, 3] / matrix[3].sum(),
        "precision": matrix[3, 3] / matrix[:, 3].sum(),
        "recall": matrix[3, 3] / matrix[3].sum(),
        "f1": 2 * matrix[3, 3] / (matrix[3].sum() + matrix[:, 3].sum()),
    }
    assert report["weighted"]["recall"] == pytest.approx(report["accuracy"], rel=1e-14)
    for key in ("precision", "recall", "f1"):
        values = [entry[key] for entry in report["classes"]]
        assert report["macro"][key] == pytest.approx(np.mean(values), rel=1e-14)
        images = [entry["images"] for entry in report["classes"]]
        assert report["weighted"][key] == pytest.approx(np.average(values, weights=images), rel=1e-14)
    assert report["expected"] == EXPECT | {"kept": True}
    assert report["epoch"] == read_checkpoint(trained.best).metadata.progress.epoch


def test_validation_is_what_training_reported(trained: RunFolder) -> None:
    progress = read_checkpoint(trained.best).metadata.progress
    report = result_of(trained.path, "--split", "validation")
    assert report["images"] == VALIDATION
    assert report["accuracy"] == progress.metrics.validation_accuracy
    assert report["loss"] == pytest.approx(progress.metrics.validation_loss, rel=1e-12)
    assert report["expected"] is None


def test_the_training_split_is_without_the_validation_split(trained: RunFolder) -> None:
    assert result_of(trained.path, "--split", "train")["images"] == TRAIN - VALIDATION


def test_all_ways_to_name_a_network_agree(trained: RunFolder) -> None:
    by_run = result_of(trained.path)
    assert result_of(trained.best) == by_run
    assert result_of("--config", trained.config, "--checkpoint", trained.best) == by_run
    assert result_of(trained.last)["epoch"] == 4


def test_table(trained: RunFolder) -> None:
    report = result_of(trained.path)
    result = run(trained.path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{trained.best} (epoch {report['epoch']}) on the test split, {TEST} images"
    assert f"accuracy        {report['accuracy']:.2%}" in lines
    assert f"top-5 accuracy  {report['top_5_accuracy']:.2%}" in lines
    head = next(i for i, line in enumerate(lines) if line.split() == HEAD)
    three = report["classes"][3]
    shares = [f"{three[key]:.2%}" for key in ("precision", "recall", "f1")]
    assert lines[head + 4].split() == ["3", str(three["images"]), str(three["correct"]), *shares]
    for line, name in zip(lines[head + 11 :], ("macro", "weighted"), strict=False):
        shares = [f"{report[name][key]:.2%}" for key in ("precision", "recall", "f1")]
        assert line.split() == [name, "average", *shares]
    matrix = lines.index("confusion matrix (row: the image's class, column: the network's answer)")
    assert lines[matrix + 1].split() == [str(i) for i in range(10)]
    assert lines[matrix + 4].replace(".", "0").split() == ["2", *map(str, report["confusion_matrix"][2])]
    assert lines[-1] == f"expected 50.00%, tolerance 1.00% (a book): kept with {report['accuracy']:.2%}"


def test_another_top_k(trained: RunFolder) -> None:
    report = result_of(trained.path, "--top", "2")
    assert report["accuracy"] < report["top_2_accuracy"] < result_of(trained.path)["top_5_accuracy"]
    assert f"top-2 accuracy  {report['top_2_accuracy']:.2%}" in run(trained.path, "--top", "2").stdout.splitlines()
    assert "top-" not in run(trained.path, "--top", "10").stdout  # of ten classes: always 100 %
    assert result_of(trained.path, "--top", "11")["top_11_accuracy"] == 1.0
    assert run(trained.path, "--top", "1").exit_code == 2


def test_a_broken_promise_is_reported_and_fails_only_on_demand(trained: RunFolder) -> None:
    broken = (trained.path, "--set", "expect.test_accuracy=1.0")
    assert run(*broken).exit_code == 0
    assert "NOT kept with " in run(*broken).stdout
    assert run(*broken, "--require-expected").exit_code == 1
    assert run(trained.path, "--require-expected").exit_code == 0


def test_a_promise_is_kept_down_to_the_tolerance(trained: RunFolder) -> None:
    accuracy = result_of(trained.path)["accuracy"]
    for promised, kept in ((accuracy + 0.01, True), (accuracy + 0.0101, False), (accuracy, True)):
        assert result_of(trained.path, "--set", f"expect.test_accuracy={promised}")["expected"]["kept"] == kept


def test_data_that_moved(trained: RunFolder, tmp_path: Path) -> None:
    write_data(tmp_path, digits())
    assert result_of(trained.path, "--set", f"data.path={tmp_path}/digits.npz") == result_of(trained.path)
    assert run(trained.path, "--set", "data.path=gone.npz").exit_code == 2


def test_float_images_for_a_network_trained_on_bytes(trained: RunFolder, tmp_path: Path) -> None:
    arrays = digits()
    floats = {key: (arrays[key] / 255).astype(np.float32) for key in ("x_train", "x_test")}
    write_data(tmp_path, arrays | floats)
    report = result_of(trained.path, "--set", f"data.path={tmp_path}/digits.npz")
    assert report["confusion_matrix"] == result_of(trained.path)["confusion_matrix"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a run folder or a checkpoint, or --config FILE (or --recipe NAME) with"),
        (["--config", "x"], "give a run folder or a checkpoint, or --config FILE (or --recipe NAME) with"),
        (["x", "--config", "x"], "give either RUN_OR_CHECKPOINT or --config with --checkpoint, not both"),
        (["x", "--split", "train", "--require-expected"], "--require-expected is about the test split"),
        (["nowhere"], "nowhere: there is no such run folder or checkpoint"),
        (["RUN", "--set", "expect=null", "--require-expected"], "has no expect: block"),
        (["RUN", "--set", "data.validation=0", "--split", "validation"], "this data has no validation split"),
        (["RUN", "--set", "optimiser.sgd=1"], "optimiser"),
        (["RUN/metrics.csv"], "metrics.csv: is "),
        (["RUN/.."], "has no best.safetensors: this is no run folder"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(trained: RunFolder, arguments: list[str], message: str) -> None:
    result = run(*(argument.replace("RUN", str(trained.path)) for argument in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def fails(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    return result.stderr


def test_another_network(trained: RunFolder, tmp_path: Path) -> None:
    wider = write_config(tmp_path, network=[{"conv2d": {"filters": 3, "kernel_size": 3}}, {"dense": "classes"}])
    message = fails("--config", wider, "--checkpoint", trained.best)
    assert "does not fit the network of the given config:" in message
    smaller = write_config(tmp_path, network=[{"dense": "classes"}], data={"validation": 0})
    message = fails("--config", smaller, "--checkpoint", trained.best)
    assert f"{trained.best}: does not fit the network of the given config: it holds 1,490 numbers, 1,970 are" in message
    tall = write_config(tmp_path, network=[{"conv2d": {"filters": 2, "kernel_size": 3}}, {"max_pool2d": 2},
                                           {"dense": "classes"}])  # fmt: skip
    assert fails("--config", tall, "--checkpoint", trained.best).splitlines()[1:] == [
        "  2.dense.weight float32[10, 72] is missing",
        "  2.dense.bias float32[10] is missing",
        "  3.dense.bias float32[10] is unknown",
        "  3.dense.weight float32[10, 144] is unknown",
        "  0.conv2d.weight is float32[4, 1, 3, 3], expected float32[2, 1, 3, 3]",
        "  0.conv2d.bias is float32[4], expected float32[2]",
    ]


def test_a_truncated_checkpoint(trained: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(trained.best.read_bytes()[:-100])
    assert f"{path}: is truncated: it has " in fails(path)


def changed(trained: RunFolder, path: Path, tensors: dict[str, np.ndarray] | None = None, **metadata: Any) -> Path:
    """Write a copy of the checkpoint with other tensors or metadata."""
    original = read_checkpoint(trained.best)
    copy = original.metadata.model_copy(update=metadata)
    save_checkpoint(path, Checkpoint(copy, {**original.network, **(tensors or {})}))
    return path


def test_hostile_configs_inside_a_checkpoint(trained: RunFolder, tmp_path: Path) -> None:
    config = trained.config.read_text()
    cases = {
        "not yaml: [": "its config is wrong:",
        config.replace("filters: 4", "filters: 400000"): "does not fit the network of its own config: it holds 1,490",
        config.replace("filters: 4", "filters: 0"): "its config is wrong:",
        "a: &a [1, 1]\nb: [*a, *a]": "its config is wrong:",
    }
    for text, message in cases.items():
        assert message in fails(changed(trained, tmp_path / "bad.safetensors", config=text))


def test_wrong_input_shape_or_classes_inside_a_checkpoint(trained: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    assert "the network of its own config does not fit its images" in fails(
        changed(trained, path, input_shape=(1, 2, 2))
    )
    names = tuple("abcdefghij")
    assert "the network knows 10 classes (a, b, c, d, e, f, g, h, i, j), the data have 10 classes (0, 1, 2" in fails(
        changed(trained, path, class_names=names)
    )


def test_data_of_another_size(trained: RunFolder, tmp_path: Path) -> None:
    arrays = digits()
    write_data(tmp_path, arrays | {key: arrays[key][:, 1:] for key in ("x_train", "x_test")})
    message = fails(trained.path, "--set", f"data.path={tmp_path}/digits.npz")
    assert "the network takes images of 1x14x14, the data have 1x13x14" in message


def test_nan_in_a_checkpoint_is_a_warning_and_then_an_error(trained: RunFolder, tmp_path: Path) -> None:
    bias = np.full(10, np.nan, np.float32)
    path = changed(trained, tmp_path / "nan.safetensors", {"3.dense.bias": bias})
    result = run(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"warning: {path}: NaN or infinity in 3.dense.bias" in result.stderr
    assert f"the network gives NaN or infinity for {TEST} of {TEST} images (the first is image 0)" in result.stderr


def test_many_classes_list_the_most_frequent_confusions() -> None:
    from cnntrain.evaluation.evaluate import Evaluation
    from cnntrain.evaluation.metrics import ranks
    from cnntrain.evaluation.report import EvaluationReport

    labels = np.arange(30).repeat(2)
    logits = np.eye(30)[labels]
    logits[[10, 11, 20]] = np.eye(30)[[7, 7, 8]]
    names = tuple(f"class{i}" for i in range(30))
    text = EvaluationReport(
        "file", 1, "test", names, Evaluation(0.5, 30, labels, logits.argmax(axis=1), ranks(logits, labels)), None
    ).as_text()
    lines = text.splitlines()
    start = lines.index("most frequent confusions (--json has them all)")
    assert [line.split() for line in lines[start + 1 :]] == [
        ["class5", "taken", "for", "class7", "2", "times"],
        ["class10", "taken", "for", "class8", "1", "times"],
    ]
