"""Pictures for a trained network in whatever form one has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnntrain
from cnntrain.api import TrainedNetwork
from cnntrain.errors import ArgumentError, DataError
from cnntrain.evaluation.pictures import form_for
from cnntrain.evaluation.restored import restore
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.data.pictures import encoded
from tests.evaluation.photographed import picture, trained
from tests.training.small import train, write_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def network(run: RunFolder) -> TrainedNetwork:
    return cnntrain.load(run.path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encoded(picture("light", 60)))
    return tmp_path / "a.png"


def test_forms_of_one_picture(network: TrainedNetwork, path: Path) -> None:
    pixels = picture("light", 60)
    expected = network.probabilities(path)
    assert expected.shape == (2,)
    assert network.predict(path) == 1
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    for form in (str(path), Image.open(path), Image.fromarray(pixels), pixels, np.asfortranarray(pixels), alpha):
        np.testing.assert_array_equal(network.probabilities(form), expected)
        np.testing.assert_array_equal(network.probabilities([form]), expected[None])
        assert network.predict([form, form]).tolist() == [1, 1]


def test_several_of_different_kinds(network: TrainedNetwork, path: Path) -> None:
    other = picture("dark", 61)
    mixed: list[Any] = [path, other, Image.fromarray(other), str(path), picture("light", 60)]
    result = network.probabilities(mixed)
    np.testing.assert_array_equal(result, np.stack([network.probabilities(each) for each in mixed]))
    assert network.predict([other, picture("light", 60)]).tolist() == [0, 1]
    assert network.predict(np.stack([other, other])).tolist() == [0, 0]


def test_images_of_the_networks_own_size(network: TrainedNetwork) -> None:
    image = np.random.default_rng(1).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    first = np.ascontiguousarray(image.transpose(2, 0, 1))
    expected = network.probabilities(first[None])
    for one in (first, image, Image.fromarray(image)):
        np.testing.assert_array_equal(network.probabilities(one), expected[0])
    np.testing.assert_array_equal(network.probabilities(image[None]), expected)
    np.testing.assert_allclose(network.probabilities(image / 255), expected[0], rtol=1e-4, atol=1e-6)


def test_modes(network: TrainedNetwork) -> None:
    grey = Image.fromarray(picture("light", 62, 1)[:, :, 0])
    expected = network.probabilities(grey)
    np.testing.assert_array_equal(network.probabilities(grey.convert("RGB")), expected)
    np.testing.assert_array_equal(network.probabilities(np.asarray(grey)), expected)
    np.testing.assert_array_equal(network.probabilities(np.asarray(grey)[:, :, None]), expected)
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    background = Image.new("RGB", (20, 20), (10, 200, 30))  # the config's
    np.testing.assert_array_equal(network.probabilities(clear), network.probabilities(background))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ("gone\x1b.png", DataError, r"gone\\x1b\.png: no such file"),
        (Path("a\0b"), DataError, r"a\\x00b: is no name of a file"),
        (["gone.png", np.zeros((3, 3, 3), np.uint8)], DataError, r"gone\.png: no such file"),
        (np.zeros((20, 20, 3)), ArgumentError, r"in uint8, got \(20, 20, 3\) in float64"),
        (np.zeros((20, 20, 5), np.uint8), ArgumentError, r"got \(20, 20, 5\) in uint8"),
        (np.zeros((0, 20, 3), np.uint8), ArgumentError, r"got \(0, 20, 3\)"),
        (Image.new("F", (9, 9)), ArgumentError, "image 0: has floating-point pixels"),
        (Image.new("I;16", (9, 9)), ArgumentError, "image 0: has more than 8 bits per pixel"),
        ([Image.new("L", (9, 9)), np.zeros((2, 3, 14, 14), np.uint8)], ArgumentError, "image 1: among several images"),
        ([Image.new("L", (9, 9)), 7], ArgumentError, r"images must have shape \(N, 3, 14, 14\), or"),
    ],
)
def test_wrong_pictures(network: TrainedNetwork, images: Any, error: type[Exception], message: str) -> None:
    for function in (network.predict, network.probabilities):
        with pytest.raises(error, match=message):
            function(images)


def test_a_damaged_file_is_named(network: TrainedNetwork, path: Path) -> None:
    (path.parent / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.png: is no image in a known format"):
        network.predict([path, path.parent / "bad.png"])


def test_a_network_of_other_data_takes_pictures_too(tmp_path: Path) -> None:
    run = train(write_config(tmp_path), tmp_path / "run")
    network = cnntrain.load(run.path)
    image = Image.fromarray(np.full((28, 28), 99, np.uint8))
    assert network.predict(image) == network.predict(np.full((14, 14), 99, np.uint8))
    assert network.probabilities(image.convert("RGB")).shape == (10,)


def test_checkpoints_of_before_stretch_as_they_did(run: RunFolder, tmp_path: Path) -> None:
    original = read_checkpoint(run.best)
    lines = [line for line in original.metadata.config.splitlines() if "fit:" not in line and " test:" not in line]
    assert len(lines) < len(original.metadata.config.splitlines())
    metadata = original.metadata.model_copy(update={"config": "\n".join(lines) + "\n"})
    save_checkpoint(tmp_path / "old", Checkpoint(metadata, original.network))
    assert form_for(restore(run.best, batch_size=1)).fit == "pad"
    assert form_for(restore(tmp_path / "old", batch_size=1)).fit == "stretch"
