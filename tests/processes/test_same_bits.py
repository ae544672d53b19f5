"""The bits of a training do not depend on the number of processes, nor on which of them were killed on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.runs.folder import RunFolder
from tests.processes.configs import SHARDS, lenet, resnet
from tests.processes.started import MPIEXEC, TORTURE, environment, needs_mpi, run
from tests.training.small import resume, rows, same_files, train

pytestmark = needs_mpi


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("configs")
    return [lenet(folder / "lenet"), resnet(folder / "resnet")]


@pytest.fixture(scope="module")
def straight(configs: list[Path]) -> dict[str, RunFolder]:
    """The runs of one process."""
    return {config.parent.name: train(config, config.parent / "run") for config in configs}


def test_one_to_five_processes(configs: list[Path], straight: dict[str, RunFolder], tmp_path: Path) -> None:
    """All sizes in one start of five processes."""
    made = subprocess.run(
        [str(MPIEXEC), "-n", "5", sys.executable, "-m", "tests.processes.teams", tmp_path, *configs],
        capture_output=True, text=True, env=environment(), timeout=300, check=False,
    )  # fmt: skip
    assert (made.returncode, made.stderr) == (0, ""), made.stderr
    for config in configs:
        name = config.parent.name
        for size in range(1, 6):
            assert same_files(RunFolder(tmp_path / f"{name}-{size}"), straight[name]), (name, size)
    assert len(rows(straight["resnet"])) == 4  # ended early: that has been computed too
    rates = [float(row["learning_rate"]) for row in rows(straight["resnet"])]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.0005])


def at_step(step: int, act: str) -> str:
    """Return code that lets a process do something when it has made a step."""
    return (
        "import os, signal, time\nfrom cnntrain.training import loop\n_update = loop.Loop._update\n"
        f"def update(self, epoch, made):\n    _update(self, epoch, made)\n    if self._step == {step}:\n        {act}\n"
        "loop.Loop._update = update\n"
    )


def test_killed_on_four_stopped_on_three_finished_by_one(
    configs: list[Path], straight: dict[str, RunFolder], tmp_path: Path
) -> None:
    """And nobody but process 0 writes or speaks."""
    train_it = ("train", configs[1], "--out", tmp_path / "run", "--resume", "auto", "--quiet")
    folder = RunFolder(tmp_path / "run")
    killed = run(4, *train_it, first=at_step(8, "os.kill(os.getpid(), (signal.SIGKILL if rank == 2 else 0))"))
    assert (killed.code, killed.output) == (signal.SIGKILL, ""), killed.messages
    assert folder.kept_steps() == [3, 6] or folder.kept_steps() == [3]  # process 0 may be killed before its step 6
    stopped = run(3, *train_it, first=at_step(13, "os.kill(os.getpid(), (signal.SIGTERM if rank == 1 else 0))"))
    assert (stopped.code, stopped.output, stopped.messages) == (128 + signal.SIGTERM, str(folder.path), "")
    assert "the checkpoint of step 14 is in" in folder.log.read_text()
    assert folder.log.read_text().count("3 processes, each with 1 thread") == 1
    resume(folder.path)
    assert same_files(folder, straight["resnet"])


def test_begun_by_one_finished_by_three(configs: list[Path], straight: dict[str, RunFolder], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    stopping = at_step(4, "signal.raise_signal(signal.SIGTERM)")
    first = run(1, "train", configs[0], "--out", folder.path, first=stopping)
    assert first.code == 128 + signal.SIGTERM
    ended = run(3, "train", "--resume", folder.path)
    assert (ended.code, ended.output) == (0, str(folder.path)), ended.messages
    assert ended.messages.count("3 processes, each with 1 thread") == 1
    assert same_files(folder, straight["lenet"])


@pytest.mark.skipif(not TORTURE, reason="takes long: CNNTRAIN_TORTURE says how often")
def test_killed_at_random(configs: list[Path], straight: dict[str, RunFolder], tmp_path: Path) -> None:
    """Any process of any number of them, after any step, again and again."""
    for turn in range(max(TORTURE // 10, 1)):
        folder = RunFolder(tmp_path / f"run-{turn}")
        code = 1
        while code:
            size, step = random.randint(1, min(SHARDS, 2 * (os.cpu_count() or 1))), random.randint(1, 22)
            victim, number = random.randrange(size), random.choice(["SIGKILL", "SIGTERM"])
            act = f"os.kill(os.getpid(), (signal.{number} if rank == {victim} else 0))"
            train_it = ("train", configs[1], "--out", folder.path, "--resume", "auto", "--quiet")
            code = run(size, *train_it, first=at_step(step, act)).code
        assert same_files(folder, straight["resnet"])
