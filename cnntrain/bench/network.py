"""Measuring whole steps of a network, and the passes of its layers inside such steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnntrain.bench.machine import Peak
from cnntrain.bench.subject import Subject
from cnntrain.bench.timing import Spread, Stopwatch, each_of, times_for
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.layers.base import Conditions, PassChoice, Timed
from cnntrain.layers.explanation import choices_of
from cnntrain.machine import this_machine

ROUND = 0.03  # seconds that each measurement of a round takes, or one step
LEAST_ROUNDS = 3
PEAKS = 3  # measurements of the peak after each step that is measured pass by pass

Key = tuple[str, str]  # (the layer's path, the pass); path "" for what is no layer's


@dataclass(frozen=True)
class PassTime:
    """One pass of one layer, or something of the step that is no layer's.

    Attributes
    ----------
    layer : str
        Path; empty for what is no layer's.
    shape : str
        What the layer's arithmetic depends on, for example "6→16 5x5 on 14x14"; empty where there is nothing to say.
    name : str
        forward; to input, to weights (or backward, where both come at once); load, loss, update, other.
    seconds : Spread
    operations : int
        Useful floating-point operations of the batch, two per multiply-add; 0 where they are not what it is about.
    step : float
        Share of the whole step.
    choice : PassChoice or None
        What computes it, where there are algorithms to choose from.
    """

    layer: str
    shape: str
    name: str
    seconds: Spread
    operations: int
    step: float
    choice: PassChoice | None


@dataclass(frozen=True)
class Run:
    """All that was measured with one number of threads; rates in images per second, the peak in GFLOP/s."""

    threads: int
    peak: Spread
    training: Spread
    evaluation: Spread
    passes: list[PassTime]


def measure_network(
    subject: Subject, threads: list[int], seconds: float, on_progress: Callable[[float], None] = lambda done: None
) -> list[Run]:
    """Measure in rounds, in each of which everything has its turn: a slow moment of the machine meets all alike.

    Parameters
    ----------
    subject : Subject
        Warmed up.
    threads : list of int
        Numbers of threads to measure with.
    seconds : float
        About how long to measure in all; at least three rounds.
    on_progress : callable
        Called with the share of the time that is over.

    Returns
    -------
    list of Run
        One for each number of threads, in their order.
    """
    peak = Peak()
    meters = [_Meter(subject, number, peak) for number in threads]
    begin, rounds = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds or rounds < LEAST_ROUNDS:
        on_progress(min(elapsed / seconds, 1.0))
        for meter in meters:
            meter.round()
        rounds += 1
    return [meter.result() for meter in meters]


class _Meter:
    """Measures with one number of threads."""

    def __init__(self, subject: Subject, threads: int, peak: Peak) -> None:
        self._subject, self._threads, self._peak = subject, threads, peak
        set_threads(threads)
        self._training_steps = times_for(subject.train, ROUND)
        self._evaluation_steps = times_for(subject.evaluate, ROUND)
        self._peaks: list[float] = []
        self._training: list[float] = []
        self._evaluation: list[float] = []
        self._watch: Stopwatch[Key] = Stopwatch()
        self._passes = list(subject.network.body.timed())

    def round(self) -> None:
        """Add one measurement of everything, and some of each pass."""
        subject = self._subject
        set_threads(self._threads)  # others have had their turn
        subject.train()  # a changed number of threads takes effect, the caches fill
        self._training += each_of(subject.train, self._training_steps)
        self._evaluation += each_of(subject.evaluate, self._evaluation_steps)
        passes = [((timed.path, timed.name), timed.target, timed.method) for timed in self._passes]
        targets = [*_beside_layers(subject), *passes]
        with self._watch.patched(*targets):
            step = self._watch.timed(("", "other"), subject.train)
            for _ in range(self._training_steps):
                step()
                self._watch.end_step()
                # as short and as often as the passes, so that what slows these down slows down the peak as well
                self._peaks += [self._peak.measure(self._threads) for _ in range(PEAKS)]

    def result(self) -> Run:
        """Summarise all rounds."""
        network = self._subject.network
        images = network.batch_size
        timed = {(found.path, found.name): found for found in self._passes}
        chosen = choices_of(network.body.rows, Conditions(network.blocks, network.dtype, this_machine()))
        choices = {(choice.path, choice.name): choice for choice in chosen}
        spreads = self._watch.spreads()
        whole = Spread.of([sum(step.values()) for step in self._watch.steps])
        passes = []
        for path, name in sorted(spreads, key=_place(self._passes)):
            found = timed.get((path, name))
            passes.append(
                PassTime(
                    layer=path,
                    shape=found.shape if found else "",
                    name=name,
                    seconds=spreads[path, name],
                    operations=2 * found.macs * images if found else 0,
                    step=spreads[path, name].median / whole.median,
                    choice=choices.get((path, name)),
                )
            )
        return Run(
            threads=self._threads,
            peak=Spread.of(self._peaks),
            training=Spread.of(self._training).rate(images),
            evaluation=Spread.of(self._evaluation).rate(images),
            passes=passes,
        )


def _place(passes: Sequence[Timed]) -> Callable[[Key], tuple[int, int]]:
    """Order as the network runs: loading first, then the layers, each with its passes, then the rest."""
    paths = list(dict.fromkeys(timed.path for timed in passes))
    names = ["load", "forward", "to input", "to weights", "backward", "loss", "update", "other"]

    def place(key: Key) -> tuple[int, int]:
        path, name = key
        return (paths.index(path) if path else -1 if name == "load" else len(paths), names.index(name))

    return place


def _beside_layers(subject: Subject) -> list[tuple[Key, object, str]]:
    """Name what a step does beside the layers; what no name is given to counts as other."""
    return [
        (("", "load"), subject.network, "load"),
        (("", "loss"), subject.network, "loss"),
        (("", "update"), subject.optimizer, "step"),
    ]
