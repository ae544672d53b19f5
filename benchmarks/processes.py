"""Several processes against one: steps per second of the same training, divided in different ways, in turn.

A form is PROCESSESxTHREADS/SHARDS: 2x1/2 is two processes of one thread each, of a batch in two parts. @NAME=VALUE
behind it sets a variable of the environment. Every form is a training of its own that waits, without a processor, while
the others make their steps.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

from benchmarks import processes_predict as predicting
from benchmarks.networks import NETWORKS, ROOT, Entry
from benchmarks.processes_model import Profile

IMAGES = 4096  # made up, in each training
FORMS = "1x2/1,1x2/2,2x1/2,1x1/1,1x1/2"
COMPARED = "2x1/2:1x2/1,2x1/2:1x2/2,1x2/2:1x2/1,1x1/2:1x1/1"


class Form(NamedTuple):
    """How a training is divided."""

    processes: int
    threads: int
    shards: int
    variables: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str) -> Form:
        """Read PROCESSESxTHREADS/SHARDS@NAME=VALUE."""
        division, *variables = text.split("@")
        processes, rest = division.split("x")
        threads, shards = rest.split("/")
        named = tuple((name, value) for name, _, value in (one.partition("=") for one in variables))
        return cls(int(processes), int(threads), int(shards), named)

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}/{self.shards}"


class Group:
    """The processes of one form."""

    def __init__(self, form: Form, entry: Entry, batch: int, data: Path, folder: Path, more: list[str]) -> None:
        self.form = form
        address = str(folder / f"{len(list(folder.iterdir()))}.socket")
        overrides = [
            "data.source=npz", f"data.path={data}", "data.validation=0", "optimizer={sgd: {learning_rate: 1e-6}}",
            "train.epochs=null", "train.steps=100000000", f"train.batch_size={batch}", f"train.shards={form.shards}",
            *more,
        ]  # fmt: skip
        worker = [sys.executable, "-m", "benchmarks.processes_worker", address, str(form.threads)]
        launcher = [predicting.launcher(), "-n", str(form.processes)] if form.processes > 1 else []
        command = [*launcher, *worker, str(ROOT / entry.config), *overrides]
        most = str(max(form.threads, os.cpu_count() or 1))
        environment = {**os.environ, "NUMBA_NUM_THREADS": most, **dict(form.variables)}
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listening.listen(form.processes)
            listening.settimeout(600)
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            self._streams = [listening.accept()[0].makefile("rw") for _ in range(form.processes)]
        for stream in self._streams:
            self._read(stream)  # it is ready

    def _read(self, stream: Any) -> dict[str, Any]:
        line = stream.readline()
        if not line:
            sys.exit(f"{self.form}: a process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, order: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Send an order to all processes, and return what they answer."""
        for stream in self._streams:
            stream.write(json.dumps(order) + "\n")
            stream.flush()
        return [] if order is None else [self._read(stream) for stream in self._streams]

    def seconds(self, steps: int) -> tuple[float, float]:
        """Return the seconds of a step, and the processor time that all processes spent in it."""
        found = self.ask({"steps": steps})
        return max(one["seconds"] for one in found) / steps, sum(one["processor"] for one in found) / steps

    def end(self) -> None:
        self.ask(None)
        self._process.wait(60)


def made_up(entry: Entry, path: Path) -> Path:
    """Write images that show nothing."""
    random = np.random.default_rng(1)
    channels, rows, columns = entry.image
    images = random.integers(0, 256, (IMAGES, rows, columns, channels), dtype=np.uint8)
    labels = random.integers(0, entry.classes, IMAGES)
    labels[: entry.classes] = range(entry.classes)
    few = slice(0, 64)
    np.savez(path, x_train=images, y_train=labels, x_test=images[few], y_test=labels[few])
    return path


