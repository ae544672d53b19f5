"""What a peer is, when its answers agree with ours, and how whole steps are timed.

Needs NumPy alone: it runs in environments without cnntrain's dependencies.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Plan = dict[str, Any]

BATCHES = 4  # of synthetic images, used in turn; as many as `cnntrain bench` has
LEARNING_RATE = 1e-4  # small: random labels are not to be learnt by heart, where vanishing gradients change the speed
MODES = ("training", "evaluation")
TOLERANCE = 1e-3  # relative to the largest number of the answer


class Program(NamedTuple):
    """One variant at work.

    Attributes
    ----------
    step : callable
        A whole step on the next batch.
    answer : callable
        Called once, before any step. Training: the losses of two steps on the first batch, with the plan's `rate`;
        evaluation: the logits of the first batch, (images, classes).
    """

    step: Callable[[], object]
    answer: Callable[[], Array]


class Peer(ABC):
    """One of those that are compared, in its own process.

    Parameters
    ----------
    plan : dict
        From the script. The constructor sets the number of threads.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def version(self) -> str:
        """Name and version."""

    @abstractmethod
    def threads(self) -> int:
        """As many as it really uses."""

    @abstractmethod
    def variants(self, mode: str) -> Sequence[str]:
        """Names of what is tried; none where the peer has no such mode."""

    @abstractmethod
    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        """Build a variant with the given weights; whatever is raised leaves it out."""

    def about(self) -> dict[str, Any]:
        """What else to report."""
        return {}


def synthetic(plan: Plan) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Random images (N, C, H, W) of bytes and their labels."""
    rng, images = np.random.default_rng(1), BATCHES * plan["batch_size"]
    return rng.integers(0, 256, (images, *plan["image"]), dtype=np.uint8), rng.integers(0, plan["classes"], images)


def batches(plan: Plan) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return the batches as most peers take them: float32 from -1 to 1, and labels."""
    images, labels = synthetic(plan)
    size = plan["batch_size"]
    scaled = images.astype(np.float32) * np.float32(2 / 255) - np.float32(1)
    return [(scaled[i : i + size].copy(), labels[i : i + size].copy()) for i in range(0, len(images), size)]


def difference(found: Array, expected: Array) -> float:
    """Return the largest difference, relative to the largest expected number; infinity where shapes differ or NaN."""
    found = np.asarray(found, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def disagreement(found: Array, expected: Array) -> str | None:
    """Say how an answer differs from cnntrain's, None where it does not."""
    far = difference(found, expected)
    if far <= TOLERANCE:
        return None
    kind = "logits" if expected.ndim == 2 else "losses"
    shown = f"{np.asarray(found).reshape(-1)[:2].tolist()} for {expected.reshape(-1)[:2].tolist()}"
    return f"its {kind} differ by {far:.1e} of the largest ({shown}): not the same network"


def short(error: Exception) -> str:
    """Return what an error is about, in a line: TensorFlow says so last, after the places that it passed."""
    lines = [line.partition(" [Op:")[0].strip() for line in str(error).splitlines()]
    places = ("[[", "Detected at", "File ", "<", "Graph execution error", "Stack trace")
    telling = [line for line in lines if line and not line.startswith(places)]
    chosen = telling[-1:] if lines and lines[0].startswith("Graph execution error") else telling[:1]
    return f"{type(error).__name__}: {(chosen or [''])[0][:300]}"


def images_per_second(
    step: Callable[[], object], batch_size: int, seconds: float, expected: float = 0.0
) -> dict[str, float]:
    """Run whole steps for about `seconds`, after some that do not count: at most 3, and a fifth of the time.

    A step that is `expected` to take longer than that fills the caches by itself.
    """
    begin = time.perf_counter()
    for number in range(3):
        if expected * (number + 1) > seconds / 5:
            break
        step()
        expected = (time.perf_counter() - begin) / (number + 1)
    steps, begin, worked = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begin) < seconds or steps == 0:
        step()
        steps += 1
    worked = time.process_time() - worked
    return {"images_per_second": steps * batch_size / elapsed, "steps": steps, "processors": worked / elapsed}


def peak_memory() -> int:
    """Return the most memory that this process had since `forget_peak`, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> bool:
    """Give freed memory back and let the peak begin anew; return whether the system can do that (Linux)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def bind(cpus: Sequence[int]) -> None:
    """Let all threads of this process run on these processors alone, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that has just ended
                os.sched_setaffinity(int(task.name), cpus)
