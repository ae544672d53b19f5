"""Compiling with two processes: on a machine's first run, a helper compiles the middle layers meanwhile.

Numba compiles one function at a time. The helper is a process of its own that builds the same network and goes through
the layers from the second on, where the longest kernels are. What it has compiled, this process finds in the cache: it
begins with the optimiser, the first layer and the loss, then goes through the layers from the last to the second. For a
kernel that the other is compiling, each waits.

The helper ends with this process, however that ends: it watches the pipe that its task came through.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cnntrain.config import Config, resolved_yaml
from cnntrain.kernels.compiler.estimate import Estimate
from cnntrain.kernels.compiler.report import announce, cache_folder, reported
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.shape import Shape
from cnntrain.warm_up import needed


@contextmanager
def compiling(
    config: Config, shape: Shape, classes: int, batch_size: int, reporter: Any, act: Callable[[], None] | None = None
) -> Iterator[None]:
    """Say what compiles; at the first kernel that is not in the cache, start a helper if there is a second core.

    `act` does all that will be done meanwhile, with things of its own: how many kernels it needs is said too.
    """
    helper: subprocess.Popen[str] | None = None

    def start(_: str) -> None:
        nonlocal helper
        if helper is None and cache_folder() is not None and set_threads(None) > 1:
            helper = _start({
                "config": resolved_yaml(config), "shape": shape, "classes": classes, "batch_size": batch_size,
            })  # fmt: skip

    def estimate() -> Estimate:
        return Estimate(None if act is None else needed(act), processes=1 if helper is None else 2)

    try:
        with announce(start), reported(reporter.line, reporter.warning, estimate):
            yield
    finally:
        if helper is not None:
            _end(helper)


def _start(task: dict[str, Any]) -> subprocess.Popen[str] | None:
    """Start the helper; None if the system refuses: this process then compiles everything itself."""
    command = [sys.executable, "-m", "cnntrain.training.warm_up"]
    quiet = subprocess.DEVNULL
    try:
        helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, text=True)
    except OSError:
        return None
    assert helper.stdin is not None
    try:
        helper.stdin.write(json.dumps(task) + "\n")
        helper.stdin.flush()  # and left open: its end says that this process has ended
    except OSError:
        _end(helper)
        return None
    return helper


def _end(helper: subprocess.Popen[str]) -> None:
    helper.kill()
    helper.wait()
    assert helper.stdin is not None
    with suppress(OSError):
        helper.stdin.close()


def _help() -> None:
    """Be the helper: compile the network that standard input describes, from its second layer on; end when it ends."""
    from cnntrain.config import parse_config
    from cnntrain.training.setup import build_network
    from cnntrain.warm_up import help_warm_up

    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    config = parse_config(task["config"], "the config of the training")
    network = build_network(config, Shape(*task["shape"]), task["classes"], task["batch_size"])
    help_warm_up(network)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)  # the process that asked is gone, perhaps killed: nobody waits for what is being compiled


if __name__ == "__main__":
    _help()
