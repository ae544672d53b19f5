"""A whole training gives the same bits with 1, 2 and 3 threads, and while the number changes from step to step."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.training.small import write_config

REPO = Path(__file__).parents[2]
NETWORK = [
    {"conv2d": {"filters": 7, "kernel_size": 3, "padding": "same"}},
    "batch_norm2d",
    "tanh",
    {"max_pool2d": 2},
    {"residual": [{"conv2d": {"filters": 7, "kernel_size": 3, "padding": 1}}, "relu"]},
    {"dropout": 0.2},
    {"dense": 21},
    "relu",
    {"dense": "classes"},
]
TIMES = {"images_per_second", "seconds"}


CHANGING = """
from itertools import cycle
import numba
from cnntrain.cli import main
from cnntrain.kernels.compiler.pace import Pace

numbers = cycle([3, 1, 2])
Pace.lap = lambda self, images: numba.set_num_threads(next(numbers))
main()
"""


def train(config: Path, out: Path, threads: int | None) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """Return the bytes of all tensors in both checkpoints, and the metrics without the times.

    Without `threads`, each step runs with another number.
    """
    program = ["-c", CHANGING] if threads is None else ["-m", "cnntrain"]
    options = [str(config), "--out", str(out), *([] if threads is None else ["--threads", str(threads)])]
    finished = subprocess.run(
        [sys.executable, *program, "train", *options],
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert f"\n{threads or 3} thread" in finished.stderr
    tensors = {
        f"{file}: {name}": tensor.tobytes()
        for file in ("best.safetensors", "last.safetensors")
        for name, tensor in load_file(out / file).items()
    }
    with (out / "metrics.csv").open() as file:
        rows = [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]
    return tensors, rows


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("threads")
    # 448 images in batches of 40: three blocks, the last half empty, and a last batch of 8
    data = {"augment": [{"random_crop": {"padding": 2}}]}
    config = write_config(folder, data=data, network=NETWORK, train={"epochs": 2, "batch_size": 40})
    return config, *train(config, folder / "run1", 1)


@pytest.mark.parametrize("threads", [2, 3, None])
def test_the_same_bits_for_any_number_of_threads(
    one_thread: tuple[Path, dict[str, bytes], list[dict[str, str]]], tmp_path: Path, threads: int | None
) -> None:
    config, tensors, rows = one_thread
    assert len(rows) == 2
    found, found_rows = train(config, tmp_path / "run", threads)
    assert found.keys() == tensors.keys()
    assert [name for name in tensors if found[name] != tensors[name]] == []
    assert found_rows == rows


def test_the_training_has_changed_something(
    one_thread: tuple[Path, dict[str, bytes], list[dict[str, str]]],
) -> None:
    _, tensors, rows = one_thread
    assert len(tensors) > 20
    assert rows[0] != rows[1]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
