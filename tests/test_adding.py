"""Adding a thing is one file and one line in a list: the files lie in `tests/adding/`, the lines are in `LINES`.

Nothing else in the package knows of them, and yet configs can name them, training uses them, checkpoints keep what they
keep, and help, reference page and JSON schema list them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

import cnntrain.cli
from cnntrain.augmentations import AUGMENTATIONS
from cnntrain.bench.subject import subject_of_config
from cnntrain.cli import COMMANDS, main
from cnntrain.config.reference import reference
from cnntrain.config.schema import json_schema
from cnntrain.data import SOURCES, describe
from cnntrain.data.npz import Npz
from cnntrain.data.published import PublishedData, PublishedFile
from cnntrain.initializers import INITIALIZERS
from cnntrain.losses import LOSSES
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.passes.convolution import FORWARD, TO_INPUT
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint
from cnntrain.schedules import SCHEDULES
from tests.adding.halving import Halving
from tests.adding.negative import Negative
from tests.adding.pointwise import Pointwise
from tests.adding.quartic import Quartic
from tests.adding.ramp import Ramp
from tests.adding.rows_of_text import RowsOfText
from tests.adding.signum import Signum
from tests.adding.stripes import Stripes
from tests.data.files import MNIST_FILES, idx, settings
from tests.training.small import resume, train

LINES: list[tuple[dict[str, Any], Any]] = [
    (SOURCES, Stripes),
    (SOURCES, RowsOfText),
    (AUGMENTATIONS, Negative),
    (INITIALIZERS, Ramp),
    (LOSSES, Quartic),
    (OPTIMIZERS, Signum),
    (SCHEDULES, Halving),
]
CONFIG: dict[str, Any] = {
    "data": {"source": "stripes", "normalize": "unit", "augment": [{"negative": 1.0}]},
    "network": [{"dense": {"units": "classes", "weight_init": {"ramp": 0.1}}}],
    "loss": {"quartic": 2.0},
    "optimizer": {"signum": {"learning_rate": 0.01, "momentum": 0.5}},
    "schedule": {"halving": 1},
    "train": {"epochs": 3, "batch_size": 40},
}
TRAIN, TEST = 40, 10


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for registry, thing in LINES:
        monkeypatch.setitem(registry, thing.name, thing)
    monkeypatch.setitem(COMMANDS, "count", "Count the images of a config's data.")
    folder = Path(__file__).parent / "adding" / "cli"
    monkeypatch.setattr(cnntrain.cli, "__path__", [*cnntrain.cli.__path__, str(folder)])
    yield
    sys.modules.pop("cnntrain.cli.count", None)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def stripes(first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images (count, 6, 5) and labels."""
    labels = np.arange(first, first + count) % 10
    image, row, column = np.arange(first, first + count)[:, None, None], np.arange(6)[:, None], np.arange(5)
    return (7 * image + 41 * row + 23 * column * (1 + labels[:, None, None])) % 251, labels


def write_stripes(folder: Path) -> Path:
    folder.mkdir()
    for name, values in zip(MNIST_FILES, [*stripes(0, TRAIN), *stripes(TRAIN, TEST)], strict=True):
        (folder / name).write_bytes(idx(values))
    return folder


def write_config(folder: Path, **changes: Any) -> Path:
    data = {**CONFIG["data"], "path": str(folder / "stripes"), **changes.pop("data", {})}
    path = folder / "stripes.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes, "data": data}))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Somewhere on the web: its address, and its folder."""
    folder = tmp_path_factory.mktemp("web")
    write_stripes(folder / "good")

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", folder
        running.shutdown()
        thread.join()


