from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from tests.training.small import write_config

EXPECT = {"test_accuracy": 0.3, "tolerance": 0.01, "source": "a book"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path, expect=EXPECT)


def run(command: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [command, *map(str, arguments)])


def accuracy(checkpoint: str) -> float:
    value: float = json.loads(run("eval", checkpoint, "--json").stdout)["accuracy"]
    return value


def test_seeds_their_mean_and_spread(config: Path) -> None:
    result = run("reproduce", config, "--seeds", "2", "--json", "--quiet", "--threads", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert [(entry["seed"], entry["run"]) for entry in report["runs"]] == [(7, "runs/digits-1"), (8, "runs/digits-2")]
    measured = [entry["accuracy"] for entry in report["runs"]]
    assert measured == [accuracy(f"runs/digits-{n}/best.safetensors") for n in (1, 2)]
    assert measured[0] != measured[1]  # another seed, another network
    assert report["mean"] == pytest.approx(sum(measured) / 2, rel=1e-14)
    assert report["spread"] == pytest.approx(statistics.stdev(measured), rel=1e-12)
    assert report["expected"] == EXPECT | {"kept": True}


def test_text(config: Path) -> None:
    result = run("reproduce", config, "--set", "train.epochs=1", "--set", "expect.test_accuracy=0.01")
    assert result.exit_code == 0
    share = f"{accuracy('runs/digits-1/best.safetensors'):.2%}"
    assert result.stdout.splitlines() == [
        "digits: test accuracy",
        f"seed 7  {share}  (best epoch, 1, of runs/digits-1)",
        f"expected 1.00%, tolerance 1.00% (a book): kept with {share}",
    ]
    assert "epoch 1/1" in result.stderr


def test_a_broken_promise_exits_with_1(config: Path) -> None:
    result = run("reproduce", config, "--set", "expect.test_accuracy=1.0", "--set", "train.epochs=1", "--seeds", "2")
    assert result.exit_code == 1
    assert "NOT kept with " in result.stdout
    assert " over 2 seeds" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "checkpoint"),
    [
        (["--set", "data.validation=0"], "last"),
        (["--set", "data.validation=0", "--checkpoint", "best"], "best"),
        (["--checkpoint", "last"], "last"),
        ([], "best"),
    ],
)
def test_which_epoch_counts(config: Path, arguments: list[str], checkpoint: str) -> None:
    result = run("reproduce", config, "--json", *arguments)
    assert result.exit_code == 0
    (entry,) = json.loads(result.stdout)["runs"]
    assert entry["checkpoint"] == checkpoint
    assert entry["accuracy"] == accuracy(f"runs/digits-1/{checkpoint}.safetensors")


def test_a_signal_ends_it_without_a_verdict(config: Path) -> None:
    command = [sys.executable, "-m", "cnntrain", "reproduce", str(config), "--set", "train.epochs=1000000"]
    process = subprocess.Popen([*command, "--seeds", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "epoch       1/" not in (line := process.stderr.readline()):
            assert line, "training ended by itself"
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, output) == (130, "")
    assert "stopped by Ctrl-C" in messages
    assert [path.name for path in Path("runs").iterdir()] == ["digits-1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.yaml"], "gone.yaml"),
        (
            ["digits.yaml", "--set", "expect=null"],
            "digits.yaml: has no expect: block, so there is nothing to reproduce",
        ),
        (["digits.yaml", "--seeds", "0"], "0 is not in the range x>=1"),
        (["digits.yaml", "--set", "data.path=gone.npz"], "gone.npz"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(config: Path, arguments: list[str], message: str) -> None:
    result = run("reproduce", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("runs").exists()
