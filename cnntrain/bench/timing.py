"""Times that were measured several times, and what to say of them on a machine that does other things too."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Spread:
    """A quantity that was measured several times: seconds, or a rate per second.

    Attributes
    ----------
    median : float
    low, high : float
        The quartiles: half of the measurements lie between them.
    least, most : float
    count : int
        Number of measurements.
    """

    median: float
    low: float
    high: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one or more measurements."""
        low, median, high = np.percentile(values, [25, 50, 75]).tolist()
        return cls(median, low, high, min(values), max(values), len(values))

    @property
    def relative(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0

    def rate(self, work: float) -> Spread:
        """Return work per second, this being the seconds for that work."""
        return Spread(
            work / self.median, work / self.high, work / self.low, work / self.most, work / self.least, self.count
        )

    def as_dict(self) -> dict[str, float]:
        """Return what JSON shall say."""
        names = ("median", "low", "high", "least", "most")
        return {name: getattr(self, name) for name in names} | {"count": self.count}


class Stopwatch(Generic[Key]):
    """Times of the parts of a step, each without the parts that are called inside it.

    The times of a step are added up by key; `steps` has them, step by step.
    """

    def __init__(self) -> None:
        self.steps: list[dict[Key, float]] = []
        self._now: dict[Key, float] = defaultdict(float)
        self._inside: list[float] = []  # for each part under way, the seconds of the parts inside it

    def timed(self, key: Key, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is timed."""
        inside = self._inside

        def wrapper(*arguments: Any, **named: Any) -> Any:
            inside.append(0.0)
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds = time.perf_counter() - begin
                self._now[key] += seconds - inside.pop()
                if inside:
                    inside[-1] += seconds

        return wrapper

    @contextmanager
    def patched(self, *targets: tuple[Key, object, str]) -> Iterator[None]:
        """Time methods of objects, each given as (key, object, name of the method), while the context lasts."""
        before = [(target, name, vars(target).get(name)) for _, target, name in targets]
        for key, target, name in targets:
            setattr(target, name, self.timed(key, getattr(target, name)))
        try:
            yield
        finally:
            for target, name, own in reversed(before):
                if own is None:
                    delattr(target, name)
                else:
                    setattr(target, name, own)

    def end_step(self) -> None:
        """Keep the times of a step, and begin the next."""
        self.steps.append(dict(self._now))
        self._now.clear()

    def spreads(self) -> dict[Key, Spread]:
        """Summarise each key over all steps, in the order in which keys were first met."""
        keys = dict.fromkeys(key for step in self.steps for key in step)
        return {key: Spread.of([step.get(key, 0.0) for step in self.steps]) for key in keys}


def seconds_of(function: Callable[[], Any]) -> float:
    """Return the time of a call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def each_of(function: Callable[[], Any], times: int) -> list[float]:
    """Return the times of some calls: one by one, so that the median leaves out those that something interrupted."""
    return [seconds_of(function) for _ in range(times)]


def times_for(function: Callable[[], Any], seconds: float) -> int:
    """Return how often to call a function for about so many seconds, from two calls of which the second counts."""
    function()
    return max(1, min(round(seconds / max(seconds_of(function), 1e-7)), 100_000))
