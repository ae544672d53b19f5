"""Who is compared, with which releases, and what their processes are told about threads and instructions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

PYTORCH_CPU = "https://download.pytorch.org/whl/cpu"  # wheels without CUDA, a tenth of the size


@dataclass(frozen=True)
class Contestant:
    """One program.

    Attributes
    ----------
    title : str
        In tables.
    module : str
        What its process runs.
    imports : str
        The package that it is about.
    attempts : tuple of tuple of str
        Arguments of `pip install`, tried in this order; none for the Python that runs the script.
    """

    title: str
    module: str
    imports: str
    attempts: tuple[tuple[str, ...], ...] = ()


OURS = "cnntrain"
CNNTRAIN = Contestant("cnntrain", "benchmarks.peers.cnntrain_peer", "cnntrain")
PEERS = {
    "torch": Contestant(
        "PyTorch",
        "benchmarks.peers.torch_peer",
        "torch",
        (
            ("torch==2.13.0+cpu", "numpy"),
            ("torch==2.13.0+cpu", "numpy", "--extra-index-url", PYTORCH_CPU),
            ("torch==2.13.0", "numpy"),
        ),
    ),
    "jax": Contestant("JAX", "benchmarks.peers.jax_peer", "jax", (("jax==0.10.2", "jaxlib==0.10.2", "numpy"),)),
    "tensorflow": Contestant(
        "TensorFlow",
        "benchmarks.peers.tensorflow_peer",
        "tensorflow",
        (("tensorflow-cpu==2.21.0", "numpy"), ("tensorflow==2.21.0", "numpy")),
    ),
    "onnxruntime": Contestant(
        "ONNX Runtime", "benchmarks.peers.onnxruntime_peer", "onnxruntime", (("onnxruntime==1.32.0", "numpy"),)
    ),
}

V3 = "+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+cx16,+sahf,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3,+crc32"
V3 += ",+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
ISAS: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": V3,
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}  # fmt: skip
DEAF = {"avx2": ("onnxruntime",)}  # choose their instructions by the processor alone


def environment(threads: int, isa: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment variables of a process: what somebody set for other purposes must not slow one side."""
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(
            ("OMP_", "KMP_", "GOMP_", "MKL_", "XLA_", "TF_", "OPENBLAS_", "ATEN_", "ONEDNN_", "DNNL_")
        )
        and name not in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    }
    number = str(threads)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    counts = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), number)
    return {**kept, **quiet, **counts, **ISAS[isa]}
