"""Logits of a batch of bytes by cnntrain or by ONNX Runtime: normalised, forward, logits out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import protocol

AT_A_TIME = 64  # images of a batch, as `cnntrain.load(run).predict` takes them


def build(plan: dict[str, Any]) -> tuple[dict[str, Any], Callable[[str], protocol.Step]]:
    """Build the network of the plan's config, for one of the two; number of threads: NUMBA_NUM_THREADS."""
    from cnntrain.config import infer_shapes, load_config
    from cnntrain.data import Normalization
    from cnntrain.network import Network
    from cnntrain.shape import Shape

    config = load_config(Path(plan["config"]))
    rows = infer_shapes(config, Shape(*plan["image"]), plan["classes"])
    network = Network(rows, batch_size=AT_A_TIME, seed=config.seed, direct=config.train.direct)
    half = np.full(plan["image"][0], 0.5, np.float32)
    normalization = Normalization(half, half, 255.0)
    images = np.random.default_rng(1).integers(0, 256, (plan["batch_size"], *plan["image"]), dtype=np.uint8)
    if plan["side"] == "cnntrain":

        def predict() -> None:
            network.predict_logits(images, normalization)

        return {"version": "cnntrain"}, lambda mode: predict

    import onnxruntime  # type: ignore[import-untyped]

    from cnntrain.export.model import Model
    from cnntrain.export.onnx import onnx_bytes

    names = tuple(map(str, range(plan["classes"])))
    model = Model(config.name, rows, network.state(), names, "uint8", normalization, {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = plan["threads"]
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_bytes(model), options, providers=["CPUExecutionProvider"])
    found, expected = session.run(["logits"], {"images": images})[0], network.predict_logits(images, normalization)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * float(np.abs(expected).max()))

    def run() -> None:
        session.run(["logits"], {"images": images})

    return {"version": onnxruntime.__version__}, lambda mode: run


if __name__ == "__main__":
    protocol.serve(build)
