"""One process fails: all end within seconds, with one message and a code that is not 0, and the run can go on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.folder import RunFolder, hold
from tests.processes.configs import write
from tests.processes.started import Ended, Started, needs_hydra, needs_mpi, run
from tests.processes.test_same_bits import at_step
from tests.reliability.processes import FOREVER, has_line
from tests.training.small import resume, same_files, train

pytestmark = needs_mpi

SECONDS = 90  # far more than anything takes on a busy machine, far less than the patience of a process


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("config"), {"train": {"shards": 4}, "checkpoint": {"every": "5 steps"}})


@pytest.fixture(scope="module")
def straight(config: Path) -> RunFolder:
    return train(config, config.parent / "run")


def fails(config: Path, out: Path, first: str, *more: str, processes: int = 2) -> Ended:
    """Train, with something that happens to a process; it ends, and not as if nothing had been."""
    ended = run(processes, "train", config, "--out", out, "--quiet", *more, first=first)
    assert ended.code
    assert ended.output == ""
    assert "Traceback" not in ended.messages
    assert ended.seconds < SECONDS
    return ended


def goes_on(folder: RunFolder, straight: RunFolder) -> None:
    """What was left is whole: going on ends with the bits of a run that never failed."""
    limit = time.monotonic() + 30
    while _is_held(folder):  # a process that was killed goes thread by thread
        assert time.monotonic() < limit, "a process is left that trains"
        time.sleep(0.05)
    resume(folder.path)
    assert same_files(folder, straight)


def _is_held(folder: RunFolder) -> bool:
    try:
        with hold(folder):
            return False
    except RunFolderError:
        return True


# --- before the first step ---

WRONG = {
    "another config": (
        "import sys\nif rank == 1:\n    sys.argv = [a.replace('digits.yaml', 'other.yaml') for a in sys.argv]",
        "the processes do not have the same things to compute with:\n"
        "  process 1 ({host}): config, optimizer.sgd.learning_rate: 0.06, process 0 has 0.05",
    ),
    "a broken config": (
        "import sys\nif rank == 1:\n    sys.argv = [a.replace('digits.yaml', 'broken.yaml') for a in sys.argv]",
        "process 1 ({host}): {folder}/broken.yaml:1:2: not valid YAML",
    ),
    "another option": (
        "import sys\nif rank == 1:\n    sys.argv += ['--set', 'seed=3']",
        "  process 1 ({host}): arguments: train (a file) --out",
    ),
    "other images": (
        "from cnntrain.training import setup\nload = setup.load_and_tell\n"
        "def other(*given):\n    data = load(*given)\n    labels = data.train.labels\n"
        "    labels[4] = (labels[4] + rank) % 10\n    return data\n"
        "setup.load_and_tell = other",
        "  process 1 ({host}): training images (digest): ",
    ),
    "another Numba": (
        "import importlib.metadata as m\nversion = m.version\n"
        "m.version = lambda name: '0.1' if rank == 1 and name == 'numba' else version(name)",
        "  process 1 ({host}): numba: 0.1, process 0 has ",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_one_process_has_otherwise(config: Path, tmp_path: Path, what: str) -> None:
    """One message, and no run folder."""
    text = config.read_text().replace("name: digits", "name: other")
    (config.parent / "other.yaml").write_text("name: digits\n" + text.replace("0.05", "0.06"))
    (config.parent / "broken.yaml").write_text("[")
    first, message = WRONG[what]
    ended = fails(config, tmp_path / "run", first)
    expected = message.format(host=os.uname().nodename, folder=config.parent)
    assert (ended.code, ended.messages.count(expected)) == (2, 1), ended.messages
    assert ended.messages.count("process 1 (") == 1
    assert not (tmp_path / "run").exists()


RAISES = {
    "data that cannot be loaded": (
        "from cnntrain.training import setup\nfrom cnntrain.errors import DataError\nload = setup.load_and_tell\n"
        "def broken(*given):\n    if rank == {rank}: raise DataError('digits.npz: is cut off')\n"
        "    return load(*given)\n"
        "setup.load_and_tell = broken",
        2, "digits.npz: is cut off",
    ),
    "kernels that cannot be compiled": (
        "from cnntrain.training import session\ncompiled = session.compile_kernels\n"
        "def broken(*given):\n    if rank == {rank}: raise OSError(28, 'No space left on device', 'kernels')\n"
        "    compiled(*given)\nsession.compile_kernels = broken",
        1, "OSError: [Errno 28] No space left on device: 'kernels'",
    ),
    "no memory": (
        "from cnntrain.training import setup\nbuild = setup.build_network\n"
        "def broken(*given):\n    if rank == {rank}: raise MemoryError('Unable to allocate 9 GiB')\n"
        "    return build(*given)\n"
        "setup.build_network = broken",
        2, "out of memory: Unable to allocate 9 GiB",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("what", "rank"), [
    ("data that cannot be loaded", 0), ("kernels that cannot be compiled", 1), ("no memory", 1)
])  # fmt: skip
def test_one_process_cannot_begin(config: Path, tmp_path: Path, what: str, rank: int) -> None:
    first, code, message = RAISES[what]
    ended = run(2, "train", config, "--out", tmp_path / "run", "--quiet", first=first.replace("{rank}", str(rank)))
    assert (ended.code, ended.output, ended.messages.count(message)) == (code, "", 1), ended.messages
    assert ended.messages.startswith(f"process {rank} (") == (rank > 0)
    assert ended.seconds < SECONDS
    assert not (tmp_path / "run" / "last.safetensors").exists()


# --- on the way ---

TROUBLE = """
from cnntrain.extending import Layer, LayerSettings
import os

