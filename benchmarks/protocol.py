"""What a worker process and the comparison say to each other, and how a worker times whole steps.

One JSON object per line. The first line is the plan; the worker answers what it has built. Each further line,
{"mode": "training" or "evaluation", "seconds": s}, starts one measurement; the worker answers
{"images_per_second": ..., "steps": ..., "peak_memory": bytes so far}. An empty line or the end of the input ends the
worker. Between measurements it waits and uses no processor.

Imports neither cnntrain nor torch.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCHES = 4  # of synthetic images, used in turn; as many as `cnntrain bench` has
LEARNING_RATE = 1e-4  # small: random labels are not to be learnt by heart, where vanishing gradients change the speed
MODES = ("training", "evaluation")

Step = Callable[[], None]


def synthetic(plan: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Random images (N, C, H, W) of bytes and their labels."""
    rng, images = np.random.default_rng(1), BATCHES * plan["batch_size"]
    return rng.integers(0, 256, (images, *plan["image"]), dtype=np.uint8), rng.integers(0, plan["classes"], images)


def images_per_second(step: Step, batch_size: int, seconds: float) -> dict[str, float]:
    """Run whole steps for about `seconds`, after a few that do not count."""
    for _ in range(3):
        step()
    steps, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds or steps == 0:
        step()
        steps += 1
    return {"images_per_second": steps * batch_size / elapsed, "steps": steps}


def peak_memory() -> int:
    """Return the most memory that this process has had so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def serve(build: Callable[[dict[str, Any]], tuple[dict[str, Any], Callable[[str], Step]]]) -> None:
    """Be a worker: `build` makes (what to report, the step of each mode, asked for when it is needed) of the plan."""
    plan = json.loads(sys.stdin.readline())
    description, step_of = build(plan)
    print(json.dumps(description), flush=True)
    steps: dict[str, Step] = {}
    for line in sys.stdin:
        if not line.strip():
            break
        order = json.loads(line)
        mode = order["mode"]
        if mode not in steps:
            steps[mode] = step_of(mode)
        found = images_per_second(steps[mode], plan["batch_size"], order["seconds"])
        print(json.dumps({**found, "peak_memory": peak_memory()}), flush=True)
