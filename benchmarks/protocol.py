"""What a worker process and the comparison say to each other, and how a worker times whole steps.

One JSON object per line. The first line is the plan; the worker answers what it has built. Each further line,
{"seconds": s}, starts one measurement; the worker answers {"images_per_second": ..., "steps": ...}. An empty line or
the end of the input ends the worker. Between measurements it waits and uses no processor.

Imports neither cnntrain nor torch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGES = 4096  # synthetic training set
LEARNING_RATE = 1e-4  # small: random labels are not to be learnt by heart, where vanishing gradients change the speed


def synthetic(plan: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Random images (IMAGES, C, H, W) of bytes and their labels; the same in both workers."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (IMAGES, *plan["image"]), dtype=np.uint8)
    return images, rng.integers(0, plan["classes"], IMAGES)


def images_per_second(step: Callable[[int], None], batch_size: int, seconds: float) -> dict[str, float]:
    """Run whole steps for about `seconds`, after a few that do not count; `step` is called with the step's number."""
    for number in range(3):
        step(number)
    steps, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds or steps == 0:
        step(steps)
        steps += 1
    return {"images_per_second": steps * batch_size / elapsed, "steps": steps}


def serve(build: Callable[[dict[str, Any]], tuple[dict[str, Any], Callable[[float], dict[str, float]]]]) -> None:
    """Be a worker: `build` makes (what to report, a function that measures for some seconds) of the plan."""
    description, measure = build(json.loads(sys.stdin.readline()))
    print(json.dumps(description), flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        print(json.dumps(measure(json.loads(line)["seconds"])), flush=True)
