"""Our side of the comparison: whole steps, the loading and normalising of the batch included."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import protocol


def build(plan: dict[str, Any]) -> tuple[dict[str, Any], Callable[[str], protocol.Step]]:
    """Build the network of the plan's config; number of threads: NUMBA_NUM_THREADS."""
    import numba
    from numba.np.ufunc.parallel import threading_layer

    from cnntrain.bench.subject import subject_of_config
    from cnntrain.kernels.compiler.report import announce
    from cnntrain.shape import Shape

    overrides = [f"train.batch_size={plan['batch_size']}", "data.augment=[]"]
    subject = subject_of_config(Path(plan["config"]), overrides, Shape(*plan["image"]), plan["classes"])
    compiled: list[str] = []
    with announce(compiled.append):
        subject.warm_up()
    description = {
        "version": f"numba {numba.__version__}",
        "parameters": sum(parameter.value.size for parameter in subject.network.parameters),
        "threads": numba.get_num_threads(),
        "threading_layer": threading_layer(),
        "cpus": len(os.sched_getaffinity(0)),
        "compiled": len(compiled),
    }
    return description, lambda mode: subject.train if mode == "training" else subject.evaluate


if __name__ == "__main__":
    protocol.serve(build)
