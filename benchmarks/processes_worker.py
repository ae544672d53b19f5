"""One process of a training that is measured: it makes steps when it is told to, and waits without a processor.

The driver (processes.py) listens at a socket; every process of every form connects. A line of JSON orders so many
steps, the answer says how long they took; `null` ends the process.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from cnntrain.config import load_config
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.processes import launch
from cnntrain.runs.logs import StepRecord
from cnntrain.runs.reporter import Reporter
from cnntrain.training.loop import Loop
from cnntrain.training.recording import NoRecords
from cnntrain.training.session import compile_kernels
from cnntrain.training.setup import Training, build_training

LEAD_IN = 2  # steps of a slice that do not count: threads wake up, caches fill


class EndedError(BaseException):
    """The driver wants no more steps."""


class Orders(NoRecords):
    """Told of every step by the training loop, it stops the training until more steps are ordered."""

    def __init__(self, stream: Any, training: Training, batch: int) -> None:
        self._stream, self._training, self._batch = stream, training, batch
        self._left = self._counted = 0
        self._began, self._worked = 0.0, 0.0

    def step(self, record: StepRecord) -> None:
        self._left -= 1
        if self._left == self._counted:
            self._began, self._worked = time.perf_counter(), time.process_time()
        if self._left == 0:
            self.report(
                steps=self._counted,
                seconds=time.perf_counter() - self._began,
                processor=time.process_time() - self._worked,
            )
            self.wait()

    def report(self, **found: Any) -> None:
        try:
            self._stream.write(json.dumps(found) + "\n")
            self._stream.flush()
        except OSError:
            raise EndedError from None

    def wait(self) -> None:
        """Return when steps are ordered."""
        while True:
            order = json.loads(self._stream.readline() or "null")
            if order is None:
                raise EndedError
            if order.get("profile"):
                self.report(**profile(self._training, order["profile"]))
                continue
            self._counted = order["steps"]
            self._left = self._counted + LEAD_IN
            return


def profile(training: Training, rounds: int) -> dict[str, Any]:
    """Return seconds of one part of a batch forward, of each layer backward with its learned numbers, of the update.

    Of its one thread: what else runs on the machine does not count.
    """
    network, images = training.network, training.data.train.images
    indices = np.arange(network.batch_size, dtype=np.int64)
    labels = training.data.train.labels[indices]
    found: list[list[float]] = []
    starts: list[int] = []
    for number in range(rounds):
        starts, times = [], [time.process_time()]

        def ready(first: int, starts: list[int] = starts, times: list[float] = times) -> None:
            starts.append(first)
            times.append(time.process_time())

        network.load(images, indices, training.data.normalization)
        network.forward(training=True, step=number)
        network.loss(labels)
        times.append(time.process_time())
        network.backward(ready)
        training.optimizer.step(0.0)
        times.append(time.process_time())
        found.append(np.diff(times).tolist())
    forward, *layers, update = np.median(np.array(found), axis=0).tolist()
    sizes = -np.diff([network.gradients.size, *starts])
    return {
        "forward": forward,
        "backward": [[int(size), seconds] for size, seconds in zip(sizes, layers, strict=True)],
        "update": update,
        "statistics": int(network.measured.size),
        "itemsize": network.dtype.itemsize,
        "images": network.batch_size,
    }


def main(address: str, threads: int, config: str, *overrides: str) -> NoReturn:
    """Build the training and serve until the driver ends it."""
    team = launch.join()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        with connection.makefile("rw") as stream:
            set_threads(threads)
            training = build_training(load_config(Path(config), overrides), lambda _: None, team)
            reporter = Reporter(quiet=True)
            team.first_on_machine(lambda: compile_kernels(training, reporter))
            orders = Orders(stream, training, training.batch_size)
            orders.report(rank=team.rank, size=team.size, parameters=int(training.network.gradients.size))
            try:
                orders.wait()
                Loop(training, orders, reporter, team=team).run()
            except EndedError:
                pass
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
