from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnntrain.config import load_config
from cnntrain.data import load_data
from cnntrain.errors import CheckpointError
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.verify.case import Case, case_of_checkpoint, case_of_config
from tests.training.small import digits, train, write_config, write_data


def refuse(text: str) -> None:
    raise AssertionError(f"unexpected warning: {text}")


def of_config(path: Path, *overrides: str, images: int = 20, seed: int = 1) -> Case:
    return case_of_config(path, overrides, images, seed, refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(write_config(folder), folder / "run", "train.epochs=1")
    return folder


def test_images_are_normalised_training_images(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    case = of_config(path)
    config = load_config(path)
    data = load_data(config.data, config.seed)
    mean, std = data.normalization.mean[:, None, None], data.normalization.std[:, None, None]
    everything = (np.asarray(data.train.images) / 255.0 - mean) / std
    assert (case.images.dtype, case.images.shape) == (np.float64, (20, 1, 14, 14))
    for image, label in zip(case.images, case.labels, strict=True):
        matches = np.flatnonzero(np.abs(everything - image).max(axis=(1, 2, 3)) < 1e-5)
        assert label in data.train.labels[matches]


def test_a_mean_image_is_subtracted_pixel_by_pixel(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    case = of_config(path, "data.normalize=mean_image", images=10_000)
    train = np.asarray(load_data(load_config(path).data, load_config(path).seed).train.images) / 255.0
    assert case.images.shape == train.shape  # all of them, in their order
    np.testing.assert_allclose(case.images, train - train.mean(axis=0), atol=1e-6)


def test_the_seed_chooses_the_images_and_not_the_network(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    first, same, other = of_config(path), of_config(path), of_config(path, seed=2)
    np.testing.assert_array_equal(first.images, same.images)
    assert not np.array_equal(first.images, other.images)
    for name, value in first.network.state().items():
        np.testing.assert_array_equal(value, other.network.state()[name])


def test_the_network_is_the_one_that_a_training_would_begin_with(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    network = of_config(path).network
    assert network.dtype == np.float64
    other = of_config(path, "seed=8").network
    assert not np.array_equal(network.parameters[0].value, other.parameters[0].value)
    rounded = {name: value.astype(np.float32) for name, value in network.state().items()}
    begun = read_checkpoint(train(path, tmp_path / "run", "train={steps: 1}", "optimizer.sgd.learning_rate=1e-30").last)
    for name, value in begun.network.items():
        np.testing.assert_allclose(value, rounded[name], rtol=0, atol=1e-30)


def test_all_images_if_there_are_few(tmp_path: Path) -> None:
    assert len(of_config(write_config(tmp_path), images=10_000).images) == 512 - 64


def test_a_checkpoint_brings_its_values(folder: Path) -> None:
    checkpoint = folder / "run" / "best.safetensors"
    case = case_of_checkpoint(checkpoint, (), 20, 1, refuse)
    assert case.name == str(checkpoint)
    assert case.network.dtype == np.float64
    for name, value in read_checkpoint(checkpoint).network.items():
        np.testing.assert_array_equal(case.network.state()[name], value)
    np.testing.assert_array_equal(case.images, of_config(folder / "digits.yaml").images)


def test_other_data_do_not_fit(folder: Path, tmp_path: Path) -> None:
    small = {name: value[:, :12, :12] if name.startswith("x") else value for name, value in digits().items()}
    write_data(tmp_path, small)
    with pytest.raises(CheckpointError, match="takes images of 1x14x14, the data have 1x12x12"):
        case_of_checkpoint(folder / "run" / "best.safetensors", [f"data.path={tmp_path / 'digits.npz'}"], 20, 1, refuse)
