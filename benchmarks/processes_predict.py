"""Tables of the model: a step and its efficiency on many processes, and what is predicted beside what is measured."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.networks import ROOT
from benchmarks.processes_model import WIRES, Profile, Wire, predict

PROCESSES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# What is measured with sleeping layers, cifar10_quick's numbers and ten times its seconds: (processes, parts), wires.
DIVISIONS = ((2, 2), (2, 8), (4, 4), (5, 8), (8, 8))
DELAYS = (Wire(10e-3, 1e9), Wire(1e-3, 20e6), Wire(1e-3, 5e6))
SLEEPS = Profile(
    0.1, ((650, 0.005), (65600, 0.005), (0, 0.01), (51264, 0.04), (0, 0.02), (25632, 0.09), (2432, 0.04)), 0.005
)


def wire_of(text: str) -> tuple[str, Wire]:
    """Read NAME=SECONDS,BYTES: latency, and bytes per second."""
    name, numbers = text.split("=")
    latency, bandwidth = map(float, numbers.split(","))
    return name, Wire(latency, bandwidth)


def profile_of(text: str) -> Profile:
    """Read SECONDS,PARAMETERS of a network of ten equal layers, a third of whose time goes forward; or a file."""
    if "," not in text:
        return read_profile(json.loads(Path(text).read_text()))
    seconds, parameters = map(float, text.split(","))
    layers = tuple((int(parameters) // 10, seconds * 2 / 3 / 10) for _ in range(10))
    return Profile(seconds / 3, layers, 0.0)


def read_profile(found: dict[str, Any]) -> Profile:
    """Make a profile of JSON."""
    layers = found["backward"]
    return Profile(**{**found, "backward": tuple((int(size), float(seconds)) for size, seconds in layers)})


def show(name: str, profile: Profile, wires: dict[str, Wire], parts: int, numbers: tuple[int, ...] = PROCESSES) -> None:
    """Print a step and its efficiency for some numbers of processes, each with so many parts."""
    size, messages = profile.floats * profile.itemsize, len(profile.buckets())
    print(
        f"\n{name}: {profile.floats:,} numbers, {size / 1e6:.2f} MB in {messages} message{'s' * (messages > 1)}; "
        f"a part of {profile.images} images takes {profile.part * 1e3:.1f} ms; "
        f"{parts} part{'s' * (parts > 1)} for each process"
    )
    print(f"{'processes':>9} " + " ".join(f"{wire:>18}" for wire in wires))
    for processes in numbers:
        found = [predict(profile, wire, processes, parts * processes) for wire in wires.values()]
        cells = " ".join(f"{step.seconds * 1e3:8.1f} ms {step.efficiency:6.1%}" for step in found)
        print(f"{processes:9,} {cells}", flush=True)


def check(steps: int) -> None:
    """Print predicted and measured steps: messages that are held back, layers that sleep, the real sums.

    "late sums": what it would take if all sums travelled when everything is computed.
    """
    print(
        f"{'latency':>8} {'MB/s':>6} {'processes':>9} {'parts':>5} {'computing':>9} {'late sums':>9} {'predicted':>9} "
        f"{'measured':>9}  "
        "measured/predicted   messages"
    )
    for wire in DELAYS:
        for processes, parts in DIVISIONS:
            predicted, found = predict(SLEEPS, wire, processes, parts), measure(wire, processes, parts, steps)
            measured = statistics.median(found["seconds"])
            late = predict(SLEEPS.at_the_end(), wire, processes, parts)
            assert found["messages"] == predicted.messages
            print(
                f"{wire.latency * 1e3:5.1f} ms {wire.bandwidth / 1e6:6,.0f} {processes:9} {parts:5} "
                f"{(predicted.seconds - predicted.exposed) * 1e3:6.0f} ms {late.seconds * 1e3:6.0f} ms "
                f"{predicted.seconds * 1e3:6.0f} ms {measured * 1e3:6.0f} ms  {measured / predicted.seconds:.3f} "
                f"({min(found['seconds']) / predicted.seconds:.3f}-{max(found['seconds']) / predicted.seconds:.3f})  "
                f"{found['messages']}",
                flush=True,
            )


def launcher() -> str:
    """Return the mpiexec that belongs to this Python, or the one on the PATH; end without one."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or sys.exit("there is no mpiexec: pip install mpich, or load the cluster's MPI")


def measure(wire: Wire, processes: int, parts: int, steps: int) -> dict[str, Any]:
    """Make steps with processes of this machine, as if the wire were between them."""
    plan = {"profile": SLEEPS._asdict(), "wire": wire, "shards": parts, "steps": steps}
    command = [launcher(), "-n", str(processes), sys.executable, "-m", "benchmarks.processes_delay", json.dumps(plan)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wires_of(texts: list[str]) -> dict[str, Wire]:
    """Return the wires that are asked for; the usual ones otherwise."""
    return dict(map(wire_of, texts)) or WIRES
