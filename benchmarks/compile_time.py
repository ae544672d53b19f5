"""Processor seconds that the kernels of a config take to compile, by kernel and by stage: one process, one thread."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root


class Stages:
    """Processor seconds by stage; a stage's time is without those of the stages in it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def watch(self, owner: Any, name: str, stage: str | Callable[..., str]) -> None:
        """Let a method count for a stage, or for that which a function of its arguments names."""
        method = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            begin = time.process_time()
            self._inside.append(0.0)
            try:
                return method(*arguments, **named)
            finally:
                seconds, inside = time.process_time() - begin, self._inside.pop()
                self.seconds[stage if isinstance(stage, str) else stage(*arguments)] += seconds - inside
                self._inside[-1] += seconds

        setattr(owner, name, watched)


def watch_numba(stages: Stages) -> None:
    """Watch Numba's passes, and what LLVM does."""
    from llvmlite import binding
    from numba.core import codegen, compiler_machinery

    for kind in (compiler_machinery.PassManager, *compiler_machinery.PassManager.__subclasses__()):
        stages.watch(kind, "_runPass", lambda _, index, step, state: f"Numba: {step.name()}")
    stages.watch(codegen.CPUCodeLibrary, "_optimize_functions", "LLVM: optimising functions")
    stages.watch(codegen.CPUCodeLibrary, "_optimize_final_module", "LLVM: optimising modules")
    stages.watch(codegen.CPUCodeLibrary, "finalize", "LLVM: linking")
    stages.watch(codegen.JITCodeLibrary, "_finalize_final_module", "LLVM: machine code")
    stages.watch(binding, "parse_assembly", "LLVM: parsing")


def main() -> None:
    """Parse the command line, compile into an empty cache, print."""
    parser = argparse.ArgumentParser(description="Processor seconds to compile a config's kernels.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/mnist-lenet5.yaml"), metavar="CONFIG")
    config = parser.parse_args().config
    import numba
    from numba.core import event

    from cnntrain.bench.subject import subject_of_config

    kernels: dict[str, float] = defaultdict(float)
    stages = Stages()

    class Listener(event.Listener):
        depth, begin = 0, 0.0

        def on_start(self, event: Any) -> None:
            self.begin = self.begin if self.depth else time.process_time()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if not self.depth:
                kernels[event.data["dispatcher"].py_func.__name__] += time.process_time() - self.begin

    with tempfile.TemporaryDirectory() as folder:
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]
        subject = subject_of_config(config)
        watch_numba(stages)
        with event.install_listener("numba:compile", Listener()):
            subject.warm_up()
    for title, table in (("kernels", kernels), ("stages", stages.seconds)):
        print(f"{sum(table.values()):7.2f} s  {title}")
        for name, seconds in sorted(table.items(), key=lambda item: -item[1])[:24]:
            print(f"{seconds:7.2f}    {name}")


if __name__ == "__main__":
    main()
