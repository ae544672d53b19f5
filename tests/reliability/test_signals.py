"""Ctrl-C at any time and any number of times, SIGTERM and SIGHUP: no traceback, and exit codes that tell."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.reliability.processes import FOREVER, end, has_line, start, wait_for
from tests.training.small import write_config

TIMES = int(os.environ.get("CNNTRAIN_TORTURE") or 4)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_at_hand(tmp_path: Path, config: Path, number: signal.Signals) -> None:
    folder = RunFolder(tmp_path / "run")
    process = start("train", "--config", config, "--out", folder.path, *FOREVER)
    try:
        wait_for(has_line(folder.log, "epoch       2/"), process)
        process.send_signal(number)
        output, messages = process.communicate(timeout=60)
    finally:
        end(process)
    assert (process.returncode, output) == (128 + number, f"{folder.path}\n")
    assert "Traceback" not in messages
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    newest = folder.stopped if folder.stopped.exists() else folder.last
    progress = read_checkpoint(newest).metadata.progress
    of = f"step {progress.step:,}" if folder.stopped.exists() else f"epoch {progress.epoch}"
    assert f"stopped by {name}: the checkpoint of {of} is in {newest}; continue with: " in folder.log.read_text()


def test_a_hangup_does_nothing_under_nohup(tmp_path: Path, config: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    ignored = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = start("train", "--config", config, "--out", folder.path, *FOREVER, first=ignored)
    try:
        wait_for(has_line(folder.log, "epoch       2/"), process)
        process.send_signal(signal.SIGHUP)
        rows = folder.metrics.read_text().count("\n")
        wait_for(lambda: folder.metrics.read_text().count("\n") > rows + 20, process)
    finally:
        end(process)


def test_twenty_times_ctrl_c(tmp_path: Path, config: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    process = start("train", "--config", config, "--out", folder.path, *FOREVER)
    try:
        wait_for(has_line(folder.log, "epoch       2/"), process)
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        _, messages = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == 130
    assert "Traceback" not in messages
    assert "Exception ignored" not in messages
    assert read_checkpoint(folder.last).not_finite == []


@pytest.mark.parametrize("command", ["train", "check"])
def test_ctrl_c_at_any_time_of_the_start(tmp_path: Path, config: Path, command: str) -> None:
    """From the first import of the package on: before, the interpreter answers."""
    ready = "import os\nfrom cnntrain import interrupts\ninterrupts.install()\nos.write(1, b'ready\\n')"
    out = ["--out", str(tmp_path / "run"), *FOREVER] if command == "train" else []
    for turn in range(TIMES):
        process = start(command, "--config", config, *out, first=ready)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(1.2 * turn / TIMES)
            for _ in range(1 + turn % 3):
                process.send_signal(signal.SIGINT)
                time.sleep(0.001)
            _, messages = process.communicate(timeout=60)
        finally:
            end(process)
        assert process.returncode in (130, 0 if command == "check" else 130), messages
        assert "Traceback" not in messages
        assert "Exception ignored" not in messages
        for path in sorted((tmp_path / "run").glob("*")):
            path.unlink()
