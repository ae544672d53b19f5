"""What records are made of, at work in a run: Lookahead, Muon, drop_last, whitening, views, rates that end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import cnntrain
from cnntrain.cli import main
from cnntrain.config import load_config
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.evaluation.pictures import probabilities_of
from cnntrain.runs.checkpoint import read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.training.find_rate import find_rate
from cnntrain.training.setup import Training, build_training
from tests.training.small import STEPS, resume, rows, same_files, train, write_config

NETWORK: list[Any] = [
    {"conv2d": {"filters": 4, "kernel_size": 3, "weight_init": "whitening", "weight_learning_rate": 0}},
    {"batch_norm2d": {"scale": False}},
    "tanh",
    {"max_pool2d": 2},
    {"dense": "classes"},
]
LOOKAHEAD = {"every": 4, "keep": 0.6, "power": 1, "start_epochs": 0.5}
SGD = {"sgd": {"learning_rate": 0.05, "momentum": 0.9, "lookahead": LOOKAHEAD}}
MUON = {"muon": {"learning_rate": 0.05, "normalize": True, "others": {"learning_rate": 0.02}, "lookahead": LOOKAHEAD}}


def configured(folder: Path, name: str = "digits", *, optimizer: Any = None, **changes: Any) -> Path:
    path = write_config(folder, name, **changes)
    if optimizer is not None:
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"optimizer": optimizer}))
    return path


def built(config: Path, *overrides: str) -> Training:
    return build_training(load_config(config, overrides), pytest.fail)


def json_of(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("optimizer", [SGD, MUON], ids=["sgd", "muon"])
def test_a_run_that_was_stopped_inside_an_epoch_ends_with_the_same_bits(tmp_path: Path, optimizer: Any) -> None:
    """A checkpoint after step 10 of 28, between two steps of the slow weights and before they begin."""
    changes: dict[str, Any] = {"network": NETWORK, "checkpoint": {"every": "5 steps", "keep": None}}
    config = configured(tmp_path, optimizer=optimizer, **changes)
    straight = train(config, tmp_path / "straight")
    for step in (5, 10, 20):
        again = RunFolder(tmp_path / f"again{step}")
        again.path.mkdir()
        again.config.write_bytes(straight.config.read_bytes())
        again.at_step(step).write_bytes(straight.at_step(step).read_bytes())
        resume(again.path)
        one, other = read_checkpoint(again.last), read_checkpoint(straight.last)
        for ours, theirs in ((one.network, other.network), (one.optimizer, other.optimizer)):
            assert {k: v.tobytes() for k, v in ours.items()} == {k: v.tobytes() for k, v in theirs.items()}


def test_a_run_goes_on_to_the_same_files(tmp_path: Path) -> None:
    config = configured(tmp_path, optimizer={"sgd": {"learning_rate": 0.05, "lookahead": {}}}, network=NETWORK)
    straight = train(config, tmp_path / "straight", "train.epochs=3")
    folder = train(config, tmp_path / "run", "train.epochs=1")
    resume(folder.path, "train.epochs=3")
    assert same_files(folder, straight)


def test_where_an_epoch_ends_the_weights_are_the_slow_ones(tmp_path: Path) -> None:
    folder = train(configured(tmp_path, optimizer=SGD, network=NETWORK), tmp_path / "run")
    last = read_checkpoint(folder.last)
    slow = {name.removeprefix("slow/"): value for name, value in last.optimizer.items() if name.startswith("slow/")}
    moving = set(last.network) - {"0.conv2d.weight"}  # which stays: its rate is 0
    assert set(slow) == moving
    for name in moving:
        np.testing.assert_array_equal(slow[name], last.network[name], err_msg=name)
    assert "1.batch_norm2d.running_mean" in moving


def test_a_hostile_slow_weight(tmp_path: Path) -> None:
    folder = train(configured(tmp_path, optimizer=SGD, network=NETWORK), tmp_path / "run", "train.epochs=1")
    last = read_checkpoint(folder.last)
    name = "slow/1.batch_norm2d.running_mean"
    changed = {**last.optimizer, name: np.zeros(3, np.float32)}
    save_checkpoint(folder.last, type(last)(last.metadata, last.network, changed))
    with pytest.raises(CheckpointError, match=r"slow/1.batch_norm2d.running_mean is float32\[3\], expected float32\[4"):
        resume(folder.path, "train.epochs=2")


def test_find_rate_takes_no_lookahead(tmp_path: Path) -> None:
    plain, slow = {"sgd": {"learning_rate": 0.05}}, {"sgd": {"learning_rate": 0.05, "lookahead": {"every": 1}}}
    losses = [
        [point.loss for point in find_rate(built(configured(tmp_path, optimizer=each)), 1e-3, 1e-2, 4).points]
        for each in (plain, slow)
    ]
    assert losses[0] == losses[1]


def test_the_short_batch_of_an_epoch_is_dropped(tmp_path: Path) -> None:
    """448 images in batches of 30: 14 steps, and 28 images left out, in each epoch others."""
    config = configured(tmp_path, train={"batch_size": 30, "drop_last": True, "log": ["csv", "jsonl"]})
    training = built(config)
    assert (training.steps_per_epoch, training.images_per_epoch, training.total_steps) == (14, 420, 28)
    folder = train(config, tmp_path / "run")
    steps = [json.loads(line) for line in (folder.path / "log.jsonl").read_text().splitlines()]
    assert [each["images"] for each in steps if each["kind"] == "step"] == [30] * 28
    assert [int(row["step"]) for row in rows(folder)] == [14, 28]
    assert built(config, "train.drop_last=false").steps_per_epoch == 15
    assert built(config, "train.batch_size=448").steps_per_epoch == 1  # what is whole stays
    assert built(config, "train.batch_size=5000").steps_per_epoch == 1


def test_a_rate_that_ends(tmp_path: Path) -> None:
    """The bias of the first layer learns for an epoch, the weights of the last for half of one; not longer."""
    network = [
        {"conv2d": {"filters": 4, "kernel_size": 3, "bias_epochs": 1}},
        {"max_pool2d": 4},
        {"dense": {"units": "classes", "weight_epochs": 0.5}},
    ]
    config = configured(tmp_path, network=network, checkpoint={"every": "7 steps", "keep": None})
    folder = train(config, tmp_path / "run")
    at = {step: read_checkpoint(folder.at_step(step)).network for step in (7, 14, 21, 28)}
    for name, learns in (("0.conv2d.weight", 28), ("0.conv2d.bias", 14), ("2.dense.weight", 7), ("2.dense.bias", 28)):
        for step in (14, 21, 28):
            moved = (at[step][name] != at[step - 7][name]).any()
            assert moved == (step <= learns), (name, step)


def test_a_schedule_that_runs_through_in_some_epochs(tmp_path: Path) -> None:
    """Plain gradient descent: what a step takes off the bias is its gradient times the rate of a shorter schedule."""
    network = [{"dense": {"units": "classes", "bias_epochs": 1, "epochs_schedule": "whole"}}]
    changes: dict[str, Any] = {"network": network, "schedule": "linear"}
    training = built(configured(tmp_path, optimizer={"sgd": 0.5}, **changes))
    weight, bias = training.network.parameters
    for step in range(STEPS + 2):
        before = bias.value.copy(), weight.value.copy()
        for parameter in (weight, bias):
            parameter.gradient[...] = 1.0
        rate = training.learning_rate_at(step)
        training.optimizer.step(rate)
        expected = 0.5 * max(1 - step / STEPS, 0.0)  # where the others have 0.5 (1 - step / 28)
        np.testing.assert_allclose(before[0] - bias.value, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(before[1] - weight.value, 0.5 * (1 - step / (2 * STEPS)), rtol=1e-4, atol=1e-6)
        own = training.optimizer.rate_of(bias, rate, step + 1)
        assert own == (None if step >= STEPS else pytest.approx(expected))


def test_a_plateau_cannot_run_through_in_advance(tmp_path: Path) -> None:
    network = [{"dense": {"units": "classes", "bias_epochs": 1, "epochs_schedule": "whole"}}]
    config = configured(tmp_path, network=network, schedule="plateau")
    with pytest.raises(ConfigError, match=r"0\.dense\.bias: epochs_schedule: whole does not go with .* plateau"):
        built(config)


def test_the_first_layer_whitens_the_training_images(tmp_path: Path) -> None:
    """Its outputs have E[z z^T] = 1 (with epsilon), each channel beside its negative; in either mode."""
    layer = {"filters": 18, "kernel_size": 3, "bias": False, "weight_init": {"whitening": 1e-9}}
    outputs = []
    for mode in ("cross_correlation", "convolution"):
        network = [{"conv2d": {**layer, "mode": mode}}, {"max_pool2d": 4}, {"dense": "classes"}]
        training = built(configured(tmp_path, network=network), "data.validation=0")
        net, split = training.network, training.data.train
        weight = net.parameters[0].value
        outputs.append(weight if mode == "cross_correlation" else weight[..., ::-1, ::-1])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    pixels = training.data.normalization.apply(split.images[np.arange(512)], np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(pixels[:, 0], (3, 3), axis=(1, 2)).reshape(-1, 9)
    z = windows @ outputs[0].reshape(18, 9).T.astype(np.float64)
    moments = z.T @ z / len(z)
    identity = np.block([[np.eye(9), -np.eye(9)], [-np.eye(9), np.eye(9)]])
    np.testing.assert_allclose(moments, identity, atol=2e-3)


def test_whitening_looks_at_images_of_all_classes(tmp_path: Path) -> None:
    """50 images of 448, evenly spread: not the first ones."""
    layer = {"filters": 18, "kernel_size": 3, "weight_init": {"whitening": {"images": 50}}}
    network = [{"conv2d": layer}, {"max_pool2d": 4}, {"dense": "classes"}]
    training = built(configured(tmp_path, network=network))
    split = training.data.train
    numbers = np.arange(50) * 448 // 50
    pixels = training.data.normalization.apply(split.images[numbers], np.float64)[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2)).reshape(-1, 9)
    z = windows @ training.network.parameters[0].value.reshape(18, 9).T.astype(np.float64)
    variances = (z**2).mean(axis=0)
    values = np.linalg.eigvalsh(windows.T @ windows / len(windows))[::-1]
    np.testing.assert_allclose(variances[:9], values / (values + 5e-4), rtol=1e-4)


def test_views_wherever_the_network_is_used(tmp_path: Path) -> None:
    config = configured(tmp_path, test_time={"flip": True, "shift": 1})
    folder = train(config, tmp_path / "run")
    network = cnntrain.load(folder.path)
    restored = network._restored
    images = build_training(load_config(config), pytest.fail).data.test.images
    normalization = build_training(load_config(config), pytest.fail).data.normalization
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    mean: Any = 0.0
    for weight, view in ((0.5, images), (0.25, padded[:, :, :-2, :-2]), (0.25, padded[:, :, 2:, 2:])):
        for seen in (view, view[..., ::-1]):
            logits = restored.network.predict_logits(np.ascontiguousarray(seen), normalization)
            mean = mean + weight / 2 * logits.astype(np.float64)
    np.testing.assert_allclose(network.probabilities(images), probabilities_of(mean), rtol=1e-4, atol=1e-6)
    # what validation reported, `eval` finds again; without the views it is another number
    reported = float(rows(folder)[-1]["validation_loss"])
    assert json_of("eval", folder.last, "--split", "validation")["loss"] == pytest.approx(reported, rel=1e-6)
    plain = json_of("eval", folder.last, "--split", "validation", "--set", "test_time=null")["loss"]
    assert plain != pytest.approx(reported, rel=1e-4)


def test_exported_files_see_an_image_once_and_that_is_said(tmp_path: Path) -> None:
    folder = train(configured(tmp_path, test_time={"flip": True}), tmp_path / "run", "train.epochs=1")
    result = CliRunner().invoke(main, ["export", str(folder.path), "--torch", str(tmp_path / "net.safetensors")])
    assert result.exit_code == 0, result.output
    assert "test_time is not in the files" in result.stderr


def test_check_says_where_views_do_not_fit(tmp_path: Path) -> None:
    config = configured(tmp_path, test_time={"shift": 14})
    result = CliRunner().invoke(main, ["check", str(config)])
    assert result.exit_code == 2
    assert "test_time.shift must be at most 13 for images of 1x14x14; received 14" in result.stderr
    assert f"{config}:" in result.stderr
    config = configured(tmp_path, test_time={})
    result = CliRunner().invoke(main, ["check", str(config)])
    assert "needs flip: true, a shift greater than 0, or both" in result.stderr


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            [{"max_pool2d": 2}, {"conv2d": {"filters": 4, "kernel_size": 2, "weight_init": "whitening"}}],
            "whitening is computed from the images: it is for the network's first layer",
        ),
        (
            [{"conv2d": {"filters": 3, "kernel_size": 2, "weight_init": "whitening"}}],
            "cannot make the weight: it makes filters in pairs, at most 8 for patches of 4 values; received 3",
        ),
        ([{"conv2d": {"filters": 10, "kernel_size": 2, "weight_init": "whitening"}}], "at most 8 for patches"),
        (
            [{"conv2d": {"filters": 4, "kernel_size": 2, "dilation": 2, "weight_init": "whitening"}}],
            "whitening needs dilation 1",
        ),
        ([{"dense": {"units": 4, "weight_init": "whitening"}}], "it needs filters (four dimensions)"),
    ],
)
def test_whitening_that_does_not_fit(tmp_path: Path, network: list[Any], message: str) -> None:
    config = configured(tmp_path, network=[*network, {"dense": "classes"}])
    result = CliRunner().invoke(main, ["check", str(config)])
    assert result.exit_code == 2
    assert message in result.stderr
    assert f"{config}:" in result.stderr


def test_either_ema_or_lookahead(tmp_path: Path) -> None:
    config = configured(tmp_path, optimizer={"sgd": {"learning_rate": 0.1, "ema": 0.9, "lookahead": {}}})
    result = CliRunner().invoke(main, ["check", str(config)])
    assert result.exit_code == 2
    assert "takes either ema or lookahead, not both" in result.stderr
