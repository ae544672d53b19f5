from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from cnntrain.config import load_config, parse_config, resolved_yaml
from cnntrain.errors import CheckpointError, ConfigError, RunFolderError
from cnntrain.evaluation.start_from import start_from
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import start_run
from cnntrain.training.setup import build_training
from tests.training.small import resume, same_files, train, write_config
from tests.training.test_checkpoints_inside import stopped_at

NORMALIZED = [{"conv2d": {"filters": 4, "kernel_size": 3}}, "tanh", {"max_pool2d": 2}, {"dense": "classes"}]
LOW = {"classes": [0, 1, 2, 3, 4], "validation": 30}
HIGH = {"classes": [5, 6, 7, 8, 9], "validation": 30}


@pytest.fixture
def source(tmp_path: Path) -> RunFolder:
    sgd = {"learning_rate": 0.05, "momentum": 0.9, "ema": 0.9}
    return train(write_config(tmp_path, "low", data=LOW, optimizer={"sgd": sgd}), tmp_path / "low")


def begun(config: Path, *overrides: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], list[str]]:
    """Return the tensors that a training begins with, those without `init`, and what is said."""
    told: list[str] = []
    parsed = load_config(config, overrides)
    training = build_training(parsed, told.append)
    without = training.network.state()
    start_from(parsed, training.network, training.data.class_names, told.append, told.append)
    return training.network.state(), without, told


def test_tensors_that_fit_are_taken_and_the_others_listed(tmp_path: Path, source: RunFolder) -> None:
    network = [*NORMALIZED[:3], {"dense": 7}, "tanh", {"dense": "classes"}]
    config = write_config(tmp_path, data=LOW, network=network, init={"from": str(source.path)})
    found, drawn, (told,) = begun(config)
    best = read_checkpoint(source.best)
    for name, tensor in found.items():
        expected = best.network[name] if name.startswith("0.conv2d") else drawn[name]
        np.testing.assert_array_equal(tensor, expected)
    epoch = best.metadata.progress.epoch
    assert told.startswith(f"init: 2 of 6 tensors are those of {source.best} (epoch {epoch}), sha256 ")
    assert told.splitlines()[1:] == [
        "  3.dense.weight: is 5x144 there, 7x144 here",
        "  3.dense.bias: is 5 there, 7 here",
        "  5.dense.weight: not in the file",
        "  5.dense.bias: not in the file",
    ]


@pytest.mark.parametrize(("skip", "taken"), [("3.dense", 2), ("3.dense.bias", 3), ("0.conv2d", 2)])
def test_what_is_skipped_begins_anew(tmp_path: Path, source: RunFolder, skip: str, taken: int) -> None:
    found, drawn, told = begun(write_config(tmp_path, data=LOW, init={"from": str(source.best), "skip": [skip]}))
    assert f"init: {taken} of 4 tensors" in told[0]
    for name, tensor in found.items():
        skipped = f"{name}.".startswith(f"{skip}.")
        assert (f"  {name}: skipped" in told[0]) == skipped
        np.testing.assert_array_equal(tensor, drawn[name] if skipped else read_checkpoint(source.best).network[name])


def test_averaged_weights_are_those_to_use(tmp_path: Path, source: RunFolder) -> None:
    found, _, _ = begun(write_config(tmp_path, data=LOW, init={"from": str(source.last)}))
    last = read_checkpoint(source.last)
    np.testing.assert_array_equal(found["3.dense.weight"], last.optimizer["average/3.dense.weight"])


def test_a_state_dict_of_another_program(tmp_path: Path) -> None:
    weight = np.arange(36, dtype=np.float64).reshape(4, 1, 3, 3) / 36
    others: dict[str, NDArray[Any]] = {"0.conv2d.bias": np.zeros(4, np.int64), "module.step": np.zeros((), np.float32)}
    save_file({"0.conv2d.weight": weight, **others}, tmp_path / "state.safetensors", {"format": "pt"})
    config = write_config(tmp_path, init={"from": str(tmp_path / "state.safetensors")})
    found, drawn, (told,) = begun(config)
    np.testing.assert_array_equal(found["0.conv2d.weight"], weight.astype(np.float32))
    np.testing.assert_array_equal(found["0.conv2d.bias"], drawn["0.conv2d.bias"])
    assert "0.conv2d.bias: has type int64 there" in told
    assert "module.step: not in this network" in told


