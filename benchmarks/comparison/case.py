"""One network with one batch size and number of threads: all contestants built, checked, and measured in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison.contestants import DEAF, OURS, PEERS
from benchmarks.comparison.figures import summary, turns
from benchmarks.comparison.process import EndedError, Process
from benchmarks.peers.protocol import MODES

Choices = Mapping[str, Mapping[str, str | None]]  # by peer and mode: the variant
QUIET = 0.9  # of its threads' time: less, and something else was running


@dataclass(frozen=True)
class Options:
    """How everything is measured.

    Attributes
    ----------
    pythons : mapping
        Interpreters of the peers, by name.
    cpus : sequence of int
        All processors; with n threads the first n are used.
    compile : bool
        Try torch.compile too.
    folder : Path
        For what the processes hand to each other.
    cache : Path
        Where compiled programs are kept from one run to the next.
    """

    pythons: Mapping[str, str]
    cpus: Sequence[int]
    rounds: int
    seconds: float
    isa: str
    compile: bool
    folder: Path
    cache: Path


class Case:
    """All processes of a network, batch size and number of threads.

    Parameters
    ----------
    plan : mapping
    threads : int
    options : Options
    choices : mapping or None
        Variants that are known to be the best, by peer and mode.

    Attributes
    ----------
    left_out : dict
        Reasons, by peer.
    differ : list of str
        Those of them whose answers were not ours.
    """

    def __init__(self, plan: Mapping[str, Any], threads: int, options: Options, choices: Choices | None = None) -> None:
        self._options, self._choices = options, choices or {}
        self.plan = {
            **plan,
            "threads": threads,
            "isa": options.isa,
            "cpus": list(options.cpus[:threads]),
            "compile": options.compile,
            "cache": str(options.cache),
            "state": str(options.folder / "state.npz"),
        }
        if "onnxruntime" in options.pythons:
            self.plan["onnx"] = str(options.folder / "network.onnx")
        self.processes: dict[str, Process] = {}
        self.left_out: dict[str, str] = {}
        self.differ: list[str] = []

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.close()

    def build(self) -> None:
        """Let our side write the weights and answers, then the others build at the same time; keep who agrees."""
        ours = self._start(OURS, sys.executable, self.plan, 0)
        description = ours.built()
        if description["compiled"]:  # the compiler's memory is not that of a training
            ours.close()
            description = self._start(OURS, sys.executable, self.plan, 0).built()
        if description["parameters"] != self.plan["parameters"]:
            raise EndedError(f"cnntrain built {description['parameters']} parameters for {self.plan['parameters']}")
        plan = {**self.plan, "rate": description["rate"]}
        for number, (name, python) in enumerate(self._options.pythons.items()):
            known = {"variants": self._choices[name]} if name in self._choices else {}
            self._start(name, python, {**plan, **known}, number)
        for name in self._options.pythons:
            with self._forgiving(name):
                self._judge(name, self.processes[name].built())

    def choose(self) -> None:
        """Let each find its best variants; the others wait."""
        for name, process in list(self.processes.items()):
            with self._forgiving(name):
                process.choose(2 * self._options.seconds)

    def measure(self) -> dict[str, dict[str, list[float]]]:
        """Return images/s of all rounds, by mode and contestant."""
        speeds: dict[str, dict[str, list[float]]] = {mode: {} for mode in MODES}
        for number in range(self._options.rounds):
            for mode, found in speeds.items():
                for name in turns(list(self.processes), number):
                    with self._forgiving(name):
                        if self.processes[name].takes_part(mode):
                            speed = self.processes[name].measure(mode, self._options.seconds)
                            found.setdefault(name, []).append(speed)
        return {mode: {name: found[name] for name in self.processes if name in found} for mode, found in speeds.items()}

    @contextmanager
    def _forgiving(self, name: str) -> Iterator[None]:
        """Go on without a peer whose process ends; without ours there is nothing to go on with."""
        try:
            yield
        except EndedError as error:
            if name == OURS:
                raise
            self._drop(name, str(error))

    def _start(self, name: str, python: str, plan: dict[str, Any], number: int) -> Process:
        """Start a process; while it builds it may have a processor that others are not bound to."""
        cpus, threads = self._options.cpus, plan["threads"]
        place = [cpus[(number + k) % len(cpus)] for k in range(min(threads, len(cpus)))]
        self.processes[name] = Process(name, python, plan, place)
        return self.processes[name]

    def _judge(self, name: str, description: dict[str, Any]) -> None:
        modes = description["modes"]
        if any(mode["differs"] for mode in modes.values()):
            self.differ.append(name)
        if not any(mode["variants"] for mode in modes.values()):
            reasons = [f"{v}: {reason}" for mode in modes.values() for v, reason in mode["left_out"].items()]
            self._drop(name, "; ".join(reasons))

    def _drop(self, name: str, reason: str) -> None:
        self.left_out[name] = reason
        self.processes.pop(name).close()
        print(f"{self.plan['title']}: {PEERS[name].title} is left out: {reason}", file=sys.stderr)


def run(plan: Mapping[str, Any], threads: int, options: Options, choices: Choices | None = None) -> dict[str, Any]:
    """Measure one case and return everything that was found; each peer in the variants of `choices`, if it has some."""
    with Case(plan, threads, options, choices) as case:
        case.build()
        case.choose()
        speeds = case.measure()
    processes = case.processes
    found = {
        "network": plan["name"],
        "title": plan["title"],
        "batch_size": plan["batch_size"],
        "threads": threads,
        "isa": options.isa,
        "parameters": plan["parameters"],
        "macs": plan["macs"],
        **{mode: summary(speeds[mode]) for mode in MODES},
        "peak_memory": {name: next(iter(process.memory.values())) for name, process in processes.items()},
        "share_of_processors": min(processes[OURS].shares),
        "contestants": {name: process.description for name, process in processes.items()},
        "left_out": case.left_out,
        "differ": case.differ,
        "own_choice_of_instructions": [name for name in DEAF.get(options.isa, ()) if name in processes],
    }
    print(line(found), file=sys.stderr)
    if found["share_of_processors"] < QUIET:
        print(
            f"  the machine is busy: cnntrain had {found['share_of_processors']:.0%} of its threads' time",
            file=sys.stderr,
        )
    return found


def line(found: Mapping[str, Any]) -> str:
    """Say in a line how a case went."""
    parts = [f"{found['title']}, batch {found['batch_size']}, threads {found['threads']}:"]
    for mode in MODES:
        ours = median(found[mode]["images_per_second"][OURS])
        shown = [f"{PEERS[name].title} {ratio['median']:.2f}" for name, ratio in found[mode]["ratio"].items()]
        parts.append(f"{mode} {ours:,.0f} images/s ({', '.join(shown)})")
    return " ".join(parts)
