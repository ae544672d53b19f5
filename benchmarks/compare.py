"""Whole steps, images per second: cnntrain against PyTorch, JAX, TensorFlow and ONNX Runtime, in turn.

    python benchmarks/compare.py --peers torch,jax,tensorflow,onnxruntime

See benchmarks/README.md for what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

from benchmarks.comparison import case, tables
from benchmarks.comparison.contestants import CNNTRAIN, ISAS, OURS, PEERS
from benchmarks.comparison.environments import UnavailableError, check, default_folder, ready
from benchmarks.comparison.process import EndedError, interpreter
from benchmarks.networks import NETWORKS, plan
from cnntrain.errors import CnntrainError
from cnntrain.runs.environment import processor

BATCHES = "1,4,16,64,256,1024"


def numbers(text: str) -> list[int]:
    """Read "1,2,4"; raises `ValueError` unless all are positive."""
    found = sorted({int(word) for word in text.split(",")})
    if found[0] < 1:
        raise ValueError(text)
    return found


def chosen(text: str, known: Sequence[str]) -> list[str]:
    """Read "torch,jax", in the usual order; raises `ValueError` that names a stranger."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    strange = [word for word in words if word not in known]
    if strange or not words:
        raise ValueError(f"{(strange or [text])[0]!r}: choose from {', '.join(known)}")
    return [name for name in known if name in words]


def cases_of(networks: Sequence[str], batches: Sequence[int], of: str) -> list[tuple[str, int]]:
    """Return (network, batch size) of all that is measured, each once: the networks, then one with other batches."""
    listed = [(name, NETWORKS[name].batch_size) for name in networks]
    return [*listed, *((of, size) for size in batches if (of, size) not in listed)]


def processors() -> list[int]:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Whole steps: cnntrain against other programs on the CPU.")
    add, cpus = parser.add_argument, len(processors())
    add("--peers", default=",".join(PEERS), metavar="NAME,...", help=f"of {', '.join(PEERS)} (all)")
    add("--networks", default=None, metavar="NAME,...", help=f"of {', '.join(NETWORKS)} (all)")
    add("--batches", default=None, metavar="N,...", help=f"of one network more ({BATCHES}, unless --networks is given)")
    add("--batches-of", default="lenet5", metavar="NAME", choices=NETWORKS, help="that network (lenet5)")
    add("--threads", default=f"1,{cpus}" if cpus > 1 else "1", metavar="N,...", help="of each side (1 and all)")
    add("--rounds", type=int, default=5, help="measurements of each kind (5)")
    add("--seconds", type=float, default=0.2, help="length of one measurement (0.2)")
    add("--isa", default="native", choices=ISAS, help="instructions that all may use (native)")
    add("--torch-compile", action="store_true", help="let PyTorch try torch.compile too: minutes for each network")
    add("--environments", type=Path, default=default_folder(), metavar="DIR", help=f"where ({default_folder()})")
    add(
        "--python", action="append", default=[], metavar="PEER=PATH", help="a Python that has the peer: install nothing"
    )
    add("--json", action="store_true", help="print one JSON object with every measurement instead of the tables")
    add("--write", type=Path, metavar="FILE", help="put the tables between their markers in this document")
    options = parser.parse_args(arguments)
    try:
        options.peers = chosen(options.peers, list(PEERS))
        swept = options.batches or ("" if options.networks else BATCHES)
        options.networks = chosen(options.networks, list(NETWORKS)) if options.networks else list(NETWORKS)
        options.batches = numbers(swept) if swept else []
        options.threads = numbers(options.threads)
        options.python = dict(word.split("=", 1) for word in options.python)
        chosen(",".join(options.python) or "torch", list(PEERS))
    except ValueError as error:
        parser.error(f"not understood: {error}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    if options.threads[-1] > cpus:
        parser.error(f"--threads {options.threads[-1]}: there are {cpus} processors")
    if options.torch_compile and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        parser.error("--torch-compile needs a C++ compiler: g++ or clang++")
    if options.write:
        try:
            tables.replaced(options.write.read_text(encoding="utf-8"), options.isa, "")
        except (OSError, tables.MarkersMissingError) as error:  # before minutes of measuring
            parser.error(f"--write {options.write}: {error}")
    return options


def interpreters(options: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """Return the peers' Pythons, and why others have none."""
    found, missing = {}, {}
    for name in options.peers:
        python = _interpreter(name, options)
        if isinstance(python, UnavailableError):
            missing[name] = str(python)
            print(f"{PEERS[name].title} is left out: {python}", file=sys.stderr)
        else:
            found[name] = python
    return found, missing


def _interpreter(name: str, options: argparse.Namespace) -> str | UnavailableError:
    if name == "onnxruntime" and importlib.util.find_spec("onnx") is None:
        return UnavailableError(
            "our network is exported for it, which needs the package onnx (pip install cnntrain[onnx])"
        )
    try:
        if name not in options.python:
            return str(ready(name, PEERS[name], options.environments))
        python = interpreter(options.python[name])
        check(python, PEERS[name])
    except UnavailableError as error:
        return error
    return python


def heading(results: Sequence[dict[str, Any]], options: argparse.Namespace) -> str:
    """Say where, when and how the tables of a document were made."""
    versions = {OURS: "", **dict.fromkeys(PEERS, "")}
    for found in results:
        versions |= {name: about["version"] for name, about in found["contestants"].items()}
    deaf = sorted({PEERS[name].title for found in results for name in found["own_choice_of_instructions"]})
    command = shlex.join(["python", "benchmarks/compare.py", *shown_arguments()])
    lines = [
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {processor()}, {len(processors())} processors, "
        f"{'AVX2 code' if options.isa == 'avx2' else 'all instructions that it has'}"
        f"{', but for ' + ', '.join(deaf) + ', which asks nobody' if deaf else ''}.",
        f"{'; '.join(filter(None, versions.values()))}.",
        f"{options.rounds} rounds of {options.seconds:g} s: `{command}`.",
    ]
    return "\n".join(lines)


def shown_arguments() -> list[str]:
    """Return the arguments without paths that are this machine's."""
    shown, skip = [], False
    for word in sys.argv[1:]:
        if skip or word in ("--environments", "--python"):
            skip = not skip
        elif not word.startswith(("--environments=", "--python=")):
            shown.append(word)
    return shown


def main() -> int:
    """Measure, print, and return the exit code."""
    options = parse()
    pythons, missing = interpreters(options)
    if not pythons:
        print("no peer is left to compare with", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        settings = case.Options(
            pythons, processors(), options.rounds, options.seconds, options.isa, options.torch_compile, Path(folder),
            options.environments / "compiled",
        )  # fmt: skip
        results = []
        for name, size in cases_of(options.networks, options.batches, options.batches_of):
            choices: dict[str, Any] = {}
            for threads in options.threads:
                results.append(case.run(plan(name, size), threads, settings, choices))
                choices |= {peer: about["chosen"] for peer, about in results[-1]["contestants"].items() if peer != OURS}
    if options.json:
        print(json.dumps({"processor": processor(), "left_out": missing, "results": results}))
    else:
        print(tables.as_text(results))
    if options.write:
        tables.write(options.write, options.isa, tables.as_markdown(results, heading(results, options)))
    differ = [(found["title"], PEERS[name].title) for found in results for name in found["differ"]]
    for title, peer in differ:
        print(f"{title}: {peer} computes something else than {CNNTRAIN.title}: see above", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CnntrainError, EndedError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
