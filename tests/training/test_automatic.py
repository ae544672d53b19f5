from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.runs.folder import RunFolder, create_run_folder, hold
from cnntrain.training.automatic import newest_run
from tests.training.small import STEPS, rows, same_files, train, write_config
from tests.training.test_checkpoints_inside import stopped_at


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path)


def auto(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", "--config", str(config), "--resume", "auto", *arguments])


@pytest.mark.parametrize("out", [[], ["--out", "here"]], ids=["runs", "out"])
def test_the_same_line_starts_goes_on_and_says_that_it_has_finished(
    config: Path, out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(config, Path("straight"))
    folder = RunFolder(Path(out[1] if out else "runs/digits-1"))
    for turn, code in enumerate([143, 143, 0, 0]):
        with monkeypatch.context() as patch:
            stopped_at(patch, STEPS - 3)
            result = auto(config, *out)
        assert (result.exit_code, result.stdout) == (code, f"{folder.path}\n"), result.output
        if turn == 3:
            assert result.stderr == f"{folder.path}: has finished after epoch 2: nothing to do\n"
        else:
            assert ("continuing " in result.stderr) == (turn > 0)
    assert same_files(folder, expected)
    assert auto(config, *out, "--set", "train.epochs=3").exit_code == 0  # made longer
    assert len(rows(folder)) == 3


def test_the_newest_run_of_the_name_counts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stopped_at(patch, 3)
        for _ in range(2):
            CliRunner().invoke(main, ["train", "--config", str(config)])
    for other in ("digits-1-3", "digits-x", "other-9"):
        Path("runs", other).mkdir()
    assert auto(config).stdout == "runs/digits-2\n"
    assert RunFolder(Path("runs/digits-1")).stopped.exists()  # and is left as it was
    assert "has finished" in auto(config).stderr
    assert newest_run("digits") == Path("runs/digits-2")
    assert newest_run("none") is None


@pytest.mark.parametrize("content", [[], ["log.txt"], ["log.txt", "config.yaml"]], ids=["empty", "log", "config"])
def test_a_run_that_had_hardly_begun(config: Path, content: list[str]) -> None:
    """Killed between its first files."""
    expected = train(config, Path("straight"))
    folder = create_run_folder("digits")
    for name in content:
        source = expected.path / name
        (folder.path / name).write_bytes(source.read_bytes())
    assert auto(config).stdout == "runs/digits-1\n"
    assert same_files(folder, expected)


def test_another_config_is_an_error_that_names_what_differs(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (3, 99):  # stopped, and finished
        with monkeypatch.context() as patch:
            stopped_at(patch, step)
            auto(config)
        result = auto(config, "--set", "seed=8")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.endswith("may change. Different now:\n  seed: 7 -> 8\n")


def test_a_run_that_ended_early_has_finished(config: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, early_stopping={"patience": 1, "min_delta": 9.0}, train={"epochs": 5})
    assert "ended early: validation_loss has not improved by more than 9 in the last epoch" in auto(config).stderr
    assert "has finished after epoch 2: nothing to do" in auto(config).stderr


def test_mistakes(config: Path) -> None:
    result = CliRunner().invoke(main, ["train", "--resume", "auto"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--resume auto starts a run where there is none: name its config" in result.stderr
    Path("mine").mkdir()
    Path("mine/photo.jpg").touch()
    result = auto(config, "--out", "mine")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "mine: has no last.safetensors: this is no run folder" in result.stderr


def test_a_run_that_another_process_trains(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stopped_at(patch, 3, signal.SIGINT)
        auto(config)
    with hold(RunFolder(Path("runs/digits-1"))):
        result = auto(config)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "another process is training in this run folder" in result.stderr