def compare(groups: dict[str, Group], rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Let all forms make steps in turn; return the seconds and processor time of a step, of each round."""
    steps = {name: max(int(seconds / group.seconds(3)[0]), 1) for name, group in groups.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in groups}
    for number in range(rounds):
        order = list(groups) if number % 2 == 0 else list(groups)[::-1]
        for name in order:
            found[name].append(groups[name].seconds(steps[name]))
    return found


def tell(network: str, batch: int, found: dict[str, list[tuple[float, float]]], compared: list[str]) -> None:
    """Print medians and the ratios of rounds."""
    for name, times in found.items():
        walls, worked = zip(*times, strict=True)
        print(
            f"{network} {name:7} {statistics.median(walls) * 1e3:8.2f} ms a step "
            f"({min(walls) * 1e3:.2f}-{max(walls) * 1e3:.2f}), processor {statistics.median(worked) * 1e3:8.2f} ms, "
            f"{batch / statistics.median(walls):,.0f} images/s"
        )
    for pair in compared:
        ours, theirs = pair.split(":")
        if ours in found and theirs in found:
            for what, place in (("speed", 0), ("processor time", 1)):
                ratios = [b[place] / a[place] for a, b in zip(found[ours], found[theirs], strict=True)]
                print(
                    f"{network} {ours} against {theirs}: {what} {statistics.median(ratios):.3f} of it "
                    f"({min(ratios):.3f}-{max(ratios):.3f})"
                )
    sys.stdout.flush()


def profile_of(name: str, images: int, folder: Path, more: list[str]) -> Profile:
    """Measure one process and thread with parts of so many images."""
    data = made_up(NETWORKS[name], folder / "made-up.npz")
    group = Group(Form(1, 1, 2), NETWORKS[name], 2 * images, data, folder, more)
    [found] = group.ask({"profile": 9})
    group.end()
    return predicting.read_profile(found)


def measure(name: str, options: argparse.Namespace) -> None:
    """Compare the forms of a network, and print what was found."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder, entry = Path(place), NETWORKS[name]
        data = made_up(entry, folder / "made-up.npz")
        groups: dict[str, Group] = {}
        for text in options.forms.split(","):
            groups[text] = Group(Form.of(text), entry, options.batch_size, data, folder, options.set)
            stack.callback(groups[text].end)
        found = compare(groups, options.rounds, options.seconds)
        tell(name, options.batch_size, found, options.compared.split(","))


def model(names: list[str], options: argparse.Namespace) -> None:
    """Print the model's tables."""
    wires = predicting.wires_of(options.wire)
    for text in options.given:
        predicting.show(text, predicting.profile_of(text), wires, options.parts)
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            profile = profile_of(name, options.images, Path(place), options.set)
        if options.save:
            Path(f"{name}.json").write_text(json.dumps(profile._asdict()) + "\n")
        predicting.show(name, profile, wires, options.parts)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"some of: {', '.join(NETWORKS)}")
    parser.add_argument("--forms", default=FORMS, help=f"({FORMS})")
    parser.add_argument("--compared", default=COMPARED, help=f"pairs of forms ({COMPARED})")
    parser.add_argument("--batch-size", type=int, default=128, help="(128)")
    parser.add_argument("--rounds", type=int, default=11, help="slices of each form (11)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a slice (1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as everywhere")
    also = parser.add_argument_group("the model")
    also.add_argument("--model", action="store_true", help="predict 2 to 1,024 processes instead, on several wires")
    also.add_argument("--images", type=int, default=64, help="of a part that is measured for it (64)")
    also.add_argument("--parts", type=int, default=1, help="of each process (1)")
    also.add_argument(
        "--wire", action="append", default=[], metavar="NAME=SECONDS,BYTES", help="latency, bytes per second"
    )
    also.add_argument(
        "--given",
        action="append",
        default=[],
        metavar="SECONDS,PARAMETERS|FILE",
        help="a part that is not measured: its seconds and the learned numbers, or what --save wrote",
    )
    also.add_argument("--save", action="store_true", help="write NETWORK.json: what was measured of a part")
    also.add_argument("--check", action="store_true", help="the model beside measurements with delayed messages")
    also.add_argument("--steps", type=int, default=5, help="of each measurement of --check (5)")
    options = parser.parse_args()
    names = options.networks or ([] if options.given else ["cifar10-quick", "resnet20", "lenet5"])
    if options.check:
        predicting.check(options.steps)
    elif options.model:
        model(names, options)
    else:
        for name in names:
            measure(name, options)


if __name__ == "__main__":
    main()
