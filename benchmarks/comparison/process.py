"""The process of one contestant, told by a pipe what to do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison.contestants import CNNTRAIN, OURS, PEERS, environment
from benchmarks.networks import ROOT

LAST_WORDS = 15  # lines


class EndedError(Exception):
    """The process ended where it should have answered; the message holds its last words."""


class Process:
    """One contestant at work.

    Parameters
    ----------
    name : str
        "cnntrain" or one of `PEERS`.
    python : str
        Its interpreter.
    plan : dict
        What it builds; with `threads`, `isa` and `cpus`.
    cpus : sequence of int
        Where it may run until it is told to choose, when it moves to those of the plan.

    Attributes
    ----------
    description : dict
        What it has built, once `built` was called.
    memory : dict
        Peak memory of the first measurement of each mode, bytes.
    shares : list of float
        Processor time that each measurement had, as a share of its threads' time.
    """

    def __init__(self, name: str, python: str, plan: dict[str, Any], cpus: Sequence[int]) -> None:
        self.name = name
        self.title = CNNTRAIN.title if name == OURS else PEERS[name].title
        self.description: dict[str, Any] = {}
        self.memory: dict[str, int] = {}
        self.shares: list[float] = []
        self._threads = plan["threads"]
        self._words = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - close()
        module = CNNTRAIN.module if name == OURS else PEERS[name].module
        self._process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            cwd=ROOT,
            env=environment(plan["threads"], plan["isa"]),
            preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if hasattr(os, "sched_setaffinity") else None,
        )
        self._say(plan)

    def built(self) -> dict[str, Any]:
        """Wait until everything is built and return the description."""
        self.description = self._answer()
        return self.description

    def choose(self, seconds: float) -> None:
        """Let it find its fastest variants, in about so many seconds for each mode."""
        self._say({"do": "choose", "seconds": seconds})
        self.description |= self._answer()

    def takes_part(self, mode: str) -> bool:
        """It has something to measure."""
        return bool(self.description["modes"][mode]["variants"])

    def measure(self, mode: str, seconds: float) -> float:
        """Return images per second over about that time."""
        self._say({"do": "measure", "mode": mode, "seconds": seconds})
        found = self._answer()
        self.memory.setdefault(mode, found["peak_memory"])
        self.shares.append(found["processors"] / self._threads)
        return float(found["images_per_second"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:  # still building
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._words.close()

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EndedError(self._last_words()) from None

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EndedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._words.seek(0)
        lines = self._words.read().strip().splitlines()[-LAST_WORDS:]
        return "\n".join([f"the {self.title} process ended (exit code {code})", *lines])


def interpreter(path: str) -> str:
    """Return a path to an interpreter that works from any folder; links stay, since an environment is known by them."""
    return str(Path(path).absolute()) if os.sep in path else path
