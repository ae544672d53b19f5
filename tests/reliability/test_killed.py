"""Real processes that are really killed, with SIGKILL: whoever goes on ends with the bits of a run never stopped."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.folder import RunFolder, hold
from tests.reliability.disk_calls import counted
from tests.reliability.processes import end, has_line, run, start, wait_for
from tests.training.small import resume, same_files, train, write_config

EPOCHS = 8
KILLS = int(os.environ.get("CNNTRAIN_TORTURE") or 2)


def killed_at(call: int) -> str:
    return (
        "import os\nfrom cnntrain.runs import disk\nfrom tests.reliability.disk_calls import Calls, kills\n"
        f"disk.os = Calls({call}, kills)"
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("straight"), train={"epochs": EPOCHS})


@pytest.fixture(scope="module")
def straight(config: Path) -> tuple[RunFolder, list[str]]:
    with counted() as calls:
        folder = train(config, config.parent / "run")
    return folder, calls.made


@pytest.mark.parametrize("moment", ["before the first checkpoint", "in the write of a row", "between last and best"])
def test_killed_at_a_chosen_moment(
    tmp_path: Path, config: Path, straight: tuple[RunFolder, list[str]], moment: str
) -> None:
    expected, made = straight
    call = {
        "before the first checkpoint": made.index("replace last.safetensors") + 1,
        "in the write of a row": [n for n, name in enumerate(made, 1) if name == "write metrics.csv"][3],
        "between last and best": made.index("replace last.safetensors") + 3,
    }[moment]
    code, output, messages = run("train", "--config", config, "--out", tmp_path / "run", first=killed_at(call))
    assert (code, output) == (-signal.SIGKILL, ""), messages
    resume(tmp_path / "run")
    assert same_files(RunFolder(tmp_path / "run"), expected)


def test_killed_at_random(tmp_path: Path, config: Path) -> None:
    """Again and again, until it is through: two kills in `make test`, as many as CNNTRAIN_TORTURE says otherwise."""
    epochs = 4 * KILLS
    longer = f"train.epochs={epochs}"
    expected = train(config, tmp_path / "straight", longer)
    folder, log = RunFolder(tmp_path / "run"), tmp_path / "run" / "log.txt"
    slow = "import time\nfrom cnntrain.runs import disk\nsync = disk._sync\n"
    slow += "disk._sync = lambda descriptor: (time.sleep(0.02), sync(descriptor))"
    kills = 0
    while kills < KILLS:
        going_on: list[str | Path] = (
            ["--resume", folder.path] if folder.config.exists() else ["--config", config, "--out", folder.path]
        )
        lines = log.read_text().count("1 thread (") if log.exists() else 0
        process = start("train", *going_on, "--set", longer, first=slow)
        try:
            wait_for(lambda before=lines: has_more(log, before), process)  # type: ignore[misc]
            time.sleep(random.uniform(0, 0.6))
            process.kill()
            ended_first = process.wait() == 0
        finally:
            end(process)
        if ended_first:
            break
        kills += 1
    assert kills
    resume(folder.path)
    assert same_files(folder, expected)
    assert "lost, although" not in log.read_text()


def has_more(log: Path, lines: int) -> bool:
    return log.exists() and log.read_text().count("1 thread (") > lines


def test_the_lock_of_a_process_goes_with_it_and_not_with_the_log(tmp_path: Path, config: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    process = start("train", "--config", config, "--out", folder.path, "--set", "train.epochs=1000000")
    try:
        wait_for(has_line(folder.log, "epoch       2/"), process)
        folder.log.unlink()
        with pytest.raises(RunFolderError, match="another process is training in this run folder"), hold(folder):
            pass
        code, _, messages = run("train", "--config", config, "--out", folder.path)
        assert (code, "is not empty" in messages) == (2, True)
    finally:
        end(process)
    with hold(folder):
        pass


def test_two_processes_cannot_begin_in_one_folder(tmp_path: Path, config: Path) -> None:
    """The first has written nothing yet but its log and its config."""
    folder = RunFolder(tmp_path / "run")
    waiting = "import time\nfrom cnntrain.training import session\nsession._prepare = lambda *_: time.sleep(600)"
    process = start("train", "--config", config, "--out", folder.path, first=waiting)
    try:
        wait_for(has_line(folder.log, "run folder"), process)
        code, _, messages = run("train", "--config", config, "--out", folder.path)
        assert (code, messages) == (2, f"{folder.path}: another process is training in this run folder\n")
        code, _, messages = run("train", "--resume", folder.path)
        assert (code, messages) == (2, f"{folder.path}: another process is training in this run folder\n")
    finally:
        end(process)
    assert resume(folder.path).last.exists()
