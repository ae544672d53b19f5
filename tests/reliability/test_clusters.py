"""The job script of docs/clusters.md, run as a scheduler would run it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.docs.blocks import blocks_of
from tests.reliability.processes import REPO, end, has_line, wait_for
from tests.training.small import STEPS, same_files, train, write_config


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """Return the command of the script, with `cnntrain` and a scheduler's `scontrol` on the path."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    text = next(block.text for block in blocks_of("docs/clusters.md") if "#SBATCH" in block.text)
    (tmp_path / "job.sh").write_text(text)
    programs = {
        "cnntrain": f'exec "{sys.executable}" -m cnntrain "$@"',
        "scontrol": 'echo "$@" >> scheduler.txt',
    }
    (tmp_path / "bin").mkdir()
    for name, line in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return [bash, "job.sh"]


def test_a_job_that_is_ended_goes_on_until_it_is_through(tmp_path: Path, script: list[str]) -> None:
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(REPO), "SLURM_JOB_ID": "7",
        "SLURM_CPUS_PER_TASK": "1",
    }  # fmt: skip

    def job() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(script, cwd=tmp_path, env=environment, text=True, stdout=pipe, stderr=pipe)

    write_config(tmp_path, "small", train={"epochs": 1_000_000})
    folder = RunFolder(tmp_path / "runs" / "small-1")
    process = job()
    try:
        wait_for(has_line(folder.log, "epoch       2/"), process)
        process.send_signal(signal.SIGTERM)
        output, messages = process.communicate(timeout=60)
    finally:
        end(process)
    assert (process.returncode, output) == (0, "runs/small-1\n"), messages
    assert (tmp_path / "scheduler.txt").read_text() == "requeue 7\n"
    newest = folder.stopped if folder.stopped.exists() else folder.last
    epochs = read_checkpoint(newest).metadata.progress.step // STEPS + 1
    config = write_config(tmp_path, "small", train={"epochs": epochs})
    for said in (f"continuing {folder.path.relative_to(tmp_path)} ", "has finished after"):
        process = job()
        output, messages = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, "runs/small-1\n"), messages
        assert said in messages
    assert same_files(folder, train(config, tmp_path / "straight"))
