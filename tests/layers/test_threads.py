"""The same bits for 1, 2 and 3 threads: every layer of this package, forward and backward."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = '''
import hashlib, json
import numba
import numpy as np
from tests.layers.single import Single

CASES = [
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}), ("global_avg_pool2d", {}), ("dropout", {}),
    ("batch_norm2d", {}), ("prelu", {}), ("gelu", {}), ("softplus", {}), ("local_response_norm", {"alpha": 0.5}),
    ("conv2d", {"filters": 7, "groups": 7, "kernel_size": 3, "padding": "same"}),
]
table = {}
for threads in (1, 2, 3):
    numba.set_num_threads(threads)
    for name, settings in CASES:
        rng = np.random.default_rng(3)
        x = rng.standard_normal((70, 7, 9, 11)).astype(np.float32)
        single = Single.build(name, settings, x)
        y = single.forward(x, step=5)
        results = {"y": y, "grad_input": single.backward(rng.standard_normal(y.shape).astype(np.float32))}
        results |= {p.name: p.gradient for p in single.layer.parameters}
        results |= {s.name: s.value for s in single.layer.statistics}
        for part, array in results.items():
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            table.setdefault(f"{name} {part}", []).append(digest)

# convolutions and the poolings behind them, slice by slice
from cnntrain.layers import pooled_convolution
from tests.layers.networks import batch, loss, network

pooled_convolution.SLICE_BYTES = 1
LAYERS = """
- conv2d: {filters: 16, kernel_size: 3}
- max_pool2d: {kernel_size: 3, stride: 2}
- conv2d: {filters: 32, kernel_size: 3, padding: 1}
- max_pool2d: 2
- dense: classes
"""
for threads in (1, 2, 3):
    numba.set_num_threads(threads)
    net = network(LAYERS, (1, 35, 35), images=70, dtype=np.float32)
    loss(net, *batch(net, 70))
    net.backward()
    results = {"y": net.logits(), "grad_input": net.grad_input} | {p.name: p.gradient for p in net.parameters}
    for part, array in results.items():
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        table.setdefault(f"slices {part}", []).append(digest)
print(json.dumps({"table": table, "possible": numba.config.NUMBA_NUM_THREADS}))
'''


def test_every_result_has_the_same_bits_for_any_number_of_threads() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "NUMBA_NUM_THREADS": "3", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["possible"] == 3
    assert len(report["table"]) == 33
    assert not [name for name, found in report["table"].items() if len(found) != 3 or len(set(found)) != 1]
    assert len({found[0] for found in report["table"].values()}) == 33
