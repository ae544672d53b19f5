"""Whatever call the disk, the power or a kill ends a training at: going on gives the files of a run never stopped."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cnntrain.config import load_config
from cnntrain.errors import CnntrainError, RunFolderError
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import start_run
from tests.reliability.disk_calls import TORTURE, Calls, Killed, counted, fails, is_killed
from tests.training.small import resume, same_files, train, write_config

EPOCHS = 3


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder, list[str]]:
    """Return a config, its run that nothing stopped, and the calls that it made."""
    folder = tmp_path_factory.mktemp("straight")
    config = write_config(folder, train={"epochs": EPOCHS}, schedule={"plateau": {"patience": 0}})
    with counted() as calls:
        run = train(config, folder / "run")
    return config, run, calls.made


def moments(made: list[str]) -> Iterator[int]:
    """Choose calls, from 1: all of them in `make torture`, otherwise those that matter most."""
    telling = {
        "write config.yaml": 0, "write metrics.csv": 0, "fsync metrics.csv": 1, "replace last.safetensors": 0,
        "replace best.safetensors": 1,
    }  # fmt: skip
    seen: dict[str, int] = {}
    for number, call in enumerate(made, 1):
        call = ".".join(part for part in call.replace(" .", " ").split(".") if part != "tmp" and not part.isdigit())
        if TORTURE or telling.get(call) == seen.get(call, 0):
            yield number
        seen[call] = seen.get(call, 0) + 1


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder, list[str]]:
    """The same with checkpoints inside the epochs."""
    folder = tmp_path_factory.mktemp("inside")
    config = write_config(folder, train={"epochs": 2}, checkpoint={"every": "5 steps", "keep": 2})
    with counted() as calls:
        run = train(config, folder / "run")
    return config, run, calls.made


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_a_run_with_checkpoints_inside_its_epochs(
    tmp_path: Path, inside: tuple[Path, RunFolder, list[str]], power: bool
) -> None:
    config, expected, made = inside
    assert sum(call.startswith("replace step-") for call in made) == 5
    telling = [n for n, call in enumerate(made, 1) if "step-" in call and call.split()[0] in ("write", "replace")]
    for at in range(1, len(made) + 1) if TORTURE else telling[:2] + telling[-2:]:
        folder = RunFolder(tmp_path / str(at))
        with counted(at, is_killed) as calls, pytest.raises(Killed):
            train(config, folder.path)
        if power:
            calls.lose_power(folder.path)
        check_whole(folder)
        goes_on(folder, config)
        assert same_files(folder, expected), f"ended at call {at}, {made[at - 1]}"
        assert {path.name for path in folder.path.iterdir()} == {path.name for path in expected.path.iterdir()}
        for step in expected.kept_steps():
            assert folder.at_step(step).read_bytes() == expected.at_step(step).read_bytes()


def goes_on(folder: RunFolder, config: Path) -> None:
    """Continue a run, or start it again where there was not even a config."""
    if folder.config.exists():
        resume(folder.path)
    else:
        train(config, folder.path)


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_a_run_that_ends_at_any_call(tmp_path: Path, straight: tuple[Path, RunFolder, list[str]], power: bool) -> None:
    config, expected, made = straight
    assert made.count("replace last.safetensors") == EPOCHS
    chosen = list(moments(made))
    assert len(chosen) >= 5
    for at in chosen:
        folder = RunFolder(tmp_path / str(at))
        with counted(at, is_killed) as calls, pytest.raises(Killed):
            train(config, folder.path)
        assert len(calls.made) == at
        if power:
            calls.lose_power(folder.path)
        check_whole(folder)
        goes_on(folder, config)
        assert same_files(folder, expected), f"ended at call {at}, {made[at - 1]}"
        assert "lost, although" not in folder.log.read_text()
        assert not list(folder.path.glob(".*"))
        shutil.rmtree(folder.path)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_at_any_call(tmp_path: Path, straight: tuple[Path, RunFolder, list[str]], error: int) -> None:
    config, expected, made = straight
    for at in moments(made):
        folder = RunFolder(tmp_path / str(at))
        failed = True
        with counted(at, fails(error)):
            try:
                train(config, folder.path)
                failed = False
            except CnntrainError as caught:
                assert isinstance(caught, RunFolderError)  # noqa: PT017
                assert os.strerror(error) in str(caught)  # noqa: PT017
        assert failed or made[at - 1].split()[0] in ("open", "fsync")  # of a folder, which not every file system can
        check_whole(folder)
        assert not list(folder.path.glob(".*"))
        goes_on(folder, config)
        assert same_files(folder, expected), f"failed at call {at}, {made[at - 1]}"
        shutil.rmtree(folder.path)


def test_a_disk_that_takes_nothing_any_more(tmp_path: Path, straight: tuple[Path, RunFolder, list[str]]) -> None:
    """Not even the log: the error still says what happened."""
    config, expected, made = straight
    at = made.index("replace last.safetensors") + 2
    folder = RunFolder(tmp_path / "run")

    class Full(Calls):
        def _call(self, name: str, function: object, arguments: tuple[object, ...]) -> object:
            if len(self.made) >= at and name in ("write", "open", "replace", "fsync"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super()._call(name, function, arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnntrain.runs.disk.os", Full())
        with pytest.raises(RunFolderError, match="No space left on device"):
            train(config, folder.path)
    resume(folder.path)
    assert same_files(folder, expected)


def check_whole(folder: RunFolder) -> None:
    """Every file that has its final name is whole."""
    for path in (folder.best, folder.last, *map(folder.at_step, folder.kept_steps())):
        if path.exists():
            assert read_checkpoint(path).not_finite == []
    if folder.config.exists():
        load_config(folder.config)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"needs the command mount: {error}")
    if result.returncode:
        pytest.skip(f"needs the right to mount a file system of 64 KB: {result.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_file_system_that_is_really_full(tmp_path: Path, small_disk: Path) -> None:
    config = write_config(tmp_path, train={"epochs": 3})
    expected = train(config, tmp_path / "straight")
    folder = RunFolder(small_disk / "run")
    ballast = small_disk / "ballast"
    outcomes = set()
    for size in range(0, 65_536, 8192):
        with suppress(OSError):
            ballast.write_bytes(bytes(size))
        try:
            start_run(load_config(config), Reporter(quiet=True), out=folder.path)
            outcomes.add("trained")
        except RunFolderError as error:
            assert "No space left on device" in str(error)  # noqa: PT017
            outcomes.add("checkpoint" if folder.last.exists() else "nothing")
        check_whole(folder)
        ballast.unlink()
        if folder.config.exists():
            resume(folder.path)
            assert same_files(folder, expected)
        shutil.rmtree(folder.path, ignore_errors=True)
    assert outcomes == {"trained", "checkpoint", "nothing"}