def tensors(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    return {**checkpoint.network, **{f"optimizer {name}": value for name, value in checkpoint.optimizer.items()}}


def test_all_of_them_in_one_training(tmp_path: Path) -> None:
    """The weights after three steps on all images are those of the formulas, in float64."""
    write_stripes(tmp_path / "stripes")
    checkpoint = read_checkpoint(train(write_config(tmp_path), tmp_path / "run").last)
    images, labels = stripes(0, TRAIN)
    x = (255 - images.reshape(TRAIN, -1)) / 255
    weight, bias = np.linspace(-0.1, 0.1, 300).reshape(10, 30), np.zeros(10)
    velocities = np.zeros_like(weight), np.zeros_like(bias)
    for step in range(3):
        difference = x @ weight.T + bias - np.eye(10)[labels]
        grad_output = 2.0 * difference**3 / TRAIN
        for parameter, gradient, velocity in zip(
            (weight, bias), (grad_output.T @ x, grad_output.sum(axis=0)), velocities, strict=True
        ):
            velocity[:] = 0.5 * velocity + gradient
            assert np.abs(velocity).min() > 1e-6, "signs are beyond doubt"
            parameter -= 0.01 * 0.5**step * np.sign(velocity)
    np.testing.assert_allclose(checkpoint.network["0.dense.weight"], weight, atol=1e-6)
    np.testing.assert_allclose(checkpoint.network["0.dense.bias"], bias, atol=1e-6)
    np.testing.assert_allclose(checkpoint.optimizer["velocity/0.dense.weight"], velocities[0], rtol=1e-4, atol=1e-6)
    assert checkpoint.metadata.class_names == Stripes.published.class_names


def test_a_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes")
    config = write_config(tmp_path, train={"epochs": 3, "batch_size": 16}, data={"augment": ["negative"]})
    whole = read_checkpoint(train(config, tmp_path / "whole").last)
    train(config, tmp_path / "part", "train.epochs=1")
    part = read_checkpoint(resume(tmp_path / "part", "train.epochs=3").last)
    assert tensors(whole).keys() == tensors(part).keys() >= {"optimizer velocity/0.dense.weight"}
    for name, value in tensors(whole).items():
        np.testing.assert_array_equal(value, tensors(part)[name], err_msg=name)


def test_the_gradient_check_follows(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes")
    result = run("gradcheck", "--config", write_config(tmp_path), "--json")
    assert (result.exit_code, json.loads(result.stdout)["passed"]) == (0, True)


def test_check_knows_their_keys(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes")
    result = run("check", "--config", write_config(tmp_path), "--json")
    assert (result.exit_code, json.loads(result.stdout)["parameters"]) == (0, 310)
    wrong = write_config(
        tmp_path,
        loss={"quartic": {"skale": 2.0}},
        optimizer={"signum": {"learning_rate": 0.1, "momentum": 1}},
        schedule="halving",
        data={"augment": [{"negative": 2}]},
    )
    message = run("check", "--config", wrong).stderr
    assert 'unknown key "skale" in loss.quartic; did you mean scale? (known: scale)' in message
    assert "optimizer.signum.momentum must be less than 1" in message
    assert "schedule.halving.every_epochs is missing" in message
    assert "data.augment.0.negative must be at most 1; received 2" in message


def test_reference_page_and_json_schema_list_them(tmp_path: Path) -> None:
    page, schema = reference(), json_schema()
    for _, thing in LINES:
        assert f"### `{thing.name}`\n\n{thing.__doc__}" in page
    assert "| `momentum` | number ≥ 0 and < 1 | `0.0` | Share of the velocity that a step keeps. |" in page
    validator = Draft202012Validator(schema)
    config = {**CONFIG, "data": {**CONFIG["data"], "path": "x"}}
    assert validator.is_valid(config)
    assert not validator.is_valid({**config, "schedule": {"halving": 0}})


def test_a_published_data_set_can_be_fetched(tmp_path: Path, server: tuple[str, Path]) -> None:
    assert "stripes" in run("data", "download", "--help").stdout
    missing = run("check", "--config", write_config(tmp_path)).stderr
    assert "fetch the data with: cnntrain data download stripes" in missing
    result = run("data", "download", "stripes", "--to", tmp_path / "stripes", "--mirror", f"{server[0]}/good")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'stripes'}\n")
    assert run("check", "--config", write_config(tmp_path)).exit_code == 0
    image = tmp_path / "stripes" / "t10k-images-idx3-ubyte"
    image.write_bytes(image.read_bytes()[:-1] + b"\0")
    result = run("data", "download", "stripes", "--to", tmp_path / "stripes")
    assert result.exit_code == 2
    assert f"{image}: there is such a file, but it is not the published one" in result.stderr


def test_the_size_of_published_images_is_known_without_them(tmp_path: Path) -> None:
    network = subject_of_config(write_config(tmp_path)).network
    assert (network.input_shape, network.output_shape) == ((1, 6, 5), (10, 1, 1))


def test_a_published_data_set_in_one_npz_file(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, web = server
    (x_train, y_train), (x_test, y_test) = stripes(0, TRAIN), stripes(TRAIN, TEST)
    pixels = x_train.astype(np.uint8), x_test.astype(np.uint8)
    np.savez(web / "bars.npz", allow_pickle=False, x_train=pixels[0], y_train=y_train, x_test=pixels[1], y_test=y_test)
    content = (web / "bars.npz").read_bytes()

    class Bars(Npz):
        """The same in an archive."""

        name = "bars"
        published = PublishedData(
            files=(PublishedFile("bars.npz", len(content), hashlib.md5(content).hexdigest()),),
            mirrors=(f"{address}/",),
            image_shape=(1, 6, 5),
            class_names=Stripes.published.class_names,
        )

    monkeypatch.setitem(SOURCES, "bars", Bars)
    assert run("data", "download", "bars", "--to", tmp_path).exit_code == 0
    assert describe(settings(source="bars", path=tmp_path / "bars.npz")) == ((1, 6, 5), 10)


def test_a_format_of_data(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"source": "rows_of_text", "path": str(tmp_path), "augment": []})
    assert f"{tmp_path / 'train.txt'}: no such file" in run("check", "--config", config).stderr
    (tmp_path / "train.txt").write_text("0 .. .. .#\n1 ## ## #.\n1 .# ## ##\n0 .. .# .#\n")
    (tmp_path / "test.txt").write_text("1 ## .# ##\n")
    checked = json.loads(run("check", "--config", config, "--json").stdout)
    assert (checked["input_shape"], checked["classes"], checked["parameters"]) == ([1, 3, 2], 2, 14)
    seen = json.loads(run("data", "inspect", "--config", config, "--json").stdout)
    assert (seen["classes"], seen["mean"]) == ({"light": 2, "dark": 2}, [255 * 11 / 24])
    wrong = run("data", "inspect", "--config", config, "--set", "data.class_names=[only]")
    assert "train.txt: label 1 (of image 1, counted from 0) is out of range" in wrong.stderr


def test_a_command(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes")
    assert "  count      Count the images of a config's data." in run("--help").stdout
    assert run("count", "--config", write_config(tmp_path), "--set", "data.validation=10").stdout == "30\n"
    assert run("count", "--config", tmp_path / "gone.yaml").exit_code == 2


POINTWISE: list[dict[str, Any]] = [
    {"conv2d": {"filters": 4, "kernel_size": 1}},
    {"conv2d": {"filters": 3, "kernel_size": 1, "mode": "convolution"}},
    {"conv2d": {"filters": 3, "kernel_size": 3, "padding": 1}},
    {"dense": "classes"},
]


@contextmanager
def listed() -> Iterator[None]:
    """Add the algorithm to its lists, for a while."""
    for algorithms in (FORWARD, TO_INPUT):
        algorithms.insert(0, Pointwise)
    yield
    for algorithms in (FORWARD, TO_INPUT):
        algorithms.remove(Pointwise)


def test_an_algorithm_of_a_convolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First in its lists, it computes what it can, says why not the rest, and a training gives the same."""
    write_stripes(tmp_path / "stripes")
    config = write_config(tmp_path, network=POINTWISE, optimizer={"sgd": 0.05}, loss="cross_entropy")
    expected = tensors(read_checkpoint(train(config, tmp_path / "without").last))
    calls, original = [], Pointwise.__call__

    def count(self: Pointwise, *arguments: Any) -> None:
        calls.append(arguments)
        original(self, *arguments)

    monkeypatch.setattr(Pointwise, "__call__", count)
    with listed():
        explained = run("check", "--config", config, "--explain", "--json")
        received = tensors(read_checkpoint(train(config, tmp_path / "with").last))
        shapes = run("bench", "--shapes", "1,1,2x2,1,1,1,1", "--only", "forward=pointwise")
    passes = json.loads(explained.stdout)["explanation"]["passes"]
    found = {(one["layer"][0], one["pass"]): one for one in passes}
    algorithms = {key: one["algorithm"] for key, one in found.items() if key[1] != "to weights"}
    assert algorithms == {
        ("0", "forward"): "direct",
        ("0", "to input"): None,
        ("1", "forward"): "pointwise",
        ("1", "to input"): "pointwise",
        ("2", "forward"): "direct",
        ("2", "to input"): "direct",
        ("3", "forward"): "matrix product",
        ("3", "to input"): "matrix product",
    }
    assert found["0", "forward"]["refusals"]["pointwise"] == "only 1 channels"
    reason = "windows are more than a pixel of the image each, or leave some out"
    assert found["2", "to input"]["refusals"]["pointwise"] == reason
    assert len(calls) >= 3 * 2, "in each of three steps forward and backward"
    assert received.keys() == expected.keys()
    for name, value in received.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert (shapes.exit_code, shapes.stdout) == (2, "")
    assert shapes.stderr == f'--only "forward=pointwise": cannot compute "1,1,2x2,1,1,1,1": {reason}\n'