class WorrySettings(LayerSettings):
    def output_shape(self, input_shape):
        return input_shape

class Worry(Layer):
    name = "worry"
    Settings = WorrySettings
    def __init__(self, row, context):
        pass
    def forward(self, x, batch):
        if batch.training and batch.step > 70 and os.environ.get("PMI_RANK") == "1":
            raise ZeroDivisionError("nothing to divide by")
        return x
    def backward(self, grad_output, batch):
        return grad_output

LAYERS = [Worry]
"""


def test_a_layer_of_the_users_own_raises_in_one_process(config: Path, straight: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "worry.py").write_text(TROUBLE)
    more = [
        "--allow-extensions",
        "--set",
        f"extensions=[{tmp_path / 'worry.py'}]",
        "--set",
        "network=[worry, {dense: classes}]",
    ]
    ended = fails(config, tmp_path / "run", "", *more)
    assert (ended.code, ended.messages.count("nothing to divide by")) == (2, 1), ended.messages
    assert ended.messages.startswith("process 1 (")
    assert "error: process 1 (" in (tmp_path / "run" / "log.txt").read_text()


def test_an_error_of_ours_in_one_process(config: Path, straight: RunFolder, tmp_path: Path) -> None:
    """It shows its traceback, once."""
    first = at_step(17, "rank == 1 and self._oops")
    ended = run(2, "train", config, "--out", tmp_path / "run", "--quiet", first=first)
    assert (ended.code, ended.output) == (1, "")
    assert ended.messages.count("AttributeError: 'Loop' object has no attribute '_oops'") == 1, ended.messages
    goes_on(RunFolder(tmp_path / "run"), straight)


def after_joining(act: str) -> str:
    """Return code that lets a process do something when it has joined the others: MPI writes files to share memory."""
    return (
        "import resource\nfrom cnntrain.processes import launch\njoin = launch.join\n"
        f"def joined():\n    join()\n    {act}\nlaunch.join = joined"
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_a_full_disk(config: Path, straight: RunFolder, tmp_path: Path, rank: int) -> None:
    """Of process 0 it ends the training; the other writes nothing."""
    full = f"rank == {rank} and resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    if rank == 0:
        ended = fails(config, tmp_path / "run", "import resource\n" + at_step(16, full))
        assert (ended.code, ended.messages.count("File too large")) == (2, 1), ended.messages
        goes_on(RunFolder(tmp_path / "run"), straight)
    else:
        ended = run(2, "train", config, "--out", tmp_path / "run", "--quiet", first=after_joining(full))
        assert (ended.code, ended.messages) == (0, "")
        assert same_files(RunFolder(tmp_path / "run"), straight)


@pytest.mark.parametrize("rank", [0, 1])
def test_killed(config: Path, straight: RunFolder, tmp_path: Path, rank: int) -> None:
    first = at_step(17, f"rank == {rank} and os.kill(os.getpid(), signal.SIGKILL)")
    ended = fails(config, tmp_path / "run", first)
    assert ended.messages == ""
    goes_on(RunFolder(tmp_path / "run"), straight)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_stands_still(config: Path, straight: RunFolder, tmp_path: Path, rank: int) -> None:
    first = at_step(17, f"rank == {rank} and os.kill(os.getpid(), signal.SIGSTOP)")
    ended = fails(config, tmp_path / "run", first, "--patience", "3", processes=2 if rank else 3)
    assert ended.code == 1
    assert (
        ended.messages.count("no answer from the processes that sums come from for 3 s; the processes end. --pat") == 1
    )
    silent = "(no answer from process 0 (" if rank == 0 else "ended without an answer: process 1 ("
    assert silent in ended.messages
    goes_on(RunFolder(tmp_path / "run"), straight)


# --- signals ---


@needs_hydra
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal(config: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C to the launcher, which passes it on; SIGHUP to one process."""
    folder = RunFolder(tmp_path / "run")
    with Started(2, "train", config, "--out", folder.path, *FOREVER) as started:
        started.wait_for(has_line(folder.log, "epoch       2/"))
        if number == signal.SIGINT:
            started.process.send_signal(number)
        else:
            started.kill(1, number)
        ended = started.ended()
    assert (ended.code, ended.output) == (128 + number, str(folder.path)), ended.messages
    name = "Ctrl-C" if number == signal.SIGINT else "SIGHUP"
    assert ended.messages.count(f"stopped by {name}: the checkpoint of ") == 1


@needs_hydra
def test_a_second_signal_leaves_at_once(config: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    act = f"(open({str(tmp_path)!r} + f'/there-{{rank}}', 'w').close(), time.sleep(600))"  # the step will not end
    with Started(2, "train", config, "--out", folder.path, "--quiet", first=at_step(20, act)) as started:
        started.wait_for((tmp_path / "there-1").exists)
        started.kill(1, signal.SIGTERM)
        time.sleep(0.1)
        started.kill(1, signal.SIGTERM)
        ended = started.ended()
    assert (ended.code, ended.output, ended.messages) == (128 + signal.SIGTERM, "", "")
    assert ended.seconds < SECONDS
    assert not folder.stopped.exists()
