"""A mean image on its whole way: from the data through the kernels into checkpoints and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import cnntrain
from cnntrain.data import Normalization
from cnntrain.errors import CheckpointError
from cnntrain.evaluation.restored import normalization_for, restore
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from tests.training.small import digits, resume, train, write_config

MEAN_IMAGE = {"mean_image": {"unit": False}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = write_config(tmp_path, data={"normalize": MEAN_IMAGE, "validation": 0}, train={"epochs": 1})
    return train(config, tmp_path / "run").path


def test_the_checkpoint_carries_it(run: Path) -> None:
    expected = digits()["x_train"].mean(axis=0, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(load_file(run / "best.safetensors")["data/mean_image"][0], expected)
    restored = restore(run / "best.safetensors", batch_size=4)
    normalization = normalization_for(restored, np.dtype(np.uint8))
    np.testing.assert_array_equal(normalization.mean[0], expected)
    assert normalization.unit == 1


def test_predictions_use_it(run: Path) -> None:
    images = digits()["x_test"]
    network = restore(run / "best.safetensors", batch_size=64).network
    mean = digits()["x_train"].mean(axis=0, dtype=np.float64)
    shifted = (images - mean)[:, None].astype(np.float32)
    none = Normalization(np.zeros(1, np.float32), np.ones(1, np.float32), 1.0)
    found = cnntrain.load(run).probabilities(images)
    logits = network.predict_logits(shifted, none).astype(np.float64)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cnntrain.load(run).probabilities(images / 255), found, rtol=1e-4, atol=1e-6)


def test_a_run_goes_on_with_it(run: Path, tmp_path: Path) -> None:
    longer = train(write_config(tmp_path, "b", data={"normalize": MEAN_IMAGE, "validation": 0}), tmp_path / "longer")
    resumed = resume(run, "train.epochs=2")
    one, other = read_checkpoint(resumed.last), read_checkpoint(longer.last)
    for name, value in one.network.items():
        np.testing.assert_array_equal(value, other.network[name])


def test_a_damaged_one_is_refused(run: Path) -> None:
    path = run / "best.safetensors"
    whole = read_checkpoint(path)
    assert whole.mean_image is not None
    for mean_image, message in (
        (None, "tensor data/mean_image is missing"),
        (whole.mean_image + 1, r"tensor data/mean_image float32\[1, 14, 14\] is not the one that was written"),
        (whole.mean_image[:, :7], r"tensor data/mean_image float32\[1, 7, 14\] is not the one that was written"),
    ):
        save_checkpoint(path, Checkpoint(whole.metadata, whole.network, mean_image=mean_image))
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(path)
