from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntrain.data import load_data
from cnntrain.errors import ArgumentError, CheckpointError, DataError
from cnntrain.explain.example import Example, example_of
from cnntrain.explain.pictures import Wanted
from cnntrain.runs.checkpoint import read_checkpoint
from tests.training.small import STEPS, digits, train, write_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    train(write_config(folder), folder / "run", "train.epochs=1")
    return folder


def refuse(text: str) -> None:
    raise AssertionError(f"unexpected warning: {text}")


def of_config(folder: Path, *overrides: str, **wanted: object) -> Example:
    path = folder / "digits.yaml"
    return example_of(path, from_config=True, wanted=Wanted(**wanted), overrides=overrides, warn=refuse)  # type: ignore[arg-type]


def of_run(path: Path, *overrides: str, **wanted: object) -> Example:
    return example_of(path, from_config=False, wanted=Wanted(**wanted), overrides=overrides, warn=refuse)  # type: ignore[arg-type]


def test_images_of_a_split_with_their_labels(folder: Path) -> None:
    example = of_config(folder, index=5, images=3)
    np.testing.assert_array_equal(example.stored[:, 0], digits()["x_test"][5:8])
    np.testing.assert_array_equal(example.labels, digits()["y_test"][5:8])
    assert example.title == "images 5 to 7 of the test split"
    scale = example.normalization
    by_hand = (example.stored / 255.0 - float(scale.mean[0])) / float(scale.std[0])
    np.testing.assert_allclose(example.images, by_hand, atol=1e-5)
    assert (example.step, example.learning_rate, example.notes) == (0, 0.05, ())


def test_the_trace_changes_neither_network_nor_optimiser(folder: Path) -> None:
    example = of_run(folder / "run")
    before, state = example.network.state(), example.optimizer.state()
    first, second = example.trace(), example.trace()
    assert first.loss == second.loss
    for name, value in example.network.state().items():
        np.testing.assert_array_equal(value, before[name])
    for name, value in example.optimizer.state().items():
        np.testing.assert_array_equal(value, state[name])
    assert state["steps"].tolist() == [STEPS]


def test_a_config_begins_as_a_training_would(folder: Path) -> None:
    """With the weights of `init`, and with class weights in numbers."""
    last = read_checkpoint(folder / "run" / "best.safetensors").network
    example = of_config(folder, f"init={{from: {folder / 'run'}}}")
    for name, value in example.network.state().items():
        np.testing.assert_array_equal(value, last[name])
    assert example.notes[0].startswith(f"init: {len(last)} of {len(last)} tensors are those of")
    counts = np.bincount(load_data(example.config.data, example.config.seed).train.labels)
    plain, weighted = (
        of_config(folder, images=20),
        of_config(folder, "loss={cross_entropy: {class_weights: balanced}}", images=20),
    )
    labels, (first, second) = plain.labels, (plain.trace(), weighted.trace())
    weights = (counts.sum() / (len(counts) * counts))[labels]
    expected = first.grad_logits * (weights * len(labels) / weights.sum())[:, None]
    np.testing.assert_allclose(second.grad_logits, expected, rtol=1e-9, atol=1e-15)
    assert np.ptp(weights) > 0


def test_a_run_goes_on_where_it_stopped(folder: Path) -> None:
    example = of_run(folder / "run", "train.epochs=2")
    last = read_checkpoint(folder / "run" / "last.safetensors")
    for name, value in last.network.items():
        np.testing.assert_array_equal(example.network.state()[name], value)
    for name, value in last.optimizer.items():
        np.testing.assert_array_equal(example.optimizer.state()[name], value)
    assert np.abs(example.optimizer.state()["velocity/0.conv2d.weight"]).max() > 0
    assert (example.step, example.origin) == (STEPS, f"after epoch 1 (step {STEPS})")
    assert example.notes == ()


def test_a_run_that_is_over_says_so(folder: Path) -> None:
    assert of_run(folder / "run").notes == (
        f"the training is over: the step shown has the learning rate of the last, step {STEPS - 1}",
    )


def test_a_checkpoint_without_the_optimiser_says_so(folder: Path) -> None:
    example = of_run(folder / "run" / "best.safetensors")
    assert example.notes[0] == "best.safetensors holds no state of the optimiser: its step begins anew"
    assert not example.optimizer.state()["velocity/0.conv2d.weight"].any()


def test_a_file_needs_no_data(folder: Path, tmp_path: Path) -> None:
    picture = digits()["x_test"][3]
    Image.fromarray(picture).resize((28, 28), Image.Resampling.NEAREST).save(tmp_path / "photo.png")
    example = of_run(folder / "run", "data.path=nowhere.npz", file=tmp_path / "photo.png")
    assert example.stored.shape == (1, 1, 14, 14)
    assert np.abs(example.stored[0, 0].astype(int) - picture).mean() < 16  # smoothed, not another picture
    made = example.trace()
    assert example.labels.tolist() == [made.logits[0].argmax()]
    assert any("as nobody said" in note for note in example.notes)
    named = of_run(folder / "run", "data.path=nowhere.npz", file=tmp_path / "photo.png", label="3")
    assert named.labels.tolist() == [3]


def test_what_cannot_be_shown(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="index 128: the test split has 128 images, 0 to 127"):
        of_config(folder, index=128)
    with pytest.raises(ArgumentError, match="3 images from index 126 on: the test split has 128 images"):
        of_config(folder, index=126, images=3)
    with pytest.raises(ArgumentError, match="1 to 256 images"):
        of_config(folder, images=0)
    with pytest.raises(ArgumentError, match=r'no class "seven" \(known: 0, 1'):
        of_config(folder, label="seven")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="text.png: is no image in a known format"):
        of_config(folder, file=tmp_path / "text.png")
    with pytest.raises(DataError, match="nothing.png: cannot be read: No such file"):
        of_config(folder, file=tmp_path / "nothing.png")
    with pytest.raises(CheckpointError, match="does not fit the network of its own config"):
        of_run(folder / "run", "network=[{conv2d: {filters: 5, kernel_size: 3}}, dense: classes]")


def test_one_value_per_channel_has_no_spread(folder: Path) -> None:
    layers = "network=[global_avg_pool2d, batch_norm2d, dense: classes]"
    training = "batch_norm2d as in training: what the network says may differ from `eval`'s answer"
    assert of_config(folder, layers).notes == (
        "1.batch_norm2d: one value per channel has no spread, the output is the shift alone: try --images 16",
        training,
    )
    assert of_config(folder, layers, images=2).notes == (training,)
