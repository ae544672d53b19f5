"""The process of a peer: what it and the script say to each other.

One JSON object per line. The first line is the plan (`benchmarks.networks.plan`, with `threads`, `cpus`, `state` and
`rate`). The process builds what the plan describes in every variant that it knows, and lets each answer the same
questions as cnntrain's network answered: the logits of the first batch, and the losses of two steps on it. A variant
that answers otherwise, or cannot be built, is left out with the reason. `variants`, where the plan has it, says by mode
which one to build, if it was chosen before. Then

    {"do": "choose", "seconds": s}                  measures the variants in turn and keeps the fastest of each mode
    {"do": "measure", "mode": m, "seconds": s}      measures it, "training" or "evaluation"

and every order is answered. An empty line or the end of the input ends the process. While it waits it uses no
processor.

Needs NumPy alone: it runs in environments without cnntrain's dependencies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.peers.protocol import (
    MODES,
    Array,
    Peer,
    Plan,
    Program,
    bind,
    disagreement,
    forget_peak,
    images_per_second,
    peak_memory,
    short,
)

CHOOSING_ROUNDS = 3
HOPELESS = 2.0  # a variant that takes so many times as long as another is not measured again


class Variants:
    """What a peer has built for one mode.

    Attributes
    ----------
    left_out : dict
        Reasons by variant.
    speeds : dict
        The best images/s of each variant, filled by `choose`.
    """

    def __init__(self, peer: Peer, mode: str, state: Mapping[str, Array], expected: Array) -> None:
        self.batch_size = peer.plan["batch_size"]
        self.programs: dict[str, Program] = {}
        self.left_out: dict[str, str] = {}
        self.differs = False
        self._expected = 0.0  # seconds per step
        self.speeds: dict[str, float] = {}
        known = peer.plan.get("variants", {}).get(mode)
        for variant in peer.variants(mode) if known is None else [known]:
            try:
                program = peer.program(mode, variant, state)
                reason = disagreement(program.answer(), expected)
                self.differs |= reason is not None
            except Exception as error:  # frameworks raise whatever they like
                reason = short(error)
            if reason is None:
                self.programs[variant] = program
            else:
                self.left_out[variant] = reason

    def choose(self, seconds: float) -> str | None:
        """Measure in turn, so that a slow moment of the machine meets all of them, and keep the fastest."""
        self.speeds = dict.fromkeys(self.programs, 0.0)
        for _ in range(CHOOSING_ROUNDS if len(self.programs) > 1 else 0):
            best = max(self.speeds.values())
            for variant, program in self.programs.items():
                if not self.speeds[variant] or self.speeds[variant] * HOPELESS > best:
                    share = seconds / CHOOSING_ROUNDS / len(self.programs)
                    before = self.speeds[variant]
                    expected = self.batch_size / before if before else 0.0
                    found = images_per_second(program.step, self.batch_size, share, expected)["images_per_second"]
                    self.speeds[variant] = max(before, found)
        chosen = max(self.speeds, key=lambda variant: self.speeds[variant], default=None)
        self.programs = {} if chosen is None else {chosen: self.programs[chosen]}
        return chosen

    def measure(self, seconds: float) -> dict[str, float]:
        """Measure the chosen variant."""
        (program,) = self.programs.values()
        found = images_per_second(program.step, self.batch_size, seconds, self._expected)
        self._expected = self.batch_size / found["images_per_second"]
        return found

    def report(self) -> dict[str, Any]:
        """What there is."""
        return {"variants": list(self.programs), "left_out": self.left_out, "differs": self.differs}


def serve(make: Callable[[Plan], Peer]) -> None:
    """Be the process of a peer; whatever else is printed goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    plan = json.loads(sys.stdin.readline())
    peer = make(plan)
    with np.load(plan["state"]) as file:
        stored = dict(file)
    expected = {"training": stored.pop("losses"), "evaluation": stored.pop("logits")}
    built = {mode: Variants(peer, mode, stored, expected[mode]) for mode in MODES}
    say(
        {
            "version": peer.version(),
            "threads": peer.threads(),
            **peer.about(),
            "modes": {mode: variants.report() for mode, variants in built.items()},
        }
    )
    for line in sys.stdin:
        if not line.strip():
            break
        order = json.loads(line)
        if order["do"] == "choose":
            bind(plan["cpus"])
            chosen = {mode: variants.choose(order["seconds"]) for mode, variants in built.items()}
            alone = forget_peak()
            speeds = {mode: variants.speeds for mode, variants in built.items()}
            say({"chosen": chosen, "speeds": speeds, "memory_alone": alone})
        else:
            say({**built[order["mode"]].measure(order["seconds"]), "peak_memory": peak_memory()})
