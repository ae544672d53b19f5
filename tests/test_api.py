from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnntrain
from cnntrain.api import TrainedNetwork
from cnntrain.errors import ArgumentError, CheckpointError, RunFolderError
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.training.small import digits, train, write_config, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("trained")
    return train(write_config(path, train={"epochs": 4}), path / "run")


@pytest.fixture(scope="module")
def network(folder: RunFolder) -> TrainedNetwork:
    return cnntrain.load(folder.path)


def test_the_version_is_that_of_the_project() -> None:
    lines = (Path(__file__).parents[1] / "pyproject.toml").read_text().splitlines()
    assert f'version = "{cnntrain.__version__}"' in lines


def test_what_it_knows(network: TrainedNetwork) -> None:
    assert network.class_names == [str(i) for i in range(10)]
    assert network.input_shape == (1, 14, 14)
    assert network.config.name == "digits"


def test_predictions_are_those_that_eval_counts(network: TrainedNetwork) -> None:
    predicted = network.predict(digits()["x_test"])
    assert predicted.dtype == np.int64
    assert (predicted == digits()["y_test"]).mean() > 0.5
    probabilities = network.probabilities(digits()["x_test"])
    assert probabilities.shape == (128, 10)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), predicted)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    assert probabilities.min() >= 0


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 64, 65])
def test_any_number_of_images(network: TrainedNetwork, count: int) -> None:
    images = digits()["x_test"]
    np.testing.assert_array_equal(network.probabilities(images[:count]), network.probabilities(images)[:count])
    assert network.predict(images[:count]).shape == (count,)


def test_equivalent_forms_of_images(network: TrainedNetwork) -> None:
    images = digits()["x_test"]
    expected = network.probabilities(images)
    np.testing.assert_array_equal(network.probabilities(images[:, None]), expected)
    np.testing.assert_array_equal(network.probabilities(np.asfortranarray(images)), expected)
    np.testing.assert_array_equal(network.probabilities(images[::-1]), expected[::-1])
    np.testing.assert_array_equal(network.probabilities(images.tolist()[:0] or images), expected)
    for kind in (np.float32, np.float64):
        np.testing.assert_allclose(network.probabilities((images / 255).astype(kind)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((5, 13), np.float32),
            r"shape \(N, 1, 14, 14\) or \(N, 14, 14\), or \(rows, columns, 3\) in uint8, got \(5, 13\) in float32",
        ),
        (np.zeros((5, 14, 13), np.uint8), r"got \(5, 1, 14, 13\)"),
        (np.zeros((5, 3, 14, 14), np.uint8), r"got \(5, 3, 14, 14\)"),
        (np.zeros(3), r"got \(3,\)"),
        (np.zeros((5, 14, 14), np.int64), "must be uint8, float32 or float64, got int64"),
        (np.zeros((5, 14, 14), np.float16), "must be uint8, float32 or float64, got float16"),
        (np.zeros((5, 14, 14), object), "must be uint8, float32 or float64, got object"),
        (np.full((5, 14, 14), 255.0), "must be on the scale 0..1, got values up to 255: divide by 255, or pass uint8"),
        ([[1, 2], [3]], "images must be one array; NumPy says: "),
    ],
)
def test_wrong_arrays(network: TrainedNetwork, images: Any, message: str) -> None:
    for function in (network.predict, network.probabilities):
        with pytest.raises(ArgumentError, match=message):
            function(images)


def test_one_image_has_a_result_of_its_own(network: TrainedNetwork) -> None:
    images = digits()["x_test"]
    rows, labels = network.probabilities(images), network.predict(images)
    for one in (images[5], images[5][None][0], images[5].astype(np.float32) / 255):
        assert network.predict(one) == labels[5]
        assert network.probabilities(one).shape == (10,)
        np.testing.assert_allclose(network.probabilities(one), rows[5], rtol=1e-4, atol=1e-6)
    assert type(network.predict(images[5])) is int
    np.testing.assert_array_equal(network.probabilities(images[5]), rows[5])
    assert network.predict(images[:1]).shape == (1,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_image_is_named(network: TrainedNetwork, value: float) -> None:
    images = np.zeros((5, 14, 14), np.float32)
    images[3, 2, 1] = value
    with pytest.raises(ArgumentError, match="1 of 5 images hold NaN or infinity; the first is image 3"):
        network.predict(images)


def test_a_network_trained_on_floats(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    arrays = digits()
    write_data(tmp_path, arrays | {key: (arrays[key] * 4.0).astype(np.float32) for key in ("x_train", "x_test")})
    network = cnntrain.load(str(train(config, tmp_path / "run").best))
    assert network.predict(arrays["x_test"] * np.float32(4)).shape == (128,)
    with pytest.raises(ArgumentError, match=r"was trained on float images: convert these \(uint8\) to float32"):
        network.predict(arrays["x_test"])


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="nowhere: there is no such run folder or checkpoint"):
        cnntrain.load(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=r"has no best\.safetensors: this is no run folder"):
        cnntrain.load(tmp_path)


def test_a_network_with_nan_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    original = read_checkpoint(folder.best)
    bias = np.full(10, np.nan, np.float32)
    save_checkpoint(tmp_path / "nan", Checkpoint(original.metadata, {**original.network, "3.dense.bias": bias}))
    with pytest.raises(CheckpointError, match=r"nan: NaN or infinity in 3\.dense\.bias"), warnings.catch_warnings():
        cnntrain.load(tmp_path / "nan")
