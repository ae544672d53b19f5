"""stdout and stderr that break in every way: a training goes on, its log is whole, and exit codes tell the truth."""

from __future__ import annotations

import errno
import io
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.runs.folder import RunFolder
from cnntrain.streams import Lasting
from tests.reliability.processes import REPO, command, end, has_line, run, start, wait_for
from tests.training.small import same_files, train, write_config

EPOCHS = 3
EXPECT = {"test_accuracy": 0.99, "tolerance": 0.0, "source": "nobody"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    return write_config(folder, train={"epochs": EPOCHS}, expect=EXPECT)


@pytest.fixture(scope="module")
def straight(config: Path) -> RunFolder:
    return train(config, config.parent / "run")


def reader_that_left() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def vanished_terminal() -> int:
    master, slave = pty.openpty()
    os.close(master)
    return slave


BROKEN: dict[str, Callable[[], int]] = {
    "reader left": reader_that_left,
    "full": full,
    "terminal vanished": vanished_terminal,
}


@pytest.mark.parametrize("how", [*BROKEN, "closed"])
def test_a_training_without_any_stream(tmp_path: Path, config: Path, straight: RunFolder, how: str) -> None:
    folder = RunFolder(tmp_path / "run")
    arguments = ("train", "--config", config, "--out", folder.path)
    if how == "closed":
        closing = ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *command(*arguments)]
        code = subprocess.run(closing, cwd=REPO, check=False).returncode
    else:
        broken = BROKEN[how]()
        code, _, _ = run(*arguments, stdout=broken, stderr=broken)
        os.close(broken)
    assert code == 0
    assert same_files(folder, straight)
    log = folder.log.read_text()
    for epoch in range(1, EPOCHS + 1):
        assert f"epoch {epoch}/{EPOCHS}  loss " in log
    assert "best: epoch " in log.splitlines()[-1]
    if how != "closed":
        assert "what is printed can no longer be seen (" in log


def test_a_terminal_that_vanishes_while_it_trains(tmp_path: Path, config: Path) -> None:
    """With a progress bar on it."""
    folder = RunFolder(tmp_path / "run")
    master, slave = pty.openpty()
    process = start(
        "train", "--config", config, "--out", folder.path, "--set", "train.epochs=100000", stdout=slave, stderr=slave
    )
    try:
        os.close(slave)
        shown = b""
        while b"epoch      3/" not in shown:
            shown += os.read(master, 4096)
        assert b"images/s" in shown
        os.close(master)
        wait_for(has_line(folder.log, "can no longer be seen (Input/output error)"), process)
        epochs = folder.metrics.read_text().count("\n")
        wait_for(lambda: folder.metrics.read_text().count("\n") > epochs + 20, process)
        process.terminate()
        assert process.wait(60) == 143
    finally:
        end(process)
    assert "stopped by SIGTERM: the checkpoint of " in folder.log.read_text()


def test_a_stdout_that_is_full_takes_the_path_alone_with_it(tmp_path: Path, config: Path) -> None:
    device = full()
    code, _, messages = run("train", "-q", "--config", config, "--out", tmp_path / "run", stdout=device)
    os.close(device)
    assert code == 0
    assert messages == "warning: the run folder's name could not be written to stdout: No space left on device\n"


@pytest.mark.parametrize(
    ("how", "promised", "kept"), [("reader left", 0.01, 0), ("reader left", 0.99, 1), ("full", 0.01, 0)]
)
def test_reproduce_claims_nothing_false(tmp_path: Path, config: Path, how: str, promised: float, kept: int) -> None:
    broken = BROKEN[how]()
    arguments = ("reproduce", config, "--set", f"expect.test_accuracy={promised}")
    code, _, messages = run(*arguments, stdout=broken, cwd=tmp_path)
    os.close(broken)
    if how == "reader left":
        assert code == kept
        assert "Traceback" not in messages
    else:
        assert code == 2
        assert messages.splitlines()[-1].startswith("stdout: could not be written: ")
    assert (tmp_path / "runs" / "digits-1" / "log.txt").read_text().count("best: epoch") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["check", "--config", "CONFIG"], 0),
        (["eval", "RUN"], 0),
        (["eval", "RUN", "--require-expected"], 1),
        (["data", "inspect", "--config", "CONFIG"], 0),
        (["eval", "gone"], 2),
    ],
    ids=str,
)
def test_what_merely_prints(config: Path, straight: RunFolder, arguments: list[str], code: int) -> None:
    """A reader that left got what he wanted; a full disk did not take what was asked for."""
    words = [word.replace("CONFIG", str(config)).replace("RUN", str(straight.path)) for word in arguments]
    for how, expected in (("reader left", code), ("full", 2)):
        broken = BROKEN[how]()
        found, _, messages = run(*words, stdout=broken)
        os.close(broken)
        assert found == expected, (how, messages)
        assert "Traceback" not in messages


def test_a_stream_drops_what_it_cannot_take() -> None:
    class Failing(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    lasting = Lasting(Failing())
    assert Lasting.of(lasting) is lasting
    assert (lasting.write(""), lasting.lost) == (0, None)
    assert lasting.write("text") == 4
    assert "Input/output error" in str(lasting.lost)
    lasting.flush()
    strict = Lasting(Failing(), BrokenPipeError)
    with pytest.raises(OSError, match="Input/output error"):
        strict.write("text")
    assert strict.write("more") == 4
