"""How many threads work gets done fastest with, found out while it is done.

Threads meet after every kernel, forty times in a step. Where another program has a core, all wait for the one that
shares it, and two threads are slower than one, up to six times. Results do not depend on the number of threads, so it
may change between two steps. Now and then, and when steps become slower, a few steps are made with another number,
which stays if it is faster. On free cores that costs `SHARE` of the time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numba

from cnntrain.kernels.compiler.threads import possible_threads

FEW = 2  # laps that anything is judged by, at least; the first of a trial, in which threads wake up, does not count
WINDOW = 0.1  # seconds of laps that tell how fast it goes now
# seconds of a trial: with fewer threads; with more, for threads that slept go before others for a while
FEWER, MORE = 0.02, 0.4
CLEARLY = 0.85  # of the time with the usual number: a trial that takes more changes nothing, it may be noise
SLOWER = 1.25  # times what the usual number took when it was chosen: something has happened
SHARE = 0.01  # of the time that trials may take
FIRST = 0.1  # seconds until the first trial
SOONEST, LATEST = 0.3, 20.0  # seconds between trials: each time twice as many
REST = 2.0  # seconds from a change to the next trial, at least


class Pace:
    """Watches laps (steps, batches) and changes the number of threads between them.

    A number that somebody asked for (`set_threads`) stays. As a context manager it begins and ends, and afterwards the
    number is the one before, but where it `keeps` its own for work that goes on later.

    Parameters
    ----------
    tell : callable or None
        Called with a line when the number changes.
    clock : callable
        Returns seconds.
    use : callable
        Sets the number of threads.
    keeps : bool
    """

    def __init__(
        self,
        tell: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        use: Callable[[int], None] = numba.set_num_threads,
        keeps: bool = False,
    ) -> None:
        self._tell, self._clock, self._use, self._keeps = tell, clock, use, keeps
        self._choices, self._usual = deque(possible_threads()), numba.get_num_threads()
        self._began: float | None = None
        self._before = self._usual
        self._laps = _Laps()
        self._known = float("inf")  # seconds per image with the usual number, when it was chosen
        self._wait, self._due, self._rested = SOONEST, self._clock() + FIRST, 0.0
        self._trial: _Trial | None = None

    def begin(self) -> None:
        """Say that a lap begins; what was since the last one does not count."""
        self._began = self._clock()

    def end(self) -> None:
        """Say that other work comes: a trial that is not judged ends, and its number of threads with it."""
        if self._trial is not None:
            self._trial = None
            self._use(self._usual)

    def __enter__(self) -> Pace:
        self._before = numba.get_num_threads()
        if self._before != self._usual:  # other work has come between
            self._use(self._usual)
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if not self._keeps and self._usual != self._before:
            self._use(self._before)

    def lap(self, images: int) -> None:
        """Say that a lap with so many images ended, and the next begins."""
        if len(self._choices) == 1:
            return
        now, began = self._clock(), self._began
        self._began = now
        if began is None:
            return
        seconds = now - began
        if self._trial is None:
            self._laps.add(seconds, images)
            if self._laps.are_enough(WINDOW) and self._is_due(now):
                self._try_another(now)
        elif self._trial.add(seconds, images):
            self._judge(self._trial, now)

    def _is_due(self, now: float) -> bool:
        return now >= self._due or (now >= self._rested and self._laps.time > SLOWER * self._known)

    def _try_another(self, now: float) -> None:
        self._choices.rotate(-1)
        if self._choices[0] == self._usual:
            self._choices.rotate(-1)
        self._trial = _Trial(self._choices[0], now, MORE if self._choices[0] > self._usual else FEWER)
        self._use(self._trial.threads)

    def _judge(self, trial: _Trial, now: float) -> None:
        usual, before, found = self._laps.time, self._usual, trial.laps.time
        self._trial = None
        if found < CLEARLY * usual:
            self._usual, self._known, self._wait = trial.threads, found, max(self._wait, REST / 2)
            self._laps = _Laps()
            self._say(before)
        else:
            self._use(before)
            self._known = min(usual, SLOWER * self._known)  # by and by, what has become slower for good is usual
        self._wait = min(2 * self._wait, LATEST)
        self._due, self._rested = now + max(self._wait, (now - trial.began) / SHARE), now + SOONEST

    def _say(self, before: int) -> None:
        if self._tell is not None:
            threads = f"{self._usual} thread{'s' if self._usual > 1 else ''}"
            why = "something else keeps the cores busy" if self._usual < before else "the cores are free again"
            self._tell(f"{threads} instead of {before}: {why}; the results are the same")


class _Laps:
    """The last laps, of about `WINDOW` seconds, or `FEW` longer ones."""

    def __init__(self) -> None:
        self._laps: deque[tuple[float, int]] = deque()
        self._seconds, self._images = 0.0, 0

    def add(self, seconds: float, images: int) -> None:
        """Take one; old ones go."""
        self._laps.append((seconds, images))
        self._seconds, self._images = self._seconds + seconds, self._images + images
        while len(self._laps) > FEW and self._seconds - self._laps[0][0] >= WINDOW:
            old = self._laps.popleft()
            self._seconds, self._images = self._seconds - old[0], self._images - old[1]

    def are_enough(self, seconds: float) -> bool:
        """Tell whether they took so long, all together."""
        return len(self._laps) >= FEW and self._seconds >= 0.99 * seconds

    @property
    def time(self) -> float:
        """Seconds per image: the mean, for waiting comes in rare, long laps."""
        return self._seconds / self._images


class _Trial:
    """Some laps with another number of threads."""

    def __init__(self, threads: int, began: float, seconds: float) -> None:
        self.threads, self.began, self.laps = threads, began, _Laps()
        self._seconds, self._spent, self._woken = seconds, 0.0, False

    def add(self, seconds: float, images: int) -> bool:
        """Take a lap; tell whether that is enough."""
        if self._woken:
            self.laps.add(seconds, images)
            self._spent += seconds
        self._woken = True
        return self._spent >= self._seconds and self.laps.are_enough(min(self._seconds, WINDOW))
