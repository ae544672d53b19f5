from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.runs.checkpoint import read_checkpoint
from tests.training.small import write_config


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path)


def test_stdout_has_the_run_folder_and_stderr_the_rest(config: Path) -> None:
    result = run("--config", config)
    assert result.exit_code == 0
    assert result.stdout == "runs/digits-1\n"
    assert "epoch 1/2  loss " in result.stderr
    assert "best: epoch " in result.stderr
    assert run("--config", config).stdout == "runs/digits-2\n"


def test_quiet(config: Path) -> None:
    result = run("--config", config, "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "runs/digits-1\n", "")
    assert "epoch 1/2  loss " in Path("runs/digits-1/log.txt").read_text()


def test_out_and_overrides_and_threads(config: Path) -> None:
    result = run("--config", config, "--out", "here", "--set", "train.epochs=1", "--threads", "1")
    assert (result.exit_code, result.stdout) == (0, "here\n")
    assert "1 thread (" in result.stderr
    assert read_checkpoint(Path("here/last.safetensors")).metadata.progress.epoch == 1


def test_resume(config: Path) -> None:
    run("--config", config, "--out", "here")
    result = run("--resume", "here", "--set", "train.epochs=3")
    assert (result.exit_code, result.stdout) == (0, "here\n")
    assert "continuing here after epoch 2 (step 28)" in result.stderr
    assert "epoch 3/3" in result.stderr
    assert "epoch 2/3" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a config (CONFIG, --config FILE or --recipe NAME), or a run to continue with --resume RUN"),
        (["--resume", "x", "--out", "y"], "--resume continues in its own folder: leave out --out"),
        (["--config", "gone.yaml"], "gone.yaml"),
        (["--resume", "gone"], "gone: there is no such run folder"),
        (["--config", "digits.yaml", "--threads", "999"], "--threads 999: must be 1 to "),
        (["--config", "digits.yaml", "--threads", "0"], "0 is not in the range x>=1"),
        (["--config", "digits.yaml", "--out", "digits.yaml"], "digits.yaml: cannot be made a run folder: File exists"),
        (["--config", "digits.yaml", "--out", "."], ".: is not empty"),
        (["--config", "digits.yaml", "--out", "digits.yaml/x"], "cannot be made a run folder: Not a directory"),
        (["--config", "digits.yaml", "--set", "data.path=gone.npz"], "gone.npz"),
        (["--config", "digits.yaml", "--set", "data.validation=600"], "leaves nothing to train on"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(config: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_nan_exits_with_1(config: Path) -> None:
    result = run("--config", config, "--set", "optimizer.sgd.learning_rate=1e38")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the training loss became " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_everything_saved(config: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "cnntrain", "train", "--config", str(config), "--set", "train.epochs=1000000"]
    process = subprocess.Popen([*command, "--out", "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "epoch       3/" not in (line := process.stderr.readline()):
            assert line, "training ended by itself"
        process.send_signal(number)
        output, messages = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert output == "run\n"
    epoch = read_checkpoint(Path("run/last.safetensors")).metadata.progress.epoch
    assert epoch >= 3
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    newest, of = Path("run/last.safetensors"), f"epoch {epoch}"
    if Path("run/stopped.safetensors").exists():
        newest = Path("run/stopped.safetensors")
        of = f"step {read_checkpoint(newest).metadata.progress.step:,}"
    assert f"stopped by {name}: the checkpoint of {of} is in {newest}; continue with: " in messages
    assert "Traceback" not in messages
    assert Path("run/metrics.csv").read_text().count("\n") == epoch + 1


def test_a_file_size_limit_keeps_the_previous_checkpoint(config: Path) -> None:
    wide = ["--config", str(config), "--set", "network=[dense: 200, tanh, dense: classes]", "--set", "train.epochs=1"]
    assert run(*wide, "--out", "run").exit_code == 0
    before = Path("run/last.safetensors").read_bytes()
    limit = 250_000
    assert Path("run/best.safetensors").stat().st_size < limit < len(before)

    limited = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "from cnntrain.cli import main; main()"
    )
    command = [sys.executable, "-c", limited, "train", "--resume", "run", "--set", "train.epochs=2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    last = "run/last.safetensors"
    assert f"{last}: could not be written (" in result.stderr
    assert "bytes): File too large; the previous last.safetensors is intact" in result.stderr
    assert "Traceback" not in result.stderr
    assert Path(last).read_bytes() == before
    assert run("--resume", "run", "--set", "train.epochs=2").exit_code == 0
