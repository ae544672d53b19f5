"""Processes that are forked: with a clear error once OpenMP's threads ran, as usual before that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cnntrain.kernels.compiler.threads import set_threads, threading_layer

PROGRAM = """
import json, multiprocessing, os, sys
import numpy as np
from cnntrain import functional
from cnntrain.errors import ForkError

x = np.linspace(0, 1, 32, dtype=np.float32).reshape(1, 2, 4, 4)


def outcome(function):
    try:
        return function(x).tolist() == x.tolist()
    except ForkError as error:
        return str(error)


def in_child(function):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(outcome(function)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as result:
        text = result.read()
    status = os.waitstatus_to_exitcode(os.wait()[1])
    return json.loads(text) if status == 0 else status


before = in_child(functional.relu)
assert outcome(functional.relu) is True
print(json.dumps([
    before,
    in_child(functional.relu),
    in_child(lambda x: functional.leaky_relu(x, 0.5)),
    multiprocessing.get_context("fork").Pool(1).map(outcome, [functional.relu])[0],
    outcome(functional.relu),
]))
"""


def run(**environment: str) -> list[bool | str | int]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcomes: list[bool | str | int] = json.loads(done.stdout)
    return outcomes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere OpenMP is another")
def test_a_fork_after_kernels_ran() -> None:
    set_threads(1)
    if threading_layer() != "omp":
        pytest.skip("kernels do not run on OpenMP here")
    before, known, not_loaded, pool, parent = run()
    assert before is True
    assert str(known).startswith("this process was forked from one that had already run kernels")
    assert 'multiprocessing.get_context("spawn")' in str(known)
    assert known == not_loaded == pool
    assert parent is True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_other_threads_survive_a_fork() -> None:
    assert all(outcome is True for outcome in run(NUMBA_THREADING_LAYER="workqueue"))