def test_other_classes_are_pointed_out(tmp_path: Path, source: RunFolder) -> None:
    config = write_config(tmp_path, data=HIGH, init={"from": str(source.path)})
    _, _, told = begun(config)
    assert told[1] == (
        "init: 3.dense was learned for other classes (0, 1, 2, 3, 4, ...) than these (5, 6, 7, 8, 9, ...); "
        "skip: [3.dense] lets it begin anew"
    )
    assert len(begun(config, "init.skip=[3.dense]")[2]) == 1


def test_fine_tuning_with_frozen_layers_goes_on_without_the_file(
    tmp_path: Path, source: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = [{"conv2d": {"filters": 4, "kernel_size": 3, "frozen": True}}, *NORMALIZED[1:]]
    init = {"from": str(source.path), "skip": ["3.dense"]}
    config = write_config(tmp_path, data=HIGH, network=network, init=init)
    expected = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stopped_at(patch, 3, signal.SIGINT)
        folder, _ = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    source.best.unlink()  # what was taken is in the checkpoint
    resume(folder.path)
    assert same_files(folder, expected)
    frozen = read_checkpoint(folder.last).network["0.conv2d.weight"]
    np.testing.assert_array_equal(frozen, read_checkpoint(source.last).weights_to_use["0.conv2d.weight"])
    assert "init: 2 of 4 tensors are those of " in folder.log.read_text()


def test_it_is_said_on_stderr(tmp_path: Path, source: RunFolder) -> None:
    stream = io.StringIO()
    config = load_config(write_config(tmp_path, data=LOW, init={"from": str(source.path)}))
    start_run(config, Reporter(stream=stream), out=tmp_path / "run")
    assert "init: 4 of 4 tensors are those of " in stream.getvalue()


def test_the_key_survives_the_resolved_config(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, init={"from": "runs/a"}))
    assert "init:\n  from: runs/a\n  skip: []\n" in resolved_yaml(config)
    assert parse_config(resolved_yaml(config), "again.yaml", ["name=digits"]) == config


def test_nothing_fits(tmp_path: Path, source: RunFolder) -> None:
    config = write_config(tmp_path, network=[{"dense": "classes"}], init={"from": str(source.path)})
    with pytest.raises(
        CheckpointError, match=r"best\.safetensors: no tensor fits the network of digits .*; not taken:\n"
    ):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    save_file({"3.dense.bias": np.full(10, np.nan, np.float32)}, tmp_path / "state.safetensors")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in 3\.dense\.bias"):
        begun(write_config(tmp_path, init={"from": str(tmp_path / "state.safetensors")}))


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ({"from": "gone"}, RunFolderError, "gone: there is no such run folder or checkpoint"),
        ({"from": "digits.yaml"}, CheckpointError, "is no safetensors file|is truncated"),
        (
            {"from": "x", "skp": []},
            ConfigError,
            r'unknown key "skp" in init; did you mean skip\? \(known: from, skip\)',
        ),
        ({"skip": []}, ConfigError, "init.from is missing"),
    ],
)
def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: dict[str, Any], error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        begun(write_config(tmp_path, init=init))


def test_a_layer_to_skip_that_is_not_there(tmp_path: Path, source: RunFolder) -> None:
    config = write_config(tmp_path, data=LOW, init={"from": str(source.path), "skip": ["0.conv2d", "3.dnse"]})
    line = 1 + config.read_text().splitlines().index("  - 3.dnse")
    with pytest.raises(
        ConfigError, match=rf'yaml:{line}:5: init\.skip: .* no layer or tensor "3\.dnse"; did you mean 3\.'
    ):
        begun(config)
