"""Several processes on the command line: everything is said once, also by those that never come together."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.processes.configs import write
from tests.processes.started import Started, needs_hydra, needs_mpi, run
from tests.reliability.processes import FOREVER

pytestmark = needs_mpi

SECONDS = 90  # as in test_faults.py


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("config"), {"train": {"shards": 4}})


@pytest.mark.parametrize(("arguments", "code", "expected"), [
    (["--help"], 0, "Usage: cnntrain [OPTIONS] COMMAND"),
    (["train", "--help"], 0, "Usage: cnntrain train [OPTIONS]"),
    (["tarin"], 2, 'Error: no command "tarin"'),
    (["train", "--nonsense"], 2, "Error: No such option '--nonsense'"),
    (["check", "digits.yaml"], 2, "cnntrain check runs in one process, and 2 were started"),
    (["train", "digits.yaml", "--set", "train.shards=1"], 2, "2 processes, and train.shards: 1: a process needs"),
])  # fmt: skip
def test_everything_is_said_once(config: Path, arguments: list[str], code: int, expected: str) -> None:
    ended = run(2, *arguments, cwd=config.parent)
    assert (ended.code, (ended.output + ended.messages).count(expected)) == (code, 1), ended.messages
    assert "Traceback" not in ended.messages
    assert ended.seconds < SECONDS


@needs_hydra
def test_ctrl_c_while_they_start(config: Path, tmp_path: Path) -> None:
    """While they enter MPI too, where no handler runs."""
    marks = [tmp_path / f"{rank}" for rank in range(2)]
    first = f"from cnntrain import cli\nopen({str(tmp_path)!r} + f'/{{rank}}', 'w').close()"
    for seconds in (0.1, 0.8):
        with Started(2, "train", config, "--out", tmp_path / "run", *FOREVER, "--quiet", first=first) as started:
            started.wait_for(lambda: all(mark.exists() for mark in marks))
            time.sleep(seconds)
            started.process.send_signal(signal.SIGINT)
            ended = started.ended()
        assert (ended.code, ended.messages.count("Traceback")) == (130, 0), ended.messages
        assert ended.messages.count("interrupted") <= 2  # twice at most: before all but process 0 are silent
        for mark in marks:
            mark.unlink()


@pytest.mark.parametrize("rank", [0, 1])
def test_mpi4py_is_missing_in_one_process(config: Path, rank: int) -> None:
    """The other has entered MPI, and would wait for it without end."""
    first = f"from cnntrain.processes import launch\nif rank == {rank}: launch.find_spec = lambda name: None"
    ended = run(2, "train", config, first=first)
    assert (ended.code, ended.messages.count("for which mpi4py is needed")) == (2, 1), ended.messages
    assert ended.messages.startswith("process 1: started as one of 2" if rank else "started as one of 2")
    assert ended.seconds < SECONDS


@needs_hydra
@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_never_enters(config: Path, rank: int) -> None:
    """An error before there is a command line: its package is missing, for example."""
    first = "from cnntrain.processes import launch\nlaunch.ENTERING = 4.0\n"
    ended = run(2, "train", config, first=f"{first}if rank == {rank}: import cnntrain_is_missing")
    assert ended.code
    assert ended.messages.count("No module named 'cnntrain_is_missing'") == 1, ended.messages
    assert ended.messages.count(f"process {1 - rank}: not all processes have entered MPI within 4 s") == 1
    assert ended.seconds < SECONDS


@needs_hydra
def test_an_mpi_that_is_not_the_launchers(config: Path) -> None:
    """Each process is alone in its MPI."""
    first = (
        "channel = {name: os.environ.pop(name) for name in ('PMI_FD', 'PMI_PORT') if name in os.environ}\n"
        "from mpi4py import MPI\nos.environ.update(channel)"
    )
    ended = run(2, "train", config, first=first)
    expected = "the launcher started 2 processes, but mpi4py's MPI library sees 1: they belong to different"
    assert (ended.code, ended.messages.count(expected)) == (2, 1), ended.messages


def test_only_process_0_keeps_records(config: Path, tmp_path: Path) -> None:
    """A page and TensorBoard's files, one of each; stdout has the folder's path once."""
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    folder = tmp_path / "run"
    ended = run(2, "train", config, "--out", folder, "--report", "--set", "train.log=[tensorboard, jsonl]")
    assert (ended.code, ended.output) == (0, str(folder)), ended.messages
    assert ended.messages.count("run folder ") == 1
    assert ended.messages.count("epoch 2/2") == 1
    assert (folder / "report.html").exists()
    assert len(list((folder / "tensorboard").iterdir())) == 1
    lines = (folder / "log.jsonl").read_text().splitlines()
    assert len(set(lines)) == len(lines) > 2
